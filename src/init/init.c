/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * sessbox-init: PID 1 of a container. Holds the namespaces, keeps the list of sessions and
 * ends the container when the last one is out - or when the process that opened it is gone, since
 * nobody may call close. Started by the helper with CAP_KILL alone, no_new_privs, an empty signal
 * environment and, besides 0-2, the two descriptors of proto.h.
 *
 *   sessbox-init STOP_MS SESSION [keep] [linger=MS] [runtime=MS]
 *
 *   STOP_MS    milliseconds between SIGTERM and the end
 *   SESSION    id of the session it is made for
 *   keep       processes may outlive the last session
 *   linger=MS  how long the container stays without a session, or, with keep, without a process
 *   runtime=MS how long it stays at most
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sessbox/io.h"
#include "sessbox/proto.h"
#include "sessbox/sys.h"

#define REQUEST_TIMEOUT_MS 1000
/* Whether processes are left has to be asked; each time costs a walk over the host's. So each time
 * is later than the one before. */
#define RETIRE_POLL_MS 20
#define RETIRE_POLL_MAX_MS 500
#define IDLE_POLL_MS 50
#define IDLE_POLL_MAX_MS 2000

struct session {
	uint32_t id;
	int caller; /* pidfd; readable when the caller is gone */
};

static struct {
	struct session sessions[SB_INIT_SESSIONS_MAX];
	size_t n;
	bool retiring;
	int64_t end; /* of the container, when retiring */
	int64_t stop_ms;
	int64_t linger_ms;
	int64_t linger_end;  /* 0 = not lingering */
	int64_t runtime_end; /* 0 = never */
	int poll_ms;	     /* to the next look whether processes are left; 0 = not looking */
	bool keep;
	int self; /* pidfd of this process */
	/* poll set: the socket, then one per session */
	struct pollfd polls[1 + SB_INIT_SESSIONS_MAX];
} init;

static void drop_session(size_t i)
{
	close(init.sessions[i].caller);
	init.sessions[i] = init.sessions[--init.n];
}

static void drop_id(uint32_t id)
{
	for (size_t i = init.n; i-- > 0;)
		if (init.sessions[i].id == id)
			drop_session(i);
}

/* Asks everybody to end; what is left at init.end ends with this process. */
static void retire(void)
{
	if (init.retiring)
		return;
	init.retiring = true;
	init.end = sb_now_ms() + init.stop_ms;
	init.poll_ms = 0;
	kill(-1, SIGTERM);
	/* A shell ignores TERM and obeys HUP; a stopped process sees neither before CONT. */
	kill(-1, SIGHUP);
	kill(-1, SIGCONT);
}

/* Everybody out? Asked of the kernel: a leader is not init's child. */
static bool is_empty(void)
{
	return kill(-1, 0) < 0 && errno == ESRCH;
}

static int longer(int ms, int first, int most)
{
	return ms == 0 ? first : ms * 2 < most ? ms * 2 : most;
}

/* Decides whether the container goes on. */
static void settle(void)
{
	if (init.runtime_end && sb_left_ms(init.runtime_end) == 0)
		retire();
	if (init.retiring) {
		init.poll_ms = longer(init.poll_ms, RETIRE_POLL_MS, RETIRE_POLL_MAX_MS);
		return;
	}
	bool idle = init.n == 0;
	bool kept = idle && init.keep && !is_empty();
	init.poll_ms = kept ? longer(init.poll_ms, IDLE_POLL_MS, IDLE_POLL_MAX_MS) : 0;
	if (!idle || kept) {
		init.linger_end = 0;
		return;
	}
	if (!init.linger_end)
		init.linger_end = sb_now_ms() + init.linger_ms;
	if (sb_left_ms(init.linger_end) == 0)
		retire();
}

/* For poll(2): when to look again though nothing has happened. */
static int patience(void)
{
	int64_t end = init.retiring ? init.end : init.runtime_end;
	int ms = init.poll_ms ? init.poll_ms : init.linger_end ? sb_left_ms(init.linger_end) : -1;
	int left = end ? sb_left_ms(end) : -1;
	return ms < 0 || (left >= 0 && left < ms) ? left : ms;
}

