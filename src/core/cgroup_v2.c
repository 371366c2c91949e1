/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"

/* Those we have limits for, and those tenants profit from when an admin sets some by hand. */
static const char *const wanted[] = { "cpu", "cpuset", "io", "memory", "pids" };

struct words {
	char text[512];
};

static bool has_word(const char *text, const char *word)
{
	return sb_has_word(text, " \n", word);
}

static bool has_all(const struct words *words)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(wanted); i++)
		if (!has_word(words->text, wanted[i]))
			return false;
	return true;
}

static int read_words(int dir, const char *file, struct words *ret, struct sb_err *err)
{
	ssize_t r = sb_read_file(dir, file, ret->text, sizeof(ret->text));
	return r < 0 ? sb_fail(err, (int)r, "read %s", file) : 0;
}

static int enable_fail(struct sb_err *err, int r, const char *what, const char *where)
{
	if (r == -EBUSY)
		return sb_fail(err, r, "turn on %s: there are processes in %s itself", what, where);
	return sb_fail(err, r, "turn on %s below %s", what, where);
}

/* A controller that will not go on (cpu with realtime tasks: EINVAL) must not keep the others. */
static int enable_each(int dir, const char *all, const char *where, struct sb_err *err)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(wanted); i++) {
		char one[32];
		snprintf(one, sizeof(one), "+%s", wanted[i]);
		int r = has_word(all, one) ? sb_write_file(dir, "cgroup.subtree_control", one) : 0;
		if (r < 0 && r != -EINVAL && r != -ENOENT && r != -EOPNOTSUPP)
			return enable_fail(err, r, one, where);
	}
	return 0;
}

static int enable(int dir, const struct words *on, const struct words *available, const char *where,
		  struct sb_err *err)
{
	char all[128] = "";
	for (size_t i = 0; i < SB_ARRAY_SIZE(wanted); i++) {
		if (has_word(on->text, wanted[i]) || !has_word(available->text, wanted[i]))
			continue;
		size_t len = strlen(all);
		snprintf(all + len, sizeof(all) - len, "%s+%s", len ? " " : "", wanted[i]);
	}
	int r = all[0] ? sb_write_file(dir, "cgroup.subtree_control", all) : 0;
	/* One by one, cpu and pids would go on beside processes, and memory then never again. */
	if (r == -EBUSY)
		return enable_fail(err, r, all, where);
	return r < 0 ? enable_each(dir, all, where, err) : 0;
}

/* The cgroup above <base>, where there is no systemd that would own it. */
static int enable_top(int base, struct sb_err *err)
{
	struct words on, available;
	cleanup_fd int top = openat(base, "..", SB_DIR_FLAGS);
	if (top < 0)
		return sb_fail(err, errno, "open the top cgroup");
	int r = read_words(top, "cgroup.subtree_control", &on, err);
	if (r < 0 || has_all(&on))
		return r;
	r = read_words(top, "cgroup.controllers", &available, err);
	return r < 0 ? r : enable(top, &on, &available, "the top cgroup", err);
}

static int prepare_class(const struct sb_cgroup *cg, const struct sb_hierarchy *h,
			 const char *group, struct sb_err *err)
{
	struct words on, available;
	if (cg->mode != SB_CGROUP_V2)
		return 0;
	cleanup_fd int dir = sb_hierarchy_group(h, group);
	if (dir < 0)
		return sb_fail(err, dir, "open cgroup %s", group);
	int r = read_words(dir, "cgroup.subtree_control", &on, err);
	if (r < 0 || has_all(&on))
		return r;
	r = read_words(dir, "cgroup.controllers", &available, err);
	return r < 0 ? r : enable(dir, &on, &available, group, err);
}

/* Runs at each login: when all is on, it reads one file. */
static int prepare_base(const struct sb_cgroup *cg, const struct sb_hierarchy *h,
			struct sb_err *err)
{
	struct words on, available;
	if (cg->mode != SB_CGROUP_V2)
		return 0;
	int r = read_words(h->base, "cgroup.subtree_control", &on, err);
	if (r < 0 || has_all(&on))
		return r;
	r = read_words(h->base, "cgroup.controllers", &available, err);
	if (r == 0 && !cg->systemd && !has_all(&available)) {
		r = enable_top(h->base, err);
		if (r == 0)
			r = read_words(h->base, "cgroup.controllers", &available, err);
	}
	return r < 0 ? r : enable(h->base, &on, &available, "the base of sessbox", err);
}

static int flag_of(int dir, const char *file, const char *key)
{
	char text[256];
	uint64_t value;
	ssize_t r = sb_read_file(dir, file, text, sizeof(text));
	if (r >= 0)
		r = key ? sb_cgroup_keyed(text, key, &value) : sb_cgroup_number(text, &value);
	return r < 0 ? (int)r : value != 0;
}

/*
 * "frozen" in cgroup.events is the effective state, but comes only when the last task has stopped;
 * who enters before that stops as well. So what was asked for counts, too.
 */
static int frozen(const struct sb_hierarchy *h, const char *group)
{
	cleanup_fd int dir = sb_hierarchy_group(h, group);
	int r = dir < 0 ? dir : flag_of(dir, "cgroup.events", "frozen");
	if (r == 0)
		r = flag_of(dir, "cgroup.freeze", NULL);
	if (r == 0)
		r = flag_of(dir, "../cgroup.freeze", NULL);
	if (r == 0)
		r = flag_of(h->base, "cgroup.freeze", NULL);
	return r;
}

