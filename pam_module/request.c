/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <security/pam_modutil.h>

#include "module.h"
#include "request.h"

#define FIRST_USER_UID 1000

const char box_cannot_contain[] =
	"Your session cannot be set up right now. Please tell the administrator.";

struct box_args box_parse_args(int argc, const char **argv)
{
	struct box_args args = { 0 };
	bool by_cred = false, by_fork = false;
	const struct {
		const char *name;
		bool *flag;
	} flags[] = { { "open", &args.open },
		      { "close", &args.close },
		      { "debug", &args.debug },
		      { "join=cred", &by_cred },
		      { "join=fork", &by_fork } };
	for (int i = 0; i < argc; i++) {
		size_t k = 0;
		while (k < sizeof(flags) / sizeof(flags[0]) && strcmp(argv[i], flags[k].name) != 0)
			k++;
		if (k < sizeof(flags) / sizeof(flags[0]))
			*flags[k].flag = true;
		else if (strncmp(argv[i], "conf=", 5) == 0)
			args.conf = argv[i] + 5;
		else
			args.unknown = argv[i];
	}
	if (by_cred != by_fork)
		args.join = by_cred ? SB_JOIN_CRED : SB_JOIN_FORK;
	return args;
}

const struct sb_service *box_service(pam_handle_t *pamh)
{
	const void *name = NULL;
	pam_get_item(pamh, PAM_SERVICE, &name);
	return sb_service_find(name);
}

bool box_service_joins(const struct sb_service *service, enum sb_join join)
{
	char exe[256];
	if (!service || service->join != join)
		return false;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n < 0)
		return false;
	exe[n] = '\0';
	return sb_service_runs(service, exe);
}

void box_log_unknown(pam_handle_t *pamh, const struct box_args *args)
{
	pam_syslog(pamh, LOG_ERR, "unknown argument '%s'", args->unknown);
}

static void fill(char *field, size_t size, const void *text)
{
	snprintf(field, size, "%s", text ? (const char *)text : "");
}

struct sb_request box_make_request(pam_handle_t *pamh, const struct passwd *pw,
				   const struct box_args *args, enum sb_op op)
{
	const void *service = NULL, *rhost = NULL;
	struct sb_request q = { .magic = SB_PROTO_MAGIC,
				.version = SB_PROTO_VERSION,
				.op = op,
				.uid = pw->pw_uid,
				.gid = pw->pw_gid };
	pam_get_item(pamh, PAM_SERVICE, &service);
	pam_get_item(pamh, PAM_RHOST, &rhost);
	fill(q.user, sizeof(q.user), pw->pw_name);
	fill(q.home, sizeof(q.home), pw->pw_dir);
	fill(q.shell, sizeof(q.shell), pw->pw_shell);
	fill(q.service, sizeof(q.service), service);
	fill(q.rhost, sizeof(q.rhost), rhost);
	fill(q.conf_dir, sizeof(q.conf_dir), args->conf);
	return q;
}

/* The terminal that the caller was started on. */
static int find_terminal(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (isatty(fd))
			return fd;
	return -1;
}

static void add(int fd, enum sb_request_bit bit, struct sb_request *q, struct box_brought *brought)
{
	if (fd < 0)
		return;
	q->flags |= (uint32_t)bit;
	brought->fds[brought->n++] = fd;
}

void box_bring(pam_handle_t *pamh, int ticket, struct sb_request *q, struct box_brought *brought)
{
	if (sb_service_has(box_service(pamh), SB_SERVICE_BRINGS_TTY))
		add(find_terminal(), SB_REQUEST_TTY, q, brought);
	add(ticket, SB_REQUEST_TICKET, q, brought);
}

const struct passwd *box_find_user(pam_handle_t *pamh)
{
	const char *user = NULL;
	if (pam_get_user(pamh, &user, NULL) != PAM_SUCCESS || !user)
		return NULL;
	return pam_modutil_getpwnam(pamh, user);
}

void box_tell(pam_handle_t *pamh, int flags, const char *sentence)
{
	if (*sentence && !(flags & PAM_SILENT))
		pam_error(pamh, "%s", sentence);
}

const char *box_sentence(const struct sb_reply *reply)
{
	return *reply->to_user ? reply->to_user : box_cannot_contain;
}

/* What a verdict means in PAM's words, and how loud it is. */
static const struct {
	enum sb_verdict verdict;
	int result;
	int priority;
	const char *what;
} verdicts[] = {
	{ SB_VERDICT_IGNORE, PAM_IGNORE, LOG_ERR, "not a tenant" },
	{ SB_VERDICT_CONTAIN, PAM_SUCCESS, LOG_WARNING, "contained" },
	{ SB_VERDICT_DENY, PAM_PERM_DENIED, LOG_NOTICE, "denied" },
	{ SB_VERDICT_FAIL, PAM_SYSTEM_ERR, LOG_ERR, "not contained and refused" },
	{ SB_VERDICT_UNCONTAINED, PAM_IGNORE, LOG_ALERT, "NOT CONTAINED (OnFailure=allow)" },
};

