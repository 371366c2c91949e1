/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_RECORD_H
#define SESSBOX_RECORD_H

/*
 * What the kernel cannot tell, in /run/sessbox (root's, 0711):
 *
 *   lock, next                 lock of the template and of the link tree; the next session id
 *   ns/                        see ns.h
 *   u<uid>/lock                the user's lock: whoever changes anything below holds it
 *   u<uid>/c<n>/record, init   a container; its init's socket
 *   u<uid>/sessions/<id>       a session; <id>-utmp is its scratch file (0700)
 *   u<uid>/self/<id>           a link to it, for the user himself (0750, root and his group)
 *   u<uid>/c<n>/etc            the account files that the container shows
 *   u<uid>/quota               CPUQuota as his policy has it, of one in a class' budget on v1
 *   u<uid>/told                how much of his troubles the user has been told
 *   notices/<uid>              what waits to be told at his next login (0700)
 *   monitor                    locked by the monitor as long as it runs
 *   turns                      empty; each locked byte is a job that waits for its user's lock
 *
 * Records are text, "Key=value" lines, closed to others, replaced whole by rename. They are never
 * trusted when a start time does not fit. Usage, members and state are never stored: those are the
 * kernel's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sessbox/err.h"

#define SB_RUN_DIR "/run/sessbox"

struct sb_container_record {
	uint32_t number; /* c<number> */
	uint32_t init;
	uint64_t init_start; /* clock ticks, see proc.h */
	uint64_t created;    /* seconds since the epoch */
	uint32_t uid;
	uint32_t ns_flags;
	uint32_t scope;	  /* enum sb_scope */
	uint32_t stop_ms; /* TimeoutStopSec */
	char user[256];
	char class_name[128];
	char hostname[65];
	char container_hash[17];
	char limits_hash[17];
	char groups[3072]; /* supplementary groups its tenant keeps, blank-separated numbers */
};

struct sb_session_record {
	uint32_t id;
	uint32_t container;
	uint32_t uid;
	uint32_t caller;
	uint64_t caller_start;
	uint64_t since;		/* seconds since the epoch */
	uint32_t audit_session; /* UINT32_MAX = none */
	char user[256];
	char class_name[128];
	char service[64];
	char from[256];	   /* PAM_RHOST, "" = none */
	char terminal[32]; /* that the caller brought: its line in login records, "" = none */
};

/* The counters of a tenant's cgroups at the time he was told of them last; see notice.h. */
struct sb_told_record {
	uint64_t at; /* seconds since the epoch */
	uint64_t kills, refusals, hits;
	uint64_t lane_kills, lane_refusals;
	uint64_t class_hits, class_refusals;
};

/* Of CPU time, which v1 cuts to that of the class; see container_quota.c. */
struct sb_quota_record {
	uint64_t cpu_quota; /* microseconds per second; SB_INFINITY = none */
};

struct sb_notice_record {
	uint64_t at;	/* seconds since the epoch */
	uint32_t shown; /* the first session that was told; 0 = none yet */
	char text[160];
};

/* Opens /run/sessbox and makes it if needed. A directory that is not root's alone is -EPERM. */
int sb_run_open(struct sb_err *err);

/* Takes the lock of the run directory itself; close the returned descriptor to let go. */
int sb_run_lock(int run_fd, int64_t deadline, struct sb_err *err);

/* The next session id; never 0. */
int sb_session_next(int run_fd, uint32_t *ret, struct sb_err *err);

/*
 * A user's directory. sb_user_lock makes it, takes its lock and makes sure that the locked one is
 * still the one with the name (the last one out removes it). Both descriptors are the caller's.
 */
struct sb_user_dir {
	int fd;	  /* u<uid> */
	int lock; /* -1 when opened for reading */
};
int sb_user_lock(int run_fd, uid_t uid, int64_t deadline, struct sb_user_dir *ret,
		 struct sb_err *err);
int sb_user_open(int run_fd, uid_t uid, struct sb_user_dir *ret);

/*
 * One of the SB_TURNS places in the queue for a user's lock that his jobs have: to be held while
 * waiting, and closed. -EBUSY: none is free.
 */
#define SB_TURNS 64
int sb_user_turn(int run_fd, uid_t uid);
void sb_user_close(struct sb_user_dir *user);

/* Removes the directory of a user nothing is left of; the lock is held. */
int sb_user_remove(int run_fd, uid_t uid);

/* Removes what a removal that was killed half-way left. */
void sb_run_sweep(int run_fd);

/* uids that have a directory; *ret is malloc'ed. Returns the number or a negative errno. */
ssize_t sb_user_list(int run_fd, uid_t **ret);

/* Numbers of a user's containers, ascending, or ids of his sessions. As above. */
ssize_t sb_container_list(int user_fd, uint32_t **ret);
ssize_t sb_session_list(int user_fd, uint32_t **ret);

int sb_container_save(int dir_fd, const struct sb_container_record *rec);
int sb_container_load(int user_fd, uint32_t number, struct sb_container_record *ret);

/* save also links self/<id>, for the group `gid`. */
int sb_session_save(int user_fd, const struct sb_session_record *rec, gid_t gid);
int sb_session_load(int user_fd, const char *dir, uint32_t id, struct sb_session_record *ret);
void sb_session_remove(int user_fd, uint32_t id);

/* Does its caller live? */
bool sb_session_lives(const struct sb_session_record *rec);

int sb_quota_save(int user_fd, const struct sb_quota_record *rec);
int sb_quota_load(int user_fd, struct sb_quota_record *ret);

/* Missing (-ENOENT) where nothing has gone wrong; but told is there where a class counts. */
int sb_told_save(int user_fd, const struct sb_told_record *rec);
int sb_told_load(int user_fd, struct sb_told_record *ret);
int sb_notice_save(int run_fd, uid_t uid, const struct sb_notice_record *rec);
int sb_notice_load(int run_fd, uid_t uid, struct sb_notice_record *ret);
void sb_notice_remove(int run_fd, uid_t uid);

/*
 * Takes the lock of the one monitor; it lasts as long as the descriptor. -EBUSY = somebody has it.
 * And: does somebody? He looks after what would otherwise need a process of its own.
 */
int sb_monitor_lock(int run_fd);
bool sb_monitor_runs(int run_fd);

#endif
