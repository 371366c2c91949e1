/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <security/pam_modutil.h>

#include "module.h"
#include "request.h"

static struct box box = { .init = -1,
			  .host_mnt = -1,
			  .host_pid = -1,
			  .ticket = -1,
			  .ticket_copy = -1,
			  .call = { .sock = -1 } };

/* Unloaded between account and open: nobody would end the helper that waits for the latter. */
__attribute__((destructor)) static void end_resting_helper(void)
{
	if (!box_is_child(&box))
		box_call_end(&box.call);
}

/* ---- account ---- */

/*
 * In sshd the same process goes on to open. The helper has started, read the configuration and
 * looked groups up: it stays. Other applications wait for any child of theirs, not for one of ours.
 */
static void expect(const struct sb_service *service, uid_t uid, bool tenant)
{
	bool rests = sb_service_has(service, SB_SERVICE_PATIENT) &&
		     box_service_joins(service, service->join);
	box.expected = tenant ? uid : 0;
	if (tenant && rests)
		box_call_rest(&box.call);
	else
		box_call_end(&box.call);
}

int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	const struct box_args args = box_parse_args(argc, argv);
	const struct passwd *pw = box_find_user(pamh);
	if (!pw)
		return PAM_USER_UNKNOWN;
	if (pw->pw_uid == 0)
		return PAM_IGNORE;
	if (args.unknown) {
		box_log_unknown(pamh, &args);
		if (!box_is_tenant(pamh, pw, &args))
			return PAM_IGNORE;
		box_tell(pamh, flags, box_cannot_contain);
		return PAM_SYSTEM_ERR;
	}
	box_call_end(&box.call);
	int r = box_check_account(pamh, flags, pw, &args, &box.call);
	expect(box_service(pamh), pw->pw_uid, r == PAM_SUCCESS);
	return r;
}

/* ---- auth: only setcred matters, called once more in the child that becomes the tenant's ---- */

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_IGNORE;
}

/*
 * No open line of ours ran in this login, so nobody knows yet whether he is a tenant. (The account
 * phase may have been in another process: with keyboard-interactive sshd forks for it.)
 */
static void end_unopened_tenant(pam_handle_t *pamh, const struct box_args *args)
{
	const struct passwd *pw = box_find_user(pamh);
	if (pw && (pw->pw_uid == 0 || !box_is_tenant(pamh, pw, args)))
		return;
	pam_syslog(pamh, LOG_ERR, "no `open` line of pam_sessbox ran for this tenant");
	box_refuse_child(box_cannot_contain);
}

/* The child of a tenant whose open failed. */
static int seal_child(void)
{
	if (!sb_service_has(box.service, SB_SERVICE_GOES_ON) ||
	    !box_service_joins(box.service, SB_JOIN_CRED) || box_seal(&box, &box.shared->error) < 0)
		box_refuse_child("");
	return PAM_SUCCESS;
}

int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	const struct box_args args = box_parse_args(argc, argv);
	(void)flags;
	if (!box.token && box_service_joins(box_service(pamh), SB_JOIN_CRED))
		box_token_make(&box, NULL);
	if (box.in || !box_is_child(&box))
		return PAM_IGNORE;
	if (box.phase == BOX_IDLE) {
		if (!box.opened)
			end_unopened_tenant(pamh, &args);
		return PAM_IGNORE;
	}
	/* sshd ignores a failed setcred: the process ends here, and the caller logs why. */
	if (args.unknown) {
		box_log_unknown(pamh, &args);
		box_refuse_child(box_cannot_contain);
	}
	if (box.phase == BOX_DOOMED)
		return seal_child();
	if (box_join(&box, &box.shared->error) < 0)
		box_refuse_child(box_cannot_contain);
	return PAM_SUCCESS;
}

/* ---- session ---- */

/* What this service's session needs before anything may fail: the child has to be recognized. */
static int watch_children(pam_handle_t *pamh, struct box_error *error)
{
	box.service = box_service(pamh);
	bool forks =
		box.service && (box.service->join == SB_JOIN_FORK ||
				sb_service_has(box.service, SB_SERVICE_MAILS | SB_SERVICE_SCRATCH));
	if (box_token_make(&box, error) < 0)
		return -1;
	return forks ? box_fork_watch(&box, error) : 0;
}

static void log_error(pam_handle_t *pamh, const struct box_error *error)
{
	errno = error->num;
	pam_syslog(pamh, LOG_ERR, "%s: %m", error->what);
}

/*
 * A tenant's open failed. sshd goes on after that, and with -N -L would leave an uncontained
 * process of the tenant: so the leash stays on for good, and children that come through the hook
 * end, or end up nowhere.
 */
static int doom(pam_handle_t *pamh, int flags, int result, const char *sentence)
{
	struct box_error error = { 0 };
	box.phase = BOX_DOOMED;
	box_tell(pamh, flags, sentence);
	/* Each for itself: without a token a child is not recognized, but stays on the leash. */
	if (box_leash_put(&box.leash, &error) < 0)
		log_error(pamh, &error);
	if (watch_children(pamh, &error) < 0)
		log_error(pamh, &error);
	return result;
}

