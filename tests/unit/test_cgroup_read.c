/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits read back from the kernel's files, and usage. */
#include "cgroup_tree.h"

#include "sessbox/parse.h"

#define INF SB_INFINITY
#define BIG "9223372036854771712\n" /* no limit, on v1 */

/* Where a file is: on v2 all are in one directory. */
static void put(const struct tree *t, const char *dir, const char *file, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "cgroup/%s%ssessbox/u7/%s", dir, *dir ? "/" : "", file);
	tree_put(t, path, text);
}

static const struct {
	const char *memory, *swap, *tasks, *cpu, *weight;
	struct sb_limits want;
	int error;
} v2_texts[] = {
	{ "max\n", "max\n", "max\n", "max 100000\n", "100\n", LIMITS(INF, INF, INF, INF, 100), 0 },
	{ "4096\n", "0\n", "7\n", "50000 100000\n", "1\n", LIMITS(4096, 0, 7, 500000, 1), 0 },
	{ "0\n", "1\n", "1\n", "10000 20000\n", "10000\n", LIMITS(0, 1, 1, 500000, 10000), 0 },
	{ "1", "1", "1", "1 1000000", "1", LIMITS(1, 1, 1, 1, 1), 0 },
	{ "1", "1", "1", "18446744073709551614 1", "1", LIMITS(1, 1, 1, INF, 1), 0 },
	{ "\n", "1\n", "1\n", "1 1\n", "1\n", { 0 }, -EBADMSG },
	{ "maximal\n", "1\n", "1\n", "1 1\n", "1\n", { 0 }, -EBADMSG },
	{ "-1\n", "1\n", "1\n", "1 1\n", "1\n", { 0 }, -EBADMSG },
	{ "1\n", "1 2\n", "1\n", "1 1\n", "1\n", { 0 }, -EBADMSG },
	{ "1\n", "1\n", "99999999999999999999\n", "1 1\n", "1\n", { 0 }, -EBADMSG },
	{ "1\n", "1\n", "1\n", "1\n", "1\n", { 0 }, -EBADMSG },
	{ "1\n", "1\n", "1\n", "1 0\n", "1\n", { 0 }, -EBADMSG },
	{ "1\n", "1\n", "1\n", "x 1\n", "1\n", { 0 }, -EBADMSG },
	{ "1\n", "1\n", "1\n", "1 1\n", "1\n2\n", { 0 }, -EBADMSG },
};

static void reads_v2(void **state)
{
	(void)state;
	struct tree t = tree_make();
	tree_v2(&t);
	struct sb_cgroup *cg = tree_open(&t);
	for (size_t i = 0; i < SB_ARRAY_SIZE(v2_texts); i++) {
		struct sb_limits found = { 0 };
		unsigned int unsupported = 42;
		struct sb_err err;
		put(&t, "", "memory.max", v2_texts[i].memory);
		put(&t, "", "memory.swap.max", v2_texts[i].swap);
		put(&t, "", "pids.max", v2_texts[i].tasks);
		put(&t, "", "cpu.max", v2_texts[i].cpu);
		put(&t, "", "cpu.weight", v2_texts[i].weight);
		assert_int_equal(sb_cgroup_limits(cg, "u7", &found, &unsupported, &err),
				 v2_texts[i].error);
		assert_memory_equal(&found, &v2_texts[i].want, sizeof(found));
		assert_int_equal(v2_texts[i].error ? unsupported : unsupported & FIVE,
				 v2_texts[i].error ? 42 : 0);
	}
	sb_cgroup_close(cg);
	tree_remove(&t);
}