static int freeze(const struct sb_hierarchy *h, const char *group, bool on)
{
	cleanup_fd int dir = sb_hierarchy_group(h, group);
	int r = dir < 0 ? dir : sb_write_file(dir, "cgroup.freeze", on ? "1" : "0");
	if (r == 0)
		r = flag_of(dir, "cgroup.events", "frozen");
	return r < 0 ? r : r == on;
}

static int write_cpu(int dir, const struct sb_cgroup_limit *row, const void *value,
		     const struct sb_limits *limits)
{
	char text[64];
	uint64_t quota = *(const uint64_t *)value;
	(void)limits;
	if (quota == SB_INFINITY)
		snprintf(text, sizeof(text), "max %d", SB_CPU_PERIOD);
	else
		snprintf(text, sizeof(text), "%" PRIu64 " %d", sb_cgroup_quota(quota),
			 SB_CPU_PERIOD);
	return sb_write_file(dir, row->file, text);
}

static int read_cpu(int dir, const struct sb_cgroup_limit *row, void *ret)
{
	char text[64];
	uint64_t quota, period;
	ssize_t n = sb_read_file(dir, row->file, text, sizeof(text));
	if (n < 0)
		return (int)n;
	char *blank = strchr(text, ' ');
	if (!blank || sb_cgroup_number(blank + 1, &period) < 0 || period == 0)
		return -EBADMSG;
	*blank = '\0';
	if (strcmp(text, "max") == 0) {
		*(uint64_t *)ret = SB_INFINITY;
		return 0;
	}
	int r = sb_cgroup_number(text, &quota);
	if (r == 0)
		*(uint64_t *)ret = sb_cgroup_per_second(quota, period);
	return r;
}

#define FIELD(f) offsetof(struct sb_usage, f)

static const struct sb_cgroup_stat stats_table[] = {
	{ SB_CONTROLLER_MEMORY, FIELD(memory), "memory.current", NULL, 1, SB_STAT_ALL },
	{ SB_CONTROLLER_MEMORY, FIELD(swap), "memory.swap.current", NULL, 1, SB_STAT_ALL },
	{ SB_CONTROLLER_MEMORY, FIELD(oom_kills), "memory.events", "oom_kill", 1, SB_STAT_ALL },
	/* memory.events of a class has its tenants' own, too. */
	{ SB_CONTROLLER_MEMORY, FIELD(memory_hits), "memory.events.local", "oom", 1, SB_STAT_ALL },
	{ SB_CONTROLLER_PIDS, FIELD(tasks), "pids.current", NULL, 1, SB_STAT_ALL },
	{ SB_CONTROLLER_PIDS, FIELD(tasks_refused), "pids.events", "max", 1, SB_STAT_ALL },
	/* Since Linux 6.11; until then the line above counts in the group that forked. */
	{ SB_CONTROLLER_PIDS, FIELD(tasks_hits), "pids.events.local", "max", 1, SB_STAT_ALL },
	{ SB_CONTROLLER_CPUACCT, FIELD(cpu_us), "cpu.stat", "usage_usec", 1, SB_STAT_ALL },
};

const struct sb_cgroup_ops sb_cgroup_v2 = {
	.magic = CGROUP2_SUPER_MAGIC,
	.enter = "cgroup.procs",
	.limits = {
		[SB_MEMORY_MAX] = SB_LIMIT_SHARED(MEMORY, "memory.max", max, NULL),
		[SB_MEMORY_SWAP_MAX] = SB_LIMIT_SHARED(MEMORY, "memory.swap.max", max, NULL),
		[SB_TASKS_MAX] = { SB_CONTROLLER_PIDS, "pids.max", sb_limit_write_tasks,
				   sb_limit_read_max, NULL },
		[SB_CPU_QUOTA] = SB_LIMIT_OWN(CPU, "cpu.max", cpu, NULL),
		[SB_CPU_WEIGHT] = SB_LIMIT_SHARED(CPU, "cpu.weight", max, NULL),
		[SB_MEMORY_HIGH] = SB_LIMIT_SHARED(MEMORY, "memory.high", max, NULL),
		[SB_ALLOWED_CPUS] = SB_LIMIT_SHARED(CPUSET, "cpuset.cpus", cpus, "../cpuset.cpus.effective"),
		[SB_IO_WEIGHT] = SB_LIMIT_SHARED(IO, "io.weight", io_weight, NULL),
		[SB_IO_READ_BANDWIDTH_MAX] = SB_LIMIT_SHARED(IO, "io.max", rates, "rbps"),
		[SB_IO_WRITE_BANDWIDTH_MAX] = SB_LIMIT_SHARED(IO, "io.max", rates, "wbps"),
		[SB_IO_READ_IOPS_MAX] = SB_LIMIT_SHARED(IO, "io.max", rates, "riops"),
		[SB_IO_WRITE_IOPS_MAX] = SB_LIMIT_SHARED(IO, "io.max", rates, "wiops"),
		[SB_DEVICE_ALLOW] = SB_LIMIT_SHARED(DEVICES, "the device filter", program, NULL),
	},
	.stats = stats_table,
	.stats_n = SB_ARRAY_SIZE(stats_table),
	.prepare_base = prepare_base,
	.prepare_class = prepare_class,
	.frozen = frozen,
	.freeze = freeze,
};
