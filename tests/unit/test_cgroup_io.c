/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPUs, devices and IO weights of a group, in both worlds. */
#include "cgroup_tree.h"

#include <sys/sysmacros.h>

#include "sessbox/parse.h"

#define V2 "cgroup/sessbox/u7/"
#define BLKIO "cgroup/blkio/sessbox/u7/"
#define CPUSET "cgroup/cpuset/sessbox/"

static struct sb_limits preset(void)
{
	struct sb_limits limits;
	sb_limits_init(&limits);
	return limits;
}

static void tree_blkio(const struct tree *t)
{
	tree_v1(t);
	tree_put(t, "self", "2:cpuset:/\n1:blkio:/\n");
}

static unsigned int apply(const struct tree *t, const struct sb_limits *limits)
{
	cleanup_cgroup struct sb_cgroup *cg = tree_open(t);
	unsigned int unsupported = 0;
	struct sb_err err = { 0 };
	if (sb_cgroup_apply(cg, "u7", limits, &unsupported, &err) < 0)
		fail_msg("%s", err.msg);
	return unsupported;
}

static struct sb_limits read_back(const struct tree *t)
{
	cleanup_cgroup struct sb_cgroup *cg = tree_open(t);
	struct sb_limits limits;
	unsigned int unsupported;
	struct sb_err err = { 0 };
	if (sb_cgroup_limits(cg, "u7", &limits, &unsupported, &err) < 0)
		fail_msg("%s", err.msg);
	return limits;
}

/* ---- CPUs ---- */

static const struct {
	const char *there, *now, *asked, *written;
	bool unsupported;
} cpu_rows[] = {
	{ "0-3\n", "\n", "0-1", "0-1\n", false },
	{ "0-3\n", "\n", "2-9", "2-3\n", false }, /* those that there are */
	{ "0-3\n", "\n", "8", "\n", true },	  /* none: the kernel would give all */
	{ "0-3\n", "1\n", "1", "1\n", false },
};

static void cpus_of_v2(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cpu_rows); i++) {
		struct tree t = tree_make();
		struct sb_limits limits = preset(), found;
		tree_v2(&t);
		tree_put(&t, "cgroup/sessbox/cpuset.cpus.effective", cpu_rows[i].there);
		tree_put(&t, V2 "cpuset.cpus", cpu_rows[i].now);
		assert_int_equal(sb_parse_cpus(cpu_rows[i].asked, &limits.allowed_cpus), 0);
		assert_int_equal(apply(&t, &limits),
				 cpu_rows[i].unsupported ? SB_LIMIT_BIT(SB_ALLOWED_CPUS) : 0);
		tree_expect(&t, V2 "cpuset.cpus", cpu_rows[i].written);
		found = read_back(&t);
		assert_int_equal(sb_cpus_empty(&found.allowed_cpus), cpu_rows[i].unsupported);
		tree_remove(&t);
	}
}

static void cpus_of_v1(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cpu_rows); i++) {
		struct tree t = tree_make();
		struct sb_limits limits = preset(), found;
		tree_blkio(&t);
		tree_put(&t, CPUSET "cpuset.cpus", cpu_rows[i].there);
		tree_put(&t, CPUSET "u7/cpuset.cpus", cpu_rows[i].now);
		tree_parents(&t, BLKIO);
		assert_int_equal(sb_parse_cpus(cpu_rows[i].asked, &limits.allowed_cpus), 0);
		assert_int_equal(apply(&t, &limits),
				 cpu_rows[i].unsupported ? SB_LIMIT_BIT(SB_ALLOWED_CPUS) : 0);
		tree_expect(&t, CPUSET "u7/cpuset.cpus", cpu_rows[i].written);
		/* No limit is the parent's set, and reads as none. */
		limits = preset();
		assert_int_equal(apply(&t, &limits), 0);
		tree_expect(&t, CPUSET "u7/cpuset.cpus", cpu_rows[i].there);
		found = read_back(&t);
		assert_true(sb_cpus_empty(&found.allowed_cpus));
		tree_remove(&t);
	}
}

/* ---- devices ---- */

