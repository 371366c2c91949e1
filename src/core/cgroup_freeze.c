/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <unistd.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"

#define POLL_US 10000

/* Can this hierarchy not do it? */
static bool cannot(int r)
{
	return r == -EOPNOTSUPP || r == -ENOENT;
}

/* One attempt: 1 = all have stopped or go on again, 0 = not yet. */
static int try_once(const struct sb_cgroup *cg, const char *group, bool on)
{
	int all = 1;
	bool able = false;
	for (size_t i = 0; i < cg->n; i++) {
		int r = cg->list[i].ops->freeze(&cg->list[i], group, on);
		if (cannot(r))
			continue;
		if (r < 0)
			return r;
		able = true;
		all = all && r;
		/* The first is v2's, if there is one: what is frozen there can be killed. */
		if (on)
			break;
	}
	return able ? all : -EOPNOTSUPP;
}

int sb_cgroup_freeze(struct sb_cgroup *cg, const char *group, bool on, int64_t deadline,
		     struct sb_err *err)
{
	int r;
	if (!sb_cgroup_exists(cg, group))
		return sb_fail(err, ENOENT, "freeze or thaw cgroup %s", group);
	while ((r = try_once(cg, group, on)) == 0 && sb_left_ms(deadline) > 0)
		usleep(POLL_US);
	if (r == 0)
		return sb_fail_plain(err, ETIMEDOUT, "some processes have not %s yet",
				     on ? "stopped" : "gone on");
	return r < 0 ? sb_fail(err, r, "%s cgroup %s", on ? "freeze" : "thaw", group) : 0;
}
