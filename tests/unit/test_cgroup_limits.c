/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is written for a limit, what is read back, and usage. */
#include "cgroup_tree.h"

#include <sys/inotify.h>

#include "sessbox/parse.h"

#define INF SB_INFINITY
#define V2 "cgroup/sessbox/u7/"
#define V1(controller) "cgroup/" controller "/sessbox/u7/"
#define MEMORY V1("memory")
#define CPU V1("cpu,cpuacct")
#define BIG "9223372036854771712\n" /* no limit, on v1 */

static const struct sb_limits none = LIMITS(INF, INF, INF, INF, 100);

struct file {
	const char *path, *text;
};

static void put_files(const struct tree *t, const struct file *files)
{
	for (; files->path; files++)
		tree_put(t, files->path, files->text);
}

static void expect_files(const struct tree *t, const struct file *files)
{
	for (; files->path; files++)
		tree_expect(t, files->path, files->text);
}

/* Enough for every write: what was in a file does not matter on v2. */
static const struct file fresh_v2[] = {
	{ V2 "memory.max", "" }, { V2 "memory.swap.max", "" }, { V2 "pids.max", "" },
	{ V2 "cpu.max", "" },	 { V2 "cpu.weight", "" },      { NULL, NULL },
};

static const struct file fresh_v1[] = {
	{ MEMORY "memory.limit_in_bytes", "" },
	{ MEMORY "memory.memsw.limit_in_bytes", "0" },
	{ V1("pids") "pids.max", "" },
	{ CPU "cpu.cfs_quota_us", "" },
	{ CPU "cpu.cfs_period_us", "100000\n" },
	{ CPU "cpu.shares", "" },
	{ NULL, NULL },
};

static const struct {
	struct sb_limits limits;
	const char *memory, *swap, *tasks, *cpu, *weight;
} v2_writes[] = {
	{ LIMITS(536870912, 0, 100, 500000, 250), "536870912", "0", "100", "50000 100000", "250" },
	{ LIMITS(INF, INF, INF, INF, 100), "max", "max", "max", "max 100000", "100" },
	{ LIMITS(INF, 4096, 1, 10000, 1), "max", "4096", "1", "1000 100000", "1" },
	/* At least a millisecond; never less than asked for. */
	{ LIMITS(0, 0, 4194304, 1, 10000), "0", "0", "4194304", "1000 100000", "10000" },
	{ LIMITS(1, 1, 4194305, 2000011, 10000), "1", "1", "max", "200002 100000", "10000" },
};

static void writes_v2(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(v2_writes); i++) {
		struct tree t = tree_make();
		unsigned int unsupported = ~0U;
		struct sb_err err = { 0 };
		tree_v2(&t);
		put_files(&t, fresh_v2);
		struct sb_cgroup *cg = tree_open(&t);
		assert_int_equal(
			sb_cgroup_apply(cg, "u7", &v2_writes[i].limits, &unsupported, &err), 0);
		assert_int_equal(unsupported, 0);
		const struct file want[] = {
			{ V2 "memory.max", v2_writes[i].memory },
			{ V2 "memory.swap.max", v2_writes[i].swap },
			{ V2 "pids.max", v2_writes[i].tasks },
			{ V2 "cpu.max", v2_writes[i].cpu },
			{ V2 "cpu.weight", v2_writes[i].weight },
			{ NULL, NULL },
		};
		expect_files(&t, want);
		sb_cgroup_close(cg);
		tree_remove(&t);
	}
}

static const struct {
	struct sb_limits limits;
	unsigned int unsupported;
	const char *memory, *memsw, *tasks, *quota, *shares;
} v1_writes[] = {
	{ LIMITS(536870912, 0, 100, 500000, 100), 0, "536870912", "536870912", "100", "50000",
	  "1024" },
	{ LIMITS(INF, INF, INF, INF, 100), 0, "-1", "-1", "max", "-1", "1024" },
	{ LIMITS(1048576, INF, 1, 10000, 1), 0, "1048576", "-1", "1", "1000", "10" },
	{ LIMITS(1048576, 65536, 5000000, 1, 10000), 0, "1048576", "1114112", "max", "1000",
	  "102400" },
	{ LIMITS(INF, INF, INF, INF, 0), 0, "-1", "-1", "max", "-1", "2" },
	/* There is no way to say it. */
	{ LIMITS(INF, 65536, INF, INF, 100), SB_LIMIT_BIT(SB_MEMORY_SWAP_MAX), "-1", "-1", "max",
	  "-1", "1024" },
	/* The sum of two that are more than the kernel counts. */
	{ LIMITS(1ULL << 62, 1ULL << 62, INF, INF, 100), 0, "4611686018427387904", "-1", "max",
	  "-1", "1024" },
	{ LIMITS(1ULL << 63, 1ULL << 63, INF, INF, 100), 0, "9223372036854775808", "-1", "max",
	  "-1", "1024" },
};

