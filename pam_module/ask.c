/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module.h"
#include "sessbox/sys.h"

#define REAP_MS 2000

/* What must not reach the helper while it works: `loginctl terminate-session` TERMs a whole
 * session's processes, the one that closes it among them. */
static const int held_signals[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT };

static void fill_held(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < sizeof(held_signals) / sizeof(held_signals[0]); i++)
		sigaddset(set, held_signals[i]);
}

static int hold_signals(struct box_call *call)
{
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t held;
	fill_held(&held);
	if (sigprocmask(SIG_BLOCK, &held, &call->mask) < 0)
		return -1;
	/* Somebody else's handler would reap our child, or count it as his. */
	return sigaction(SIGCHLD, &dfl, &call->chld);
}

/*
 * A set-uid caller (su) still has the real uid, the terminal and the process group of whoever
 * started it: he could kill or stop the helper, which may hold a lock others wait for, and init
 * after it.
 */
static int leave_starter(void)
{
	/* The system calls themselves: libc's functions would tell a parent's threads. */
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		return -1;
	/* EPERM: the leader of a group already, which a child of vfork is not. */
	return setsid() < 0 && errno != EPERM ? -1 : 0;
}

/* Between vfork and exec: system calls only, and nothing of the parent's memory is written. */
static void become_helper(int sock, int host_mnt)
{
	sigset_t held;
	static char *const argv[] = { (char *)"sessbox-helper", NULL };
	static char *const envp[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	if (leave_starter() < 0 || (host_mnt >= 0 && setns(host_mnt, CLONE_NEWNS) < 0))
		_exit(126);
	int high = fcntl(sock, F_DUPFD, SB_HELPER_SOCKET + 1), null = open("/dev/null", O_RDWR);
	if (high < 0 || null < 0)
		_exit(126);
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			_exit(126);
	if (dup2(high, SB_HELPER_SOCKET) < 0 || sys_close_range(SB_HELPER_SOCKET + 1, ~0U, 0) < 0)
		_exit(126);
	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	fill_held(&held);
	sigprocmask(SIG_SETMASK, &held, NULL);
	if (chdir("/") < 0)
		_exit(126);
	execve(SB_HELPER, argv, envp);
	_exit(127);
}

static bool is_final(const struct sb_reply *reply)
{
	return reply->verdict != SB_VERDICT_WAIT;
}

/* Its alarm ended it: only a fatal signal gets a process out of a file system that hangs. */
static bool ran_out_of_time(const struct box_call *call)
{
	siginfo_t end = { 0 };
	/* The socket is gone a moment before the process. */
	if (call->pidfd < 0 || sb_wait_readable(call->pidfd, sb_now_ms() + REAP_MS) < 0)
		return false;
	return waitid(P_PIDFD, (id_t)call->pidfd, &end, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       end.si_code == CLD_KILLED && end.si_status == SIGALRM;
}

/* Why it ended without a word: mostly there is none to be run. errno is the reason. */
static const char *without_answer(const struct box_call *call)
{
	if (faccessat(AT_FDCWD, SB_HELPER, X_OK, AT_EACCESS) < 0)
		return "run the helper (" SB_HELPER ")";
	bool hung = ran_out_of_time(call);
	errno = hung ? ETIMEDOUT : ECONNRESET;
	return hung ? "the helper hung, maybe in a file system that does not answer"
		    : "the helper did not answer";
}

int box_call_receive(struct box_call *call, struct box_reply *ret, struct box_error *error)
{
	int64_t deadline = sb_now_ms() + (SB_TIMEOUT_START + SB_TIMEOUT_MARGIN) * 1000;
	call->late = true;
	do {
		int r = sb_wait_readable(call->sock, deadline);
		ret->n = SB_MSG_FDS_MAX;
		if (r == 0)
			r = sb_msg_recv(call->sock, &ret->reply, sizeof(ret->reply), ret->fds,
					&ret->n);
		if (r < 0) {
			ret->n = 0;
			errno = -r;
			return box_fail(error, r == -ECONNRESET ? without_answer(call)
								: "wait for the helper");
		}
		call->heard = true;
		if (ret->reply.magic != SB_PROTO_MAGIC || ret->reply.version != SB_PROTO_VERSION) {
			box_reply_close(ret);
			errno = EPROTO;
			return box_fail(error, "the helper speaks another version");
		}
		deadline = sb_now_ms() + (ret->reply.wait_sec + SB_TIMEOUT_MARGIN) * 1000LL;
	} while (!is_final(&ret->reply));
	ret->reply.to_user[sizeof(ret->reply.to_user) - 1] = '\0';
	ret->reply.to_log[sizeof(ret->reply.to_log) - 1] = '\0';
	call->late = false;
	return 0;
}

static void kill_helper(const struct box_call *call)
{
	if (call->pidfd >= 0)
		sys_pidfd_send_signal(call->pidfd, SIGKILL);
}

/*
 * A helper that has answered ends by itself, at once; one that does not is killed, like one that is
 * late. One stuck in the kernel even then is left a zombie-to-be.
 */
static void reap(const struct box_call *call)
{
	bool killed = call->late;
	int64_t deadline = sb_now_ms() + REAP_MS;
	if (killed)
		kill_helper(call);
	for (;;) {
		pid_t r = waitpid(call->pid, NULL, WNOHANG);
		if (r == call->pid || (r < 0 && errno != EINTR))
			return;
		if (call->pidfd < 0)
			poll(NULL, 0, 5);
		else if (sb_wait_readable(call->pidfd, deadline) == 0)
			continue;
		if (sb_left_ms(deadline) > 0)
			continue;
		if (killed)
			return;
		kill_helper(call);
		killed = true;
		deadline = sb_now_ms() + REAP_MS;
	}
}

static void release_signals(const struct box_call *call)
{
	sigaction(SIGCHLD, &call->chld, NULL);
	sigprocmask(SIG_SETMASK, &call->mask, NULL);
}

static int send_request(const struct box_call *call, const struct sb_request *request,
			const struct box_brought *brought, struct box_error *error)
{
	int r = sb_msg_send(call->sock, request, sizeof(*request), brought ? brought->fds : NULL,
			    brought ? brought->n : 0);
	errno = -r;
	return r < 0 ? box_fail(error, "ask the helper") : 0;
}

int box_above_stdio(int fd)
{
	if (fd < 0 || fd > 2)
		return fd;
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	close(fd);
	return high;
}

int box_call_start(struct box_call *call, const struct sb_request *request,
		   const struct box_brought *brought, int host_mnt, struct box_error *error)
{
	int pair[2];
	*call = (struct box_call){ .sock = -1, .pid = -1, .pidfd = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return box_fail(error, "make a socket for the helper");
	if (hold_signals(call) < 0) {
		close(pair[0]);
		close(pair[1]);
		return box_fail(error, "hold signals");
	}
	call->sock = box_above_stdio(pair[0]);
	if (call->sock < 0) {
		close(pair[1]);
		release_signals(call);
		return box_fail(error, "move the helper's socket");
	}
	/* The question first: it waits in the socket for a helper that need not wait for it. */
	if (send_request(call, request, brought, error) == 0) {
		call->pid = vfork();
		if (call->pid == 0)
			become_helper(pair[1], host_mnt);
		if (call->pid < 0)
			box_fail(error, "spawn the helper (" SB_HELPER ")");
	}
	close(pair[1]);
	if (call->pid > 0) {
		call->pidfd = box_above_stdio(sys_pidfd_open(call->pid, 0));
		return 0;
	}
	box_call_end(call);
	return -1;
}

void box_call_rest(struct box_call *call)
{
	release_signals(call);
	call->resting = true;
	call->heard = false;
}

int box_call_again(struct box_call *call, const struct sb_request *request,
		   const struct box_brought *brought, struct box_error *error)
{
	if (hold_signals(call) < 0)
		return box_fail(error, "hold signals");
	call->resting = false;
	return send_request(call, request, brought, error);
}

void box_call_end(struct box_call *call)
{
	if (call->sock < 0)
		return;
	close(call->sock);
	call->sock = -1;
	if (call->pid > 0)
		reap(call);
	if (call->pidfd >= 0)
		close(call->pidfd);
	if (!call->resting)
		release_signals(call);
}

int box_ask(const struct sb_request *request, int host_mnt, struct box_reply *ret,
	    struct box_error *error)
{
	struct box_call call;
	ret->n = 0;
	if (box_call_start(&call, request, NULL, host_mnt, error) < 0)
		return -1;
	int r = box_call_receive(&call, ret, error);
	box_call_end(&call);
	return r;
}

void box_reply_close(struct box_reply *reply)
{
	for (size_t i = 0; i < reply->n; i++)
		close(reply->fds[i]);
	reply->n = 0;
}
