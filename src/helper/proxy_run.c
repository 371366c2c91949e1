/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs a program on the host as the tenant, with what is his and nothing of ours. */
#include <errno.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy.h"
#include "sessbox/io.h"
#include "sessbox/log.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

/* Between a hang-up and the end. */
#define HANGUP_MS 500
/* The least there is between two signals. */
#define SIGNAL_US 10000

/* ---- in the child ---- */

static int take_streams(const struct sb_asking *a)
{
	for (int i = 0; i < 3; i++)
		if (dup2(a->fds[i], i) < 0)
			return -1;
	return sys_close_range(3, ~0U, 0);
}

/* What it writes into a file that it makes. What it only prints may be longer, and goes where its
 * user has a long file already. */
static uint64_t file_max(const struct sb_proxy_call *call)
{
	return sb_proxy_leaves_none(call) ? 0 : call->command->file_max;
}

static int reset_signals(const struct sb_proxy_call *call)
{
	sigset_t none;
	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	/* Then it is told that its file is too long, and cleans up. */
	if (file_max(call))
		signal(SIGXFSZ, SIG_IGN);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_limits(const struct sb_proxy_call *call)
{
	const rlim_t file = file_max(call) ? file_max(call) : RLIM_INFINITY;
	const struct {
		int resource;
		struct rlimit limit;
	} limits[] = {
		{ RLIMIT_FSIZE, { file, file } },
		{ RLIMIT_NOFILE, { 1024, 4096 } },
		/* Not 0, which the kernel does not apply to a pipe. */
		{ RLIMIT_CORE, { 1, 1 } },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(limits); i++)
		if (setrlimit(limits[i].resource, &limits[i].limit) < 0)
			return -1;
	return 0;
}

/* With the groups he has inside, and no way back. */
static int become_tenant(const struct sb_asking *a)
{
	uint32_t groups[SB_GROUPS_MAX];
	const struct passwd *pw = a->account;
	uid_t ids[3];
	size_t n = sb_container_groups(&a->container, groups);
	if (setgroups(n, groups) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return -1;
	if (getresuid(&ids[0], &ids[1], &ids[2]) < 0 || ids[0] != pw->pw_uid ||
	    ids[1] != pw->pw_uid || ids[2] != pw->pw_uid || pw->pw_uid == 0 ||
	    setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) == 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

/* None of the service's. */
static int own_keyring(void)
{
	long r = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	return r < 0 && errno != ENOSYS ? -1 : 0;
}

struct environment {
	char own[3][512];
	char *v[5 + SB_PROXY_ENV_MAX + 1];
};

/* No shell of his: none of the programs is to start one. One that writes its environment down for
 * later has none in it. */
static int fill_environment(const struct sb_asking *a, struct environment *env)
{
	static char path[] = "PATH=/usr/bin:/bin", shell[] = "SHELL=/bin/false";
	const char *const names[] = { "HOME", "USER", "LOGNAME" };
	const char *const values[] = { a->account->pw_dir, a->account->pw_name,
				       a->account->pw_name };
	size_t n = 0;
	env->v[n++] = path;
	if (!a->wanted.call.command->keeps_env)
		env->v[n++] = shell;
	for (size_t i = 0; i < SB_ARRAY_SIZE(names); i++) {
		if (sb_format(env->own[i], sizeof(env->own[i]), "%s=%s", names[i], values[i]) < 0) {
			errno = ENAMETOOLONG;
			return -1;
		}
		env->v[n++] = env->own[i];
	}
	for (size_t i = 0; i < a->wanted.n_env; i++)
		env->v[n++] = (char *)(uintptr_t)a->wanted.env[i];
	env->v[n] = NULL;
	return 0;
}

/* errno says what failed. Becoming the tenant comes last of what needs root: his home is entered as
 * him, and where it is not there his program starts in the root. */
static void execute(const struct sb_asking *a)
{
	const struct sb_proxy_call *call = &a->wanted.call;
	const char *words[SB_PROXY_WORDS_MAX + 1];
	struct environment env;
	words[sb_proxy_words(call, words)] = NULL;
	if (setsid() < 0 || reset_signals(call) < 0 || set_limits(call) < 0 ||
	    fill_environment(a, &env) < 0 || own_keyring() < 0 || become_tenant(a) < 0)
		return;
	/* If the broker dies, the program ends by itself; a home may hang. */
	alarm(SB_PROXY_RUN_SEC + 1);
	umask((mode_t)a->request.umask & 0777);
	if (chdir(a->account->pw_dir) < 0 && chdir("/") < 0)
		return;
	execve(call->command->path, (char *const *)(uintptr_t)words, env.v);
}

_Noreturn static void become_program(const struct sb_asking *a)
{
	if (take_streams(a) < 0)
		_exit(126);
	execute(a);
	dprintf(STDERR_FILENO, "%s: it cannot be run on the host: %s\n",
		a->wanted.call.command->name, strerror(errno));
	_exit(126);
}

/* ---- beside it ---- */

struct running {
	int sock;
	int asker; /* pidfd of who has asked */
	pid_t pid;
	int pidfd;
	int signals;  /* signalfd: systemd ends us */
	int64_t end;  /* of all patience */
	bool leaving; /* has been told to end */
};

/* To all of its session; at its very beginning it has none. */
static void send_signal(const struct running *run, int sig)
{
	if (kill(-run->pid, sig) < 0)
		kill(run->pid, sig);
}

/* Nobody is there for it any more. A second time it is asked no more. */
static void hang_up(struct running *run)
{
	send_signal(run, run->leaving ? SIGKILL : SIGHUP);
	run->leaving = true;
	run->sock = -1;
	run->asker = -1;
	run->signals = -1;
	run->end = sb_now_ms() + HANGUP_MS;
}

/*
 * Looked at before it is taken. A message with descriptors is not taken: to close one may be to
 * wait as long as its sender likes (SO_LINGER), unless a process is ending. MSG_CTRUNC: there are
 * some.
 */
static bool read_signal(int sock, struct sb_proxy_signal *ret)
{
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	return recvmsg(sock, &msg, MSG_PEEK | MSG_DONTWAIT) == sizeof(*ret) &&
	       !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	       recv(sock, ret, sizeof(*ret), MSG_DONTWAIT) == sizeof(*ret) &&
	       ret->magic == SB_PROXY_MAGIC && sb_proxy_passes(ret->signal);
}

static void take_signal(struct running *run)
{
	struct sb_proxy_signal message;
	if (!read_signal(run->sock, &message)) {
		hang_up(run);
		return;
	}
	send_signal(run, message.signal);
	usleep(SIGNAL_US);
}

static void await_end(struct running *run)
{
	for (;;) {
		struct pollfd p[] = { { .fd = run->pidfd, .events = POLLIN },
				      { .fd = run->sock, .events = POLLIN },
				      { .fd = run->signals, .events = POLLIN },
				      { .fd = run->asker, .events = POLLIN } };
		int n = poll(p, SB_ARRAY_SIZE(p), sb_left_ms(run->end));
		if (p[0].revents)
			return;
		/* The connection may live on with somebody else. */
		if (n == 0 || sb_left_ms(run->end) == 0 || p[2].revents || p[3].revents)
			hang_up(run);
		else if (n > 0 && p[1].revents)
			take_signal(run);
	}
}

void sb_proxy_say(int sock, enum sb_proxy_kind kind, int value, const char *text)
{
	struct sb_proxy_reply reply = {
		.magic = SB_PROXY_MAGIC, .version = SB_PROXY_VERSION, .kind = kind, .value = value
	};
	snprintf(reply.text, sizeof(reply.text), "%s", text);
	send(sock, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* What it has started and left goes with it: while it is not reaped, its number is its own. */
static void report(const struct sb_asking *a, const struct running *run)
{
	siginfo_t info = { 0 };
	while (waitid(P_PID, (id_t)run->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	kill(-run->pid, SIGKILL);
	waitpid(run->pid, NULL, 0);
	bool exited = info.si_code == CLD_EXITED;
	sb_proxy_say(a->sock, exited ? SB_PROXY_EXITED : SB_PROXY_KILLED, info.si_status, "");
}

static int watch_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : signalfd(-1, &set, SFD_CLOEXEC);
}

const char *sb_proxy_run(struct sb_asking *a)
{
	const struct sb_outside outside = { .uid = a->peer.uid,
					    .inside = a->peer.pid,
					    .deadline = sb_now_ms() + SB_PROXY_ASK_SEC * 500 };
	struct running run = { .sock = a->sock, .pidfd = -1, .asker = a->peer_fd };
	/* Whose message it is that passes a signal on does not matter, and would be in it. */
	const int off = 0;
	setsockopt(a->sock, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	run.signals = watch_signals();
	/* The deadline of the asking: ended by it in the middle, the program would be nobody's. */
	alarm(0);
	run.pid = sb_outside_fork(&outside, &run.pidfd, &a->err);
	if (run.pid == 0)
		become_program(a);
	if (run.pid == -EAGAIN || run.pid == -ESRCH || run.pid == -SB_REFUSED_FROZEN) {
		a->err.num = 0;
		return "there is no room for it now: end something first";
	}
	if (run.pid < 0)
		return SB_PROXY_BROKEN;
	sb_log(LOG_INFO, "'%s' runs %s as process %d", a->account->pw_name,
	       a->wanted.call.command->name, run.pid);
	run.end = sb_now_ms() + SB_PROXY_RUN_SEC * 1000;
	await_end(&run);
	report(a, &run);
	return NULL;
}
