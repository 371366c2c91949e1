/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_PROCESS_H
#define SESSCTL_PROCESS_H

/*
 * The processes of one cgroup, and which of them make up a session: its leader and what carries the
 * same audit session id as its caller - or, where ids tell nothing apart, the leader's descendants.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sessbox/proc.h"

struct ctl_process {
	struct sb_proc proc;
	uint32_t audit; /* UINT32_MAX = none */
	uint64_t pidns; /* inode of its pid namespace; 0 = not known */
};

struct ctl_processes {
	struct ctl_process *v; /* by pid */
	size_t n;
};

/* Reads what is still there of the pids (sorted here). 0 or a negative errno. */
int ctl_processes_read(pid_t *pids, size_t n, struct ctl_processes *ret);

/* All that /proc shows but the first process of the pid namespace. */
int ctl_processes_read_all(struct ctl_processes *ret);
void ctl_processes_clear(struct ctl_processes *list);

const struct ctl_process *ctl_process_find(const struct ctl_processes *list, pid_t pid);

/* Steps from a process up to an ancestor; 0 = it is the same, -1 = no relation. */
int ctl_process_distance(const struct ctl_processes *list, const struct ctl_process *p,
			 pid_t ancestor);

/* The oldest child of the parent; NULL = none. audit UINT32_MAX: whatever id it has. */
const struct ctl_process *ctl_process_child(const struct ctl_processes *list, pid_t parent,
					    uint32_t audit);

/* What a session is recognized by. */
struct ctl_membership {
	pid_t leader;	/* 0 = none */
	uint32_t audit; /* UINT32_MAX = tells nothing */
	uint64_t pidns; /* of a container of its own, which tells all; 0 = it has none */
};
/* Inode of a process' pid namespace, or 0. */
uint64_t ctl_process_pidns(pid_t pid);

bool ctl_process_is_member(const struct ctl_processes *list, const struct ctl_process *p,
			   const struct ctl_membership *m);

/* The controlling terminal of the descendant nearest to the leader; "" = none. */
void ctl_process_tty(const struct ctl_processes *list, pid_t leader, char *buf, size_t size);

#endif
