/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The rescue lane. In a cgroup that is full a login could not start its shell, and its user could
 * not end what fills it. So he gets a small cgroup beside it, of the same container: he sees and
 * signals all that is his. It lies outside of the tenant's own limits and of his class' budget,
 * which would starve it, too.
 */
#include <sys/sysinfo.h>

#include "container_internal.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"

/* sshd's child, the shell, and one program. */
#define TASKS_NEEDED 3
#define MEMORY_NEEDED (UINT64_C(8) << 20)

/* What the lane has, all of a user's rescue sessions together. */
#define LANE_TASKS 32
#define LANE_MEMORY (UINT64_C(64) << 20)
#define LANE_CPU 200000 /* microseconds per second */

/* Where processes come and go the number of a moment may mislead. */
#define LOOKS 5
#define LOOK_US 10000

static bool has_room(uint64_t used, uint64_t max, uint64_t needed)
{
	return max == SB_INFINITY || used == SB_INFINITY || (used <= max && max - used >= needed);
}

static bool tasks_are_used_up(struct sb_cgroup *cg, const char *group, uint64_t max)
{
	struct sb_usage first, now;
	if (sb_cgroup_levels(cg, group, &now, NULL) < 0 || now.tasks == 0)
		return false;
	if (!has_room(now.tasks, max, TASKS_NEEDED))
		return true;
	/* Far from it? */
	if (has_room(now.tasks, max, max / 2) || sb_cgroup_usage(cg, group, &first, NULL) < 0)
		return false;
	for (int i = 0; i < LOOKS; i++) {
		usleep(LOOK_US);
		if (sb_cgroup_usage(cg, group, &now, NULL) < 0)
			return false;
		if (!has_room(now.tasks, max, TASKS_NEEDED) ||
		    now.tasks_refused != first.tasks_refused)
			return true;
	}
	return false;
}

static uint64_t swap_left(const struct sb_limits *limits, const struct sb_usage *usage)
{
	struct sysinfo host;
	uint64_t left = sysinfo(&host) < 0 ? 0 : (uint64_t)host.freeswap * host.mem_unit;
	uint64_t max = limits->memory_swap_max, used = usage->swap == SB_INFINITY ? 0 : usage->swap;
	if (max == SB_INFINITY || used > max)
		return max == SB_INFINITY ? left : 0;
	return max - used < left ? max - used : left;
}

/* What is only cached does not count: the kernel drops it. */
static bool memory_is_used_up(struct sb_cgroup *cg, const char *group,
			      const struct sb_limits *limits)
{
	struct sb_usage usage;
	uint64_t cached;
	if (limits->memory_max == SB_INFINITY || sb_cgroup_levels(cg, group, &usage, NULL) < 0 ||
	    usage.tasks == 0 || has_room(usage.memory, limits->memory_max, MEMORY_NEEDED) ||
	    sb_cgroup_cached(cg, group, &cached, NULL) < 0)
		return false;
	uint64_t held = usage.memory - (cached < usage.memory ? cached : usage.memory);
	return !has_room(held, limits->memory_max, MEMORY_NEEDED) &&
	       swap_left(limits, &usage) < MEMORY_NEEDED;
}

enum sb_rescue sb_rescue_needed(struct sb_cgroup *cg, const char *group,
				const struct sb_limits *limits)
{
	if (tasks_are_used_up(cg, group, limits->tasks_max))
		return SB_RESCUE_TASKS;
	return memory_is_used_up(cg, group, limits) ? SB_RESCUE_MEMORY : SB_RESCUE_NONE;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int set_limits(struct sb_cgroup *cg, const char *lane, const struct sb_limits *limits,
		      struct sb_err *err)
{
	struct sb_limits small = *limits;
	unsigned int unsupported;
	small.tasks_max = LANE_TASKS;
	small.cpu_quota = least(limits->cpu_quota, LANE_CPU);
	small.memory_max = least(limits->memory_max, LANE_MEMORY);
	small.memory_swap_max = least(limits->memory_swap_max, LANE_MEMORY);
	return sb_cgroup_apply(cg, lane, &small, &unsupported, err);
}

int sb_rescue_limits(struct sb_cgroup *cg, uid_t uid, const struct sb_limits *limits,
		     struct sb_err *err)
{
	char lane[SB_CGROUP_NAME_MAX];
	sb_cgroup_rescue(lane, uid);
	return sb_cgroup_exists(cg, lane) ? set_limits(cg, lane, limits, err) : 0;
}

int sb_rescue_open(struct sb_cgroup *cg, uid_t uid, const struct sb_limits *limits,
		   struct sb_cgroup_entry *ret, struct sb_err *err)
{
	char lane[SB_CGROUP_NAME_MAX];
	sb_cgroup_rescue(lane, uid);
	int r = sb_cgroup_create(cg, lane, err);
	if (r == 0)
		r = set_limits(cg, lane, limits, err);
	/* EBUSY: another session in it uses more memory than a limit that was lowered meanwhile. */
	return r < 0 && r != -EBUSY ? r : sb_cgroup_entry_open(cg, lane, true, ret, err);
}