/* Something on a disk, and the numbers of the disk. */
static const char *find_disk(char *numbers, size_t size)
{
	static const char *const places[] = {
		"/", "/usr", "/home", "/boot", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0"
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(places); i++) {
		struct stat st;
		char path[64], text[32];
		if (stat(places[i], &st) < 0)
			continue;
		dev_t dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(dev),
			 minor(dev));
		snprintf(numbers, size, "%u:%u", major(dev), minor(dev));
		if (major(dev) == 0)
			continue;
		if (access(path, F_OK) == 0) {
			snprintf(path, sizeof(path), "/sys/dev/block/%s/../dev", numbers);
			assert_true(sb_read_file(AT_FDCWD, path, text, sizeof(text)) > 0);
			text[strcspn(text, "\n")] = '\0';
			snprintf(numbers, size, "%s", text);
		}
		return places[i];
	}
	fail_msg("no disk on this machine");
	return NULL;
}

static void put_rate_files(const struct tree *t, bool v2, const char *text)
{
	static const char *const v1[] = { "read_bps", "write_bps", "read_iops", "write_iops" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(v1); i++) {
		char path[128];
		snprintf(path, sizeof(path), BLKIO "blkio.throttle.%s_device", v1[i]);
		tree_put(t, v2 ? V2 "io.max" : path, text);
	}
}

static void writes_rates(void **state)
{
	(void)state;
	static const struct {
		enum sb_limit limit;
		const char *v1, *word;
	} rows[] = {
		{ SB_IO_READ_BANDWIDTH_MAX, "read_bps", "rbps=" },
		{ SB_IO_WRITE_BANDWIDTH_MAX, "write_bps", "wbps=" },
		{ SB_IO_READ_IOPS_MAX, "read_iops", "riops=" },
		{ SB_IO_WRITE_IOPS_MAX, "write_iops", "wiops=" },
	};
	char numbers[32], want[80], path[128];
	const char *disk = find_disk(numbers, sizeof(numbers));
	for (size_t i = 0; i < 2 * SB_ARRAY_SIZE(rows); i++) {
		bool v2 = i % 2;
		struct tree t = tree_make();
		cleanup_limits struct sb_limits limits = preset();
		(v2 ? tree_v2 : tree_blkio)(&t);
		put_rate_files(&t, v2, "");
		assert_int_equal(sb_rates_set(sb_limit_at(&limits, rows[i / 2].limit), disk, 5000),
				 0);
		assert_int_equal(apply(&t, &limits), 0);
		snprintf(path, sizeof(path), BLKIO "blkio.throttle.%s_device", rows[i / 2].v1);
		snprintf(want, sizeof(want), "%s %s5000", numbers, v2 ? rows[i / 2].word : "");
		tree_expect(&t, v2 ? V2 "io.max" : path, want);
		tree_remove(&t);
	}
}

/* The smaller of two, whichever is written first. */
static void two_paths_on_one_disk(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return; /* nobody else's link is followed */
	char numbers[32], want[80];
	const char *disk = find_disk(numbers, sizeof(numbers));
	for (uint64_t first = 5000; first <= 7000; first += 2000) {
		struct tree t = tree_make();
		cleanup_limits struct sb_limits limits = preset();
		char link[PATH_MAX];
		snprintf(link, sizeof(link), "%s/link", t.root);
		assert_int_equal(symlink(disk, link), 0);
		tree_v2(&t);
		put_rate_files(&t, true, "");
		assert_int_equal(sb_rates_set(&limits.io_write_bandwidth_max, disk, first), 0);
		assert_int_equal(sb_rates_set(&limits.io_write_bandwidth_max, link, 12000 - first),
				 0);
		assert_int_equal(apply(&t, &limits), 0);
		snprintf(want, sizeof(want), "%s wbps=5000", numbers);
		tree_expect(&t, V2 "io.max", want);
		tree_remove(&t);
	}
}

/* What has a limit and shall have none, and what cannot have one. */
static void lifts_rates(void **state)
{
	(void)state;
	for (int v2 = 0; v2 < 2; v2++) {
		struct tree t = tree_make();
		cleanup_limits struct sb_limits limits = preset();
		(v2 ? tree_v2 : tree_blkio)(&t);
		put_rate_files(&t, v2, v2 ? "999:1 rbps=5 wbps=max riops=max wiops=max\n" : "");
		if (!v2)
			tree_put(&t, BLKIO "blkio.throttle.read_bps_device", "999:1 5\n");
		assert_int_equal(apply(&t, &limits), 0);
		char text[128];
		assert_true(sb_read_file(t.fd,
					 v2 ? V2 "io.max" : BLKIO "blkio.throttle.read_bps_device",
					 text, sizeof(text)) > 0);
		const char *want = v2 ? "999:1 rbps=max" : "999:1 0";
		assert_memory_equal(text, want, strlen(want));
		assert_int_equal(sb_rates_set(&limits.io_write_iops_max, "/proc", 5), 0);
		assert_int_equal(sb_rates_set(&limits.io_read_iops_max, "/no/such/path", 5), 0);
		assert_int_equal(apply(&t, &limits), SB_LIMIT_BIT(SB_IO_WRITE_IOPS_MAX) |
							     SB_LIMIT_BIT(SB_IO_READ_IOPS_MAX));
		tree_remove(&t);
	}
}

