/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "helper.h"
#include "sessbox/group.h"
#include "sessbox/io.h"
#include "sessbox/ns.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define CLOSE_MS 5000

static const char no_service[] = "This account may not use this service.";
static const char not_contained[] =
	"Your session cannot be set up right now. Please tell the administrator.";

static struct sb_proto_sizes spoken = { SB_PROTO_VERSION, sizeof(struct sb_request),
					sizeof(struct sb_reply) };

void sb_answer_speak(struct sb_proto_sizes sizes)
{
	spoken = sizes;
}

void sb_answer_init(struct sb_answer *answer)
{
	*answer = (struct sb_answer){ .reply = { .magic = SB_PROTO_MAGIC,
						 .version = spoken.version,
						 .verdict = SB_VERDICT_FAIL },
				      .tty = -1,
				      .ticket = -1,
				      .grant = { .init = -1,
						 .devpts = -1,
						 .utmp = -1,
						 .wtmp = -1,
						 .wtmpdb = -1,
						 .ticket = -1,
						 .cgroup = { .clone_fd = -1 } } };
}

void sb_answer_clear(struct sb_answer *answer)
{
	sb_session_grant_close(&answer->grant);
	sb_close(&answer->tty);
	sb_close(&answer->ticket);
}

static void say(struct sb_answer *answer, enum sb_verdict verdict, const char *to_user,
		const char *to_log)
{
	struct sb_reply *reply = &answer->reply;
	reply->verdict = verdict;
	snprintf(reply->to_user, sizeof(reply->to_user), "%s", to_user);
	snprintf(reply->to_log, sizeof(reply->to_log), "%s", to_log);
}

void sb_answer_announce(uint64_t timeout_ms)
{
	struct sb_answer wait;
	sb_answer_init(&wait);
	wait.reply.verdict = SB_VERDICT_WAIT;
	wait.reply.wait_sec = (uint32_t)((timeout_ms + 999) / 1000);
	sb_answer_send(&wait);
}

/* What a login into a full cgroup is told. */
static const struct {
	const char *key;
	const char *to_user;
} rescues[] = {
	[SB_RESCUE_TASKS] = { "TasksMax or ClassTasksMax",
			      "There is no room for more processes: this is a small session beside "
			      "them, to look for and end some." },
	[SB_RESCUE_MEMORY] = { "MemoryMax or ClassMemoryMax",
			       "There is no memory left: this is a small session "
			       "beside it, to look "
			       "for and end processes." },
};

static void tell_rescue(struct sb_answer *answer)
{
	char why[96];
	if (!answer->grant.rescue)
		return;
	snprintf(why, sizeof(why), "%s is used up, the session is in the rescue cgroup",
		 rescues[answer->grant.rescue].key);
	say(answer, SB_VERDICT_CONTAIN, rescues[answer->grant.rescue].to_user, why);
}

static void fill_reply(struct sb_answer *answer)
{
	struct sb_reply *reply = &answer->reply;
	const struct sb_session_grant *grant = &answer->grant;
	reply->session = grant->session;
	reply->ns_flags = grant->ns_flags;
	reply->flags |= grant->devpts >= 0 ? SB_REPLY_DEVPTS : 0;
	reply->flags |= grant->utmp >= 0 ? SB_REPLY_UTMP : 0;
	reply->flags |= grant->wtmp >= 0 ? SB_REPLY_WTMP : 0;
	reply->flags |= grant->wtmpdb >= 0 ? SB_REPLY_WTMPDB : 0;
	reply->flags |= grant->ticket >= 0 ? SB_REPLY_TICKET : 0;
	reply->n_groups = (uint32_t)grant->n_groups;
	memcpy(reply->groups, grant->groups, grant->n_groups * sizeof(grant->groups[0]));
	say(answer, SB_VERDICT_CONTAIN, grant->notice, "");
	sb_answer_note(answer);
	tell_rescue(answer);
}

/* Refusals that somebody wants: OnFailure= does not change them. */
static const struct {
	int num;
	const char *to_user;
} refusals[] = {
	{ SB_REFUSED_SESSIONS, "You have as many sessions open as you may have." },
	{ SB_REFUSED_FROZEN, "This account is frozen. Please ask the administrator." },
	{ SB_REFUSED_TURN, "Too many of your jobs begin at the same time." },
};

static void fail(struct sb_answer *answer, const struct sb_policy *policy, const struct sb_err *err)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(refusals); i++) {
		if (refusals[i].num != err->num)
			continue;
		say(answer, SB_VERDICT_DENY, refusals[i].to_user, err->msg);
		return;
	}
	/* Never for what he can bring about himself: from a container he has, or by a link in place
	 * of a directory to be bound. */
	bool allow = policy->set.on_failure == SB_ON_FAILURE_ALLOW && err->num != ELOOP &&
		     !answer->grant.known;
	say(answer, allow ? SB_VERDICT_UNCONTAINED : SB_VERDICT_FAIL, allow ? "" : not_contained,
	    err->msg);
}

