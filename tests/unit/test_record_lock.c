/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include <signal.h>
#include <sys/mman.h>

#include "sessbox/record.h"

#define UID 1000

/* ---- ids ---- */

static void next_ids(void **state)
{
	static const struct {
		const char *file; /* NULL: there is none */
		uint32_t next[3];
	} rows[] = {
		{ NULL, { 1, 2, 3 } },
		{ "", { 1, 2, 3 } },
		{ "9\n", { 10, 11, 12 } },
		{ "       999\n", { 1000, 1001, 1002 } },
		{ "2147483645\n", { 2147483646, 2147483647, 1 } },
		{ "2147483647\n", { 1, 2, 3 } },
		{ "4294967295\n", { 1, 2, 3 } },
		{ "garbage\n", { 1, 2, 3 } },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct scratch s = make_scratch();
		size_t fds = count_fds();
		if (rows[i].file)
			put_text(s.fd, "next", rows[i].file);
		for (size_t k = 0; k < SB_ARRAY_SIZE(rows[i].next); k++) {
			uint32_t id = 0;
			assert_int_equal(sb_session_next(s.fd, &id, NULL), 0);
			assert_int_equal(id, rows[i].next[k]);
		}
		assert_int_equal(mode_of(s.fd, "next"), rows[i].file ? 0644 : 0600);
		assert_int_equal(count_fds(), fds);
		drop_scratch(&s);
	}
}

static void next_id_by_link(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	struct sb_err err = { 0 };
	uint32_t id = 42;
	put_text(s.fd, "elsewhere", "9\n");
	assert_int_equal(symlinkat("elsewhere", s.fd, "next"), 0);
	assert_int_equal(sb_session_next(s.fd, &id, &err), -ELOOP);
	assert_int_equal(id, 42);
	assert_int_equal(err.num, ELOOP);
	assert_text(s.fd, "elsewhere", "9\n");
	drop_scratch(&s);
}

#define TAKERS 4
#define IDS 300

