/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include <time.h>
#include <utmp.h>
#include <utmpx.h>

#include "sessbox/utmp.h"

/*
 * The records go to a file of the test's, which utmpxname(3) gives to the C library; whether the
 * host keeps records, and what is appended to its wtmp, is answered here in the library's place.
 */
static struct {
	bool no_utmp, no_wtmp;
	struct utmp wtmp[16];
	size_t n;
} host;

int access(const char *path, int mode)
{
	assert_int_equal(mode, F_OK);
	bool missing = strcmp(path, SB_UTMP_FILE) == 0	 ? host.no_utmp
		       : strcmp(path, SB_WTMP_FILE) == 0 ? host.no_wtmp
							 : true;
	errno = ENOENT;
	return missing ? -1 : 0;
}

void updwtmp(const char *path, const struct utmp *record)
{
	assert_string_equal(path, SB_WTMP_FILE);
	assert_true(host.n < SB_ARRAY_SIZE(host.wtmp));
	host.wtmp[host.n++] = *record;
}

static struct scratch scratch;

static int set_up(void **state)
{
	(void)state;
	char path[64];
	memset(&host, 0, sizeof(host));
	scratch = make_scratch();
	sb_format(path, sizeof(path), "%s/utmp", scratch.path);
	put_text(scratch.fd, "utmp", "");
	return utmpxname(path);
}

static int tear_down(void **state)
{
	(void)state;
	drop_scratch(&scratch);
	return 0;
}

/* ---- the utmp file, read without the C library ---- */

static size_t read_records(struct utmpx *records, size_t max)
{
	int fd = openat(scratch.fd, "utmp", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t n = read(fd, records, max * sizeof(*records));
	close(fd);
	assert_true(n >= 0 && (size_t)n % sizeof(*records) == 0);
	return (size_t)n / sizeof(*records);
}

static size_t count_records(void)
{
	struct utmpx records[64];
	return read_records(records, SB_ARRAY_SIZE(records));
}

static struct utmpx record_at(size_t i)
{
	struct utmpx records[64];
	assert_true(i < read_records(records, SB_ARRAY_SIZE(records)));
	return records[i];
}

/* A padded field against a text. */
static void assert_field(const char *field, size_t size, const char *want)
{
	char padded[256] = "";
	assert_true(size <= sizeof(padded));
	memcpy(padded, want, strlen(want));
	assert_memory_equal(field, padded, size);
}
#define ASSERT_FIELD(field, want) assert_field(field, sizeof(field), want)

static int log_in(uint32_t session, const char *user, const char *remote)
{
	const struct sb_utmp_login l = {
		.session = session, .caller = (pid_t)session + 1000, .user = user, .host = remote
	};
	return sb_utmp_login(&l);
}

static void add_foreign(short type, const char *line, const char *id)
{
	struct utmpx u;
	memset(&u, 0, sizeof(u));
	u.ut_type = type;
	u.ut_pid = 1;
	memcpy(u.ut_line, line, strnlen(line, sizeof(u.ut_line)));
	memcpy(u.ut_id, id, strnlen(id, sizeof(u.ut_id)));
	memcpy(u.ut_user, "other", 5);
	int fd = openat(scratch.fd, "utmp", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, &u, sizeof(u)), sizeof(u));
	close(fd);
}

/* ---- login and logout ---- */

static void one_session(void **state)
{
	(void)state;
	time_t now = time(NULL);
	assert_int_equal(log_in(7, "ann", "client.example"), 0);
	struct utmpx u = record_at(0);
	assert_int_equal(count_records(), 1);
	assert_int_equal(u.ut_type, USER_PROCESS);
	assert_int_equal(u.ut_pid, 1007);
	ASSERT_FIELD(u.ut_line, ":sb-7");
	ASSERT_FIELD(u.ut_user, "ann");
	ASSERT_FIELD(u.ut_host, "client.example");
	assert_true(u.ut_id[0] != '\0');
	assert_in_range(u.ut_tv.tv_sec - now, 0, 10);

	struct utmpx before = u;
	assert_int_equal(sb_utmp_logout(7), 0);
	u = record_at(0);
	assert_int_equal(count_records(), 1);
	assert_int_equal(u.ut_type, DEAD_PROCESS);
	ASSERT_FIELD(u.ut_line, ":sb-7");
	ASSERT_FIELD(u.ut_user, "");
	ASSERT_FIELD(u.ut_host, "");
	assert_memory_equal(u.ut_id, before.ut_id, sizeof(u.ut_id));
}

