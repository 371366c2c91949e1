/* SPDX-License-Identifier: MIT */
/*
 * Tests of what the kernel does: one small static program per topic, each with a table of tests.
 *
 * Every test runs in a child with a mount namespace of its own (everything private, an empty
 * tmpfs on /tmp, which is also its directory) and ends within 20 seconds. fail(), skip() and
 * the macros may be called in any process that start() made: the first report counts. When the
 * test is over its processes are killed and its cgroups removed.
 */
#ifndef SESSBOX_TESTS_KERNEL_H
#define SESSBOX_TESTS_KERNEL_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct test {
	const char *name;
	const char *what; /* what is true when it passes */
	void (*run)(void);
};

/* Each program's own; the last row has no name. */
extern const struct test tests[];

/* What the program does when it is executed again by a test, with the word it was given. */
int exec_part(const char *word);

/* Report and end this process. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *fmt, ...);
__attribute__((noreturn, format(printf, 1, 2))) void skip(const char *fmt, ...);

/* Add to the line of a test that passes: where kernels differ, which way this one goes. */
__attribute__((format(printf, 1, 2))) void note(const char *fmt, ...);

#define CHECK(cond, ...)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail(__VA_ARGS__);                                                         \
	} while (0)

/* The call has to work; gives its value. */
#define MUST(call)                                                                                 \
	({                                                                                         \
		long must_rc = (long)(call);                                                       \
		if (must_rc < 0)                                                                   \
			fail("%s: %s", #call, strerror(errno));                                    \
		must_rc;                                                                           \
	})

/* The call has to fail with this errno. */
#define REFUSED(err, call)                                                                         \
	do {                                                                                       \
		errno = 0;                                                                         \
		if ((long)(call) >= 0)                                                             \
			fail("%s works, expected %s", #call, strerror(err));                       \
		if (errno != (err))                                                                \
			fail("%s: %s, expected %s", #call, strerror(errno), strerror(err));        \
	} while (0)

/*
 * Start a child with clone3, flags being CLONE_NEW* and cgroup the directory to be born in or -1.
 * It runs fn(arg) and exits 0; it is killed when its parent ends. try_start returns -1 and errno.
 */
struct child {
	pid_t pid;
	int pidfd;
};
int try_start(struct child *child, uint64_t flags, int cgroup, void (*fn)(void *), void *arg);
struct child start(uint64_t flags, int cgroup, void (*fn)(void *), void *arg);

/* Run fn(arg) in a child and wait for it: what it does to itself ends with it. */
void apart(void (*fn)(void *), void *arg);

/* Wait for a child that has to exit 0. */
void finish(struct child child);

/* Kill and reap. */
void end(struct child child);

/* Whether the process of a pidfd ends within so many milliseconds. */
bool ends_within(int pidfd, int ms);

/* A child that only waits. */
void idle(void *arg);

/* One-byte messages over a socket pair: a child tells that it got so far, the parent lets it on. */
struct line {
	int fd[2]; /* 0: the test's end, 1: the child's */
};
struct line line_new(void);
void say_on(int fd);
void wait_on(int fd);

/* Open an entry of /proc/PID/ns. pid 0 is this process. */
int open_ns(pid_t pid, const char *name);

/* Whether two processes share a namespace; pid 0 is this process. */
bool same_ns(pid_t a, pid_t b, const char *name);

/* A detached mount of a new file system; attach() puts it (or any detached mount) on a path. */
int new_fs(const char *type);
void attach(int fd, const char *path);

/* Whole small files. put() returns -1 and errno. get() fails the test when it cannot. */
int put(int dir, const char *name, const char *text);
void get(int dir, const char *name, char *buf, size_t size);

/* An empty file, and whether a path is there. */
void touch(const char *path);
bool exists(const char *path);

/* One line of mountinfo, the fields the tests want; fn is called for each, in the table's order. */
struct mount_line {
	char path[256];
	char options[256];
	char type[64];
	char super[512];
};
void each_mount(void (*fn)(const struct mount_line *, void *), void *arg);

/*
 * Where a cgroup hierarchy is mounted: of cgroup v2 for NULL, else the v1 one with this option
 * ("freezer"). False when there is none. path has room for 256 bytes.
 */
bool cgroup_mount(const char *option, char *path);

/* The test's own cgroup there, made if need be: an fd. Skips the test when there is no hierarchy.
 */
int cgroup_dir(const char *option);

/* Make and open a directory below another. */
int sub_dir(int dir, const char *name);

/*
 * For the runner: whose cgroups the tests make; thaw and remove them (false: some stay for now);
 * remove those of runners that are gone.
 */
void cgroups_own(pid_t runner);
bool cgroups_thaw(void);
bool cgroups_remove(void);
void cgroups_stale(void);

/* The super block's options of the mount on this path, as mountinfo shows them. */
void super_options(const char *path, char *buf, size_t size);

/* The mount's own options there; fails when nothing is mounted on the path. */
void mount_options(const char *path, char *buf, size_t size);

/* Whether a comma-separated list has this word. */
bool has_option(const char *list, const char *word);

/* Whether the machine is thrown away after the tests, and may be changed by them. */
bool throwaway(void);

#endif
