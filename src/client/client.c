/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * sessbox-proxy: what a tenant finds in the place of a program that ProxyCommands= names. Has the
 * broker run the program on the host, with the descriptors 0-2 of this process, and ends as it
 * does. It has no privilege and decides nothing: files that a command line names are opened here,
 * and an editor runs here. Which command it is called for is its own name.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

static int open_file(const char *name, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		dprintf(STDERR_FILENO, "%s: %s: %s\n", name, path, strerror(errno));
	return fd;
}

/* -e of crontab's, which runs the editor here, with anything else. */
static int fail_alone(const char *name, const char *option)
{
	dprintf(STDERR_FILENO, "%s: %s goes alone\n", name, option);
	return -1;
}

/* The files that are opened here become standard input. 0, or -1 and the user has been told. */
static int take_files(struct sb_proxy_call *call, int *input)
{
	size_t kept = 0;
	for (size_t i = 0; i < call->n_options; i++) {
		const struct sb_proxy_option *o = &call->options[i];
		if (!strchr(call->command->inside, o->text[1]))
			call->options[kept++] = *o;
		else if (!o->arg)
			return fail_alone(call->command->name, o->text);
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