static void long_and_missing_texts(void **state)
{
	(void)state;
	char user[64], remote[400];
	memset(user, 'u', sizeof(user));
	memset(remote, 'h', sizeof(remote));
	user[sizeof(user) - 1] = remote[sizeof(remote) - 1] = '\0';
	assert_int_equal(log_in(UINT32_MAX, user, remote), 0);
	struct utmpx u = record_at(0);
	ASSERT_FIELD(u.ut_line, ":sb-4294967295");
	assert_memory_equal(u.ut_user, user, sizeof(u.ut_user));
	assert_memory_equal(u.ut_host, remote, sizeof(u.ut_host));
	assert_int_equal(log_in(1, "", NULL), 0);
	u = record_at(1);
	ASSERT_FIELD(u.ut_user, "");
	ASSERT_FIELD(u.ut_host, "");
}

/* Nobody's record is replaced: each live one has an id of its own. */
static void ids_differ(void **state)
{
	/* 46656 sessions later an id comes round again. */
	static const uint32_t sessions[] = { 1, 2, 46657, 93313, 35, 36, 1296 };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(sessions); i++) {
		assert_int_equal(log_in(sessions[i], "ann", ""), 0);
		assert_int_equal(count_records(), i + 1);
	}
	for (size_t i = 0; i < SB_ARRAY_SIZE(sessions); i++) {
		struct utmpx a = record_at(i);
		assert_int_equal(a.ut_pid, sessions[i] + 1000);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(a.ut_id, record_at(k).ut_id, sizeof(a.ut_id));
	}
}

static void strangers_stay(void **state)
{
	(void)state;
	char taken[4];
	assert_int_equal(log_in(5, "ann", ""), 0);
	memcpy(taken, record_at(0).ut_id, sizeof(taken));
	put_text(scratch.fd, "utmp", "");
	/* The id this session would like; dead ones, which are not ours to reuse. */
	add_foreign(USER_PROCESS, "pts/0", (char[5]){ taken[0], taken[1], taken[2], taken[3] });
	add_foreign(DEAD_PROCESS, "pts/1", "ts/1");
	add_foreign(DEAD_PROCESS, "", "~sb-");
	add_foreign(BOOT_TIME, "~", "~~");
	struct utmpx before[4], after[8];
	assert_int_equal(read_records(before, 4), 4);
	assert_int_equal(log_in(5, "ann", ""), 0);
	assert_int_equal(read_records(after, 8), 5);
	assert_memory_equal(before, after, sizeof(before));
	assert_memory_not_equal(after[4].ut_id, taken, sizeof(taken));
	assert_int_equal(sb_utmp_logout(5), 0);
	assert_int_equal(read_records(after, 8), 5);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(after[4].ut_type, DEAD_PROCESS);
}

/* The file has as many records as there ever were sessions at once. */
static void dead_ones_are_reused(void **state)
{
	(void)state;
	add_foreign(USER_PROCESS, "pts/0", "ts/0");
	for (uint32_t i = 1; i <= 40; i += 2) {
		assert_int_equal(log_in(i, "ann", ""), 0);
		assert_int_equal(log_in(i + 1, "bob", ""), 0);
		assert_int_equal(count_records(), 3);
		assert_int_equal(sb_utmp_logout(i), 0);
		assert_int_equal(sb_utmp_logout(i + 1), 0);
	}
	assert_int_equal(log_in(50, "ann", ""), 0);
	assert_int_equal(count_records(), 3);
	assert_int_equal(record_at(0).ut_type, USER_PROCESS);
}