static enum sb_init_state join(uint32_t id, int *caller)
{
	if (init.retiring)
		return SB_INIT_RETIRING;
	if (init.n == SB_INIT_SESSIONS_MAX)
		return SB_INIT_FULL;
	drop_id(id);
	init.sessions[init.n++] = (struct session){ .id = id, .caller = *caller };
	*caller = -1;
	return SB_INIT_RUNNING;
}

static enum sb_init_state act(const struct sb_init_request *request, int *fd)
{
	switch (request->op) {
	case SB_INIT_JOIN:
		return *fd < 0 ? SB_INIT_FULL : join(request->session, fd);
	case SB_INIT_LEAVE:
		drop_id(request->session);
		settle();
		break;
	case SB_INIT_TERMINATE:
		while (init.n > 0)
			drop_session(init.n - 1);
		retire();
		break;
	default:
		break;
	}
	return init.retiring ? SB_INIT_RETIRING : SB_INIT_RUNNING;
}

static void serve(void)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int conn = accept4(SB_INIT_SOCKET, NULL, NULL, SOCK_CLOEXEC);
	if (conn < 0) {
		/* Out of descriptors: the connection waits, and we do not spin on it. */
		poll(NULL, 0, RETIRE_POLL_MS);
		return;
	}
	struct sb_init_request request;
	int fd = -1;
	size_t n = 1;
	/* The socket's directory is root's alone; that the peer is root is checked all the same. */
	if (getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == 0 &&
	    sb_wait_readable(conn, sb_now_ms() + REQUEST_TIMEOUT_MS) == 0 &&
	    sb_msg_recv(conn, &request, sizeof(request), &fd, &n) == 0 &&
	    request.version == SB_INIT_VERSION) {
		struct sb_init_reply reply = { .version = SB_INIT_VERSION };
		reply.state = act(&request, &fd);
		reply.sessions = (uint32_t)init.n;
		sb_msg_send(conn, &reply, sizeof(reply), &init.self, 1);
	}
	if (fd >= 0)
		close(fd);
	close(conn);
}

static void wait_for_events(void)
{
	init.polls[0] = (struct pollfd){ .fd = SB_INIT_SOCKET, .events = POLLIN };
	for (size_t i = 0; i < init.n; i++)
		init.polls[1 + i] =
			(struct pollfd){ .fd = init.sessions[i].caller, .events = POLLIN };
	size_t n = init.n;
	if (poll(init.polls, 1 + n, patience()) < 0)
		return;
	for (size_t i = n; i-- > 0;)
		if (init.polls[1 + i].revents)
			drop_session(i);
	if (init.polls[0].revents)
		serve();
}

static int parse_option(const char *text)
{
	static const char linger[] = "linger=", runtime[] = "runtime=";
	if (strncmp(text, linger, strlen(linger)) == 0)
		init.linger_ms = strtoll(text + strlen(linger), NULL, 10);
	else if (strncmp(text, runtime, strlen(runtime)) == 0)
		init.runtime_end = sb_now_ms() + strtoll(text + strlen(runtime), NULL, 10);
	else if (strcmp(text, "keep") == 0)
		init.keep = true;
	else
		return -EINVAL;
	return 0;
}

static int parse(int argc, char **argv)
{
	if (argc < 3)
		return -EINVAL;
	init.stop_ms = strtol(argv[1], NULL, 10);
	init.sessions[init.n++] = (struct session){ .id = (uint32_t)strtoul(argv[2], NULL, 10),
						    .caller = SB_INIT_CALLER };
	for (int i = 3; i < argc; i++)
		if (parse_option(argv[i]) < 0)
			return -EINVAL;
	return 0;
}

static int set_up(void)
{
	sigset_t all;
	if (getpid() != 1)
		return -EPERM;
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NAME, "sessbox-init") < 0)
		return -errno;
	/* Ignored, the kernel reaps orphans by itself: a tenant who makes many costs us no time. */
	if (signal(SIGCHLD, SIG_IGN) == SIG_ERR)
		return -errno;
	sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, NULL) < 0)
		return -errno;
	init.self = sys_pidfd_open(1, 0);
	return init.self < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	if (parse(argc, argv) < 0 || set_up() < 0)
		return 1;
	for (;;) {
		wait_for_events();
		settle();
		if (init.retiring && (is_empty() || sb_left_ms(init.end) == 0))
			return 0;
	}
}
