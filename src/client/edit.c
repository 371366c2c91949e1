/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* crontab -e without an editor on the host, which would be a shell there. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

static const char name[] = "crontab";

static int fail(const char *what)
{
	dprintf(STDERR_FILENO, "%s: %s: %s\n", name, what, strerror(errno));
	return -1;
}

/* crontab with one word. Its exit status, or -1. */
static int run_crontab(const char *word, int in, int out, int error)
{
	const char *const argv[] = { name, word };
	const int fds[] = { in, out, error };
	struct sb_proxy_call call;
	struct px_end end;
	if (sb_proxy_parse(2, argv, false, &call) < 0 || px_run(&call, fds, &end) < 0)
		return -1;
	return end.killed ? -1 : end.value;
}

/* To have no crontab yet is no error; anything else it complained of is. */
static int check_complaint(int error)
{
	static const char none[] = "no crontab for ";
	char text[512];
	ssize_t n = pread(error, text, sizeof(text), 0);
	if (n >= (ssize_t)strlen(none) && memcmp(text, none, strlen(none)) == 0)
		return 0;
	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		return -1;
	return -1;
}

static int list_into(int fd)
{
	int error = memfd_create("crontab", MFD_CLOEXEC);
	if (error < 0)
		return fail("memfd");
	int r = run_crontab("-l", STDIN_FILENO, fd, error);
	if (r > 0)
		r = check_complaint(error);
	close(error);
	return r;
}

/* A file of our own with the crontab in it. Its time is long ago, so that each change shows. */
static int make_file(char *path, size_t size)
{
	static const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	const char *dir = getenv("TMPDIR");
	int len = snprintf(path, size, "%s/crontab.XXXXXX", dir && *dir ? dir : "/tmp");
	int fd = len < 0 || (size_t)len >= size ? -1 : mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return fail("make a file to edit");
	int r = list_into(fd);
	if (r == 0 && futimens(fd, old) < 0)
		r = fail(path);
	close(fd);
	if (r < 0)
		unlink(path);
	return r;
}

static const char *find_editor(void)
{
	static const char *const variables[] = { "VISUAL", "EDITOR" };
	static const char *const programs[] = { "/usr/bin/sensible-editor", "/usr/bin/editor" };
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *value = getenv(variables[i]);
		if (value && *value)
			return value;
	}
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (access(programs[i], X_OK) == 0)
			return programs[i];
	return "vi";
}

/* By the shell, as it always was: the variable may hold options. */
static int edit(const char *path)
{
	char command[PATH_MAX];
	int status = 0;
	if (snprintf(command, sizeof(command), "%s \"$1\"", find_editor()) >= (int)sizeof(command))
		return -1;
	void (*interrupt)(int) = signal(SIGINT, SIG_IGN), (*quit)(int) = signal(SIGQUIT, SIG_IGN);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGINT, interrupt);
		signal(SIGQUIT, quit);
		execl("/bin/sh", "sh", "-c", command, name, path, NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	signal(SIGINT, interrupt);
	signal(SIGQUIT, quit);
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* 0: installed, or nothing to install. */
static int install(const char *path)
{
	struct stat st;
	/* An editor may have put another file in its place. */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(path);
	bool changed = st.st_mtim.tv_sec != 1 || st.st_mtim.tv_nsec != 0;
	px_say(name, changed ? "installing new crontab" : "no changes made to crontab");
	int r = changed ? run_crontab("-", fd, STDOUT_FILENO, STDERR_FILENO) : 0;
	close(fd);
	return r;
}

int px_edit(void)
{
	char path[PATH_MAX];
	if (make_file(path, sizeof(path)) < 0)
		return 1;
	if (edit(path) == 0 && install(path) == 0) {
		unlink(path);
		return 0;
	}
	dprintf(STDERR_FILENO, "%s: nothing is installed; your text is in %s\n", name, path);
	return 1;
}
