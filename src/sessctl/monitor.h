/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_MONITOR_H
#define SESSCTL_MONITOR_H

/*
 * sessctl monitor: tells tenants which limit they ran into, ends limits whose time is up, and
 * collects what dead sessions have left. Logins never wait for it, and it keeps nothing that has to
 * outlive it: it may be ended and started at any time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sessbox/cgroup.h"

#define CTL_NEVER INT64_MAX

/* ---- monitor_users.c: who is in, and when to look at him ---- */

/* His own cgroup and the small one beside it. */
#define CTL_WATCHES (2 * SB_CGROUP_WATCHES)

struct ctl_watched {
	uid_t uid;
	int wds[CTL_WATCHES];
	size_t n_wds;
	int class_wd;	 /* on his class' group, which others share; 0 = none */
	int64_t look_at; /* sb_now_ms; CTL_NEVER = when the kernel tells */
	int64_t missing; /* how long to wait for a cgroup that is not there */
	int64_t collect_at;
	int64_t collect_pause;
};

struct ctl_tenants {
	int run, inotify;     /* borrowed */
	struct sb_cgroup *cg; /* NULL = there is no base */
	bool blind;	      /* that was so at the last survey */
	int base_wd;	      /* tells of groups that are made below it */
	struct ctl_watched *v;
	size_t n;
};

/* Who is in now: newcomers are looked at soon, who is out is forgotten. */
void ctl_tenants_survey(struct ctl_tenants *tenants);
void ctl_tenants_clear(struct ctl_tenants *tenants);

/* A counter of somebody's has risen, or a group was made below the base, with this name. */
void ctl_tenants_event(struct ctl_tenants *tenants, int wd);
void ctl_tenants_group_made(struct ctl_tenants *tenants, const char *name);

/* Looks at everybody whose time has come. Returns when to do that next. */
int64_t ctl_tenants_look(struct ctl_tenants *tenants);

/* Collects what has been litter for a while. Returns when to do that next. */
int64_t ctl_tenants_collect(struct ctl_tenants *tenants);

/* ---- monitor_tell.c ---- */

/* Writes a line to the terminals of a user's sessions, and never waits for one. */
void ctl_tell(int user_fd, const char *text);

#endif
