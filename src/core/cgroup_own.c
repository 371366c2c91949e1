/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The own cgroup, as a container shows it: the root of its cgroup namespace at /sys/fs/cgroup, on
 * v1 one directory for each of the hierarchies of sb_cgroup_shown().
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/vfs.h>

#include "cgroup_internal.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"

#define TOP "/sys/fs/cgroup"

struct own {
	struct sb_limits limits;
	struct sb_usage usage;
	unsigned int unsupported;
	unsigned int seen; /* enum sb_controller */
};

static uint64_t *at(void *base, size_t offset)
{
	return (uint64_t *)(void *)((char *)base + offset);
}

/* Nothing is known yet. */
static void own_init(struct own *own, const struct sb_cgroup_ops *ops)
{
	*own = (struct own){ .unsupported = SB_LIMIT_BIT(SB_LIMITS_N) - 1 };
	sb_limits_init(&own->limits);
	for (size_t i = 0; i < ops->stats_n; i++)
		*at(&own->usage, ops->stats[i].offset) = SB_INFINITY;
}

/* Takes over what this one hierarchy tells: the rest of it is a guess. */
static int own_add(struct own *own, struct sb_cgroup *one, const char *group, struct sb_err *err)
{
	const struct sb_cgroup_ops *ops = one->list[0].ops;
	unsigned int has = one->list[0].controllers, unsupported;
	cleanup_limits struct sb_limits limits;
	struct sb_usage usage;
	sb_limits_init(&limits);
	int r = sb_cgroup_limits(one, group, &limits, &unsupported, err);
	if (r == 0)
		r = sb_cgroup_usage(one, group, &usage, err);
	if (r < 0)
		return r;
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++) {
		if (!(ops->limits[i].controller & has))
			continue;
		sb_limit_move(&own->limits, &limits, i);
		own->unsupported &= ~SB_LIMIT_BIT(i) | (unsupported & SB_LIMIT_BIT(i));
	}
	for (size_t i = 0; i < ops->stats_n; i++)
		if (ops->stats[i].controller & has)
			*at(&own->usage, ops->stats[i].offset) = *at(&usage, ops->stats[i].offset);
	own->seen |= has;
	return 0;
}

static unsigned int controllers_of(const char *name)
{
	static const struct {
		const char *name;
		unsigned int bits;
	} shown[] = {
		{ "memory", SB_CONTROLLER_MEMORY },
		{ "pids", SB_CONTROLLER_PIDS },
		{ "cpu", SB_CONTROLLER_CPU },
		{ "cpuacct", SB_CONTROLLER_CPUACCT },
		{ "cpu,cpuacct", SB_CONTROLLER_CPU | SB_CONTROLLER_CPUACCT },
		{ "cpuacct,cpu", SB_CONTROLLER_CPU | SB_CONTROLLER_CPUACCT },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(shown); i++)
		if (strcmp(shown[i].name, name) == 0)
			return shown[i].bits;
	return 0;
}

static int own_v1(struct own *own, struct sb_err *err)
{
	int fd = open(TOP, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return sb_fail(err, errno, "open '%s'", TOP);
	struct sb_cgroup one = { .mode = SB_CGROUP_V1, .n = 1 };
	one.list[0] = (struct sb_hierarchy){ .ops = &sb_cgroup_v1, .base = dirfd(dir) };
	for (struct dirent *e; r == 0 && (e = readdir(dir));) {
		one.list[0].controllers = controllers_of(e->d_name);
		snprintf(one.list[0].name, sizeof(one.list[0].name), "%.60s", e->d_name);
		if (one.list[0].controllers)
			r = own_add(own, &one, e->d_name, err);
	}
	if (r == 0 && !own->seen)
		r = sb_fail_plain(err, ENOENT, "no cgroups below '%s'", TOP);
	return r;
}

static int own_v2(struct own *own, struct sb_err *err)
{
	cleanup_fd int above = open("/sys/fs", SB_DIR_FLAGS);
	if (above < 0)
		return sb_fail(err, errno, "open '/sys/fs'");
	struct sb_cgroup one = { .mode = SB_CGROUP_V2, .n = 1 };
	one.list[0] = (struct sb_hierarchy){ .ops = &sb_cgroup_v2,
					     .base = above,
					     .controllers = SB_CONTROLLER_ALL &
							    ~(unsigned int)SB_CONTROLLER_DEVICES,
					     .name = "unified" };
	return own_add(own, &one, "cgroup", err);
}

/* Limits of hierarchies that a container does not show. Programs are shown to root alone. */
static unsigned int unseen(const struct sb_cgroup_ops *ops, unsigned int seen)
{
	unsigned int bits = 0;
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++)
		if (ops->limits[i].file && !(ops->limits[i].controller & seen))
			bits |= SB_LIMIT_BIT(i);
	return bits;
}

int sb_cgroup_own(struct sb_limits *ret_limits, unsigned int *ret_unsupported,
		  unsigned int *ret_unseen, struct sb_usage *ret_usage, struct sb_err *err)
{
	struct statfs st;
	struct own own;
	if (statfs(TOP, &st) < 0)
		return sb_fail(err, errno, "look at '%s'", TOP);
	bool v2 = (uint64_t)st.f_type == sb_cgroup_v2.magic;
	own_init(&own, v2 ? &sb_cgroup_v2 : &sb_cgroup_v1);
	int r = v2 ? own_v2(&own, err) : own_v1(&own, err);
	if (r < 0) {
		sb_limits_clear(&own.limits);
		return r;
	}
	*ret_limits = own.limits;
	*ret_unsupported = own.unsupported;
	*ret_unseen = unseen(v2 ? &sb_cgroup_v2 : &sb_cgroup_v1, own.seen);
	*ret_usage = own.usage;
	return 0;
}
