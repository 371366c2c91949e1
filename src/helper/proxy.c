/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Listens for tenants' commands: socket-activated, and gone when there was nothing to do for a
 * while. Not one process of systemd's for each connection: a tenant who connects in a loop would
 * make PID 1 work for him, and run into a limit that closes the socket to all.
 *
 * It never holds a connection alone when it closes it. What a tenant has sent with it dies with the
 * last descriptor, and to close a TCP socket that is to linger takes as long as he likes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"
#include "proxy.h"
#include "sessbox/io.h"
#include "sessbox/log.h"
#include "sessbox/ns.h"
#include "sessbox/str.h"

#define LISTENING 0 /* as systemd hands it on with StandardInput=socket */
#define IDLE_MS 60000
#define SERVED_MAX 256
#define SERVED_OF_ONE 4
/* With those that are only turned away. */
#define CHILDREN_MAX (SERVED_MAX + 64)
#define AWAY_MAX 64

static struct {
	struct {
		pid_t pid;
		uid_t uid;
	} served[SERVED_MAX];
	size_t n_served;
	size_t n_children;
	int children; /* signalfd */
} broker;

static void forget(pid_t pid)
{
	broker.n_children--;
	for (size_t i = broker.n_served; i-- > 0;)
		if (broker.served[i].pid == pid)
			broker.served[i] = broker.served[--broker.n_served];
}

static void reap(void)
{
	struct signalfd_siginfo info;
	while (read(broker.children, &info, sizeof(info)) > 0)
		;
	for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
		forget(pid);
}

static bool is_one_too_many(uid_t uid)
{
	size_t n = 0;
	for (size_t i = 0; i < broker.n_served; i++)
		n += broker.served[i].uid == uid;
	return n >= SERVED_OF_ONE || broker.n_served == SERVED_MAX;
}

/* In the child. Returns when nobody else has the connections any more. */
static void become_server(int gate)
{
	sigset_t none;
	char byte;
	while (read(gate, &byte, 1) < 0 && errno == EINTR)
		;
	close(gate);
	close(broker.children);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, LISTENING) < 0)
		_exit(1);
	close(null);
}

/* peer: who is served, with one connection; NULL: they are turned away. */
static void hand_over(const int *socks, size_t n, const struct ucred *peer)
{
	int gate[2];
	if (pipe2(gate, O_CLOEXEC) < 0)
		_exit(1); /* and with us go the connections; systemd starts us again */
	pid_t pid = fork();
	if (pid == 0) {
		close(gate[1]);
		become_server(gate[0]);
		if (peer)
			sb_proxy_serve(socks[0], peer);
		sb_proxy_turn_away(socks, n);
	}
	if (pid < 0)
		_exit(1);
	broker.n_children++;
	if (peer) {
		broker.served[broker.n_served].pid = pid;
		broker.served[broker.n_served++].uid = peer->uid;
	}
	for (size_t i = 0; i < n; i++)
		close(socks[i]);
	close(gate[0]);
	close(gate[1]);
}

static int take_connection(struct ucred *peer)
{
	socklen_t len = sizeof(*peer);
	int sock = accept4(LISTENING, NULL, NULL, SOCK_CLOEXEC);
	*peer = (struct ucred){ .pid = 0, .uid = (uid_t)-1 };
	if (sock >= 0 && getsockopt(sock, SOL_SOCKET, SO_PEERCRED, peer, &len) < 0)
		peer->pid = 0; /* refused like one from elsewhere */
	return sock;
}

/*
 * Whoever connects in a loop is not worth a process each time: those that are too many go together.
 * Not beside one that is served, whose process would have theirs, too.
 */
static void take_connections(void)
{
	int away[AWAY_MAX], sock;
	size_t n = 0;
	struct ucred peer;
	while (n < AWAY_MAX && (sock = take_connection(&peer)) >= 0) {
		if (is_one_too_many(peer.uid)) {
			away[n++] = sock;
			continue;
		}
		if (n)
			hand_over(away, n, NULL);
		hand_over(&sock, 1, &peer);
		return;
	}
	if (n)
		hand_over(away, n, NULL);
}

static int set_up(void)
{
	sigset_t child;
	int type = 0;
	socklen_t len = sizeof(type);
	if (getsockopt(LISTENING, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET ||
	    fcntl(LISTENING, F_SETFL, O_NONBLOCK) < 0)
		return -ENOTSOCK;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &child, NULL) < 0)
		return -errno;
	broker.children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	return broker.children < 0 ? -errno : 0;
}

int sb_proxy_listen(void)
{
	struct sb_err err = { 0 };
	sb_log_open("sessbox-proxy");
	if (sb_ns_enter_host(&err) < 0) {
		sb_log(LOG_ERR, "%s", err.msg);
		return 1;
	}
	if (set_up() < 0) {
		fprintf(stderr, "sessbox-helper: no socket on standard input: this is run by "
				"sessbox-proxy.socket\n");
		return 1;
	}
	for (;;) {
		bool full = broker.n_children >= CHILDREN_MAX;
		struct pollfd p[] = { { .fd = broker.children, .events = POLLIN },
				      { .fd = full ? -1 : LISTENING, .events = POLLIN } };
		int n = poll(p, SB_ARRAY_SIZE(p), broker.n_children ? -1 : IDLE_MS);
		if (n == 0)
			return 0;
		if (p[0].revents)
			reap();
		if (p[1].revents)
			take_connections();
	}
}