static void writes_v1(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(v1_writes); i++) {
		struct tree t = tree_make();
		unsigned int unsupported = ~0U;
		struct sb_err err = { 0 };
		tree_hybrid(&t);
		tree_parents(&t, "cgroup/unified/sessbox/u7/");
		put_files(&t, fresh_v1);
		struct sb_cgroup *cg = tree_open(&t);
		assert_int_equal(
			sb_cgroup_apply(cg, "u7", &v1_writes[i].limits, &unsupported, &err), 0);
		assert_int_equal(unsupported, v1_writes[i].unsupported);
		const struct file want[] = {
			{ MEMORY "memory.limit_in_bytes", v1_writes[i].memory },
			{ MEMORY "memory.memsw.limit_in_bytes", v1_writes[i].memsw },
			{ V1("pids") "pids.max", v1_writes[i].tasks },
			{ CPU "cpu.cfs_quota_us", v1_writes[i].quota },
			{ CPU "cpu.cfs_period_us", "100000\n" },
			{ CPU "cpu.shares", v1_writes[i].shares },
			{ NULL, NULL },
		};
		expect_files(&t, want);
		sb_cgroup_close(cg);
		tree_remove(&t);
	}
}

/* Adds the names of the files that were written to, in order. */
static void read_writes(int fd, char *order, size_t size)
{
	_Alignas(struct inotify_event) char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));
	order[0] = '\0';
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const struct inotify_event *)(buf + at);
		size_t len = strlen(order);
		snprintf(order + len, size - len, "%s%s", len ? " " : "", e->name);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
}

static void orders_writes_of_v1(void **state)
{
	(void)state;
	static const struct {
		const char *dir;
		struct file before;
		struct sb_limits limits;
		const char *order;
	} cases[] = {
		{ MEMORY,
		  { MEMORY "memory.memsw.limit_in_bytes", BIG },
		  LIMITS(4096, 4096, INF, INF, 100),
		  "memory.limit_in_bytes memory.memsw.limit_in_bytes" },
		{ MEMORY,
		  { MEMORY "memory.memsw.limit_in_bytes", "4096\n" },
		  LIMITS(8192, 4096, INF, INF, 100),
		  "memory.memsw.limit_in_bytes memory.limit_in_bytes "
		  "memory.memsw.limit_in_bytes" },
		{ MEMORY,
		  { MEMORY "memory.memsw.limit_in_bytes", "4096\n" },
		  LIMITS(INF, INF, INF, INF, 100),
		  "memory.memsw.limit_in_bytes memory.limit_in_bytes "
		  "memory.memsw.limit_in_bytes" },
		{ CPU,
		  { CPU "cpu.cfs_period_us", "100000\n" },
		  LIMITS(INF, INF, INF, 500000, 100),
		  "cpu.cfs_quota_us cpu.shares" },
		{ CPU,
		  { CPU "cpu.cfs_period_us", "20000\n" },
		  LIMITS(INF, INF, INF, 500000, 100),
		  "cpu.cfs_quota_us cpu.cfs_period_us cpu.cfs_quota_us cpu.shares" },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = tree_make();
		char path[256], order[256];
		unsigned int unsupported;
		struct sb_err err = { 0 };
		tree_v1(&t);
		put_files(&t, fresh_v1);
		tree_put(&t, cases[i].before.path, cases[i].before.text);
		struct sb_cgroup *cg = tree_open(&t);
		cleanup_fd int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		snprintf(path, sizeof(path), "%s/%s", t.root, cases[i].dir);
		assert_true(inotify_add_watch(watch, path, IN_MODIFY) >= 0);
		assert_int_equal(sb_cgroup_apply(cg, "u7", &cases[i].limits, &unsupported, &err),
				 0);
		read_writes(watch, order, sizeof(order));
		assert_string_equal(order, cases[i].order);
		sb_cgroup_close(cg);
		tree_remove(&t);
	}
}

