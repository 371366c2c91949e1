/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_TESTS_SCRATCH_H
#define SESSBOX_TESTS_SCRATCH_H

/* A directory of a test's own, reached through its descriptor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sessbox/io.h"
#include "sessbox/str.h"

struct scratch {
	char path[32];
	int fd;
};

static inline struct scratch make_scratch(void)
{
	struct scratch s = { .path = "/tmp/sbunitXXXXXX" };
	assert_non_null(mkdtemp(s.path));
	s.fd = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s.fd >= 0);
	return s;
}

static inline void drop_scratch(struct scratch *s)
{
	close(s->fd);
	assert_int_equal(sb_remove_tree(AT_FDCWD, s->path), 0);
}

static inline void put_bytes(int dfd, const char *name, const void *data, size_t size)
{
	int fd = openat(dfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		fail_msg("create '%s': %s", name, strerror(errno));
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static inline void put_text(int dfd, const char *name, const char *text)
{
	put_bytes(dfd, name, text, strlen(text));
}

static inline void assert_text(int dfd, const char *name, const char *want)
{
	char buf[16384];
	int fd = openat(dfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("open '%s': %s", name, strerror(errno));
	ssize_t n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	assert_true(n >= 0);
	buf[n] = '\0';
	assert_string_equal(buf, want);
}

static inline bool is_there(int dfd, const char *name)
{
	struct stat st;
	return fstatat(dfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline mode_t mode_of(int dfd, const char *name)
{
	struct stat st;
	assert_int_equal(fstatat(dfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

/* A directory below another, with those above it, for the caller to close. Whoever may own them. */
static inline int make_dirs(int dfd, const char *path)
{
	int fd = dup(dfd);
	char *copy = strdup(path), *save = NULL;
	assert_non_null(copy);
	for (char *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		mkdirat(fd, name, 0755);
		int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	free(copy);
	assert_true(fd >= 0);
	return fd;
}

/* Descriptors this process has open: a leak shows. */
static inline size_t count_fds(void)
{
	size_t n = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The exit status of a child, which must not end by a signal. */
static inline int wait_for(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#endif
