/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sessbox/io.h"
#include "sessbox/str.h"

static pid_t spawn(const char *const argv[], int *ret_out)
{
	int out[2];
	if (pipe2(out, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		if (null >= 0 && dup2(null, 0) >= 0 && dup2(out[1], 1) >= 0 && dup2(out[1], 2) >= 0)
			execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(out[1]);
	if (pid < 0)
		close(out[0]);
	else
		*ret_out = out[0];
	return pid;
}

/* To the end of the output. 0, or a negative errno. */
static int read_all(int out, char *buf, size_t size, int64_t until)
{
	char spare[512];
	size_t len = 0;
	int r = 0;
	for (;;) {
		int ready = sb_wait_readable(out, until);
		if (ready < 0)
			return ready;
		bool room = len + 1 < size;
		ssize_t n =
			read(out, room ? buf + len : spare, room ? size - 1 - len : sizeof(spare));
		if (n <= 0)
			return n < 0 ? -errno : r;
		if (room)
			len += (size_t)n;
		else
			r = -EFBIG;
		buf[len] = '\0';
	}
}

int ctl_child_read(const char *const argv[], int patience_ms, char *buf, size_t size)
{
	int out = -1, status = 0;
	buf[0] = '\0';
	pid_t pid = spawn(argv, &out);
	if (pid < 0)
		return -errno;
	int r = read_all(out, buf, size, sb_now_ms() + patience_ms);
	close(out);
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return r;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

char *ctl_child_answer(const char *const argv[], size_t max, char *why, size_t why_size)
{
	cleanup_free char *text = malloc(max);
	int status = text ? ctl_child_read(argv, CTL_CHILD_PATIENCE_MS, text, max) : -ENOMEM;
	if (status == 0)
		return sb_steal_ptr(&text);
	if (status < 0)
		snprintf(why, why_size, "%s", strerror(-status));
	else
		snprintf(why, why_size, "%.*s", (int)strcspn(text, "\r\n"), text);
	return NULL;
}