static void tells_what_is_unsupported(void **state)
{
	(void)state;
	static const struct {
		void (*make)(const struct tree *t);
		struct file file; /* the only one there is */
		struct sb_limits limits;
		unsigned int apply, read;
	} cases[] = {
		{ tree_v2, { V2 "x", "" }, LIMITS(1, 1, 1, 10000, 1), FIVE, FIVE },
		{ tree_v2, { V2 "x", "" }, LIMITS(INF, INF, INF, INF, 100), 0, FIVE },
		{ tree_v2,
		  { V2 "x", "" },
		  LIMITS(INF, INF, INF, INF, 99),
		  SB_LIMIT_BIT(SB_CPU_WEIGHT),
		  FIVE },
		{ tree_v2,
		  { V2 "memory.max", "" },
		  LIMITS(1, 0, INF, INF, 100),
		  SB_LIMIT_BIT(SB_MEMORY_SWAP_MAX),
		  FIVE & ~SB_LIMIT_BIT(SB_MEMORY_MAX) },
		/* Swap is not accounted: the kernel has no memsw. */
		{ tree_v1,
		  { MEMORY "memory.limit_in_bytes", "" },
		  LIMITS(4096, 0, INF, INF, 100),
		  SB_LIMIT_BIT(SB_MEMORY_SWAP_MAX),
		  FIVE & ~SB_LIMIT_BIT(SB_MEMORY_MAX) },
		{ tree_v1,
		  { V1("pids") "pids.max", "" },
		  LIMITS(INF, 0, 7, 10000, 100),
		  SB_LIMIT_BIT(SB_MEMORY_SWAP_MAX) | SB_LIMIT_BIT(SB_CPU_QUOTA),
		  FIVE & ~SB_LIMIT_BIT(SB_TASKS_MAX) },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = tree_make();
		struct sb_limits found;
		unsigned int apply = ~0U, read = ~0U;
		struct sb_err err = { 0 };
		cases[i].make(&t);
		tree_parents(&t, MEMORY);
		tree_parents(&t, V1("pids"));
		tree_parents(&t, CPU);
		tree_put(&t, cases[i].file.path, cases[i].file.text);
		struct sb_cgroup *cg = tree_open(&t);
		assert_int_equal(sb_cgroup_apply(cg, "u7", &cases[i].limits, &apply, &err), 0);
		assert_int_equal(sb_cgroup_limits(cg, "u7", &found, &read, &err), 0);
		assert_int_equal(apply, cases[i].apply);
		assert_int_equal(read & FIVE, cases[i].read);
		if ((read & FIVE) == FIVE)
			assert_memory_equal(&found, &none, sizeof(none));
		sb_cgroup_close(cg);
		tree_remove(&t);
	}
}

/* A controller without a hierarchy. */
static void lives_without_controllers(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_limits limits = LIMITS(1, 1, 7, 1, 1), found;
	struct sb_usage usage;
	unsigned int unsupported;
	struct sb_err err = { 0 };
	tree_put(&t, "self", "1:pids:/\n");
	tree_put(&t, V1("pids") "pids.max", "");
	struct sb_cgroup *cg = tree_open(&t);
	assert_int_equal(sb_cgroup_apply(cg, "u7", &limits, &unsupported, &err), 0);
	assert_int_equal(unsupported & FIVE, FIVE & ~SB_LIMIT_BIT(SB_TASKS_MAX));
	assert_int_equal(sb_cgroup_limits(cg, "u7", &found, &unsupported, &err), 0);
	assert_int_equal(unsupported & FIVE, FIVE & ~SB_LIMIT_BIT(SB_TASKS_MAX));
	assert_int_equal(found.tasks_max, 7);
	assert_int_equal(sb_cgroup_usage(cg, "u7", &usage, &err), 0);
	assert_true(usage.memory == INF && usage.swap == INF && usage.cpu_us == INF);
	sb_cgroup_close(cg);
	tree_remove(&t);
}

/* A directory in place of a file cannot be written to, or read. */
static void goes_on_after_a_failure(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_limits limits = LIMITS(4096, 4096, 7, 10000, 1);
	unsigned int unsupported = 42;
	struct sb_err err;
	tree_v2(&t);
	put_files(&t, fresh_v2);
	limits.memory_high = 4096; /* which has no file */
	assert_int_equal(unlinkat(t.fd, V2 "memory.max", 0), 0);
	tree_parents(&t, V2 "memory.max/");
	struct sb_cgroup *cg = tree_open(&t);
	size_t fds = count_fds();
	assert_int_equal(sb_cgroup_apply(cg, "u7", &limits, &unsupported, &err), -EISDIR);
	assert_string_equal(err.msg, "set memory.max of cgroup u7: Is a directory");
	assert_int_equal(unsupported, SB_LIMIT_BIT(SB_MEMORY_HIGH));
	tree_expect(&t, V2 "pids.max", "7");
	tree_expect(&t, V2 "cpu.weight", "1");
	assert_int_equal(sb_cgroup_apply(cg, "u8", &limits, &unsupported, &err), -ENOENT);
	assert_int_equal(count_fds(), fds);
	sb_cgroup_close(cg);
	tree_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_v2),
		cmocka_unit_test(writes_v1),
		cmocka_unit_test(orders_writes_of_v1),
		cmocka_unit_test(tells_what_is_unsupported),
		cmocka_unit_test(lives_without_controllers),
		cmocka_unit_test(goes_on_after_a_failure),
	};
	return cmocka_run_group_tests_name("cgroup_limits", tests, NULL, NULL);
}