bool box_may_forgive(void)
{
	return getuid() < FIRST_USER_UID;
}

int box_interpret(pam_handle_t *pamh, int flags, const struct passwd *pw,
		  const struct sb_reply *reply)
{
	uint32_t verdict = reply->verdict;
	const char *to_user = reply->to_user;
	if (verdict == SB_VERDICT_UNCONTAINED && !box_may_forgive()) {
		verdict = SB_VERDICT_FAIL;
		to_user = box_cannot_contain;
	}
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		if (verdicts[i].verdict != verdict)
			continue;
		if (*reply->to_log)
			pam_syslog(pamh, verdicts[i].priority, "user '%s' %s: %s", pw->pw_name,
				   verdicts[i].what, reply->to_log);
		box_tell(pamh, flags, to_user);
		return verdicts[i].result;
	}
	pam_syslog(pamh, LOG_ERR, "the helper gave no verdict");
	box_tell(pamh, flags, box_cannot_contain);
	return PAM_SYSTEM_ERR;
}

/* An account of the host's own, no directory's. */
static bool is_system(const struct passwd *pw)
{
	char buf[8192];
	struct passwd entry, *found;
	FILE *file = pw->pw_uid < FIRST_USER_UID ? fopen("/etc/passwd", "re") : NULL;
	bool is = false;
	while (file && !is && fgetpwent_r(file, &entry, buf, sizeof(buf), &found) == 0)
		is = strcmp(entry.pw_name, pw->pw_name) == 0;
	if (file)
		fclose(file);
	return is;
}

/* Then he is a tenant, unless the configuration has changed. */
static bool has_container(uid_t uid)
{
	char path[64];
	snprintf(path, sizeof(path), "/run/sessbox/u%u", uid);
	return access(path, F_OK) == 0;
}

/* A tenant may be the reason why there is none, whatever his uid, and so may who started the
 * caller. */
int box_without_answer(pam_handle_t *pamh, int flags, const struct passwd *pw, bool tenant,
		       const struct box_error *error)
{
	bool system = box_may_forgive() && !tenant && !has_container(pw->pw_uid) && is_system(pw);
	errno = error->num;
	pam_syslog(pamh, LOG_ERR, "user '%s' %s: %s: %m", pw->pw_name,
		   system ? "enters uncontained" : "refused", error->what);
	if (!system)
		box_tell(pamh, flags, box_cannot_contain);
	return system ? PAM_IGNORE : PAM_SYSTEM_ERR;
}

void box_share_nss(const struct passwd *pw, int sock)
{
	static struct sb_groups groups;
	static uid_t loaded_for; /* 0 = nobody */
	if (loaded_for != pw->pw_uid)
		box_list_groups(pw->pw_name, pw->pw_gid, &groups);
	/* Not taken by a helper that needs none, or is done. */
	if (sock >= 0)
		sb_msg_send(sock, &groups, sizeof(groups), NULL, 0);
	if (loaded_for != pw->pw_uid)
		box_load_nss();
	loaded_for = pw->pw_uid;
}

int box_check_account(pam_handle_t *pamh, int flags, const struct passwd *pw,
		      const struct box_args *args, struct box_call *call)
{
	struct box_reply reply;
	struct box_error error = { 0 };
	struct sb_request q = box_make_request(pamh, pw, args, SB_OP_ACCOUNT);
	if (box_call_start(call, &q, NULL, -1, &error) < 0)
		return box_without_answer(pamh, flags, pw, false, &error);
	/* Of others a directory that hangs must not delay the answer: first let it be known. */
	if (has_container(pw->pw_uid))
		box_share_nss(pw, -1);
	if (box_call_receive(call, &reply, &error) < 0)
		return box_without_answer(pamh, flags, pw, false, &error);
	box_reply_close(&reply);
	if (args->debug)
		pam_syslog(pamh, LOG_DEBUG, "account of '%s': verdict %u", pw->pw_name,
			   reply.reply.verdict);
	return box_interpret(pamh, flags, pw, &reply.reply);
}

bool box_is_tenant(pam_handle_t *pamh, const struct passwd *pw, const struct box_args *args)
{
	struct box_call call;
	int r = box_check_account(pamh, PAM_SILENT, pw, args, &call);
	box_call_end(&call);
	return r != PAM_IGNORE;
}