/* ":sb-1" is not ":sb-10", and only a live record dies. */
static void logout_of_one(void **state)
{
	static const uint32_t sessions[] = { 10, 1, 100 };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(sessions); i++)
		assert_int_equal(log_in(sessions[i], "ann", ""), 0);
	add_foreign(USER_PROCESS, "sb-1", "x");
	assert_int_equal(sb_utmp_logout(1), 0);
	assert_int_equal(record_at(0).ut_type, USER_PROCESS);
	assert_int_equal(record_at(1).ut_type, DEAD_PROCESS);
	assert_int_equal(record_at(2).ut_type, USER_PROCESS);
	assert_int_equal(record_at(3).ut_type, USER_PROCESS);
	struct utmpx dead = record_at(1);
	assert_int_equal(sb_utmp_logout(1), 0);
	assert_int_equal(sb_utmp_logout(2), 0);
	struct utmpx after = record_at(1);
	assert_memory_equal(&after, &dead, sizeof(dead));
	assert_int_equal(count_records(), 4);
}

static void no_records_kept(void **state)
{
	(void)state;
	host.no_utmp = true;
	assert_int_equal(log_in(1, "ann", ""), 0);
	assert_int_equal(sb_utmp_logout(1), 0);
	assert_int_equal(count_records(), 0);
}

/* ---- history ---- */

static void note(int fd, short type, const char *line, int32_t when)
{
	struct utmp u;
	memset(&u, 0, sizeof(u));
	u.ut_type = type;
	u.ut_tv.tv_sec = when;
	memcpy(u.ut_line, line, strnlen(line, sizeof(u.ut_line)));
	if (type == USER_PROCESS) {
		memcpy(u.ut_user, "ann", 3);
		memcpy(u.ut_host, "client", 6);
	}
	assert_int_equal(write(fd, &u, sizeof(u)), sizeof(u));
}

static int make_scratch_wtmp(void)
{
	int fd = openat(scratch.fd, "wtmp", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	note(fd, LOGIN_PROCESS, "pts/0", 90);
	note(fd, USER_PROCESS, "pts/0", 100);
	note(fd, USER_PROCESS, "pts/1", 110);
	note(fd, DEAD_PROCESS, "pts/0", 120);
	note(fd, USER_PROCESS, "pts/0", 130);
	note(fd, DEAD_PROCESS, "pts/0", 140);
	note(fd, DEAD_PROCESS, "pts/7", 150);
	assert_int_equal(write(fd, "part of a record", 16), 16);
	return fd;
}

static void history(void **state)
{
	static const int32_t times[][2] = { { 100, 120 }, { 110, 0 }, { 130, 140 } };
	(void)state;
	int fd = make_scratch_wtmp();
	time_t now = time(NULL);
	assert_int_equal(sb_utmp_history(7, fd), 0);
	close(fd);
	assert_int_equal(host.n, 2 * SB_ARRAY_SIZE(times));
	for (size_t i = 0; i < SB_ARRAY_SIZE(times); i++) {
		const struct utmp *in = &host.wtmp[2 * i], *out = in + 1;
		assert_int_equal(in->ut_type, USER_PROCESS);
		assert_int_equal(out->ut_type, DEAD_PROCESS);
		ASSERT_FIELD(in->ut_line, ":sb-7");
		ASSERT_FIELD(out->ut_line, ":sb-7");
		ASSERT_FIELD(in->ut_user, "ann");
		ASSERT_FIELD(in->ut_host, "client");
		ASSERT_FIELD(out->ut_user, "");
		ASSERT_FIELD(out->ut_host, "");
		assert_int_equal(in->ut_tv.tv_sec, times[i][0]);
		if (times[i][1])
			assert_int_equal(out->ut_tv.tv_sec, times[i][1]);
		else /* still open: it ends now */
			assert_in_range(out->ut_tv.tv_sec - now, 0, 10);
	}
}

static void no_history(void **state)
{
	(void)state;
	int empty = openat(scratch.fd, "utmp", O_RDONLY | O_CLOEXEC);
	assert_int_equal(sb_utmp_history(7, empty), 0);
	close(empty);
	assert_int_equal(host.n, 0);
	int fd = make_scratch_wtmp();
	host.no_wtmp = true;
	assert_int_equal(sb_utmp_history(7, fd), 0);
	close(fd);
	assert_int_equal(host.n, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_session),	    TEST(long_and_missing_texts),
		TEST(ids_differ),	    TEST(strangers_stay),
		TEST(dead_ones_are_reused), TEST(logout_of_one),
		TEST(no_records_kept),	    TEST(history),
		TEST(no_history),
	};
	return cmocka_run_group_tests_name("utmp", tests, NULL, NULL);
}
