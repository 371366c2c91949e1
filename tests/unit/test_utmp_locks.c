/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The record files under their locks, and the history of terminals in wtmp. */
#include <signal.h>
#include <sys/resource.h>

#include "utmp_files.h"

/* ---- locks ---- */

/* Somebody who may read the file holds its lock until he is told to end. */
static pid_t hold_lock(const char *path, short type, int *hold)
{
	int ready[2], end[2];
	char byte = 'x';
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(end, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct flock lock = { .l_type = type, .l_whence = SEEK_SET };
		int fd = open(path, type == F_RDLCK ? O_RDONLY : O_RDWR);
		close(end[1]);
		if (fcntl(fd, F_SETLK, &lock) == 0 && write(ready[1], &byte, 1) == 1)
			while (read(end[0], &byte, 1) > 0)
				;
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(end[0]);
	*hold = end[1];
	return pid;
}

static void let_go(pid_t pid, int hold)
{
	close(hold);
	wait_for(pid);
}

/* A held lock costs a login a moment and its record, and nothing more. */
static void held_locks(void **state)
{
	static const short types[] = { F_RDLCK, F_WRLCK };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(types); i++) {
		int hold;
		pid_t pid = hold_lock(SB_UTMP_FILE, types[i], &hold);
		int64_t begin = sb_now_ms();
		assert_int_equal(log_in(1, "ann", ""), -EAGAIN);
		assert_int_equal(log_out(1), -EAGAIN);
		assert_in_range(sb_now_ms() - begin, 300, 5000);
		let_go(pid, hold);
		assert_int_equal(count_records(), 0);
	}
	assert_int_equal(log_in(1, "ann", ""), 0);
}

#define WRITERS 4
#define ROUNDS 40

/* Logins at once: no record is lost, and none is written over another. */
static void logins_at_once(void **state)
{
	(void)state;
	pid_t pids[WRITERS];
	for (uint32_t i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		int r = 0;
		for (uint32_t k = 0; k < ROUNDS && r == 0; k++) {
			r = log_in(i, "ann", "");
			if (r == 0 && k + 1 < ROUNDS)
				r = log_out(i);
		}
		_exit(r != 0);
	}
	for (size_t i = 0; i < WRITERS; i++)
		assert_int_equal(wait_for(pids[i]), 0);
	struct utmpx records[64];
	size_t n = read_records(records, SB_ARRAY_SIZE(records)), live = 0;
	assert_in_range(n, WRITERS, WRITERS);
	for (size_t i = 0; i < n; i++)
		live += records[i].ut_type == USER_PROCESS;
	assert_int_equal(live, WRITERS);
}

/* ---- history ---- */

static const struct sb_utmp_login ann = {
	.session = 7, .caller = 1007, .user = "ann", .host = "client"
};

/* A scratch utmp with one record. */
static int scratch_utmp(short type, const char *line)
{
	struct utmpx u;
	memset(&u, 0, sizeof(u));
	u.ut_type = type;
	memcpy(u.ut_line, line, strlen(line));
	int fd = open("/run/scratch", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, &u, sizeof(u)), sizeof(u));
	assert_int_equal(write(fd, "part of a record", 16), 16);
	return fd;
}

/* What of the scratch file says that a terminal was given. */
static void terminals(void **state)
{
	static const struct {
		short type;
		const char *line;
		bool had;
	} rows[] = {
		{ USER_PROCESS, "pts/0", true },  { DEAD_PROCESS, "pts/0", true },
		{ USER_PROCESS, "", false },	  { LOGIN_PROCESS, "pts/0", false },
		{ INIT_PROCESS, "pts/0", false }, { EMPTY, "pts/0", false },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		int fd = scratch_utmp(rows[i].type, rows[i].line);
		assert_int_equal(sb_utmp_had_tty(fd), rows[i].had);
		close(fd);
	}
}

