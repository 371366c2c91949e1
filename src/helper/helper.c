/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * sessbox-helper: one short run per open, close or account check, spawned by the module with its
 * socket as descriptor 3, nothing else open and a clean environment. All parsing, look-ups and
 * privileged work of a login happen here, not in somebody else's process.
 *
 *   sessbox-helper          answers one request
 *   sessbox-helper hold     holds the delegated cgroup; run by sessbox-tenants.service
 *   sessbox-helper release  takes down what outlives tenants; before removal from the system
 *   sessbox-helper expire   ends limits whose time is up
 *   sessbox-helper wait     starts what does that in time; when the monitor has ended
 *   sessbox-helper manager UID  may that user have a manager of systemd's? 0 = yes
 *   sessbox-helper proxy    runs programs of ProxyCommands=; run by sessbox-proxy.service
 *   sessbox-helper --steps  lists the steps of a login
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "helper.h"
#include "sessbox/io.h"
#include "sessbox/log.h"
#include "sessbox/ns.h"
#include "sessbox/parse.h"
#include "sessbox/path.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define REQUEST_MS 2000
/* How long the helper of an account phase waits for the open that follows it. */
#define STAY_MS 30000

/* Descriptors that come with requests, each for the answer to the one that it came with. */
static const struct {
	enum sb_request_bit bit;
	size_t offset; /* of its place in struct sb_answer */
} brought[] = {
	{ SB_REQUEST_TTY, offsetof(struct sb_answer, tty) },
	{ SB_REQUEST_TICKET, offsetof(struct sb_answer, ticket) },
};

/* Only what the flags name is taken. */
static void take_brought(struct sb_answer *answer, uint32_t flags, const int *fds, size_t n)
{
	size_t next = 0;
	for (size_t i = 0; i < SB_ARRAY_SIZE(brought); i++)
		if (flags & (uint32_t)brought[i].bit && next < n)
			*(int *)((char *)answer + brought[i].offset) = fds[next++];
	while (next < n)
		close(fds[next++]);
}

static int read_request(struct sb_request *q, struct sb_answer *answer, int wait_ms,
			struct sb_err *err)
{
	struct sb_proto_sizes sizes;
	int fds[SB_REQUEST_FDS_MAX];
	size_t n = SB_REQUEST_FDS_MAX;
	/* What a caller of the version before does not send is 0. */
	*q = (struct sb_request){ 0 };
	ssize_t r = sb_wait_readable(SB_HELPER_SOCKET, sb_now_ms() + wait_ms);
	if (r == 0)
		r = sb_msg_recv_most(SB_HELPER_SOCKET, q, sizeof(*q), fds, &n);
	if (r < 0)
		return sb_fail(err, (int)r, "read the request");
	if (q->magic != SB_PROTO_MAGIC || !sb_proto_sizes(q->version, &sizes) || r != sizes.request)
		return sb_fail_plain(err, EPROTO, "a request of version %u, %zd bytes", q->version,
				     r);
	sb_answer_speak(sizes);
	sb_answer_init(answer);
	take_brought(answer, q->flags, fds, n);
	/* Whatever came, strings end. */
	char *const text[] = { q->user, q->home, q->shell, q->service, q->rhost, q->conf_dir };
	const size_t size[] = { sizeof(q->user),    sizeof(q->home),  sizeof(q->shell),
				sizeof(q->service), sizeof(q->rhost), sizeof(q->conf_dir) };
	for (size_t i = 0; i < SB_ARRAY_SIZE(text); i++)
		text[i][size[i] - 1] = '\0';
	sb_path_squeeze(q->home);
	return 0;
}

/* The verdict, or a negative errno. */
static int serve_one(const struct sb_request *request, struct sb_answer *answer)
{
	alarm(SB_TIMEOUT_START + 1);
	sb_answer_announce(SB_TIMEOUT_START * 1000);
	sb_answer_request(request, answer);
	int r = sb_answer_send(answer);
	if (r == 0)
		sb_answer_drain(request);
	if (r < 0) {
		sb_log(LOG_ERR, "the caller does not take the answer: %s", strerror(-r));
		/* Nobody will close what was opened. */
		if (answer->reply.session && request->op == SB_OP_OPEN)
			sb_session_close(request->uid, answer->reply.session, false,
					 sb_now_ms() + REQUEST_MS, NULL);
	}
	sb_answer_clear(answer);
	return r < 0 ? r : (int)answer->reply.verdict;
}

static pid_t peer_of(int sock)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ? -1 : peer.pid;
}

static int serve(void)
{
	struct sb_request request;
	struct sb_answer answer;
	struct sb_err err = { 0 };
	pid_t caller = getppid();
	sb_log_open("sessbox-helper");
	/* Who made the socket; once he is gone our parent is somebody else. */
	if (peer_of(SB_HELPER_SOCKET) != caller)
		return 1;
	alarm(SB_TIMEOUT_START + 1);
	int r = read_request(&request, &answer, REQUEST_MS, &err);
	if (r < 0) {
		sb_log(LOG_ERR, "%s", err.msg);
		return 1;
	}
	if (serve_one(&request, &answer) != SB_VERDICT_CONTAIN || request.op != SB_OP_ACCOUNT)
		return 0;
	/* The open of the same login may follow; if not, the caller closes the socket. */
	alarm(0);
	r = read_request(&request, &answer, STAY_MS, &err);
	if (r < 0 || request.op != SB_OP_OPEN || getppid() != caller)
		return 0;
	serve_one(&request, &answer);
	return 0;
}

/*
 * The caller's limits are the tenant's (pam_limits), and neither the helper nor the init it makes
 * is to die of them. Where they cannot be raised we live with what there is.
 */
