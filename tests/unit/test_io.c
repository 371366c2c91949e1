/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

/* ---- a timer whose signal interrupts system calls ---- */

static volatile sig_atomic_t ticks;

static void count_tick(int sig)
{
	(void)sig;
	ticks++;
}

static void start_ticking(void)
{
	const struct sigaction act = { .sa_handler = count_tick };
	const struct itimerval every = { { 0, 2000 }, { 0, 2000 } };
	ticks = 0;
	assert_int_equal(sigaction(SIGALRM, &act, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
}

static void stop_ticking(void)
{
	const struct itimerval never = { 0 };
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_int_equal(signal(SIGALRM, SIG_DFL) != SIG_ERR, true);
}

/* ---- deadlines ---- */

static void deadlines(void **state)
{
	(void)state;
	int64_t now = sb_now_ms();
	assert_int_equal(sb_left_ms(now - 1), 0);
	assert_int_equal(sb_left_ms(INT64_MIN / 2), 0);
	assert_in_range(sb_left_ms(now + 60000), 50000, 60000);
	assert_int_equal(sb_left_ms(now + INT64_C(0x200000000)), INT_MAX);
	assert_int_equal(usleep(5000), 0);
	assert_in_range(sb_now_ms() - now, 5, 5000);
}

static void waits(void **state)
{
	(void)state;
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	int64_t begin = sb_now_ms();
	start_ticking();
	assert_int_equal(sb_wait_readable(p[0], begin + 50), -ETIMEDOUT);
	stop_ticking();
	assert_true(ticks > 0);
	assert_in_range(sb_now_ms() - begin, 50, 5000);
	assert_int_equal(sb_wait_readable(p[0], begin), -ETIMEDOUT);

	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(sb_wait_readable(p[0], begin), 0);
	char byte;
	assert_int_equal(read(p[0], &byte, 1), 1);
	close(p[1]);
	assert_int_equal(sb_wait_readable(p[0], sb_now_ms() + 5000), 0);
	close(p[0]);
}

/* ---- whole writes and reads ---- */

#define BULK (1U << 20)

static unsigned char bulk_byte(size_t i)
{
	return (unsigned char)(i * 7 + i / 251);
}

/* Reads in small pieces; exits 0 if every byte came, and nothing else. */
static void read_bulk(int fd)
{
	unsigned char buf[4000];
	size_t total = 0;
	for (unsigned int pieces = 0;; pieces++) {
		ssize_t n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			_exit(n < 0 || total != BULK);
		for (ssize_t i = 0; i < n; i++)
			if (total == BULK || buf[i] != bulk_byte(total++))
				_exit(1);
		/* At first longer than a tick: writes that are interrupted before their first byte.
		 */
		usleep(pieces < 10 ? 10000 : 200);
	}
}

/* A pipe that fills up and signals that come in between: write(2) stops half-way, again and again.
 */
static void short_writes(void **state)
{
	(void)state;
	int p[2];
	unsigned char *data = malloc(BULK);
	assert_non_null(data);
	for (size_t i = 0; i < BULK; i++)
		data[i] = bulk_byte(i);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(p[1]);
		read_bulk(p[0]);
	}
	close(p[0]);
	start_ticking();
	int r = sb_write_all(p[1], data, BULK);
	stop_ticking();
	close(p[1]);
	assert_int_equal(r, 0);
	assert_true(ticks > 1);
	assert_int_equal(wait_for(pid), 0);
	free(data);
}

/* A file that takes `limit` bytes and no more: the write that crosses it is short, the next fails.
 */
static void limit_files(rlim_t limit)
{
	struct rlimit r;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = limit;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
	signal(SIGXFSZ, limit == RLIM_INFINITY ? SIG_DFL : SIG_IGN);
}

static void full_device(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	const struct sb_file_attr attr = { .mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	put_text(s.fd, "file", "old");
	int fd = openat(s.fd, "all", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	limit_files(4);
	int all = sb_write_all(fd, "123456", 6);
	int one = sb_write_file(s.fd, "file", "123456");
	int fits = sb_write_file(s.fd, "file", "1234");
	int replaced = sb_replace_file(s.fd, "file", "abcdef", &attr);
	limit_files(RLIM_INFINITY);
	close(fd);
	assert_int_equal(all, -EFBIG);
	assert_int_equal(one, -EIO);
	assert_int_equal(fits, 0);
	assert_int_equal(replaced, -EFBIG);
	assert_text(s.fd, "file", "1234");
	assert_false(is_there(s.fd, "file.new"));
	drop_scratch(&s);
}

static void write_errors(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	put_text(s.fd, "file", "long content");
	assert_int_equal(symlinkat("file", s.fd, "link"), 0);
	size_t fds = count_fds();
	assert_int_equal(sb_write_file(s.fd, "none", "x"), -ENOENT);
	assert_false(is_there(s.fd, "none"));
	assert_int_equal(sb_write_file(s.fd, "link", "x"), -ELOOP);
	assert_int_equal(sb_write_file(s.fd, ".", "x"), -EISDIR);
	assert_text(s.fd, "file", "long content");
	assert_int_equal(sb_write_file(s.fd, "file", "LONG"), 0);
	assert_text(s.fd, "file", "LONG content");
	assert_int_equal(sb_write_all(-1, "x", 1), -EBADF);
	assert_int_equal(sb_write_all(-1, "", 0), 0);
	assert_int_equal(count_fds(), fds);
	drop_scratch(&s);
}

static void read_sizes(void **state)
{
	static const struct {
		size_t content, buf;
		ssize_t result;
	} rows[] = {
		{ 0, 1, 0 },	  { 0, 8, 0 },	    { 6, 8, 6 },	{ 7, 8, 7 },
		{ 8, 8, -EFBIG }, { 9, 8, -EFBIG }, { 100, 8, -EFBIG }, { 0, 0, -EFBIG },
	};
	(void)state;
	struct scratch s = make_scratch();
	char text[101];
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		char buf[16];
		memset(buf, '#', sizeof(buf));
		put_bytes(s.fd, "file", text, rows[i].content);
		ssize_t n = sb_read_file(s.fd, "file", buf, rows[i].buf);
		assert_int_equal(n, rows[i].result);
		assert_int_equal(buf[rows[i].buf], '#');
		if (n >= 0) {
			assert_memory_equal(buf, text, (size_t)n);
			assert_int_equal(buf[n], '\0');
		}
	}
	drop_scratch(&s);
}

static void read_errors(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	char buf[16];
	put_bytes(s.fd, "file", "a\0b", 3);
	assert_int_equal(symlinkat("file", s.fd, "link"), 0);
	size_t fds = count_fds();
	assert_int_equal(sb_read_file(s.fd, "none", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(sb_read_file(s.fd, "link", buf, sizeof(buf)), -ELOOP);
	assert_int_equal(sb_read_file(s.fd, ".", buf, sizeof(buf)), -EISDIR);
	assert_int_equal(sb_read_file(s.fd, "file", buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "a\0b", 4);
	assert_int_equal(count_fds(), fds);
	drop_scratch(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deadlines),	cmocka_unit_test(waits),
		cmocka_unit_test(short_writes), cmocka_unit_test(full_device),
		cmocka_unit_test(write_errors), cmocka_unit_test(read_sizes),
		cmocka_unit_test(read_errors),
	};
	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