static const struct {
	const char *memory, *memsw, *tasks, *quota, *period, *shares;
	struct sb_limits want;
	int error;
} v1_texts[] = {
	{ BIG, BIG, "max\n", "-1\n", "100000\n", "1024\n", LIMITS(INF, INF, INF, INF, 100), 0 },
	{ "4096\n", BIG, "7\n", "50000\n", "100000\n", "10\n", LIMITS(4096, INF, 7, 500000, 1), 0 },
	{ "4096\n", "4096\n", "7\n", "9\n", "18\n", "102400\n", LIMITS(4096, 0, 7, 500000, 10000),
	  0 },
	{ "4096\n", "12288\n", "7\n", "9\n", "18\n", "2\n", LIMITS(4096, 8192, 7, 500000, 1), 0 },
	{ "4096\n", "12288\n", "7\n", "9\n", "18\n", "262144\n",
	  LIMITS(4096, 8192, 7, 500000, 10000), 0 },
	/* 64 KiB pages. */
	{ "9223372036854710272\n", "9223372036854710272\n", "7\n", "-1\n", "1\n", "1024\n",
	  LIMITS(INF, INF, 7, INF, 100), 0 },
	{ "x\n", BIG, "7\n", "9\n", "18\n", "2\n", { 0 }, -EBADMSG },
	{ "1\n", "", "7\n", "9\n", "18\n", "2\n", { 0 }, -EBADMSG },
	{ "1\n", BIG, "-1\n", "9\n", "18\n", "2\n", { 0 }, -EBADMSG },
	{ "1\n", BIG, "7\n", "-2\n", "18\n", "2\n", { 0 }, -EBADMSG },
	{ "1\n", BIG, "7\n", "9\n", "0\n", "2\n", { 0 }, -EBADMSG },
	{ "1\n", BIG, "7\n", "9\n", "18\n", "262145\n", { 0 }, -EBADMSG },
};

static void reads_v1(void **state)
{
	(void)state;
	struct tree t = tree_make();
	tree_v1(&t);
	struct sb_cgroup *cg = tree_open(&t);
	for (size_t i = 0; i < SB_ARRAY_SIZE(v1_texts); i++) {
		struct sb_limits found = { 0 };
		unsigned int unsupported = 42;
		struct sb_err err;
		put(&t, "memory", "memory.limit_in_bytes", v1_texts[i].memory);
		put(&t, "memory", "memory.memsw.limit_in_bytes", v1_texts[i].memsw);
		put(&t, "pids", "pids.max", v1_texts[i].tasks);
		put(&t, "cpu,cpuacct", "cpu.cfs_quota_us", v1_texts[i].quota);
		put(&t, "cpu,cpuacct", "cpu.cfs_period_us", v1_texts[i].period);
		put(&t, "cpu,cpuacct", "cpu.shares", v1_texts[i].shares);
		assert_int_equal(sb_cgroup_limits(cg, "u7", &found, &unsupported, &err),
				 v1_texts[i].error);
		assert_memory_equal(&found, &v1_texts[i].want, sizeof(found));
		assert_int_equal(v1_texts[i].error ? unsupported : unsupported & FIVE,
				 v1_texts[i].error ? 42 : 0);
	}
	sb_cgroup_close(cg);
	tree_remove(&t);
}

/* What is set is what is shown, in both worlds: each weight, and each quota the parser can give. */
static void shows_what_was_set(void **state)
{
	(void)state;
	static void (*const make[])(const struct tree *t) = { tree_v2, tree_v1 };
	for (size_t i = 0; i < SB_ARRAY_SIZE(make); i++) {
		struct tree t = tree_make();
		make[i](&t);
		struct sb_cgroup *cg = tree_open(&t);
		for (uint64_t weight = 1; weight <= 10000; weight += weight < 300 ? 1 : 97) {
			struct sb_limits found, set = LIMITS(INF, INF, INF, weight * 10000, weight);
			unsigned int unsupported;
			struct sb_err err;
			put(&t, "", "cpu.weight", "");
			put(&t, "", "cpu.max", "");
			put(&t, "cpu,cpuacct", "cpu.shares", "");
			put(&t, "cpu,cpuacct", "cpu.cfs_quota_us", "");
			put(&t, "cpu,cpuacct", "cpu.cfs_period_us", "100000\n");
			put(&t, "memory", "x", "");
			put(&t, "pids", "x", "");
			assert_int_equal(sb_cgroup_apply(cg, "u7", &set, &unsupported, &err), 0);
			assert_int_equal(sb_cgroup_limits(cg, "u7", &found, &unsupported, &err), 0);
			assert_int_equal(found.cpu_weight, weight);
			assert_int_equal(found.cpu_quota, weight * 10000);
		}
		sb_cgroup_close(cg);
		tree_remove(&t);
	}
}

