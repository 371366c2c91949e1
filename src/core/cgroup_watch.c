/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cgroup v2 tells whoever asks when a group's counters rise; v1 does not. */
#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "cgroup_internal.h"
#include "sessbox/str.h"

/* In the order of SB_CGROUP_WATCHES. One that a group lacks, since its controller is off, counts
 * nothing either. */
static const char *const files[SB_CGROUP_WATCHES] = { "memory.events", "pids.events" };

/* inotify takes paths alone, and the group is known by its descriptor. */
static int watch(int inotify, int dir, const char *file, uint32_t mask)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, file);
	int wd = inotify_add_watch(inotify, path, mask);
	return wd < 0 ? -errno : wd;
}

int sb_cgroup_watch(struct sb_cgroup *cg, const char *group, int inotify,
		    int wds[SB_CGROUP_WATCHES])
{
	int n = 0;
	if (cg->mode != SB_CGROUP_V2)
		return 0;
	cleanup_fd int dir = sb_hierarchy_group(&cg->list[0], group);
	if (dir < 0)
		return dir;
	for (size_t i = 0; i < SB_CGROUP_WATCHES; i++) {
		/* Once: what happens again and again must cost nobody else anything. */
		int wd = watch(inotify, dir, files[i], IN_MODIFY | IN_ONESHOT);
		if (wd < 0 && wd != -ENOENT)
			return wd;
		if (wd >= 0)
			wds[n++] = wd;
	}
	return n;
}

int sb_cgroup_watch_class(struct sb_cgroup *cg, const char *class, int inotify)
{
	if (cg->mode != SB_CGROUP_V2)
		return 0;
	cleanup_fd int dir = sb_hierarchy_group(&cg->list[0], class);
	int wd = dir < 0 ? dir : watch(inotify, dir, "pids.events.local", IN_MODIFY | IN_ONESHOT);
	return wd == -ENOENT ? 0 : wd;
}

int sb_cgroup_watch_base(struct sb_cgroup *cg, int inotify)
{
	if (cg->mode != SB_CGROUP_V2)
		return 0;
	return watch(inotify, cg->list[0].base, ".", IN_CREATE | IN_ONLYDIR);
}
