/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <unistd.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"

#define MEMSW "memory.memsw.limit_in_bytes"
#define PERIOD "cpu.cfs_period_us"

/* "No limit" reads as the largest number of whole pages; 64 KiB is the largest page. */
#define UNLIMITED ((uint64_t)INT64_MAX & ~(uint64_t)0xffff)

/* cpu.shares of the default weight, and the kernel's bounds (sched.h: MIN_SHARES, MAX_SHARES). */
#define SHARES_DEFAULT 1024
#define SHARES_MIN 2
#define SHARES_MAX 262144

/* <hierarchy>/system.slice/sessbox-tenants.service/c-<class>/u<uid> */
#define DEPTH_MAX 5

/* Fills an empty cpuset file with the parent's value, and the parent's with its parent's. */
static ssize_t inherit(int dir, const char *file, char *text, size_t size, int depth)
{
	ssize_t n = sb_read_file(dir, file, text, size);
	if (n < 0 || (text[0] != '\n' && text[0] != '\0'))
		return n;
	cleanup_fd int parent = depth > 0 ? openat(dir, "..", SB_DIR_FLAGS) : -1;
	if (parent < 0)
		return depth > 0 ? -errno : -ELOOP;
	n = inherit(parent, file, text, size, depth - 1);
	return n < 0 ? n : sb_write_file(dir, file, text);
}

/* A process cannot enter a cpuset without processors and memory nodes (ENOSPC). */
static int prepare_group(const struct sb_hierarchy *h, const char *group, struct sb_err *err)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	char text[4096];
	if (!(h->controllers & SB_CONTROLLER_CPUSET))
		return 0;
	cleanup_fd int dir = sb_hierarchy_group(h, group);
	if (dir < 0)
		return sb_fail(err, dir, "open cgroup %s (%s)", group, h->name);
	for (size_t i = 0; i < SB_ARRAY_SIZE(files); i++) {
		ssize_t r = inherit(dir, files[i], text, sizeof(text), DEPTH_MAX);
		if (r < 0)
			return sb_fail(err, (int)r, "copy %s from the parent", files[i]);
	}
	return 0;
}

/* The state is the effective one: that of a group whose parent is frozen is FROZEN, too. */
static int frozen(const struct sb_hierarchy *h, const char *group)
{
	static const struct {
		const char *text;
		int frozen;
	} states[] = { { "THAWED\n", 0 }, { "FREEZING\n", 1 }, { "FROZEN\n", 1 } };
	char text[32];
	if (!(h->controllers & SB_CONTROLLER_FREEZER))
		return 0;
	cleanup_fd int dir = sb_hierarchy_group(h, group);
	ssize_t n = dir < 0 ? dir : sb_read_file(dir, "freezer.state", text, sizeof(text));
	if (n < 0)
		return (int)n;
	for (size_t i = 0; i < SB_ARRAY_SIZE(states); i++)
		if (strcmp(text, states[i].text) == 0)
			return states[i].frozen;
	return -EBADMSG;
}

static int freeze(const struct sb_hierarchy *h, const char *group, bool on)
{
	const char *wanted = on ? "FROZEN" : "THAWED";
	char text[32];
	if (!(h->controllers & SB_CONTROLLER_FREEZER))
		return -EOPNOTSUPP;
	cleanup_fd int dir = sb_hierarchy_group(h, group);
	if (dir < 0)
		return dir;
	/* Asked again, it also takes those who were born or came in meanwhile. */
	int r = sb_write_file(dir, "freezer.state", wanted);
	ssize_t n = r < 0 ? r : sb_read_file(dir, "freezer.state", text, sizeof(text));
	return n < 0 ? (int)n : strncmp(text, wanted, strlen(wanted)) == 0;
}

static int read_bytes(int dir, const char *file, uint64_t *ret)
{
	uint64_t value;
	int r = sb_cgroup_read_number(dir, file, "-1", &value);
	if (r == 0)
		*ret = value >= UNLIMITED ? SB_INFINITY : value;
	return r;
}

/*
 * memsw is memory and swap together. The kernel rounds each number down to whole pages; doing that
 * before adding lets the swap limit be read back exactly.
 */
static uint64_t memsw_of(const struct sb_limits *limits)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t sum;
	if (limits->memory_max == SB_INFINITY || limits->memory_swap_max == SB_INFINITY)
		return SB_INFINITY;
	if (__builtin_add_overflow(limits->memory_max / page * page,
				   limits->memory_swap_max / page * page, &sum))
		return SB_INFINITY;
	return sum >= UNLIMITED ? SB_INFINITY : sum;
}

