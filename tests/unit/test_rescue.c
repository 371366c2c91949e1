/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a login goes into the small cgroup beside the tenant's. */
#include "cgroup_tree.h"

#include <inttypes.h>

#include "container_internal.h"
#include "sessbox/parse.h"

#define MIB (UINT64_C(1) << 20)
#define INF SB_INFINITY

static void put(const struct tree *t, const char *file, const char *fmt, uint64_t a, uint64_t b)
{
	char path[96], text[96];
	snprintf(path, sizeof(path), "cgroup/sessbox/u7/%s", file);
	snprintf(text, sizeof(text), fmt, a, b);
	unlinkat(t->fd, path, 0);
	tree_put(t, path, text);
}

static const struct {
	uint64_t tasks, tasks_max, memory, cached, memory_max;
	enum sb_rescue want;
} cases[] = {
	/* Room, or no limit, or nobody there. */
	{ 1, 100, 0, 0, INF, SB_RESCUE_NONE },
	{ 97, 100, 0, 0, INF, SB_RESCUE_NONE },
	{ 4000, INF, 900 * MIB, 0, INF, SB_RESCUE_NONE },
	{ 0, 2, 64 * MIB, 0, 64 * MIB, SB_RESCUE_NONE },
	{ 5, 100, 50 * MIB, 0, 64 * MIB, SB_RESCUE_NONE },
	/* Full. */
	{ 98, 100, 0, 0, INF, SB_RESCUE_TASKS },
	{ 100, 100, 0, 0, INF, SB_RESCUE_TASKS },
	{ 1, 3, 0, 0, INF, SB_RESCUE_TASKS },
	/* Above a limit that has been lowered. */
	{ 120, 100, 0, 0, INF, SB_RESCUE_TASKS },
	{ 5, 100, 60 * MIB, 0, 64 * MIB, SB_RESCUE_MEMORY },
	{ 5, 100, 70 * MIB, 0, 64 * MIB, SB_RESCUE_MEMORY },
	/* The kernel gives up what is only cached. */
	{ 5, 100, 64 * MIB, 8 * MIB, 64 * MIB, SB_RESCUE_NONE },
	{ 5, 100, 64 * MIB, 7 * MIB, 64 * MIB, SB_RESCUE_MEMORY },
	{ 5, 100, 64 * MIB, 90 * MIB, 64 * MIB, SB_RESCUE_NONE },
};

static void is_needed_when_full(void **state)
{
	(void)state;
	struct tree t = tree_make();
	tree_v2(&t);
	struct sb_cgroup *cg = tree_open(&t);
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		const struct sb_limits limits = { .memory_max = cases[i].memory_max,
						  .tasks_max = cases[i].tasks_max };
		put(&t, "pids.current", "%" PRIu64 "\n", cases[i].tasks, 0);
		put(&t, "pids.events", "max %" PRIu64 "\n", 3, 0);
		put(&t, "memory.current", "%" PRIu64 "\n", cases[i].memory, 0);
		put(&t, "memory.stat", "inactive_file %" PRIu64 "\nactive_file %" PRIu64 "\n",
		    cases[i].cached / 2, cases[i].cached - cases[i].cached / 2);
		if (sb_rescue_needed(cg, "u7", &limits) != cases[i].want)
			fail_msg("case %zu", i);
	}
	sb_cgroup_close(cg);
	tree_remove(&t);
}

static void without_a_group_nothing_is_full(void **state)
{
	(void)state;
	const struct sb_limits limits = { .memory_max = 1, .tasks_max = 1 };
	struct tree t = tree_make();
	tree_v2(&t);
	struct sb_cgroup *cg = tree_open(&t);
	assert_int_equal(sb_rescue_needed(cg, "u8", &limits), SB_RESCUE_NONE);
	sb_cgroup_close(cg);
	tree_remove(&t);
}

/* Small, whatever the tenant's limits, and never more than they are. */
static void the_lane_is_small(void **state)
{
	(void)state;
	static const struct {
		uint64_t max;
		const char *memory;
	} lanes[] = { { INF, "67108864" }, { 32 * MIB, "33554432" } };
	for (size_t i = 0; i < SB_ARRAY_SIZE(lanes); i++) {
		const struct sb_limits limits = { .memory_max = lanes[i].max,
						  .memory_swap_max = 0,
						  .tasks_max = INF,
						  .cpu_quota = INF,
						  .cpu_weight = 100 };
		struct sb_cgroup_entry entry;
		struct tree t = tree_make();
		tree_v2(&t);
		struct sb_cgroup *cg = tree_open(&t);
		static const char *const files[] = {
			"memory.max", "memory.swap.max", "pids.max",
			"cpu.max",    "cpu.weight",	 "cgroup.procs"
		};
		for (size_t k = 0; k < SB_ARRAY_SIZE(files); k++) {
			char path[64];
			snprintf(path, sizeof(path), "cgroup/sessbox/r7/%s", files[k]);
			tree_put(&t, path, "");
		}
		assert_int_equal(sb_rescue_open(cg, 7, &limits, &entry, NULL), 0);
		assert_int_equal(entry.n, 1);
		sb_cgroup_entry_close(&entry);
		tree_expect(&t, "cgroup/sessbox/r7/memory.max", lanes[i].memory);
		tree_expect(&t, "cgroup/sessbox/r7/pids.max", "32");
		sb_cgroup_close(cg);
		tree_remove(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_needed_when_full),
		cmocka_unit_test(without_a_group_nothing_is_full),
		cmocka_unit_test(the_lane_is_small),
	};
	return cmocka_run_group_tests_name("rescue", tests, NULL, NULL);
}