/* Why a session line refuses to open; NULL = it does not. */
static const char *misplaced(const struct sb_service *service, const struct box_args *args)
{
	if (args->unknown)
		return "it has an unknown argument";
	if (args->open == args->close)
		return "a session line says either `open` or `close`";
	if (!service || service->join == SB_JOIN_NONE)
		return "sessions of this service cannot be contained";
	if (args->join != service->join)
		return service->join == SB_JOIN_CRED ? "no join=cred on the open line"
						     : "no join=fork on the open line";
	if (!box_service_joins(service, args->join))
		return "the program is not this service's own";
	return NULL;
}

static void set_environment(pam_handle_t *pamh, uid_t uid)
{
	char runtime[64];
	snprintf(runtime, sizeof(runtime), "XDG_RUNTIME_DIR=/run/user/%u", uid);
	pam_putenv(pamh, runtime);
	if (pam_getenv(pamh, "DBUS_SESSION_BUS_ADDRESS"))
		pam_putenv(pamh, "DBUS_SESSION_BUS_ADDRESS");
}

/* Returns -1 when there was no answer. */
static int ask_close(struct box_reply *reply, struct box_error *error)
{
	bool had_terminal = box.shared && box.shared->terminal;
	const struct sb_request q = { .magic = SB_PROTO_MAGIC,
				      .version = SB_PROTO_VERSION,
				      .op = SB_OP_CLOSE,
				      .uid = box.uid,
				      .session = box.session,
				      .flags = had_terminal ? SB_REQUEST_HAD_TTY : 0 };
	/* Only the helper returns to the host's mounts. The caller keeps its tree until it ends:
	 * sshd closes PAM first and records the terminal's logout after. */
	return box_ask(&q, box.host_mnt, reply, error);
}

static void close_helper_side(void)
{
	struct box_reply reply;
	if (ask_close(&reply, NULL) == 0)
		box_reply_close(&reply);
}

static int not_prepared(pam_handle_t *pamh, int flags, const struct passwd *pw, bool allow,
			const struct box_error *error)
{
	errno = error->num;
	pam_syslog(pamh, allow ? LOG_ALERT : LOG_ERR, "user '%s' %s: %s: %m", pw->pw_name,
		   allow ? "NOT CONTAINED (OnFailure=allow)" : "not contained and refused",
		   error->what);
	if (allow)
		return PAM_IGNORE;
	return doom(pamh, flags, PAM_SYSTEM_ERR, box_cannot_contain);
}

/* The container stands: gets the caller ready. Any failure leaves it as it was found. */
static int prepare(pam_handle_t *pamh, int flags, const struct passwd *pw, struct box_reply *reply)
{
	struct box_error error = { 0 };
	bool allow = reply->reply.flags & SB_REPLY_ALLOW_FAILURE && box_may_forgive();
	box.uid = pw->pw_uid;
	box.session = reply->reply.session;
	bool ready = watch_children(pamh, &error) == 0 && box_prepare(&box, reply, &error) == 0;
	box_call_end(&box.call); /* last: the helper ends while we work */
	if (ready) {
		box.phase = BOX_OPEN;
		set_environment(pamh, pw->pw_uid);
		return PAM_SUCCESS;
	}
	box_reply_close(reply);
	close_helper_side();
	box_forget(&box);
	return not_prepared(pamh, flags, pw, allow, &error);
}

/* A question with what goes with it. */
struct question {
	struct sb_request request;
	struct box_brought brought;
};

/* Asks a new helper; its groups are sent when they are known to be wanted. */
static int ask_new(const struct passwd *pw, const struct question *q, struct box_reply *reply,
		   struct box_error *error)
{
	box_call_end(&box.call);
	if (box_call_start(&box.call, &q->request, &q->brought, -1, error) < 0)
		return -1;
	if (q->request.flags & SB_REQUEST_GROUPS)
		box_share_nss(pw, box.call.sock);
	return box_call_receive(&box.call, reply, error);
}

/* Asks the account phase's helper, if it has stayed; it may leave in this very moment. One that
 * dies at work met something that another one would meet as well, after as long a time. */
static int ask_open(const struct passwd *pw, const struct question *q, struct box_reply *reply,
		    struct box_error *error)
{
	if (box.call.sock < 0 || box.expected != pw->pw_uid)
		return ask_new(pw, q, reply, error);
	int r = box_call_again(&box.call, &q->request, &q->brought, error);
	if (r == 0) {
		box_share_nss(pw, box.call.sock);
		r = box_call_receive(&box.call, reply, error);
	}
	bool left = r < 0 && !box.call.heard && (error->num == ECONNRESET || error->num == EPIPE);
	return left ? ask_new(pw, q, reply, error) : r;
}

