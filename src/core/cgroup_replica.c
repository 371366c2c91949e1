/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/str.h"

/* No class has a name with a colon in it. */
#define NAME "c-:replica"
#define INSIDE NAME "/inside"
#define RETRY_MS 10
#define DYING_MS 3000
#define DEPTH_MAX 16

static int open_all(struct sb_cgroup *cg, struct sb_cgroup_replica *replica, struct sb_err *err)
{
	for (size_t i = 0; i < cg->n; i++) {
		int fd = openat(cg->list[i].base, NAME, SB_DIR_FLAGS);
		if (fd < 0)
			return sb_fail(err, errno, "open cgroup " NAME " (%s)", cg->list[i].name);
		replica->dirs[replica->n] = fd;
		snprintf(replica->names[replica->n++], sizeof(replica->names[0]), "%s",
			 cg->list[i].name);
	}
	return 0;
}

int sb_cgroup_replica_make(struct sb_cgroup *cg, struct sb_cgroup_replica *ret, struct sb_err *err)
{
	*ret = (struct sb_cgroup_replica){ .entry.clone_fd = -1 };
	/* Processes of one whose sessctl was just killed end after it. */
	int r = sb_cgroup_replica_remove(cg, sb_now_ms() + DYING_MS, err);
	if (r >= 0)
		r = sb_cgroup_create(cg, INSIDE, err);
	if (r == 0)
		r = sb_cgroup_entry_open(cg, INSIDE, false, &ret->entry, err);
	return r == 0 ? open_all(cg, ret, err) : r;
}

void sb_cgroup_replica_close(struct sb_cgroup_replica *replica)
{
	sb_cgroup_entry_close(&replica->entry);
	while (replica->n > 0)
		sb_close(&replica->dirs[--replica->n]);
}

/* ---- the end ---- */

static int remove_deep(int dfd, const char *name, int depth)
{
	int r = 0;
	int fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = errno == ENOENT ? 0 : -errno;
		sb_close(&fd);
		return r;
	}
	for (struct dirent *e; depth < DEPTH_MAX && (e = readdir(dir));) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		int one = remove_deep(fd, e->d_name, depth + 1);
		r = r < 0 ? r : one;
	}
	/* An imitation's directory with files in it is "not empty"; cgroupfs says "busy". */
	if (r == 0 && unlinkat(dfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = errno == ENOTEMPTY ? -EBUSY : -errno;
	return r;
}

int sb_cgroup_replica_remove(struct sb_cgroup *cg, int64_t deadline, struct sb_err *err)
{
	const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000L };
	bool there = sb_cgroup_exists(cg, NAME);
	for (;;) {
		int r = 0;
		for (size_t i = 0; i < cg->n; i++) {
			int one = remove_deep(cg->list[i].base, NAME, 0);
			r = r < 0 ? r : one;
		}
		if (r != -EBUSY || sb_left_ms(deadline) == 0)
			return r < 0 ? sb_fail(err, r, "remove cgroup " NAME) : there;
		nanosleep(&pause, NULL);
	}
}
