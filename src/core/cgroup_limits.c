/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"

/* A group's directory in the hierarchy at hand, kept while rows of one controller follow. */
struct view {
	const struct sb_hierarchy *h;
	int dir;
};

static void cleanup_viewp(struct view *view)
{
	sb_close(&view->dir);
}
#define cleanup_view __attribute__((cleanup(cleanup_viewp)))

/* view->h becomes NULL if no hierarchy has the controller. */
static int view_move(struct view *view, const struct sb_cgroup *cg, const char *group,
		     enum sb_controller controller, struct sb_err *err)
{
	const struct sb_hierarchy *h = NULL;
	for (size_t i = 0; i < cg->n && !h; i++)
		if (cg->list[i].controllers & controller)
			h = &cg->list[i];
	if (h == view->h)
		return 0;
	sb_close(&view->dir);
	view->h = h;
	if (!h)
		return 0;
	view->dir = sb_hierarchy_group(h, group);
	if (view->dir < 0)
		return sb_fail(err, view->dir, "open cgroup %s (%s)", group, h->name);
	return 0;
}

/* Limits and usage are the business of those that have the controllers. */
static const struct sb_cgroup_ops *ops_of(const struct sb_cgroup *cg)
{
	return cg->mode == SB_CGROUP_V2 ? &sb_cgroup_v2 : &sb_cgroup_v1;
}

/* The file is missing, or this kernel does not take the value. */
static bool cannot(int r)
{
	return r == -ENOENT || r == -EOPNOTSUPP || r == -EINVAL || r == -ERANGE;
}

/* As the hierarchy at hand does it; NULL: it cannot, or there is none. */
static const struct sb_cgroup_limit *row_of(const struct view *view, enum sb_limit limit)
{
	const struct sb_cgroup_limit *row = view->h ? &view->h->ops->limits[limit] : NULL;
	return row && row->file ? row : NULL;
}

int sb_cgroup_apply(struct sb_cgroup *cg, const char *group, const struct sb_limits *limits,
		    unsigned int *ret_unsupported, struct sb_err *err)
{
	const struct sb_cgroup_ops *ops = ops_of(cg);
	cleanup_view struct view view = { .dir = -1 };
	unsigned int unsupported = 0;
	int first = 0;
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++) {
		int r = view_move(&view, cg, group, ops->limits[i].controller, err);
		if (r < 0)
			return r;
		const struct sb_cgroup_limit *row = row_of(&view, i);
		r = row ? row->write(view.dir, row, sb_limit_of(limits, i), limits) : -EOPNOTSUPP;
		if (cannot(r) && !sb_limit_is_preset(limits, i))
			unsupported |= SB_LIMIT_BIT(i);
		/* One refused (memory in use above the new limit: EBUSY) must not keep the rest,
		 * nor hide what else failed. */
		else if (r < 0 && !cannot(r) && (first == 0 || first == -EBUSY))
			first = sb_fail(err, r, "set %s of cgroup %s", row->file, group);
	}
	*ret_unsupported = unsupported;
	return first;
}

int sb_cgroup_limits(struct sb_cgroup *cg, const char *group, struct sb_limits *ret,
		     unsigned int *ret_unsupported, struct sb_err *err)
{
	const struct sb_cgroup_ops *ops = ops_of(cg);
	cleanup_view struct view view = { .dir = -1 };
	cleanup_limits struct sb_limits found;
	unsigned int unsupported = 0;
	sb_limits_init(&found);
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++) {
		int r = view_move(&view, cg, group, ops->limits[i].controller, err);
		if (r < 0)
			return r;
		const struct sb_cgroup_limit *row = row_of(&view, i);
		r = row ? row->read(view.dir, row, sb_limit_at(&found, i)) : -EOPNOTSUPP;
		if (cannot(r))
			unsupported |= SB_LIMIT_BIT(i);
		else if (r < 0)
			return sb_fail(err, r, "read %s of cgroup %s", row->file, group);
	}
	*ret = found;
	sb_limits_init(&found); /* they are the caller's now */
	*ret_unsupported = unsupported;
	return 0;
}

/* A number's row, and the directory in *view; NULL = it cannot be had here, or *ret says why. */
static const struct sb_cgroup_limit *find_number(struct sb_cgroup *cg, const char *group,
						 enum sb_limit limit, struct view *view, int *ret)
{
	int r = view_move(view, cg, group, ops_of(cg)->limits[limit].controller, NULL);
	const struct sb_cgroup_limit *row = r < 0 ? NULL : row_of(view, limit);
	*ret = r < 0 || row ? r : -EOPNOTSUPP;
	return row;
}

