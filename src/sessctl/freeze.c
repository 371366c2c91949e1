/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "sessbox/io.h"
#include "sessctl.h"
#include "target.h"

/* For logins that are just coming in, and for processes to stop. */
#define FREEZE_MS 10000

static int change(const struct ctl_args *args, bool on)
{
	cleanup_users struct ctl_users users = { 0 };
	struct ctl_target target;
	struct sb_err err = { 0 };
	int status = ctl_target_load(&users, args->v[0], &target);
	if (status != CTL_OK)
		return status;
	if (target.session)
		return ctl_fail(CTL_USAGE, "sessions share a cgroup: name the user, '%s'",
				target.name);
	int r = target.user ? sb_user_freeze(target.uid, on, sb_now_ms() + FREEZE_MS, &err)
			    : -ENOENT;
	if (r == -ENOENT)
		return ctl_fail(CTL_MISSING, "'%s' is not logged in", target.name);
	return r < 0 ? ctl_fail(CTL_FAILED, "'%s': %s", target.name, err.msg) : CTL_OK;
}

int ctl_freeze(const struct ctl_args *args)
{
	return change(args, true);
}

int ctl_thaw(const struct ctl_args *args)
{
	return change(args, false);
}
