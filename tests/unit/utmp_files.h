/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_TESTS_UTMP_FILES_H
#define SESSBOX_TESTS_UTMP_FILES_H

#include "scratch.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <time.h>
#include <utmpx.h>

#include "sessbox/utmp.h"

/* The files are the host's own by name, in a mount namespace of the test's: /run and /var/log. */
static inline int write_map(const char *file, unsigned int id)
{
	char text[32];
	snprintf(text, sizeof(text), "0 %u 1", id);
	return sb_write_file(AT_FDCWD, file, text);
}

/* Nobody but root mounts without a user namespace. */
static inline int own_namespaces(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (uid == 0)
		return unshare(CLONE_NEWNS);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -1;
	return sb_write_file(AT_FDCWD, "/proc/self/setgroups", "deny") |
	       write_map("/proc/self/uid_map", uid) | write_map("/proc/self/gid_map", gid);
}

static inline int own_files(void)
{
	if (own_namespaces() < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return mount("none", "/run", "tmpfs", 0, NULL) |
	       mount("none", "/var/log", "tmpfs", 0, NULL);
}

static inline int set_up(void **state)
{
	(void)state;
	put_text(AT_FDCWD, SB_UTMP_FILE, "");
	put_text(AT_FDCWD, SB_WTMP_FILE, "");
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	unlink(SB_UTMP_FILE);
	unlink(SB_WTMP_FILE);
	return 0;
}

static inline size_t read_file(const char *path, struct utmpx *records, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t n = read(fd, records, max * sizeof(*records));
	close(fd);
	assert_true(n >= 0 && (size_t)n % sizeof(*records) == 0);
	return (size_t)n / sizeof(*records);
}

static inline size_t read_records(struct utmpx *records, size_t max)
{
	return read_file(SB_UTMP_FILE, records, max);
}

static inline size_t count_records(void)
{
	struct utmpx records[64];
	return read_records(records, SB_ARRAY_SIZE(records));
}

static inline struct utmpx record_at(size_t i)
{
	struct utmpx records[64];
	assert_true(i < read_records(records, SB_ARRAY_SIZE(records)));
	return records[i];
}

/* A padded field against a text. */
static inline void assert_field(const char *field, size_t size, const char *want)
{
	char padded[256] = "";
	assert_true(size <= sizeof(padded));
	memcpy(padded, want, strlen(want));
	assert_memory_equal(field, padded, size);
}
#define ASSERT_FIELD(field, want) assert_field(field, sizeof(field), want)

static inline int log_in(uint32_t session, const char *user, const char *remote)
{
	const struct sb_utmp_login l = {
		.session = session, .caller = (pid_t)session + 1000, .user = user, .host = remote
	};
	return sb_utmp_login(&l);
}

static inline int log_out(uint32_t session)
{
	const struct sb_utmp_login l = { .session = session };
	return sb_utmp_logout(&l);
}

/* A chroot lets nobody but root have namespaces, and its root may be no mount: packages are built
 * there. */
#define RUN_WITH_FILES(name, tests)                                                                \
	(own_files() < 0 ? skip_all(SB_ARRAY_SIZE(tests))                                          \
			 : cmocka_run_group_tests_name(name, tests, NULL, NULL))

static inline int skip_all(size_t n)
{
	printf("[  SKIPPED ] %zu test(s): they need a mount namespace of their own\n", n);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
