/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is in a group, whether it is frozen, and how to get in. */
#include "cgroup_tree.h"

#include <signal.h>
#include <sys/wait.h>

#define V2_GROUP "cgroup/sessbox/u7/"

static void knows_frozen_groups_of_v2(void **state)
{
	(void)state;
	static const struct {
		const char *events, *own, *base;
		int want;
	} cases[] = {
		{ "populated 1\nfrozen 0\n", "0\n", "0\n", 0 },
		{ "populated 1\nfrozen 1\n", "0\n", "0\n", 1 },
		{ "frozen 1\npopulated 0\n", "0\n", "0\n", 1 },
		/* Asked for, not all tasks have stopped yet. */
		{ "populated 1\nfrozen 0\n", "1\n", "0\n", 1 },
		{ "populated 1\nfrozen 0\n", "0\n", "1\n", 1 },
		/* A key that only begins alike. */
		{ "frozen_tasks 1\nfrozen 0\n", "0\n", "0\n", 0 },
		{ "populated 1\nfrozen x\n", "0\n", "0\n", -EBADMSG },
		{ "populated 1\nfrozen 0\n", "\n", "0\n", -EBADMSG },
	};
	struct tree t = tree_make();
	tree_v2(&t);
	struct sb_cgroup *cg = tree_open(&t);
	assert_int_equal(sb_cgroup_frozen(cg, "u7"), 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		tree_put(&t, V2_GROUP "cgroup.events", cases[i].events);
		tree_put(&t, V2_GROUP "cgroup.freeze", cases[i].own);
		tree_put(&t, "cgroup/sessbox/cgroup.freeze", cases[i].base);
		assert_int_equal(sb_cgroup_frozen(cg, "u7"), cases[i].want);
	}
	sb_cgroup_close(cg);
	tree_remove(&t);
}

/* Either hierarchy of a hybrid host can stop a group. */
static void knows_frozen_groups_of_hybrid(void **state)
{
	(void)state;
	static const struct {
		const char *v1, *v2;
		int want;
	} cases[] = {
		{ "THAWED\n", "frozen 0\n", 0 },	{ "FROZEN\n", "frozen 0\n", 1 },
		{ "FREEZING\n", "frozen 0\n", 1 },	{ "THAWED\n", "frozen 1\n", 1 },
		{ "LIQUID\n", "frozen 0\n", -EBADMSG },
	};
	struct tree t = tree_make();
	tree_hybrid(&t);
	struct sb_cgroup *cg = tree_open(&t);
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		tree_put(&t, "cgroup/freezer/sessbox/u7/freezer.state", cases[i].v1);
		tree_put(&t, "cgroup/unified/sessbox/u7/cgroup.events", cases[i].v2);
		tree_put(&t, "cgroup/unified/sessbox/u7/cgroup.freeze", "0\n");
		tree_put(&t, "cgroup/unified/sessbox/cgroup.freeze", "0\n");
		assert_int_equal(sb_cgroup_frozen(cg, "u7"), cases[i].want);
	}
	sb_cgroup_close(cg);
	tree_remove(&t);
}

/* Regular files stand in for the kernel's: what was asked for is what is read back. */
static void freezes_and_thaws(void **state)
{
	(void)state;
	struct tree t = tree_make();
	tree_hybrid(&t);
	struct sb_cgroup *cg = tree_open(&t);
	assert_int_equal(sb_cgroup_freeze(cg, "u8", true, sb_now_ms(), NULL), -ENOENT);
	assert_int_equal(sb_cgroup_freeze(cg, "u7", true, sb_now_ms(), NULL), -EOPNOTSUPP);
	tree_put(&t, "cgroup/freezer/sessbox/u7/freezer.state", "THAWED\n");
	/* Where v2 has none, v1's freezer does it. */
	assert_int_equal(sb_cgroup_freeze(cg, "u7", true, sb_now_ms(), NULL), 0);
	tree_expect(&t, "cgroup/freezer/sessbox/u7/freezer.state", "FROZEN\n");
	tree_put(&t, "cgroup/unified/sessbox/u7/cgroup.freeze", "0");
	tree_put(&t, "cgroup/unified/sessbox/u7/cgroup.events", "frozen 0\n");
	/* v2 goes first, and not all have stopped. */
	assert_int_equal(sb_cgroup_freeze(cg, "u7", true, sb_now_ms(), NULL), -ETIMEDOUT);
	tree_expect(&t, "cgroup/unified/sessbox/u7/cgroup.freeze", "1");
	/* Thawed is everywhere. */
	assert_int_equal(sb_cgroup_freeze(cg, "u7", false, sb_now_ms(), NULL), 0);
	tree_expect(&t, "cgroup/unified/sessbox/u7/cgroup.freeze", "0");
	tree_expect(&t, "cgroup/freezer/sessbox/u7/freezer.state", "THAWED\n");
	sb_cgroup_close(cg);
	tree_remove(&t);
}

