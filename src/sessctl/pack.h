/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_PACK_H
#define SESSCTL_PACK_H

/*
 * Processes to be signalled: all of a tenant, or a session's. Once seen a member stays one, and so
 * do its children: a session's processes lose their leader when that ends first.
 *
 * Nobody else is ever hit: a process is held by a pidfd that was checked against its start time,
 * and looked up in the cgroup again after that, before the signal goes through the pidfd.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "process.h"
#include "sessbox/cgroup.h"

struct ctl_pack_member {
	pid_t pid;
	uint64_t start;
	int sent; /* the last signal it got */
	bool alive;
};

struct ctl_pack {
	struct sb_cgroup *cg;
	uid_t uid;
	bool whole;		   /* all of his cgroups; else: */
	struct ctl_membership who; /* what it starts from */
	const pid_t *spared;	   /* not to be signalled */
	size_t n_spared;
	bool inside; /* without what runs on the host for him; ctl_pack_send's */

	struct ctl_pack_member *v;
	size_t n;
};

/* Looks who is there now. The number of the living, or a negative errno. */
ssize_t ctl_pack_look(struct ctl_pack *pack);

/* Signals the living, also those that are born meanwhile. The number, or a negative errno. */
ssize_t ctl_pack_send(struct ctl_pack *pack, int sig);

/* Waits until none is left. True if so. */
bool ctl_pack_wait(struct ctl_pack *pack, int64_t deadline);
void ctl_pack_clear(struct ctl_pack *pack);

#endif
