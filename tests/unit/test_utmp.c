/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "utmp_files.h"

static void add_foreign(short type, const char *line, const char *id)
{
	struct utmpx u;
	memset(&u, 0, sizeof(u));
	u.ut_type = type;
	u.ut_pid = 1;
	memcpy(u.ut_line, line, strlen(line));
	memcpy(u.ut_id, id, strlen(id));
	memcpy(u.ut_user, "other", 5);
	int fd = open(SB_UTMP_FILE, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, &u, sizeof(u)), sizeof(u));
	close(fd);
}

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
	assert_int_equal(log_out(7), 0);
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
	put_text(AT_FDCWD, SB_UTMP_FILE, "");
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
	assert_int_equal(log_out(5), 0);
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
		assert_int_equal(log_out(i), 0);
		assert_int_equal(log_out(i + 1), 0);
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
	assert_int_equal(log_out(1), 0);
	assert_int_equal(record_at(0).ut_type, USER_PROCESS);
	assert_int_equal(record_at(1).ut_type, DEAD_PROCESS);
	assert_int_equal(record_at(2).ut_type, USER_PROCESS);
	assert_int_equal(record_at(3).ut_type, USER_PROCESS);
	struct utmpx dead = record_at(1);
	assert_int_equal(log_out(1), 0);
	assert_int_equal(log_out(2), 0);
	struct utmpx after = record_at(1);
	assert_memory_equal(&after, &dead, sizeof(dead));
	assert_int_equal(count_records(), 4);
}

static void no_records_kept(void **state)
{
	(void)state;
	assert_int_equal(unlink(SB_UTMP_FILE), 0);
	assert_int_equal(log_in(1, "ann", ""), 0);
	assert_int_equal(log_out(1), 0);
	assert_false(is_there(AT_FDCWD, SB_UTMP_FILE));
}

static void records_behind_a_link(void **state)
{
	(void)state;
	assert_int_equal(unlink(SB_UTMP_FILE), 0);
	put_text(AT_FDCWD, "/run/elsewhere", "");
	assert_int_equal(symlink("elsewhere", SB_UTMP_FILE), 0);
	assert_int_equal(log_in(1, "ann", ""), -ELOOP);
	assert_int_equal(log_out(1), -ELOOP);
	assert_text(AT_FDCWD, "/run/elsewhere", "");
}

/* login's: the terminal's own record, getty's before, is written over, and dies with its caller. */
static void line_of_a_terminal(void **state)
{
	static const struct sb_utmp_login l = {
		.session = 3, .caller = 42, .user = "ann", .host = "", .line = "tty1"
	};
	struct sb_utmp_login later = l;
	(void)state;
	add_foreign(LOGIN_PROCESS, "tty10", "10");
	add_foreign(LOGIN_PROCESS, "tty1", "1");
	assert_int_equal(sb_utmp_login(&l), 0);
	struct utmpx u = record_at(1);
	assert_int_equal(count_records(), 2);
	assert_int_equal(u.ut_type, USER_PROCESS);
	assert_int_equal(u.ut_pid, 42);
	ASSERT_FIELD(u.ut_line, "tty1");
	ASSERT_FIELD(u.ut_id, "1");
	ASSERT_FIELD(u.ut_user, "ann");
	later.caller = 43;
	assert_int_equal(sb_utmp_logout(&later), 0);
	assert_int_equal(record_at(1).ut_type, USER_PROCESS);
	assert_int_equal(sb_utmp_logout(&l), 0);
	assert_int_equal(record_at(1).ut_type, DEAD_PROCESS);
	assert_int_equal(record_at(0).ut_type, LOGIN_PROCESS);
}

/* One that has none yet gets the id that login gives it. */
static void line_without_a_record(void **state)
{
	static const struct sb_utmp_login l = {
		.session = 3, .caller = 42, .user = "ann", .host = "", .line = "pts/7"
	};
	(void)state;
	add_foreign(USER_PROCESS, "pts/0", "ts/0");
	assert_int_equal(sb_utmp_login(&l), 0);
	assert_int_equal(count_records(), 2);
	ASSERT_FIELD(record_at(1).ut_line, "pts/7");
	ASSERT_FIELD(record_at(1).ut_id, "/7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_session),	     TEST(long_and_missing_texts), TEST(ids_differ),
		TEST(strangers_stay),	     TEST(dead_ones_are_reused),   TEST(logout_of_one),
		TEST(no_records_kept),	     TEST(records_behind_a_link),  TEST(line_of_a_terminal),
		TEST(line_without_a_record),
	};
	return RUN_WITH_FILES("utmp", tests);
}