static void lists_processes(void **state)
{
	(void)state;
	char many[4096] = "";
	for (int i = 1; i <= 300; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "%d\n", i * 7);
	const struct {
		const char *text;
		ssize_t want;
		pid_t last;
	} cases[] = {
		{ "", 0, 0 },
		{ "1\n", 1, 1 },
		{ "12\n345\n", 2, 345 },
		/* A process outside of our pid namespace. */
		{ "0\n12\n0\n", 1, 12 },
		{ many, 300, 2100 },
		{ "12\nx\n", -EBADMSG, 0 },
		{ "-1\n", -EBADMSG, 0 },
		{ "2147483648\n", -EBADMSG, 0 },
		{ "99999999999999999999\n", -EBADMSG, 0 },
	};
	struct tree t = tree_make();
	tree_v2(&t);
	struct sb_cgroup *cg = tree_open(&t);
	cleanup_free pid_t *none = NULL;
	assert_int_equal(sb_cgroup_pids(cg, "u8", &none), 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		cleanup_free pid_t *pids = NULL;
		tree_put(&t, V2_GROUP "cgroup.procs", cases[i].text);
		ssize_t n = sb_cgroup_pids(cg, "u7", &pids);
		assert_int_equal(n, cases[i].want);
		if (n > 0)
			assert_int_equal(pids[n - 1], cases[i].last);
	}
	sb_cgroup_close(cg);
	tree_remove(&t);
}

/* The files a process writes to, in order, below "cgroup/". */
static const char *const tasks[] = { "systemd/sessbox/u7/tasks", "freezer/sessbox/u7/tasks",
				     "pids/sessbox/u7/tasks",	 "memory/sessbox/u7/tasks",
				     "cpuset/sessbox/u7/tasks",	 "cpu,cpuacct/sessbox/u7/tasks" };

static void put_entry_files(const struct tree *t)
{
	char path[128];
	for (size_t i = 0; i < SB_ARRAY_SIZE(tasks); i++) {
		snprintf(path, sizeof(path), "cgroup/%s", tasks[i]);
		tree_put(t, path, "");
	}
	tree_put(t, "cgroup/unified/sessbox/u7/cgroup.procs", "");
	tree_put(t, V2_GROUP "cgroup.procs", "");
}

