/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * sessbox-proxy: what a tenant finds in the place of a program that ProxyCommands= names. Has the
 * broker run the program on the host, with the descriptors 0-2 of this process, and ends as it
 * does. It has no privilege and decides nothing: files that a command line names are opened here,
 * and an editor runs here. Which command it is called for is its own name.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ---- the conversation ---- */

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

/* ---- the command line ---- */

static int open_file(const char *name, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		dprintf(STDERR_FILENO, "%s: %s: %s\n", name, path, strerror(errno));
	return fd;
}

/* The files that are opened here become standard input. 0, or -1 and the user has been told. */
static int take_files(struct sb_proxy_call *call, int *input)
{
	size_t kept = 0;
	for (size_t i = 0; i < call->n_options; i++) {
		const struct sb_proxy_option *o = &call->options[i];
		if (!strchr(call->command->inside, o->text[1]))
			call->options[kept++] = *o;
		else if ((*input = open_file(call->command->name, o->arg)) < 0)
			return -1;
	}
	call->n_options = kept;
	for (size_t i = 0; call->command->words == SB_PROXY_FILE && i < call->n_operands; i++) {
		if (strcmp(call->operands[i], "-") != 0 &&
		    (*input = open_file(call->command->name, call->operands[i])) < 0)
			return -1;
		call->operands[i] = "-";
	}
	return 0;
}

static bool is_edit(const struct sb_proxy_call *call)
{
	return call->command->words == SB_PROXY_FILE && call->n_options == 1 &&
	       call->n_operands == 0 && call->options[0].text[1] == 'e';
}

static int end_as(const struct px_end *end)
{
	sigset_t set;
	if (!end->killed)
		return end->value;
	signal(end->value, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, end->value);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(end->value);
	return 128 + end->value;
}

static int run(struct sb_proxy_call *call)
{
	int fds[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	struct px_end end;
	if (take_files(call, &fds[0]) < 0 || px_run(call, fds, &end) < 0)
		return 1;
	return end_as(&end);
}

static int open_missing(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	struct sb_proxy_call call;
	if (open_missing() < 0)
		return 1;
	int r = sb_proxy_parse((size_t)argc, (const char *const *)argv, true, &call);
	if (r == 0)
		return is_edit(&call) ? px_edit() : run(&call);
	px_say(call.command ? call.command->name : "sessbox-proxy",
	       r == -EPERM ? call.why : "the command line is too long");
	return 1;
}
