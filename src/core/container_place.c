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

int sb_session_limits(struct sb_cgroup *cg, const char *group, const struct sb_policy *policy,
		      struct sb_unsupported *ret, struct sb_err *err)
{
	char wanted[SB_CGROUP_NAME_MAX], class[SB_CGROUP_NAME_MAX];
	struct sb_unsupported found = { 0 };
	int r = 0;
	sb_cgroup_tenant(wanted, policy->uid, policy->budget);
	/* Of a class that he is only still in the policy knows nothing. */
	if (sb_cgroup_above(group, class) && strcmp(group, wanted) == 0)
		r = set(cg, class, &policy->set.budget, &found.budget, &found.budget_low, err);
	if (r == 0)
		r = set(cg, group, &policy->set.limits, &found.limits, &found.limits_low, err);
	if (r == 0)
		r = sb_rescue_limits(cg, policy->uid, &policy->set.limits, err);
	/* Of the lane, that is; it is as small as it gets. */
	if (r < 0 && r != -EBUSY)
		return r;
	*ret = found;
	return 0;
}
