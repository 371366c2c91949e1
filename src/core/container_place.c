/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which cgroup a login is in. A class with a budget has its tenants in a group of its own; whoever
 * is in stays where he is until he is out, since a move would take only some of his processes, and
 * what he uses would stay the old class'.
 */
#include <errno.h>
#include <string.h>

#include "container_internal.h"
#include "sessbox/str.h"

void sb_session_place(struct sb_cgroup *cg, int user_fd, const struct sb_policy *policy, char *buf)
{
	cleanup_free uint32_t *numbers = NULL;
	sb_cgroup_tenant(buf, policy->uid, policy->budget);
	if (user_fd >= 0 && !sb_cgroup_exists(cg, buf) && sb_container_list(user_fd, &numbers) > 0)
		sb_cgroup_find(cg, policy->uid, buf);
	/* A container whose cgroup somebody has removed: where the policy says. */
	if (!sb_cgroup_exists(cg, buf))
		sb_cgroup_tenant(buf, policy->uid, policy->budget);
}

/* What is in use may be above a new limit: no reason to keep out who may come to end some of it. */
static int set(struct sb_cgroup *cg, const char *group, const struct sb_limits *limits,
	       unsigned int *ret_unsupported, bool *ret_low, struct sb_err *err)
{
	int r = sb_cgroup_apply(cg, group, limits, ret_unsupported, err);
	*ret_low = r == -EBUSY;
	return r == -EBUSY ? 0 : r;
}

static int set_budget(const struct sb_limiting *what, struct sb_unsupported *found,
		      struct sb_err *err)
{
	const struct sb_policy *policy = what->policy;
	char wanted[SB_CGROUP_NAME_MAX], class[SB_CGROUP_NAME_MAX];
	sb_cgroup_tenant(wanted, policy->uid, policy->budget);
	/* Of a class that he is only still in the policy knows nothing. */
	if (!sb_cgroup_above(what->group, class) || strcmp(what->group, wanted) != 0)
		return 0;
	uint64_t before = sb_quota_of_class(what->cg, class);
	int r = set(what->cg, class, &policy->set.budget, &found->budget, &found->budget_low, err);
	sb_quota_give_back(what->cg, what->run_fd, class, before);
	return r;
}

int sb_session_limits(const struct sb_limiting *what, struct sb_unsupported *ret,
		      struct sb_err *err)
{
	const struct sb_limits *limits = &what->policy->set.limits;
	struct sb_unsupported found = { 0 };
	int r = set_budget(what, &found, err);
	if (r == 0)
		r = sb_quota_note(what->cg, what->group, what->user_fd, limits->cpu_quota, err);
	if (r == 0)
		r = set(what->cg, what->group, limits, &found.limits, &found.limits_low, err);
	if (r == 0)
		r = sb_rescue_limits(what->cg, what->policy->uid, limits, err);
	/* Of the lane, that is; it is as small as it gets. */
	if (r < 0 && r != -EBUSY)
		return r;
	*ret = found;
	return 0;
}

int sb_tenant_freeze(struct sb_cgroup *cg, uid_t uid, bool on, int64_t deadline, struct sb_err *err)
{
	char group[SB_CGROUP_NAME_MAX], lane[SB_CGROUP_NAME_MAX];
	sb_cgroup_find(cg, uid, group);
	sb_cgroup_rescue(lane, uid);
	int r = sb_cgroup_freeze(cg, group, on, deadline, err);
	if (!sb_cgroup_exists(cg, lane))
		return r;
	int beside = sb_cgroup_freeze(cg, lane, on, deadline, r < 0 ? NULL : err);
	return r < 0 ? r : beside;
}
