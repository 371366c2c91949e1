/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "sessbox/str.h"

#define NO_AUDIT UINT32_MAX
#define PTS(n) (136 << 8 | (n))

/*
 * Two logins of a user, as root sees them: callers 10 and 20 are on the host and not in the list.
 * 11 and 21 are the leaders; 30 was started in the first login and has lost its parent since.
 */
static struct ctl_process table[] = {
	{ { .pid = 11, .ppid = 10, .start = 100 }, 5, 0 },
	{ { .pid = 12, .ppid = 11, .start = 110, .tty_nr = PTS(0) }, 5, 0 },
	{ { .pid = 13, .ppid = 12, .start = 120, .tty_nr = PTS(3) }, 5, 0 },
	{ { .pid = 21, .ppid = 20, .start = 200 }, 6, 0 },
	{ { .pid = 22, .ppid = 21, .start = 210 }, 6, 0 },
	{ { .pid = 30, .ppid = 1, .start = 130 }, 5, 0 },
};
static const struct ctl_processes list = { table, SB_ARRAY_SIZE(table) };

static const struct ctl_process *get(pid_t pid)
{
	const struct ctl_process *p = ctl_process_find(&list, pid);
	assert_non_null(p);
	assert_int_equal(p->proc.pid, pid);
	return p;
}

static void test_find(void **state)
{
	const struct ctl_processes empty = { NULL, 0 };
	(void)state;
	for (size_t i = 0; i < list.n; i++)
		assert_ptr_equal(get(table[i].proc.pid), &table[i]);
	assert_null(ctl_process_find(&list, 10));
	assert_null(ctl_process_find(&list, 99));
	assert_null(ctl_process_find(&empty, 11));
}

static void test_distance(void **state)
{
	static const struct {
		pid_t pid, ancestor;
		int distance;
	} cases[] = {
		{ 11, 11, 0 },	{ 12, 11, 1 },	{ 13, 11, 2 },	{ 11, 12, -1 },
		{ 22, 11, -1 }, { 30, 11, -1 }, { 11, 10, -1 },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++)
		assert_int_equal(ctl_process_distance(&list, get(cases[i].pid), cases[i].ancestor),
				 cases[i].distance);
}

/* Read one after the other, two processes may each look like the other's child. */
static void test_a_ring_ends(void **state)
{
	struct ctl_process ring[] = {
		{ { .pid = 5, .ppid = 6 }, NO_AUDIT, 0 },
		{ { .pid = 6, .ppid = 5 }, NO_AUDIT, 0 },
	};
	const struct ctl_processes processes = { ring, 2 };
	(void)state;
	assert_int_equal(ctl_process_distance(&processes, &ring[0], 7), -1);
}

static void test_child(void **state)
{
	struct ctl_process two[] = {
		{ { .pid = 5, .ppid = 4, .start = 60 }, 1, 0 },
		{ { .pid = 6, .ppid = 4, .start = 50 }, 2, 0 },
	};
	const struct ctl_processes processes = { two, 2 };
	(void)state;
	assert_int_equal(ctl_process_child(&list, 10, NO_AUDIT)->proc.pid, 11);
	assert_int_equal(ctl_process_child(&list, 20, 6)->proc.pid, 21);
	assert_null(ctl_process_child(&list, 20, 5));
	assert_null(ctl_process_child(&list, 99, NO_AUDIT));
	assert_int_equal(ctl_process_child(&processes, 4, NO_AUDIT)->proc.pid, 6);
	assert_int_equal(ctl_process_child(&processes, 4, 1)->proc.pid, 5);
}

static size_t count(pid_t leader, uint32_t audit)
{
	const struct ctl_membership m = { leader, audit, 0 };
	size_t n = 0;
	for (size_t i = 0; i < list.n; i++)
		n += ctl_process_is_member(&list, &table[i], &m);
	return n;
}

static void test_members(void **state)
{
	(void)state;
	assert_int_equal(count(11, 5), 4);	  /* with the one that lost its parent */
	assert_int_equal(count(11, NO_AUDIT), 3); /* without */
	assert_int_equal(count(21, 6), 2);
	assert_int_equal(count(21, NO_AUDIT), 2);
	assert_int_equal(count(21, 77), 1); /* the leader is one, whatever id it has */
	assert_int_equal(count(0, 5), 4);
	assert_int_equal(count(0, NO_AUDIT), 0);
}

/* In a container of its own the namespace tells all, whatever ids say. */
static void test_members_of_a_namespace(void **state)
{
	struct ctl_process three[] = {
		{ { .pid = 5, .ppid = 4 }, 1, 70 },
		{ { .pid = 6, .ppid = 1 }, 1, 71 },
		{ { .pid = 7, .ppid = 1 }, NO_AUDIT, 70 },
	};
	const struct ctl_processes processes = { three, 3 };
	const struct ctl_membership m = { 5, 1, 70 };
	static const bool in[] = { true, false, true };
	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_true(ctl_process_is_member(&processes, &three[i], &m) == in[i]);
}

static void test_tty(void **state)
{
	char tty[32];
	(void)state;
	ctl_process_tty(&list, 11, tty, sizeof(tty));
	assert_string_equal(tty, "pts/0"); /* that of the nearest */
	ctl_process_tty(&list, 21, tty, sizeof(tty));
	assert_string_equal(tty, "");
}

static void test_read_leaves_the_dead_out(void **state)
{
	struct ctl_processes found = { 0 };
	pid_t zombie = fork();
	(void)state;
	if (zombie == 0)
		_exit(0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT), 0);
	pid_t pids[] = { zombie, getpid(), 0x3ffffff };
	assert_int_equal(ctl_processes_read(pids, SB_ARRAY_SIZE(pids), &found), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.v[0].proc.pid, getpid());
	ctl_processes_clear(&found);
	waitpid(zombie, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),	    cmocka_unit_test(test_distance),
		cmocka_unit_test(test_a_ring_ends), cmocka_unit_test(test_child),
		cmocka_unit_test(test_members),	    cmocka_unit_test(test_members_of_a_namespace),
		cmocka_unit_test(test_tty),	    cmocka_unit_test(test_read_leaves_the_dead_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