int sb_cgroup_number_get(struct sb_cgroup *cg, const char *group, enum sb_limit limit,
			 uint64_t *ret)
{
	cleanup_view struct view view = { .dir = -1 };
	int r;
	const struct sb_cgroup_limit *row = find_number(cg, group, limit, &view, &r);
	return row ? row->read(view.dir, row, ret) : r;
}

int sb_cgroup_number_set(struct sb_cgroup *cg, const char *group, enum sb_limit limit,
			 uint64_t value)
{
	cleanup_limits struct sb_limits limits;
	cleanup_view struct view view = { .dir = -1 };
	int r;
	const struct sb_cgroup_limit *row = find_number(cg, group, limit, &view, &r);
	sb_limits_init(&limits);
	return row ? row->write(view.dir, row, &value, &limits) : r;
}

static int read_stat(int dir, const struct sb_cgroup_stat *row, uint64_t *ret)
{
	char text[4096];
	uint64_t value;
	ssize_t n = sb_read_file(dir, row->file, text, sizeof(text));
	if (n < 0)
		return (int)n;
	int r = row->key ? sb_cgroup_keyed(text, row->key, &value) : sb_cgroup_number(text, &value);
	if (r == 0)
		*ret = value / row->divisor;
	return r;
}

/* wanted NULL = all. */
static int read_usage(struct sb_cgroup *cg, const char *group,
		      bool (*wanted)(const struct sb_cgroup_stat *row), struct sb_usage *ret,
		      struct sb_err *err)
{
	const struct sb_cgroup_ops *ops = ops_of(cg);
	cleanup_view struct view view = { .dir = -1 };
	struct sb_usage found = { 0 };
	for (size_t i = 0; i < ops->stats_n; i++) {
		const struct sb_cgroup_stat *row = &ops->stats[i];
		uint64_t value = SB_INFINITY, *field = (void *)((char *)&found + row->offset);
		if (wanted && !wanted(row)) {
			*field = SB_INFINITY;
			continue;
		}
		int r = view_move(&view, cg, group, row->controller, err);
		if (r < 0)
			return r;
		r = view.h ? read_stat(view.dir, row, &value) : -EOPNOTSUPP;
		if (r < 0 && !cannot(r))
			return sb_fail(err, r, "read %s of cgroup %s", row->file, group);
		if (row->part == SB_STAT_WITH_MEMORY && value != SB_INFINITY)
			value -= value < found.memory ? value : found.memory;
		*field = value;
	}
	*ret = found;
	return 0;
}

int sb_cgroup_usage(struct sb_cgroup *cg, const char *group, struct sb_usage *ret,
		    struct sb_err *err)
{
	return read_usage(cg, group, NULL, ret, err);
}

static bool is_one_of(const struct sb_cgroup_stat *row, const size_t *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (row->offset == fields[i])
			return true;
	return false;
}

static bool is_level(const struct sb_cgroup_stat *row)
{
	static const size_t levels[] = { offsetof(struct sb_usage, memory),
					 offsetof(struct sb_usage, swap),
					 offsetof(struct sb_usage, tasks) };
	return is_one_of(row, levels, SB_ARRAY_SIZE(levels));
}

static bool is_event(const struct sb_cgroup_stat *row)
{
	static const size_t events[] = { offsetof(struct sb_usage, oom_kills),
					 offsetof(struct sb_usage, tasks_refused),
					 offsetof(struct sb_usage, memory_hits),
					 offsetof(struct sb_usage, memory_peak),
					 offsetof(struct sb_usage, tasks_hits) };
	return is_one_of(row, events, SB_ARRAY_SIZE(events));
}

int sb_cgroup_levels(struct sb_cgroup *cg, const char *group, struct sb_usage *ret,
		     struct sb_err *err)
{
	return read_usage(cg, group, is_level, ret, err);
}

int sb_cgroup_events(struct sb_cgroup *cg, const char *group, struct sb_usage *ret,
		     struct sb_err *err)
{
	return read_usage(cg, group, is_event, ret, err);
}

int sb_cgroup_cached(struct sb_cgroup *cg, const char *group, uint64_t *ret, struct sb_err *err)
{
	static const char file[] = "memory.stat";
	cleanup_view struct view view = { .dir = -1 };
	char text[8192];
	uint64_t active = 0, inactive = 0;
	int r = view_move(&view, cg, group, SB_CONTROLLER_MEMORY, err);
	if (r < 0)
		return r;
	ssize_t n = view.h ? sb_read_file(view.dir, file, text, sizeof(text)) : -EOPNOTSUPP;
	r = n < 0 ? (int)n : sb_cgroup_keyed(text, "active_file", &active);
	if (r == 0)
		r = sb_cgroup_keyed(text, "inactive_file", &inactive);
	if (r < 0)
		return sb_fail(err, r, "read %s of cgroup %s", file, group);
	*ret = active + inactive;
	return 0;
}