/* The limit may never exceed memsw (EINVAL): a larger memsw goes before it, a smaller one after. */
static int write_memory(int dir, const struct sb_cgroup_limit *row, const void *value,
			const struct sb_limits *limits)
{
	uint64_t now, memsw = memsw_of(limits);
	int r = read_bytes(dir, MEMSW, &now);
	if (r == 0 && memsw > now)
		r = sb_cgroup_write_number(dir, MEMSW, "-1", memsw);
	if (r < 0 && r != -ENOENT)
		return r;
	return sb_cgroup_write_number(dir, row->file, "-1", *(const uint64_t *)value);
}

static int read_memory(int dir, const struct sb_cgroup_limit *row, void *ret)
{
	return read_bytes(dir, row->file, ret);
}

/* Comes after write_memory. */
static int write_swap(int dir, const struct sb_cgroup_limit *row, const void *value,
		      const struct sb_limits *limits)
{
	int r = sb_cgroup_write_number(dir, row->file, "-1", memsw_of(limits));
	(void)value;
	if (r == 0 && limits->memory_max == SB_INFINITY && limits->memory_swap_max != SB_INFINITY)
		r = -EOPNOTSUPP;
	return r;
}

static int read_swap(int dir, const struct sb_cgroup_limit *row, void *ret)
{
	uint64_t memsw, memory;
	int r = read_bytes(dir, row->file, &memsw);
	if (r == 0)
		r = read_bytes(dir, "memory.limit_in_bytes", &memory);
	if (r == 0)
		*(uint64_t *)ret =
			memsw == SB_INFINITY || memory > memsw ? SB_INFINITY : memsw - memory;
	return r;
}

/* What the group above has in each of our periods; SB_INFINITY = no quota. */
static int read_quota_above(int dir, uint64_t *ret)
{
	uint64_t period = 0;
	int r = sb_cgroup_read_number(dir, "../cpu.cfs_quota_us", "-1", ret);
	if (r < 0 || *ret == SB_INFINITY)
		return r;
	r = sb_cgroup_read_number(dir, "../" PERIOD, NULL, &period);
	if (r == 0 && period > 0)
		*ret = *ret * SB_CPU_PERIOD / period;
	return r;
}

/* No group may have more than the one above: those in this one come down with it. */
static int lower_those_within(int dir, const char *file, uint64_t quota)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	cleanup_dir DIR *list = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; list && r == 0 && (e = readdir(list));) {
		uint64_t now;
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		cleanup_fd int within = openat(dir, e->d_name, SB_DIR_FLAGS);
		if (within >= 0 && sb_cgroup_read_number(within, file, "-1", &now) == 0 &&
		    now != SB_INFINITY && now > quota)
			r = sb_cgroup_write_number(within, file, "-1", quota);
	}
	return r;
}

static int write_quota(int dir, const char *file, uint64_t quota)
{
	uint64_t above = SB_INFINITY;
	read_quota_above(dir, &above);
	if (quota > above)
		quota = above;
	int r = sb_cgroup_write_number(dir, file, "-1", quota);
	if (r != -EINVAL || lower_those_within(dir, file, quota) < 0)
		return r;
	return sb_cgroup_write_number(dir, file, "-1", quota);
}

/*
 * With another period in force, neither order of the two writes is always allowed (a parent's
 * quota bounds the ratio); without a quota every period is.
 */
static int write_cpu(int dir, const struct sb_cgroup_limit *row, const void *value,
		     const struct sb_limits *limits)
{
	uint64_t quota = *(const uint64_t *)value, period;
	(void)limits;
	if (quota == SB_INFINITY)
		return sb_cgroup_write_number(dir, row->file, "-1", SB_INFINITY);
	int r = sb_cgroup_read_number(dir, PERIOD, NULL, &period);
	if (r == 0 && period != SB_CPU_PERIOD) {
		r = sb_cgroup_write_number(dir, row->file, "-1", SB_INFINITY);
		if (r == 0)
			r = sb_cgroup_write_number(dir, PERIOD, NULL, SB_CPU_PERIOD);
	}
	if (r < 0)
		return r;
	return write_quota(dir, row->file, sb_cgroup_quota(quota));
}

static int read_cpu(int dir, const struct sb_cgroup_limit *row, void *ret)
{
	uint64_t quota, period = 0;
	int r = sb_cgroup_read_number(dir, row->file, "-1", &quota);
	if (r == 0 && quota != SB_INFINITY) {
		r = sb_cgroup_read_number(dir, PERIOD, NULL, &period);
		if (r == 0 && period == 0)
			r = -EBADMSG;
		if (r == 0)
			quota = sb_cgroup_per_second(quota, period);
	}
	if (r == 0)
		*(uint64_t *)ret = quota;
	return r;
}

/*
 * shares = weight * 1024 / 100: the defaults (100 and 1024) meet and ratios stay what they are on
 * v2. Rounding to the nearest weight inverts it exactly for all weights.
 */