static void expect_fd(const struct tree *t, int fd, const char *name)
{
	char path[128];
	struct stat a, b;
	snprintf(path, sizeof(path), "cgroup/%s", name);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstatat(t->fd, path, &b, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void opens_entries(void **state)
{
	(void)state;
	static const struct {
		void (*make)(const struct tree *t);
		bool migrate;
		const char *clone; /* NULL: none */
		const char *first; /* before the tasks files; NULL: none */
		size_t tasks;
	} cases[] = {
		{ tree_v2, false, "sessbox/u7", NULL, 0 },
		{ tree_v2, true, NULL, "sessbox/u7/cgroup.procs", 0 },
		{ tree_hybrid, false, "unified/sessbox/u7", NULL, 6 },
		{ tree_hybrid, true, NULL, "unified/sessbox/u7/cgroup.procs", 6 },
		{ tree_v1, false, NULL, NULL, 6 },
		{ tree_v1, true, NULL, NULL, 6 },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = tree_make();
		struct sb_cgroup_entry entry;
		struct sb_err err = { 0 };
		cases[i].make(&t);
		struct sb_cgroup *cg = tree_open(&t);
		put_entry_files(&t);
		size_t fds = count_fds(), n = 0;
		assert_int_equal(sb_cgroup_entry_open(cg, "u7", cases[i].migrate, &entry, &err), 0);
		assert_int_equal(entry.clone_fd >= 0, cases[i].clone != NULL);
		if (cases[i].clone)
			expect_fd(&t, entry.clone_fd, cases[i].clone);
		if (cases[i].first)
			expect_fd(&t, entry.fds[n++], cases[i].first);
		assert_int_equal(entry.n, n + cases[i].tasks);
		for (size_t k = 0; n < entry.n; n++, k++)
			expect_fd(&t, entry.fds[n], tasks[k]);
		sb_cgroup_entry_close(&entry);
		assert_int_equal(count_fds(), fds);
		sb_cgroup_close(cg);
		tree_remove(&t);
	}
}

static void enters_by_a_zero(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_cgroup_entry entry;
	struct sb_err err = { 0 };
	char path[128];
	tree_hybrid(&t);
	struct sb_cgroup *cg = tree_open(&t);
	put_entry_files(&t);
	assert_int_equal(sb_cgroup_entry_open(cg, "u7", true, &entry, &err), 0);
	assert_int_equal(sb_cgroup_entry_enter(&entry), 0);
	tree_expect(&t, "cgroup/unified/sessbox/u7/cgroup.procs", "0");
	for (size_t i = 0; i < SB_ARRAY_SIZE(tasks); i++) {
		snprintf(path, sizeof(path), "cgroup/%s", tasks[i]);
		tree_expect(&t, path, "0");
	}
	/* One that cannot be written is an error. */
	close(entry.fds[3]);
	assert_int_equal(sb_cgroup_entry_enter(&entry), -EBADF);
	entry.fds[3] = -1;
	sb_cgroup_entry_close(&entry);
	sb_cgroup_close(cg);
	tree_remove(&t);
}

static void loses_nothing_when_an_entry_fails(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_cgroup_entry entry;
	struct sb_err err;
	tree_hybrid(&t);
	struct sb_cgroup *cg = tree_open(&t);
	put_entry_files(&t);
	/* A link in place of a file is not followed. */
	assert_int_equal(unlinkat(t.fd, "cgroup/cpuset/sessbox/u7/tasks", 0), 0);
	assert_int_equal(symlinkat("cpuset.cpus", t.fd, "cgroup/cpuset/sessbox/u7/tasks"), 0);
	size_t fds = count_fds();
	assert_int_equal(sb_cgroup_entry_open(cg, "u7", false, &entry, &err), -ELOOP);
	assert_non_null(strstr(err.msg, "open cgroup u7 (cpuset) to enter it: "));
	assert_int_equal(sb_cgroup_entry_open(cg, "u8", false, &entry, &err), -ENOENT);
	assert_int_equal(count_fds(), fds);
	sb_cgroup_close(cg);
	tree_remove(&t);
}

/* The only child of this process. */
static pid_t only_child(void)
{
	char path[64], text[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	if (sb_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		skip(); /* a kernel without CONFIG_PROC_CHILDREN */
	assert_non_null(strchr(text, ' '));
	return (pid_t)atoi(text);
}

static void expect_holder(pid_t pid)
{
	char path[64], text[4096];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_true(sb_read_file(AT_FDCWD, path, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "Name:\tsessbox-hold\n"));
	assert_non_null(strstr(text, "SigBlk:\t0000000000000000\n"));
	/* make(1) starts its children with 32 and 33 ignored: libc's own, which it lets nobody
	 * reset. */
	const char *ignored = strstr(text, "SigIgn:\t");
	assert_non_null(ignored);
	assert_int_equal(strtoull(ignored + strlen("SigIgn:\t"), NULL, 16) & ~0x180000000ULL, 0);
	assert_int_equal(getsid(pid), pid);
	snprintf(path, sizeof(path), "/proc/%d/fd/0", (int)pid);
	/* It closes them after it has answered. */
	for (int i = 0; i < 1000 && lstat(path, &st) == 0; i++)
		usleep(1000);
	assert_int_equal(lstat(path, &st), -1);
}

/* v1 alone needs nothing of the kernel that a file could not play. */
static void holds_with_one_process(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_err err = { 0 };
	sigset_t term, old;
	int status;
	tree_put(&t, "self", "1:pids:/\n");
	tree_put(&t, "cgroup/pids/sessbox/init/tasks", "");
	tree_put(&t, "cgroup/pids/sessbox/init/cgroup.procs", "");
	struct sb_cgroup *cg = tree_open(&t);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &old);
	signal(SIGTERM, SIG_IGN);
	assert_int_equal(sb_cgroup_hold(cg, &err), 0);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	tree_expect(&t, "cgroup/pids/sessbox/init/tasks", "0");
	pid_t pid = only_child();
	expect_holder(pid);
	tree_put(&t, "cgroup/pids/sessbox/init/cgroup.procs", "4242\n");
	assert_int_equal(sb_cgroup_hold(cg, &err), 0);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_int_equal(waitpid(-1, &status, 0), -1);
	sb_cgroup_close(cg);
	tree_remove(&t);
}

static void says_that_it_cannot_hold(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_err err;
	tree_v2(&t);
	tree_put(&t, "cgroup/sessbox/init/cgroup.procs", "");
	struct sb_cgroup *cg = tree_open(&t);
	size_t fds = count_fds();
	/* A plain directory is none to be cloned into. */
	assert_int_equal(sb_cgroup_hold(cg, &err), -EBADF);
	assert_non_null(strstr(err.msg, "start a process in cgroup init: "));
	assert_int_equal(count_fds(), fds);
	sb_cgroup_close(cg);
	tree_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_frozen_groups_of_v2),
		cmocka_unit_test(knows_frozen_groups_of_hybrid),
		cmocka_unit_test(freezes_and_thaws),
		cmocka_unit_test(lists_processes),
		cmocka_unit_test(opens_entries),
		cmocka_unit_test(enters_by_a_zero),
		cmocka_unit_test(loses_nothing_when_an_entry_fails),
		cmocka_unit_test(holds_with_one_process),
		cmocka_unit_test(says_that_it_cannot_hold),
	};
	return cmocka_run_group_tests_name("cgroup_enter", tests, NULL, NULL);
}