/* The last request's: an account phase and the open that follows are one login. */
static struct {
	struct sb_request request;
	struct sb_config *config;
	struct sb_policy *policy;
	struct sb_err broken;	  /* why the configuration is the last good one */
	struct sb_cgroup *cgroup; /* the open uses the account phase's */
} known;

static void own_sockets(const struct sb_policy *policy, struct sb_answer *answer)
{
	if (!policy->set.restrict_abstract_sockets)
		return;
	bool can = sys_landlock_has_scopes();
	answer->reply.flags |= can ? SB_REPLY_OWN_SOCKETS : 0;
	answer->grant.shares_sockets = !can;
}

static void open_session(const struct sb_request *request, const struct sb_policy *policy,
			 struct sb_answer *answer)
{
	const struct sb_session_request session = {
		.policy = policy,
		.cgroup = known.cgroup,
		.home = request->home,
		.shell = request->shell,
		.service = request->service,
		.from = request->rhost,
		.tty = answer->tty,
		.ticket = answer->ticket,
		.caller = getppid(),
		.deadline = sb_now_ms() + (int64_t)policy->set.timeout_ms,
		.list_groups = sb_answer_groups,
		.groups_follow = request->flags & SB_REQUEST_GROUPS,
	};
	struct sb_err err = { 0 };
	sb_answer_announce(policy->set.timeout_ms);
	if (!policy->set.no_new_privileges)
		answer->reply.flags |= SB_REPLY_NEW_PRIVILEGES;
	answer->reply.bounding[0] = (uint32_t)policy->set.capability_bounding_set;
	answer->reply.bounding[1] = (uint32_t)(policy->set.capability_bounding_set >> 32);
	/* The steps keep the deadline; this is for what hangs in the kernel. */
	alarm((unsigned int)(policy->set.timeout_ms / 1000) + 1);
	int r = sb_session_open(&session, &answer->grant, &err);
	own_sockets(policy, answer);
	if (policy->set.on_failure == SB_ON_FAILURE_ALLOW && !answer->grant.known)
		answer->reply.flags |= SB_REPLY_ALLOW_FAILURE;
	if (r < 0)
		fail(answer, policy, &err);
	else
		fill_reply(answer);
}

static void check_session(const struct sb_policy *policy, struct sb_answer *answer)
{
	struct sb_err err = { 0 };
	int64_t deadline = sb_now_ms() + (int64_t)policy->set.timeout_ms / 2;
	sb_answer_announce(policy->set.timeout_ms);
	alarm((unsigned int)(policy->set.timeout_ms / 1000) + 1);
	int r = known.cgroup ? 0 : sb_cgroup_open(NULL, &known.cgroup, &err);
	if (r == 0)
		r = sb_session_check(known.cgroup, policy, deadline, &err);
	/* As open would say it. */
	answer->grant.known = r == -EBUSY;
	if (r < 0)
		fail(answer, policy, &err);
	else
		say(answer, SB_VERDICT_CONTAIN, "", "");
}

static void decide(const struct sb_request *request, const struct sb_policy *policy,
		   struct sb_answer *answer)
{
	char why[160];
	if (!policy->set.contain) {
		say(answer, SB_VERDICT_IGNORE, "", "");
		return;
	}
	if (!sb_strv_has(&policy->set.allow_services, request->service)) {
		snprintf(why, sizeof(why), "service '%s' is not in AllowServices of class '%s'",
			 request->service, policy->class_name);
		say(answer, SB_VERDICT_DENY, no_service, why);
		return;
	}
	if (request->op == SB_OP_OPEN)
		open_session(request, policy, answer);
	else
		check_session(policy, answer);
}

/* Nobody can say who is a tenant: the system's own accounts get in, the others do not. */
static void without_policy(const struct sb_request *request, struct sb_answer *answer,
			   const struct sb_err *err)
{
	bool system = request->uid < SB_FIRST_USER_UID && sb_user_is_local(request->user);
	say(answer, system ? SB_VERDICT_IGNORE : SB_VERDICT_FAIL, system ? "" : not_contained,
	    err->msg);
}

/*
 * The configuration is broken. The last good one says who is a tenant, and to a tenant it is a
 * container that cannot be prepared: what his limits are meant to be nobody knows.
 */
static void decide_by_kept(const struct sb_request *request, const struct sb_policy *policy,
			   struct sb_answer *answer, const struct sb_err *broken)
{
	bool allowed = sb_strv_has(&policy->set.allow_services, request->service);
	if (policy->set.contain && allowed) {
		fail(answer, policy, broken);
		return;
	}
	decide(request, policy, answer);
	if (!policy->set.contain)
		snprintf(answer->reply.to_log, sizeof(answer->reply.to_log),
			 "by the last good configuration: %.220s", broken->msg);
}

