/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * v1 refuses a CPU quota above that of the group above, so a tenant's is cut to his class'. When
 * that of the class rises, each who is in gets back what is his: his policy nobody could ask for
 * without his login, so what it said stands in a file among his records.
 *
 * No lock is needed for that: who changes a quota writes the file before he writes to the kernel,
 * and who gives it back reads the file once more after that.
 */
#include <errno.h>
#include <stdio.h>

#include "container_internal.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"

#define TRIES 5

int sb_quota_note(const struct sb_cgroup *cg, const char *group, int user_fd, uint64_t quota,
		  struct sb_err *err)
{
	const struct sb_quota_record rec = { quota };
	struct sb_quota_record before;
	char class[SB_CGROUP_NAME_MAX];
	if (sb_cgroup_mode(cg) == SB_CGROUP_V2 || !sb_cgroup_above(group, class))
		return 0;
	int r = sb_quota_load(user_fd, &before);
	if ((r == 0 && before.cpu_quota == quota) || (r == -ENOENT && quota == SB_INFINITY))
		return 0;
	r = sb_quota_save(user_fd, &rec);
	return r < 0 ? sb_fail(err, r, "write the record of the CPU quota") : 0;
}

/* He may be leaving, or have come by a version that wrote no such file. */
static void give_back(struct sb_cgroup *cg, int run_fd, const char *class, uid_t uid)
{
	struct sb_user_dir user;
	struct sb_quota_record rec, after;
	char group[SB_CGROUP_NAME_MAX];
	if (sb_format(group, sizeof(group), "%s/u%u", class, uid) < 0 ||
	    sb_user_open(run_fd, uid, &user) < 0)
		return;
	int r = sb_quota_load(user.fd, &rec);
	for (int tries = 0; r == 0 && tries < TRIES; tries++) {
		sb_cgroup_number_set(cg, group, SB_CPU_QUOTA, rec.cpu_quota);
		r = sb_quota_load(user.fd, &after);
		if (r == 0 && after.cpu_quota == rec.cpu_quota)
			break;
		rec = after;
	}
	sb_user_close(&user);
}

uint64_t sb_quota_of_class(struct sb_cgroup *cg, const char *class)
{
	uint64_t quota;
	if (sb_cgroup_mode(cg) == SB_CGROUP_V2 ||
	    sb_cgroup_number_get(cg, class, SB_CPU_QUOTA, &quota) < 0)
		return SB_INFINITY;
	return quota;
}

void sb_quota_give_back(struct sb_cgroup *cg, int run_fd, const char *class, uint64_t before)
{
	cleanup_free uid_t *uids = NULL;
	if (sb_quota_of_class(cg, class) <= before)
		return;
	ssize_t n = sb_cgroup_members(cg, class, &uids);
	for (ssize_t i = 0; i < n; i++)
		give_back(cg, run_fd, class, uids[i]);
}