static void expect_usage(struct sb_cgroup *cg, const struct sb_usage *want)
{
	struct sb_usage found;
	struct sb_err err = { 0 };
	assert_int_equal(sb_cgroup_usage(cg, "u7", &found, &err), 0);
	assert_memory_equal(&found, want, sizeof(found));
}

static void reads_usage_of_v2(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_usage usage;
	struct sb_err err;
	tree_v2(&t);
	struct sb_cgroup *cg = tree_open(&t);
	assert_int_equal(sb_cgroup_usage(cg, "u7", &usage, &err), -ENOENT);
	put(&t, "", "memory.current", "4096\n");
	expect_usage(cg, &(struct sb_usage){ 4096, INF, INF, INF, INF, INF, INF, 0, INF });
	put(&t, "", "memory.swap.current", "8192\n");
	put(&t, "", "pids.current", "3\n");
	put(&t, "", "cpu.stat", "usage_usec 1234567\nuser_usec 1\nsystem_usec 2\n");
	put(&t, "", "memory.events", "low 0\nhigh 0\nmax 9\noom 5\noom_kill 4\noom_group_kill 1\n");
	put(&t, "", "pids.events", "max 17\n");
	expect_usage(cg, &(struct sb_usage){ 4096, 8192, 3, 1234567, 4, 17, INF, 0, INF });
	/* A class' own, without its tenants'. */
	put(&t, "", "memory.events.local", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 0\n");
	expect_usage(cg, &(struct sb_usage){ 4096, 8192, 3, 1234567, 4, 17, 2, 0, INF });
	/* Linux 6.11 counts a class' own refusals, too. */
	put(&t, "", "pids.events.local", "max 6\n");
	assert_int_equal(sb_cgroup_events(cg, "u7", &usage, &err), 0);
	const struct sb_usage events = { INF, INF, INF, INF, 4, 17, 2, 0, 6 };
	assert_memory_equal(&usage, &events, sizeof(usage));
	/* Older kernels do not count it. */
	put(&t, "", "memory.events", "oom 5\n");
	expect_usage(cg, &(struct sb_usage){ 4096, 8192, 3, 1234567, INF, 17, 2, 0, 6 });
	put(&t, "", "memory.events", "oom_kill four\n");
	assert_int_equal(sb_cgroup_usage(cg, "u7", &usage, &err), -EBADMSG);
	assert_string_equal(err.msg, "read memory.events of cgroup u7: Bad message");
	sb_cgroup_close(cg);
	tree_remove(&t);
}

static void reads_usage_of_v1(void **state)
{
	(void)state;
	struct tree t = tree_make();
	tree_hybrid(&t);
	struct sb_cgroup *cg = tree_open(&t);
	put(&t, "memory", "memory.usage_in_bytes", "4096\n");
	put(&t, "memory", "memory.memsw.usage_in_bytes", "12288\n");
	put(&t, "memory", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
	put(&t, "pids", "pids.current", "3\n");
	put(&t, "pids", "pids.events", "max 17\n");
	put(&t, "cpu,cpuacct", "cpuacct.usage", "1234567899\n");
	put(&t, "memory", "memory.failcnt", "43\n");
	put(&t, "memory", "memory.max_usage_in_bytes", "65536\n");
	expect_usage(cg, &(struct sb_usage){ 4096, 8192, 3, 1234567, 2, 17, 43, 65536, 0 });
	/* The two are not read at the same instant. */
	put(&t, "memory", "memory.memsw.usage_in_bytes", "4095\n");
	expect_usage(cg, &(struct sb_usage){ 4096, 0, 3, 1234567, 2, 17, 43, 65536, 0 });
	sb_cgroup_close(cg);
	tree_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_v2),	      cmocka_unit_test(reads_v1),
		cmocka_unit_test(shows_what_was_set), cmocka_unit_test(reads_usage_of_v2),
		cmocka_unit_test(reads_usage_of_v1),
	};
	return cmocka_run_group_tests_name("cgroup_read", tests, NULL, NULL);
}