static int write_weight(int dir, const struct sb_cgroup_limit *row, const void *value,
			const struct sb_limits *limits)
{
	uint64_t asked = *(const uint64_t *)value;
	uint64_t weight = asked < 10000 ? asked : 10000;
	uint64_t shares = weight * SHARES_DEFAULT / 100;
	if (shares < SHARES_MIN)
		shares = SHARES_MIN;
	(void)limits;
	return sb_cgroup_write_number(dir, row->file, NULL, shares);
}

static int read_weight(int dir, const struct sb_cgroup_limit *row, void *ret)
{
	uint64_t shares;
	int r = sb_cgroup_read_number(dir, row->file, NULL, &shares);
	if (r < 0)
		return r;
	if (shares > SHARES_MAX)
		return -EBADMSG;
	uint64_t weight = (shares * 100 + SHARES_DEFAULT / 2) / SHARES_DEFAULT;
	*(uint64_t *)ret = weight < 1 ? 1 : weight > 10000 ? 10000 : weight;
	return 0;
}

#define FIELD(f) offsetof(struct sb_usage, f)

static const struct sb_cgroup_stat stats_table[] = {
	{ SB_CONTROLLER_MEMORY, FIELD(memory), "memory.usage_in_bytes", NULL, 1, SB_STAT_ALL },
	{ SB_CONTROLLER_MEMORY, FIELD(swap), "memory.memsw.usage_in_bytes", NULL, 1,
	  SB_STAT_WITH_MEMORY },
	{ SB_CONTROLLER_MEMORY, FIELD(oom_kills), "memory.oom_control", "oom_kill", 1,
	  SB_STAT_ALL },
	{ SB_CONTROLLER_MEMORY, FIELD(memory_hits), "memory.failcnt", NULL, 1, SB_STAT_ALL },
	/* With MemorySwapMax=0 it is memsw's limit that is met, and not counted (seen on 6.18). */
	{ SB_CONTROLLER_MEMORY, FIELD(memory_peak), "memory.max_usage_in_bytes", NULL, 1,
	  SB_STAT_ALL },
	{ SB_CONTROLLER_PIDS, FIELD(tasks), "pids.current", NULL, 1, SB_STAT_ALL },
	{ SB_CONTROLLER_PIDS, FIELD(tasks_refused), "pids.events", "max", 1, SB_STAT_ALL },
	{ SB_CONTROLLER_CPUACCT, FIELD(cpu_us), "cpuacct.usage", NULL, 1000, SB_STAT_ALL },
};

const struct sb_cgroup_ops sb_cgroup_v1 = {
	.magic = CGROUP_SUPER_MAGIC,
	.enter = "tasks",
	/* No MemoryHigh: the soft limit slows nobody down. */
	.limits = {
		[SB_MEMORY_MAX] = SB_LIMIT_OWN(MEMORY, "memory.limit_in_bytes", memory, NULL),
		[SB_MEMORY_SWAP_MAX] = SB_LIMIT_OWN(MEMORY, MEMSW, swap, NULL),
		[SB_TASKS_MAX] = { SB_CONTROLLER_PIDS, "pids.max", sb_limit_write_tasks,
				   sb_limit_read_max, NULL },
		[SB_CPU_QUOTA] = SB_LIMIT_OWN(CPU, "cpu.cfs_quota_us", cpu, NULL),
		[SB_CPU_WEIGHT] = SB_LIMIT_OWN(CPU, "cpu.shares", weight, NULL),
		[SB_ALLOWED_CPUS] = SB_LIMIT_SHARED(CPUSET, "cpuset.cpus", cpus, "../cpuset.cpus"),
		[SB_IO_WEIGHT] = SB_LIMIT_SHARED(IO, "blkio.bfq.weight", io_weight, NULL),
		[SB_IO_READ_BANDWIDTH_MAX] = SB_LIMIT_SHARED(IO, "blkio.throttle.read_bps_device", rates, NULL),
		[SB_IO_WRITE_BANDWIDTH_MAX] = SB_LIMIT_SHARED(IO, "blkio.throttle.write_bps_device", rates, NULL),
		[SB_IO_READ_IOPS_MAX] = SB_LIMIT_SHARED(IO, "blkio.throttle.read_iops_device", rates, NULL),
		[SB_IO_WRITE_IOPS_MAX] = SB_LIMIT_SHARED(IO, "blkio.throttle.write_iops_device", rates, NULL),
		[SB_DEVICE_ALLOW] = SB_LIMIT_SHARED(DEVICES, "devices.list", devices, NULL),
	},
	.stats = stats_table,
	.stats_n = SB_ARRAY_SIZE(stats_table),
	.prepare_group = prepare_group,
	.frozen = frozen,
	.freeze = freeze,
};