static void reads_rates(void **state)
{
	(void)state;
	struct tree t = tree_make();
	tree_v2(&t);
	tree_put(&t, V2 "io.max",
		 "999:1 rbps=5 wbps=max riops=max wiops=7\n999:2 rbps=max wbps=8 riops=max "
		 "wiops=9\n");
	cleanup_limits struct sb_limits found = read_back(&t);
	assert_int_equal(found.io_read_bandwidth_max.n, 1);
	assert_string_equal(found.io_read_bandwidth_max.v[0].device, "999:1");
	assert_int_equal(found.io_read_bandwidth_max.v[0].value, 5);
	assert_int_equal(found.io_write_bandwidth_max.v[0].value, 8);
	assert_int_equal(found.io_read_iops_max.n, 0);
	assert_int_equal(found.io_write_iops_max.n, 2);
	assert_int_equal(found.io_write_iops_max.v[1].value, 9);
	tree_remove(&t);
}

/* ---- weight ---- */

static const struct {
	uint64_t weight, bfq;
} weights[] = { { 1, 1 }, { 50, 50 }, { 100, 100 }, { 111, 101 }, { 10000, 1000 } };

static void weighs(void **state)
{
	(void)state;
	static const struct {
		bool v2;
		const char *file, *word;
		bool bfq;
	} files[] = {
		{ true, V2 "io.weight", "default ", false },
		{ true, V2 "io.bfq.weight", "default ", true },
		{ false, BLKIO "blkio.bfq.weight", "", true },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(weights) * SB_ARRAY_SIZE(files); i++) {
		size_t f = i % SB_ARRAY_SIZE(files), w = i / SB_ARRAY_SIZE(files);
		struct tree t = tree_make();
		struct sb_limits limits = preset();
		char want[40];
		(files[f].v2 ? tree_v2 : tree_blkio)(&t);
		tree_put(&t, files[f].file, "");
		limits.io_weight = weights[w].weight;
		assert_int_equal(apply(&t, &limits), 0);
		snprintf(want, sizeof(want), "%s%llu", files[f].word,
			 (unsigned long long)(files[f].bfq ? weights[w].bfq : weights[w].weight));
		tree_expect(&t, files[f].file, want);
		limits = read_back(&t);
		assert_int_equal(limits.io_weight, weights[w].weight);
		tree_remove(&t);
	}
}

/* v1's soft limit is something else. */
static void memory_high(void **state)
{
	(void)state;
	for (int v2 = 0; v2 < 2; v2++) {
		struct tree t = tree_make();
		struct sb_limits limits = preset();
		(v2 ? tree_v2 : tree_v1)(&t);
		tree_put(&t, v2 ? V2 "memory.high" : "cgroup/memory/sessbox/u7/memory.high", "");
		tree_parents(&t, "cgroup/pids/sessbox/u7/");
		tree_parents(&t, "cgroup/cpu,cpuacct/sessbox/u7/");
		limits.memory_high = 4096;
		assert_int_equal(apply(&t, &limits), v2 ? 0 : SB_LIMIT_BIT(SB_MEMORY_HIGH));
		if (v2)
			tree_expect(&t, V2 "memory.high", "4096");
		tree_remove(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpus_of_v2),	cmocka_unit_test(cpus_of_v1),
		cmocka_unit_test(writes_rates), cmocka_unit_test(two_paths_on_one_disk),
		cmocka_unit_test(lifts_rates),	cmocka_unit_test(reads_rates),
		cmocka_unit_test(weighs),	cmocka_unit_test(memory_high),
	};
	return cmocka_run_group_tests_name("cgroup_io", tests, NULL, NULL);
}