/* Behind what is there already: login and logout. */
static void history(void **state)
{
	(void)state;
	struct utmpx all[4], boot;
	memset(&boot, 'b', sizeof(boot));
	put_bytes(AT_FDCWD, SB_WTMP_FILE, &boot, sizeof(boot));
	time_t now = time(NULL);
	assert_int_equal(sb_utmp_history(&ann, 100), 0);
	assert_int_equal(read_file(SB_WTMP_FILE, all, 4), 3);
	assert_memory_equal(&all[0], &boot, sizeof(boot));
	assert_int_equal(all[1].ut_type, USER_PROCESS);
	assert_int_equal(all[2].ut_type, DEAD_PROCESS);
	ASSERT_FIELD(all[1].ut_line, ":sb-7");
	ASSERT_FIELD(all[2].ut_line, ":sb-7");
	ASSERT_FIELD(all[1].ut_user, "ann");
	ASSERT_FIELD(all[1].ut_host, "client");
	ASSERT_FIELD(all[2].ut_user, "");
	ASSERT_FIELD(all[2].ut_host, "");
	assert_int_equal(all[1].ut_tv.tv_sec, 100);
	assert_in_range(all[2].ut_tv.tv_sec - now, 0, 10);
}

static void no_history(void **state)
{
	(void)state;
	int empty = open(SB_UTMP_FILE, O_RDONLY | O_CLOEXEC);
	assert_false(sb_utmp_had_tty(empty));
	close(empty);
	int hold;
	pid_t pid = hold_lock(SB_WTMP_FILE, F_WRLCK, &hold);
	assert_int_equal(sb_utmp_history(&ann, 100), -EAGAIN);
	let_go(pid, hold);
	assert_text(AT_FDCWD, SB_WTMP_FILE, "");
	assert_int_equal(unlink(SB_WTMP_FILE), 0);
	assert_int_equal(sb_utmp_history(&ann, 100), 0);
	assert_false(is_there(AT_FDCWD, SB_WTMP_FILE));
	/* Without a file there is no database to look for, on a host without its library, too. */
	assert_int_equal(sb_utmp_history_db(&ann, "sshd", 100), 0);
}

/* A disk with room for a record and a half: both or none, and a part that is there goes first. */
static void history_on_a_full_disk(void **state)
{
	(void)state;
	struct utmpx all[4], boot[2];
	struct rlimit full, before;
	memset(boot, 'b', sizeof(boot));
	put_bytes(AT_FDCWD, SB_WTMP_FILE, boot, sizeof(boot[0]) + 16);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	full = before;
	full.rlim_cur = 5 * sizeof(boot[0]) / 2;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	int r = sb_utmp_history(&ann, 100);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(read_file(SB_WTMP_FILE, all, 4), 1);
	assert_memory_equal(all, boot, sizeof(boot[0]));
	put_bytes(AT_FDCWD, SB_WTMP_FILE, boot, sizeof(boot[0]) + 16);
	assert_int_equal(sb_utmp_history(&ann, 100), 0);
	assert_int_equal(read_file(SB_WTMP_FILE, all, 4), 3);
}

static void note_line(const char *line, void *ctx)
{
	char *seen = ctx;
	strcat(strcat(seen, line), ";");
}

/* Those in use alone, and a line that fills its field. */
static void lists_terminals(void **state)
{
	static const char full[] = "pts/4567890123456789012345678901";
	static const struct {
		short type;
		const char *line;
		const char *seen;
	} rows[] = {
		{ USER_PROCESS, "pts/0", "pts/0;" },
		{ DEAD_PROCESS, "pts/0", "" },
		{ USER_PROCESS, "", "" },
		{ USER_PROCESS, full, "pts/4567890123456789012345678901;" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		char seen[128] = "";
		int fd = scratch_utmp(rows[i].type, rows[i].line);
		sb_utmp_terminals(fd, note_line, seen);
		close(fd);
		assert_string_equal(seen, rows[i].seen);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(held_locks),      TEST(logins_at_once), TEST(terminals),
		TEST(history),	       TEST(no_history),     TEST(history_on_a_full_disk),
		TEST(lists_terminals),
	};
	return RUN_WITH_FILES("utmp locks", tests);
}