static int open_contained(pam_handle_t *pamh, int flags, const struct passwd *pw,
			  const struct box_args *args)
{
	struct box_reply reply = { .n = 0 };
	struct box_error error = { 0 };
	struct question q = { .request = box_make_request(pamh, pw, args, SB_OP_OPEN) };
	/* Of others a directory that hangs must not delay the answer: first let it be known. */
	bool expected = box.expected == pw->pw_uid;
	q.request.flags = expected ? SB_REQUEST_GROUPS : 0;
	box.ticket = box_ticket_find(pam_getenv(pamh, "KRB5CCNAME"), pw->pw_uid);
	box_bring(pamh, box.ticket, &q.request, &q.brought);
	int r = ask_open(pw, &q, &reply, &error);
	if (r < 0) {
		box_call_end(&box.call);
		r = box_without_answer(pamh, flags | PAM_SILENT, pw, expected, &error);
		return r == PAM_IGNORE ? r : doom(pamh, flags, r, box_cannot_contain);
	}
	if (args->debug)
		pam_syslog(pamh, LOG_DEBUG, "open of '%s': verdict %u, session %u, %zu descriptors",
			   pw->pw_name, reply.reply.verdict, reply.reply.session, reply.n);
	r = box_interpret(pamh, flags | PAM_SILENT, pw, &reply.reply);
	box.expected = 0;
	if (r == PAM_SUCCESS) {
		if (!expected)
			box_share_nss(pw, -1);
		box_tell(pamh, flags, reply.reply.to_user);
		return prepare(pamh, flags, pw, &reply);
	}
	box_call_end(&box.call);
	box_reply_close(&reply);
	if (r != PAM_IGNORE)
		return doom(pamh, flags, r, box_sentence(&reply.reply));
	box_tell(pamh, flags, reply.reply.to_user);
	return r;
}

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	const struct box_args args = box_parse_args(argc, argv);
	if (args.close && !args.open && !args.unknown)
		return PAM_SUCCESS;
	box.opened = true;
	const struct passwd *pw = box_find_user(pamh);
	/* The account phase knew him; a directory that has gone since is no way onto the host. */
	if (!pw)
		return doom(pamh, flags, PAM_USER_UNKNOWN, box_cannot_contain);
	if (pw->pw_uid == 0)
		return PAM_IGNORE;
	if (box.phase != BOX_IDLE) {
		pam_syslog(pamh, LOG_ERR, "%s",
			   box.phase == BOX_DOOMED
				   ? "refused, as a session line before it in this process"
				   : "opened twice: one `open` line too many in this stack");
		return PAM_SYSTEM_ERR;
	}
	const char *why = misplaced(box_service(pamh), &args);
	if (!why) {
		int r = open_contained(pamh, flags, pw, &args);
		if (box.phase != BOX_OPEN)
			box_ticket_drop(&box);
		return r;
	}
	if (args.unknown)
		box_log_unknown(pamh, &args);
	pam_syslog(pamh, LOG_ERR, "wrong line in the PAM stack: %s", why);
	if (!box_is_tenant(pamh, pw, &args))
		return PAM_IGNORE;
	return doom(pamh, flags, PAM_SYSTEM_ERR, box_cannot_contain);
}

static void log_child(pam_handle_t *pamh)
{
	if (!box.shared || !box.shared->error.num)
		return;
	struct box_error error = box.shared->error;
	error.what[sizeof(error.what) - 1] = '\0';
	errno = error.num;
	pam_syslog(pamh, LOG_ERR, "the tenant's process could not join: %s: %m", error.what);
}

int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	const struct box_args args = box_parse_args(argc, argv);
	struct box_error error = { 0 };
	struct box_reply reply;
	(void)flags;
	/* A do-nothing close succeeds: a stack of nothing but PAM_IGNORE fails. */
	if (!args.close || box.phase != BOX_OPEN || box.in || box_is_child(&box))
		return PAM_SUCCESS;
	bool released = box_release(&box, &error) == 0;
	if (!released) {
		errno = error.num;
		pam_syslog(pamh, LOG_ERR, "%s: %m", error.what);
	}
	log_child(pamh);
	box_ticket_follow(&box, pam_getenv(pamh, "KRB5CCNAME"));
	/* A helper born in the tenant's pid namespace, or leashed, is worse than none: init notices
	 * the caller's end, too. */
	if (!released) {
		box_forget(&box);
		return PAM_SUCCESS;
	}
	if (ask_close(&reply, &error) < 0) {
		errno = error.num;
		pam_syslog(pamh, LOG_ERR, "close: %s: %m", error.what);
	} else if (reply.reply.verdict != SB_VERDICT_CONTAIN) {
		pam_syslog(pamh, LOG_ERR, "close: %s", reply.reply.to_log);
	}
	box_reply_close(&reply);
	box_forget(&box);
	return PAM_SUCCESS;
}