static void raise_limits(void)
{
	static const struct {
		int resource;
		rlim_t least;
	} limits[] = {
		{ RLIMIT_NOFILE, 4096 },	   { RLIMIT_FSIZE, RLIM_INFINITY },
		{ RLIMIT_CPU, RLIM_INFINITY },	   { RLIMIT_AS, RLIM_INFINITY },
		{ RLIMIT_DATA, RLIM_INFINITY },	   { RLIMIT_NPROC, RLIM_INFINITY },
		{ RLIMIT_MEMLOCK, RLIM_INFINITY },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(limits); i++) {
		struct rlimit now;
		if (getrlimit(limits[i].resource, &now) < 0 || now.rlim_cur >= limits[i].least)
			continue;
		const struct rlimit want = { limits[i].least, now.rlim_max > limits[i].least
								      ? now.rlim_max
								      : limits[i].least };
		now.rlim_cur = now.rlim_max;
		if (setrlimit(limits[i].resource, &want) < 0)
			setrlimit(limits[i].resource, &now);
	}
}

/* A set-uid caller (su) has the scheduling of whoever started it, who could slow others' logins
 * down through a helper that holds a lock, and put deadlines off; init and the timers have it from
 * the helper. Where it cannot be changed we live with it. */
static void shed_scheduling(void)
{
	const struct sched_param none = { 0 };
	cpu_set_t all;
	memset(&all, 0xff, sizeof(all));
	if (sched_getscheduler(0) != SCHED_OTHER)
		sched_setscheduler(0, SCHED_OTHER, &none);
	if (getpriority(PRIO_PROCESS, 0) > 0)
		setpriority(PRIO_PROCESS, 0, 0);
	sched_setaffinity(0, sizeof(all), &all);
	syscall(SYS_ioprio_set, SB_IOPRIO_WHO_PROCESS, 0, 0);
	prctl(PR_SET_TIMERSLACK, SB_TIMER_SLACK_NS);
	sb_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "0");
}

static int hold(void)
{
	struct sb_err err = { 0 };
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	int r = sb_cgroup_open(NULL, &cg, &err);
	if (r == 0)
		r = sb_cgroup_hold(cg, &err);
	if (r < 0)
		fprintf(stderr, "sessbox-helper: %s\n", err.msg);
	return r < 0;
}

/* Takes down the template's mounts and the run directory; for the removal of sessbox. */
static int release(void)
{
	struct sb_err err = { 0 };
	int r = sb_ns_enter_host(&err);
	if (r == 0)
		r = sb_collect_all(&err);
	if (r == 0)
		r = sb_ns_template_remove(SB_RUN_DIR, &err);
	if (r == 0 && (r = sb_remove_tree(AT_FDCWD, SB_RUN_DIR)) < 0)
		sb_fail(&err, r, "remove '%s'", SB_RUN_DIR);
	if (r < 0)
		fprintf(stderr, "sessbox-helper: %s\n", err.msg);
	return r < 0;
}

static void log_end(const char *sentence)
{
	sb_log(LOG_NOTICE, "%s", sentence);
}

/* Limits that have ended; run by a timer, with nobody to read what it says. */
static int expire(void)
{
	struct sb_err err = { 0 };
	sb_log_open("sessbox-helper");
	int r = sb_ns_enter_host(&err);
	if (r == 0)
		r = sb_limits_expire(false, log_end, &err);
	if (r < 0)
		sb_log(LOG_ERR, "limits that end: %s", err.msg);
	return r < 0;
}

/* The monitor has ended: what it would have waited for gets a process that waits. */
static int wait_instead(void)
{
	struct sb_err err = { 0 };
	uint64_t next = 0;
	sb_log_open("sessbox-helper");
	int r = sb_ns_enter_host(&err);
	if (r == 0)
		r = sb_limits_next(&next, &err);
	if (r == 0 && next && (r = sb_limits_watch(next)) < 0)
		sb_fail(&err, r, "start the timer");
	if (r < 0)
		sb_log(LOG_ERR, "limits that end: %s", err.msg);
	return r < 0;
}

static int list_steps(void)
{
	for (size_t t = 0; t < sb_session_tables_n; t++)
		for (size_t i = 0; i < sb_session_tables[t].n; i++)
			printf("%s %zu %s\n", sb_session_tables[t].name, i,
			       sb_session_tables[t].steps[i].name);
	return 0;
}

/* ExecCondition= of user@.service: 0 = go on, 1 = leave it. */
static int manager(const char *text)
{
	uint64_t uid;
	sb_log_open("sessbox-helper");
	if (sb_parse_u64(text, &uid) < 0 || uid >= UINT32_MAX) {
		sb_log(LOG_ERR, "'%s' is no uid", text);
		return 1;
	}
	return !sb_helper_may_have_manager((uid_t)uid);
}

static const struct {
	const char *name;
	int (*run)(void);
} modes[] = {
	{ "hold", hold },	  { "release", release },	{ "expire", expire },
	{ "wait", wait_instead }, { "proxy", sb_proxy_listen }, { "--steps", list_steps },
};

int main(int argc, char **argv)
{
	umask(022);
	raise_limits();
	shed_scheduling();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || chdir("/") < 0)
		return 1;
	if (argc == 1)
		return serve();
	if (argc == 3 && strcmp(argv[1], "manager") == 0)
		return manager(argv[2]);
	for (size_t i = 0; i < SB_ARRAY_SIZE(modes); i++)
		if (argc == 2 && strcmp(argv[1], modes[i].name) == 0)
			return modes[i].run();
	fprintf(stderr,
		"usage: sessbox-helper [hold|release|expire|wait|manager UID|proxy|--steps]\n");
	return 2;
}
