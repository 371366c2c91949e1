/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The conversation with the broker, and what is said to the user. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "client.h"
#include "sessbox/io.h"

#define HELLO_MS 30000

void px_say(const char *name, const char *text)
{
	dprintf(STDERR_FILENO, "%s: %s\n", name, text);
}

static int dial(void)
{
	const struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = SB_PROXY_SOCKET };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock >= 0 && connect(sock, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(sock);
		return -1;
	}
	return sock;
}

static int receive(int sock, struct sb_proxy_reply *ret)
{
	size_t none = 0;
	int r = sb_msg_recv(sock, ret, sizeof(*ret), NULL, &none);
	if (r == 0 && (ret->magic != SB_PROXY_MAGIC || ret->version != SB_PROXY_VERSION))
		r = -EPROTO;
	ret->text[sizeof(ret->text) - 1] = '\0';
	return r;
}

static mode_t read_umask(void)
{
	mode_t mask = umask(0);
	umask(mask);
	return mask;
}

static int send_request(int sock, const struct sb_proxy_call *call, const int *fds,
			const struct sb_proxy_reply *hello)
{
	extern char **environ;
	struct sb_proxy_request request;
	if (sb_proxy_pack(call, (const char *const *)environ, &request) < 0) {
		px_say(call->command->name, "the command line is too long");
		return -1;
	}
	request.umask = read_umask();
	memcpy(request.nonce, hello->nonce, sizeof(request.nonce));
	if (sb_msg_send(sock, &request, sizeof(request), fds, 3) == 0)
		return 0;
	px_say(call->command->name, "the host does not take the request");
	return -1;
}

static void pass_signal(int sock, int signals)
{
	struct signalfd_siginfo info;
	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return;
	const struct sb_proxy_signal message = { .magic = SB_PROXY_MAGIC,
						 .signal = (int32_t)info.ssi_signo };
	sb_msg_send(sock, &message, sizeof(message), NULL, 0);
}

/* Until the last reply; signals for us are the program's. */
static int await(int sock, int signals, struct sb_proxy_reply *ret)
{
	for (;;) {
		struct pollfd p[] = { { .fd = sock, .events = POLLIN },
				      { .fd = signals, .events = POLLIN } };
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[0].revents)
			return receive(sock, ret);
		if (p[1].revents)
			pass_signal(sock, signals);
	}
}

static int talk(int sock, int signals, const struct sb_proxy_call *call, const int *fds,
		struct px_end *ret)
{
	const char *name = call->command->name;
	struct sb_proxy_reply reply = { 0 };
	if (sb_wait_readable(sock, sb_now_ms() + HELLO_MS) < 0 || receive(sock, &reply) < 0) {
		px_say(name, "this runs on the host, which does not answer: please ask the "
			     "administrator");
		return -1;
	}
	if (reply.kind == SB_PROXY_HELLO) {
		if (send_request(sock, call, fds, &reply) < 0)
			return -1;
		if (await(sock, signals, &reply) < 0) {
			px_say(name, "the host has hung up");
			return -1;
		}
	}
	*ret = (struct px_end){ .killed = reply.kind == SB_PROXY_KILLED, .value = reply.value };
	if (ret->killed || reply.kind == SB_PROXY_EXITED)
		return 0;
	px_say(name, reply.text);
	return -1;
}

/* What the program did to the terminal and could not undo when it was ended. */
static void restore_terminal(const struct termios *before)
{
	struct termios now;
	void (*was)(int) = signal(SIGTTOU, SIG_IGN);
	if (tcgetattr(STDIN_FILENO, &now) == 0 && memcmp(&now, before, sizeof(now)) != 0)
		tcsetattr(STDIN_FILENO, TCSADRAIN, before);
	signal(SIGTTOU, was);
}

int px_run(const struct sb_proxy_call *call, const int *fds, struct px_end *ret)
{
	struct termios before;
	sigset_t set, old;
	int sock = dial();
	if (sock < 0) {
		px_say(call->command->name, "this runs on the host, where nothing answers: please "
					    "ask the administrator");
		return -1;
	}
	bool on_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	sigemptyset(&set);
	for (int sig = 1; sig < NSIG; sig++)
		if (sb_proxy_passes(sig))
			sigaddset(&set, sig);
	sigprocmask(SIG_BLOCK, &set, &old);
	int signals = signalfd(-1, &set, SFD_CLOEXEC);
	/* A program on the host cannot be suspended, and we are not either while it runs. */
	void (*was)(int) = signal(SIGTSTP, SIG_IGN);
	int r = talk(sock, signals, call, fds, ret);
	if (on_terminal)
		restore_terminal(&before);
	signal(SIGTSTP, was);
	close(signals);
	close(sock);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}
