/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>

#include "sessbox/proc.h"

/* A child that is called `name` and sleeps, as a zombie if it shall be one. */
struct child {
	pid_t pid;
	int hold; /* it ends when this is closed */
};

static struct child start_child(const char *name)
{
	int ready[2], hold[2];
	char byte = 'x';
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(hold[1]);
		if (prctl(PR_SET_NAME, name) == 0 && write(ready[1], &byte, 1) == 1)
			while (read(hold[0], &byte, 1) > 0)
				;
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(hold[0]);
	return (struct child){ pid, hold[1] };
}

/* It is a zombie when this returns. */
static void let_end(struct child *c)
{
	siginfo_t info;
	close(c->hold);
	assert_int_equal(waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT), 0);
}

static void self(void **state)
{
	(void)state;
	struct sb_proc p;
	assert_int_equal(sb_proc_read(getpid(), &p), 0);
	assert_int_equal(p.pid, getpid());
	assert_int_equal(p.ppid, getppid());
	assert_int_equal(p.state, 'R');
	assert_true(p.start > 0);
	char name[17] = "";
	prctl(PR_GET_NAME, name);
	assert_string_equal(p.comm, name);
}

/* Field 22 by a second way. */
static uint64_t start_by_hand(pid_t pid)
{
	char path[64], text[2048];
	uint64_t start = 0;
	sb_format(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	assert_int_equal(sscanf(strrchr(text, ')'),
				") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
				"%*d %*d %*d %*d %" SCNu64,
				&start),
			 1);
	return start;
}

static void names(void **state)
{
	static const char *const rows[] = {
		"plain", "", " ", "a b", ")", "(", "a) R 1 2 (b", "))))", "1 (x) S 1 1 1 1", "\n",
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct child c = start_child(rows[i]);
		struct sb_proc p;
		char want[16];
		snprintf(want, sizeof(want), "%s", rows[i]); /* the kernel keeps 15 bytes */
		assert_int_equal(sb_proc_read(c.pid, &p), 0);
		assert_string_equal(p.comm, want);
		assert_int_equal(p.pid, c.pid);
		assert_int_equal(p.ppid, getpid());
		assert_int_equal(p.start, start_by_hand(c.pid));
		let_end(&c);
		wait_for(c.pid);
	}
}

static void gone(void **state)
{
	(void)state;
	struct sb_proc p, before;
	struct child c = start_child("child");
	assert_int_equal(sb_proc_read(c.pid, &before), 0);
	int fd = sb_proc_open(c.pid, before.start);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(sb_wait_readable(fd, sb_now_ms()), -ETIMEDOUT);
	assert_int_equal(sb_proc_open(c.pid, before.start + 1), -ESRCH);
	assert_int_equal(sb_proc_open(c.pid, 0), -ESRCH);

	let_end(&c);
	assert_int_equal(sb_wait_readable(fd, sb_now_ms() + 1000), 0);
	assert_int_equal(sb_proc_read(c.pid, &p), 0);
	assert_int_equal(p.state, 'Z');
	assert_int_equal(sb_proc_open(c.pid, before.start), -ESRCH);
	wait_for(c.pid);
	close(fd);

	size_t fds = count_fds();
	p = before;
	assert_int_equal(sb_proc_read(c.pid, &p), -ESRCH);
	assert_memory_equal(&p, &before, sizeof(p));
	assert_int_equal(sb_proc_open(c.pid, before.start), -ESRCH);
	assert_int_equal(sb_proc_audit_session(c.pid), UINT32_MAX);
	assert_int_equal(count_fds(), fds);
}

static void no_pids(void **state)
{
	static const pid_t rows[] = { 0, -1, INT32_MAX, INT32_MIN };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct sb_proc p;
		assert_int_equal(sb_proc_read(rows[i], &p), -ESRCH);
		assert_int_equal(sb_proc_open(rows[i], 1), -ESRCH);
		assert_int_equal(sb_proc_audit_session(rows[i]), UINT32_MAX);
	}
}

static void audit_session(void **state)
{
	(void)state;
	char text[32] = "4294967295";
	int fd = open("/proc/self/sessionid", O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	assert_int_equal(sb_proc_audit_session(getpid()), strtoul(text, NULL, 10));
}

/* The kernel's new_encode_dev. */
static int tty_nr(unsigned int maj, unsigned int min)
{
	return (int)((min & 0xff) | maj << 8 | (min & ~0xffU) << 12);
}

static void terminals(void **state)
{
	static const struct {
		unsigned int maj, min;
		const char *name;
	} rows[] = {
		{ 0, 0, "" },
		{ 136, 0, "pts/0" },
		{ 136, 255, "pts/255" },
		{ 137, 0, "pts/256" },
		{ 143, 255, "pts/2047" },
		{ 136, 256, "pts/256" },
		{ 136, 1048575, "pts/1048575" },
		{ 4, 1, "tty1" },
		{ 4, 63, "tty63" },
		{ 4, 64, "ttyS0" },
		{ 4, 67, "ttyS3" },
		{ 229, 0, "229:0" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		char buf[32] = "old";
		sb_proc_tty_name(tty_nr(rows[i].maj, rows[i].min), buf, sizeof(buf));
		assert_string_equal(buf, rows[i].name);
	}
	struct guarded {
		char buf[6], behind[8];
	} g = { "", "behind" };
	sb_proc_tty_name(tty_nr(143, 255), g.buf, sizeof(g.buf));
	assert_string_equal(g.buf, "pts/2");
	assert_string_equal(g.behind, "behind");
}

static void memory_total(void **state)
{
	(void)state;
	uint64_t kib = 0;
	FILE *f = fopen("/proc/meminfo", "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "MemTotal: %" SCNu64 " kB", &kib), 1);
	fclose(f);
	assert_true(kib > 0);
	assert_int_equal(sb_proc_memory_total(), kib * 1024);
}

/* In the program that runs; a text that is put together first is not there. */
static void mentions(void **state)
{
	char absent[] = "q9-this stands nowhere";
	(void)state;
	absent[0] = 'z';
	assert_true(sb_proc_mentions(getpid(), "w7-this stands in the test"));
	assert_false(sb_proc_mentions(getpid(), absent));
	assert_false(sb_proc_mentions(0x7fffffff, "w7-this stands in the test"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(self),		cmocka_unit_test(names),
		cmocka_unit_test(gone),		cmocka_unit_test(no_pids),
		cmocka_unit_test(terminals),	cmocka_unit_test(audit_session),
		cmocka_unit_test(memory_total), cmocka_unit_test(mentions),
	};
	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