static bool is_known(const struct sb_request *q)
{
	const struct sb_request *was = &known.request;
	return known.policy && was->uid == q->uid && was->gid == q->gid &&
	       strcmp(was->user, q->user) == 0 && strcmp(was->service, q->service) == 0 &&
	       strcmp(was->conf_dir, q->conf_dir) == 0;
}

/* A configuration of its own (conf=) is nothing to fall back to, and is not kept. */
static int load(const struct sb_request *request, struct sb_err *err)
{
	known.broken = (struct sb_err){ 0 };
	return *request->conf_dir ? sb_config_load(request->conf_dir, NULL, &known.config, err)
				  : sb_helper_load(&known.config, &known.broken, err);
}

/* What is said when the look-up takes too long: nobody else can any more, in the midst of NSS. */
static struct sb_reply too_late;

static void give_up(int sig)
{
	(void)sig;
	sb_msg_send(SB_HELPER_SOCKET, &too_late, spoken.reply, NULL, 0);
	_exit(1);
}

/*
 * A look-up that asks NSS, which may take as long as it likes, stands between these two. If the
 * time is over before the second, the helper sends answer and ends.
 */
static void limit_look_up(const struct sb_answer *answer, uint64_t timeout_ms)
{
	too_late = answer->reply;
	sb_answer_announce(timeout_ms);
	signal(SIGALRM, give_up);
	alarm((unsigned int)((timeout_ms + 999) / 1000));
}

static void looked_up(void)
{
	alarm(SB_TIMEOUT_START + 1);
	signal(SIGALRM, SIG_DFL);
}

/* The policy may hang on a directory. How long to wait for that it would have said itself: so it is
 * the longest TimeoutSec= of all. */
static int look_up(const struct sb_request *request, const struct sb_login *login,
		   struct sb_err *err)
{
	struct sb_answer late;
	struct sb_err hung;
	uint64_t timeout_ms = sb_config_timeout(known.config);
	sb_answer_init(&late);
	sb_fail_plain(&hung, ETIMEDOUT, "no source of groups answered for '%s' within %llu s",
		      request->user, (unsigned long long)timeout_ms / 1000);
	without_policy(request, &late, &hung);
	limit_look_up(&late, timeout_ms);
	int r = sb_helper_resolve(known.config, login, &known.policy, err);
	looked_up();
	return r;
}

static int resolve(const struct sb_request *request, struct sb_err *err)
{
	const struct sb_login login = { .user = request->user,
					.uid = request->uid,
					.gid = request->gid,
					.service = request->service };
	if (is_known(request))
		return 0;
	sb_policy_free(known.policy);
	sb_config_free(known.config);
	known.policy = NULL;
	known.config = NULL;
	known.request = *request;
	int r = load(request, err);
	return r < 0 ? r : look_up(request, &login, err);
}

static void judge(const struct sb_request *request, struct sb_answer *answer)
{
	struct sb_err err = { 0 };
	if (resolve(request, &err) < 0)
		without_policy(request, answer, known.broken.num ? &known.broken : &err);
	else if (known.broken.num)
		decide_by_kept(request, known.policy, answer, &known.broken);
	else
		decide(request, known.policy, answer);
}

static void close_session(const struct sb_request *request, struct sb_answer *answer)
{
	struct sb_err err = { 0 };
	int r = sb_session_close(request->uid, request->session,
				 request->flags & SB_REQUEST_HAD_TTY, sb_now_ms() + CLOSE_MS, &err);
	say(answer, r < 0 ? SB_VERDICT_FAIL : SB_VERDICT_CONTAIN, "", r < 0 ? err.msg : "");
}

void sb_answer_request(const struct sb_request *request, struct sb_answer *answer)
{
	struct sb_err err = { 0 };
	if (request->uid == 0)
		say(answer, SB_VERDICT_IGNORE, "", "");
	else if (sb_ns_enter_host(&err) < 0)
		without_policy(request, answer, &err);
	else if (request->op == SB_OP_CLOSE)
		close_session(request, answer);
	else
		judge(request, answer);
}

int sb_answer_send(const struct sb_answer *answer)
{
	const struct sb_session_grant *grant = &answer->grant;
	int fds[SB_MSG_FDS_MAX] = { -1 };
	size_t n = 0;
	if (answer->reply.verdict == SB_VERDICT_CONTAIN && grant->init >= 0) {
		const int more[] = { grant->devpts, grant->utmp, grant->wtmp, grant->wtmpdb,
				     grant->ticket };
		fds[n++] = grant->init;
		for (size_t i = 0; i < SB_ARRAY_SIZE(more); i++)
			if (more[i] >= 0)
				fds[n++] = more[i];
		for (size_t i = 0; i < grant->cgroup.n; i++)
			fds[n++] = grant->cgroup.fds[i];
	}
	return sb_msg_send(SB_HELPER_SOCKET, &answer->reply, spoken.reply, fds, n);
}