/* Several at once: no id is given out twice. */
static void next_ids_at_once(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	pid_t pids[TAKERS];
	unsigned char *taken = mmap(NULL, TAKERS * IDS + 1, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(taken != MAP_FAILED);
	for (size_t i = 0; i < TAKERS; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		for (int k = 0; k < IDS; k++) {
			uint32_t id = 0;
			if (sb_session_next(s.fd, &id, NULL) < 0 || id == 0 || id > TAKERS * IDS)
				_exit(1);
			__atomic_add_fetch(&taken[id], 1, __ATOMIC_SEQ_CST);
		}
		_exit(0);
	}
	for (size_t i = 0; i < TAKERS; i++)
		assert_int_equal(wait_for(pids[i]), 0);
	for (size_t i = 1; i <= TAKERS * IDS; i++)
		assert_int_equal(taken[i], 1);
	munmap(taken, TAKERS * IDS + 1);
	drop_scratch(&s);
}

/* ---- locks ---- */

static void run_lock(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	struct sb_err err = { 0 };
	int fd = sb_run_lock(s.fd, sb_now_ms(), &err);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(mode_of(s.fd, "lock"), 0600);
	int64_t begin = sb_now_ms();
	assert_int_equal(sb_run_lock(s.fd, begin + 60, &err), -ETIMEDOUT);
	assert_in_range(sb_now_ms() - begin, 60, 5000);
	assert_int_equal(err.num, ETIMEDOUT);
	close(fd);
	fd = sb_run_lock(s.fd, sb_now_ms(), &err);
	assert_true(fd >= 0);
	close(fd);
	drop_scratch(&s);
}

static void turns(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	int fds[SB_TURNS];
	for (size_t i = 0; i < SB_TURNS; i++) {
		fds[i] = sb_user_turn(s.fd, UID);
		assert_true(fds[i] >= 0);
	}
	assert_int_equal(sb_user_turn(s.fd, UID), -EBUSY);
	/* His neighbours, also of places, have theirs. */
	for (uid_t uid = UID - 1; uid <= UID + 1; uid += 2) {
		cleanup_fd int other = sb_user_turn(s.fd, uid);
		assert_true(other >= 0);
	}
	close(fds[7]);
	fds[7] = sb_user_turn(s.fd, UID);
	assert_true(fds[7] >= 0);
	cleanup_fd int last = sb_user_turn(s.fd, UINT32_MAX - 1);
	assert_true(last >= 0);
	for (size_t i = 0; i < SB_TURNS; i++)
		close(fds[i]);
	drop_scratch(&s);
}

static void lock_one(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	struct sb_user_dir user, other = { -2, -2 };
	struct sb_err err = { 0 };
	size_t fds = count_fds();
	assert_int_equal(sb_user_open(s.fd, UID, &other), -ENOENT);
	assert_int_equal(sb_user_lock(s.fd, UID, sb_now_ms(), &user, &err), 0);
	assert_int_equal(mode_of(s.fd, "u1000"), 0711);
	assert_int_equal(mode_of(s.fd, "u1000/lock"), 0600);
	put_text(user.fd, "mark", "x");
	assert_text(s.fd, "u1000/mark", "x");

	assert_int_equal(sb_user_lock(s.fd, UID, sb_now_ms() + 30, &other, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.msg, "/u1000' stays locked: another login"));
	assert_non_null(strstr(err.msg, "u1000"));
	assert_int_equal(other.fd, -2);
	/* Another user's is free, and reading needs no lock. */
	assert_int_equal(sb_user_lock(s.fd, UID + 1, sb_now_ms(), &other, &err), 0);
	sb_user_close(&other);
	assert_int_equal(other.fd, -1);
	assert_int_equal(other.lock, -1);
	assert_int_equal(sb_user_open(s.fd, UID, &other), 0);
	assert_int_equal(other.lock, -1);
	sb_user_close(&other);

	sb_user_close(&user);
	assert_int_equal(sb_user_lock(s.fd, UID, sb_now_ms(), &user, &err), 0);
	assert_text(user.fd, "mark", "x");
	assert_int_equal(sb_user_remove(s.fd, UID), 0);
	assert_false(is_there(s.fd, "u1000"));
	assert_int_equal(sb_user_remove(s.fd, UID), 0);
	sb_user_close(&user);
	sb_user_close(&user);
	assert_int_equal(count_fds(), fds);
	drop_scratch(&s);
}

static void lock_by_link(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	struct sb_user_dir user;
	assert_int_equal(mkdirat(s.fd, "elsewhere", 0700), 0);
	assert_int_equal(symlinkat("elsewhere", s.fd, "u1000"), 0);
	assert_true(sb_user_lock(s.fd, UID, sb_now_ms() + 20, &user, NULL) < 0);
	assert_true(sb_user_open(s.fd, UID, &user) < 0);
	assert_false(is_there(s.fd, "elsewhere/lock"));
	drop_scratch(&s);
}

/* One who waits while the directory is removed gets the lock of a new one, not of the old. */
static void waiter_survives_removal(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	struct sb_user_dir user;
	assert_int_equal(sb_user_lock(s.fd, UID, sb_now_ms(), &user, NULL), 0);
	put_text(user.fd, "old", "x");
	pid_t pid = fork();
	if (pid == 0) {
		sb_user_close(&user);
		if (sb_user_lock(s.fd, UID, sb_now_ms() + 5000, &user, NULL) < 0)
			_exit(1);
		put_text(user.fd, "new", "x");
		_exit(is_there(user.fd, "old") ? 2 : 0);
	}
	usleep(30000); /* it polls the lock by now */
	assert_int_equal(sb_user_remove(s.fd, UID), 0);
	sb_user_close(&user);
	assert_int_equal(wait_for(pid), 0);
	assert_true(is_there(s.fd, "u1000/new"));
	drop_scratch(&s);
}

/* What a remover that was killed left; nothing else has such a name. */
static void sweeps(void **state)
{
	static const char *const gone[] = { "gone.1000.77", "gone.1000.77/c1", "gone.0.1" };
	static const char *const kept[] = { "u1000", "u1000/gone.1000.77", "ns", "etc", "gone" };
	(void)state;
	struct scratch s = make_scratch();
	size_t fds = count_fds();
	for (size_t i = 0; i < SB_ARRAY_SIZE(gone); i++)
		assert_int_equal(mkdirat(s.fd, gone[i], 0700), 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(kept); i++)
		assert_int_equal(mkdirat(s.fd, kept[i], 0700), 0);
	sb_run_sweep(s.fd);
	for (size_t i = 0; i < SB_ARRAY_SIZE(gone); i++)
		assert_false(is_there(s.fd, gone[i]));
	for (size_t i = 0; i < SB_ARRAY_SIZE(kept); i++)
		assert_true(is_there(s.fd, kept[i]));
	assert_int_equal(count_fds(), fds);
	drop_scratch(&s);
}

/* ---- many who lock, work, remove ---- */

#define RIVALS 3
#define RUSH_MS 1500

struct race {
	unsigned int inside; /* who holds the lock, or is still removing */
	unsigned int rounds;
	unsigned int crowded; /* rounds that met another holder */
	unsigned int robbed;  /* rounds whose files were gone before their end */
	unsigned int failed;
};

/* Like a first login and its close: the directory is made, used and removed under one lock. */
static void one_round(int run_fd, struct race *race)
{
	struct sb_user_dir user;
	if (sb_user_lock(run_fd, UID, sb_now_ms() + 5000, &user, NULL) < 0) {
		__atomic_add_fetch(&race->failed, 1, __ATOMIC_SEQ_CST);
		return;
	}
	if (__atomic_add_fetch(&race->inside, 1, __ATOMIC_SEQ_CST) != 1)
		__atomic_add_fetch(&race->crowded, 1, __ATOMIC_SEQ_CST);
	bool made = mkdirat(user.fd, "sessions", 0711) == 0 && mkdirat(user.fd, "c1", 0711) == 0;
	usleep(50);
	if (!made || !is_there(run_fd, "u1000/sessions") || !is_there(run_fd, "u1000/c1"))
		__atomic_add_fetch(&race->robbed, 1, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&race->inside, 1, __ATOMIC_SEQ_CST);
	if (sb_user_remove(run_fd, UID) < 0)
		__atomic_add_fetch(&race->failed, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&race->rounds, 1, __ATOMIC_SEQ_CST);
	sb_user_close(&user);
}

static void lock_against_removal(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	struct race *race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(race != MAP_FAILED);
	int64_t end = sb_now_ms() + RUSH_MS;
	pid_t pids[RIVALS];
	for (size_t i = 0; i < RIVALS; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		while (sb_left_ms(end) > 0)
			one_round(s.fd, race);
		_exit(0);
	}
	for (size_t i = 0; i < RIVALS; i++)
		assert_int_equal(wait_for(pids[i]), 0);
	if (race->crowded || race->robbed || race->failed || race->rounds < 20)
		fail_msg("%u rounds: %u with two holders, %u robbed, %u failed", race->rounds,
			 race->crowded, race->robbed, race->failed);
	munmap(race, sizeof(*race));
	drop_scratch(&s);
}

/* One at a time; it ends with whoever has it. */
static void one_monitor(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	size_t fds = count_fds();
	assert_false(sb_monitor_runs(s.fd));
	int lock = sb_monitor_lock(s.fd);
	assert_true(lock >= 0);
	assert_true(sb_monitor_runs(s.fd));
	assert_true(sb_monitor_runs(s.fd));
	assert_int_equal(sb_monitor_lock(s.fd), -EBUSY);
	close(lock);
	assert_false(sb_monitor_runs(s.fd));
	assert_int_equal(count_fds(), fds);
	drop_scratch(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_ids),
		cmocka_unit_test(next_id_by_link),
		cmocka_unit_test(next_ids_at_once),
		cmocka_unit_test(run_lock),
		cmocka_unit_test(turns),
		cmocka_unit_test(lock_one),
		cmocka_unit_test(lock_by_link),
		cmocka_unit_test(waiter_survives_removal),
		cmocka_unit_test(sweeps),
		cmocka_unit_test(lock_against_removal),
		cmocka_unit_test(one_monitor),
	};
	return cmocka_run_group_tests_name("record locks", tests, NULL, NULL);
}
