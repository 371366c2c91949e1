/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_NOTICE_H
#define SESSBOX_NOTICE_H

/*
 * Why a process of a tenant's was killed, or a new one refused: which limit it was, in words for
 * him. The kernel counts both in his cgroup. How much of it he has been told stands in his records,
 * which go with the cgroup; what waits for his next login is kept beside them, since the killed
 * process may have been all he had. Nothing here waits for anything, and no lock is needed: who
 * loses a race says a thing twice.
 */
#include <stdint.h>
#include <sys/types.h>

#include "sessbox/cgroup.h"
#include "sessbox/record.h"

/* What can be to blame. */
enum sb_blame {
	SB_BLAME_OWN,	 /* a limit of his */
	SB_BLAME_LANE,	 /* one of the small cgroup beside his */
	SB_BLAME_CLASS,	 /* the budget of his class */
	SB_BLAME_SHARED, /* likewise, and whose process it was the kernel does not tell */
	SB_BLAME_HOST,	 /* the machine itself is full */
};

/* What has happened since he was told. */
struct sb_trouble {
	uint64_t kills, refusals; /* 0 = none */
	enum sb_blame killer, refuser;
	uint64_t memory_max, tasks_max; /* the limits to blame, SB_INFINITY = unknown */
};

/* The counters at one moment, and how full things are. SB_INFINITY is what there is none of. */
struct sb_sight {
	struct sb_usage own, lane, class;
	uint64_t tasks_max, class_tasks_max;
	uint64_t memory_max, class_memory_max;
};

/* Pure: compares. *told becomes what has been told afterwards. */
struct sb_trouble sb_trouble_find(const struct sb_sight *now, struct sb_told_record *told);

/* "3 processes of yours were killed: MemoryMax=512M was used up." and the like, "" for nothing. */
void sb_trouble_print(char *buf, size_t size, const struct sb_trouble *trouble);

/* The whole of a sentence that somebody reads: with when it was (0 = now), and how to look. */
#define SB_NOTICE_MAX 160
void sb_notice_print(char *buf, size_t size, const char *text, uint64_t at, const char *user);

/*
 * Notes what a class' group has counted before he came, where the kernel counts there: that is no
 * trouble of his. Without effect once something has been noted.
 */
void sb_notice_begin(int user_fd, struct sb_cgroup *cg, uid_t uid);

/*
 * Looks at a tenant's cgroups. Returns 1 if there is something to tell: it is in ret, and waits for
 * his next login. 0: there is nothing. -EAGAIN: he was told of something less than pause_sec ago;
 * look again later. Or another negative errno, -ENOENT if he has no cgroup.
 */
int sb_notice_look(int run_fd, int user_fd, struct sb_cgroup *cg, uid_t uid, unsigned int pause_sec,
		   struct sb_notice_record *ret);

#endif
