/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_PROC_H
#define SESSBOX_PROC_H

/*
 * What /proc tells about a process. A pid alone never identifies one: records keep the start time
 * with it, and a pair that does not fit any more is nobody. Source: proc(5).
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sb_proc {
	pid_t pid;
	pid_t ppid;
	int tty_nr;	/* device number of the controlling terminal, 0 = none */
	uint64_t start; /* clock ticks since boot */
	char state;	/* R, S, D, T, Z, ... */
	char comm[64];
};

/* 0 or a negative errno; -ESRCH when there is no such process. */
int sb_proc_read(pid_t pid, struct sb_proc *ret);

/*
 * A pidfd for the process that had this pid and start time. -ESRCH when it is gone, also when the
 * pid is somebody else's by now.
 */
int sb_proc_open(pid_t pid, uint64_t start);

/* The real uid of a process, whatever user namespace it is in. 0 or a negative errno. */
int sb_proc_uid(pid_t pid, uid_t *ret);

/* The kernel's audit session id of a process; UINT32_MAX when it has none. */
uint32_t sb_proc_audit_session(pid_t pid);

/* Does the program that a process runs hold this text? False when it cannot be read. */
bool sb_proc_mentions(pid_t pid, const char *text);

/* "pts/3", "tty1" of a terminal's device number as seen inside its own devpts, "" for none. */
void sb_proc_tty_name(int tty_nr, char *buf, size_t size);

/* Bytes of memory of the machine. */
uint64_t sb_proc_memory_total(void);

#endif
