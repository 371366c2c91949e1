/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_CGROUP_H
#define SESSBOX_CGROUP_H

/*
 * The tenants' cgroups, on cgroup v2 ("unified"), on v1, and on both side by side ("hybrid": the
 * controllers in v1 hierarchies, a v2 hierarchy without any). Plain cgroupfs, no D-Bus.
 *
 * <base> is, on a systemd host (/run/systemd/system exists), the cgroup of the unit
 * sessbox-tenants.service, which systemd delegates to us; elsewhere "sessbox" at the top of each
 * hierarchy, made by us. Below it: "init" (all inits and reapers), "u<uid>" (all of a tenant, with
 * the limits), and for a class with a budget "c-<class>", with its tenants' "u<uid>" in it. `group`
 * in the functions below is such a name, "c-<class>/u<uid>" for the last; sb_cgroup_tenant() is the
 * only place that makes one. A tenant has one at most, and not by our notes: sb_cgroup_find().
 *
 * Everything is reached through directory descriptors opened once; no path outlives a call.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sessbox/err.h"
#include "sessbox/limits.h"

/* Holds the delegated subtree on a systemd host. */
#define SB_TENANTS_UNIT "sessbox-tenants.service"
#define SB_CGROUP_INIT "init"
#define SB_CGROUP_NAME_MAX 96
#define SB_CGROUP_FDS_MAX 24 /* hierarchies a process can be in */

struct sb_cgroup;

enum sb_cgroup_mode { SB_CGROUP_V2, SB_CGROUP_V1, SB_CGROUP_HYBRID };

/*
 * Finds the mode and opens <base> in every hierarchy. Without systemd the base is made when it is
 * missing; with it, a missing base is -ENOENT and err says which unit to restart.
 * A v1 hierarchy of /proc/self/cgroup that is not mounted below /sys/fs/cgroup is left out.
 * root: NULL for the real /sys/fs/cgroup, /proc/self/cgroup and /run/systemd/system; a directory
 * for tests, which holds "cgroup/" in place of the first, the file "self" in place of the second
 * and "systemd" in place of the third. There, a directory with a file "cgroup.controllers" is v2.
 */
int sb_cgroup_open(const char *root, struct sb_cgroup **ret, struct sb_err *err);
void sb_cgroup_close(struct sb_cgroup *cg);

static inline void sb_cleanup_cgroupp(struct sb_cgroup **cg)
{
	sb_cgroup_close(*cg);
}
#define cleanup_cgroup __attribute__((cleanup(sb_cleanup_cgroupp)))

enum sb_cgroup_mode sb_cgroup_mode(const struct sb_cgroup *cg);
const char *sb_cgroup_mode_name(enum sb_cgroup_mode mode); /* "v2", "v1", "hybrid" */

/*
 * The v1 hierarchies that a container shows its tenant, by their controllers ("memory",
 * "cpu,cpuacct"): those of memory, pids, cpu and cpuacct. Borrowed from cg. Returns their number, 0
 * on v2, where the one hierarchy is shown.
 */
size_t sb_cgroup_shown(const struct sb_cgroup *cg, const char **names, size_t max);

/*
 * The name of a tenant's cgroup, in that of the class whose budget he lives on (NULL = none). buf
 * has SB_CGROUP_NAME_MAX bytes.
 */
void sb_cgroup_tenant(char *buf, uid_t uid, const char *budget);

/* Where the tenant is, by what there is; without any, where he is without a budget. */
void sb_cgroup_find(struct sb_cgroup *cg, uid_t uid, char *buf);

/* The group that a group is in: "c-<class>". False if that is the base. */
bool sb_cgroup_above(const char *group, char *buf);

/* The name of the small one beside it, for logins when that is full: "r<uid>". */
void sb_cgroup_rescue(char *buf, uid_t uid);

/* The name of that for what runs on the host for him: "o<uid>". */
void sb_cgroup_outside(char *buf, uid_t uid);

/*
 * Makes a group in every hierarchy, and the class' it is in; one that exists is fine. v2: turns the
 * controllers on below <base> (cpu, io, cpuset, memory, pids: those there are; without systemd also
 * above it), which is -EBUSY while there are processes in <base> itself. v1: copies cpuset.cpus and
 * .mems from the parent, without which no process can enter. On failure removes the directories it
 * made.
 */
int sb_cgroup_create(struct sb_cgroup *cg, const char *group, struct sb_err *err);

/*
 * Removes a group from every hierarchy, and with the last tenant his class'; missing is fine.
 * Retries while it is busy (processes of a dying pid namespace) until the deadline (sb_now_ms),
 * then -EBUSY. Groups inside it, which we do not make, are not removed and keep it busy.
 */
int sb_cgroup_destroy(struct sb_cgroup *cg, const char *group, int64_t deadline,
		      struct sb_err *err);

/* The same for whatever there is of a tenant, when no container of his is left. What runs on the
 * host for him is killed. */
int sb_cgroup_destroy_tenant(struct sb_cgroup *cg, uid_t uid, int64_t deadline, struct sb_err *err);

/* Does the group exist in any hierarchy? */
bool sb_cgroup_exists(const struct sb_cgroup *cg, const char *group);

/*
 * Writes all limits; *ret_unsupported gets the bits (SB_LIMIT_BIT) of those that this kernel or
 * hierarchy cannot do and that are not infinity or default. Infinity is written, too: it lifts an
 * earlier limit. One that fails (v1: a MemoryMax below what is in use and cannot be reclaimed is
 * -EBUSY) does not keep the others, and does not hide what is unsupported; the first failure is
 * returned. What the kernel counts differently:
 *  - bytes are rounded down to whole pages;
 *  - more tasks than the kernel can ever have (4194304) are infinity;
 *  - v1 limits memory and swap together: a swap limit without MemoryMax is unsupported there;
 *  - the CPU quota holds in each period of 100 ms and is at least 1 ms of it;
 *  - on v1 the weight w becomes w * 1024 / 100 cpu.shares;
 *  - of AllowedCPUs those count that the group above has; none of them is unsupported;
 *  - a device that v1's group above does not have is unsupported; where no filter is asked for,
 * what there is stays;
 *  - IO weights are io.cost's, BFQ's, or both; rates are the whole disk's, a partition has none.
 */
int sb_cgroup_apply(struct sb_cgroup *cg, const char *group, const struct sb_limits *limits,
		    unsigned int *ret_unsupported, struct sb_err *err);

/*
 * The limits in force, read back from the kernel in the units of sb_cgroup_apply. The missing ones
 * are bits in *ret_unsupported and read as infinity (weights: 100). No such group: -ENOENT. The
 * owner clears *ret.
 */
int sb_cgroup_limits(struct sb_cgroup *cg, const char *group, struct sb_limits *ret,
		     unsigned int *ret_unsupported, struct sb_err *err);

/*
 * One limit that is a number and, on v1, stands for itself: not memory or swap. Returns 0 or a
 * negative errno; -EOPNOTSUPP: it cannot be had here.
 */
int sb_cgroup_number_get(struct sb_cgroup *cg, const char *group, enum sb_limit limit,
			 uint64_t *ret);
int sb_cgroup_number_set(struct sb_cgroup *cg, const char *group, enum sb_limit limit,
			 uint64_t value);

struct sb_usage {
	uint64_t memory; /* bytes */
	uint64_t swap;	 /* bytes */
	uint64_t tasks;
	uint64_t cpu_us;	/* microseconds since the group was made */
	uint64_t oom_kills;	/* processes killed at MemoryMax */
	uint64_t tasks_refused; /* forks refused at TasksMax */
	uint64_t memory_hits;	/* times this group's own MemoryMax was in the way */
	uint64_t memory_peak;	/* bytes; where the line above does not tell everything, or 0 */
	uint64_t tasks_hits;	/* times its own TasksMax was in the way, if the kernel tells */
};

/* Usage from the kernel; what a hierarchy does not tell is SB_INFINITY. No such group: -ENOENT. */
int sb_cgroup_usage(struct sb_cgroup *cg, const char *group, struct sb_usage *ret,
		    struct sb_err *err);

/* Memory, swap and tasks alone, since each figure costs a file; the rest is SB_INFINITY. */
int sb_cgroup_levels(struct sb_cgroup *cg, const char *group, struct sb_usage *ret,
		     struct sb_err *err);

/* What has gone wrong in it, the last five, alone. */
int sb_cgroup_events(struct sb_cgroup *cg, const char *group, struct sb_usage *ret,
		     struct sb_err *err);

/*
 * Has an inotify descriptor tell, once, when one of the counters rises: a watch on each file that
 * counts them. Only v2 can; elsewhere they have to be read from time to time. Returns the number of
 * watches, 0 where there can be none, or a negative errno; -ENOENT = no such group.
 */
#define SB_CGROUP_WATCHES 2
int sb_cgroup_watch(struct sb_cgroup *cg, const char *group, int inotify,
		    int wds[SB_CGROUP_WATCHES]);

/* The same for forks refused at the limit of a class' own group, which Linux 6.11 and later count
 * there. The watch, which all who ask have together; 0 = there can be none; or -errno. */
int sb_cgroup_watch_class(struct sb_cgroup *cg, const char *class, int inotify);

/* The same, again and again, when a group is made directly below <base>: the watch, 0 or -errno. */
int sb_cgroup_watch_base(struct sb_cgroup *cg, int inotify);

/* Bytes of the memory in use that are only cached: pages of files. */
int sb_cgroup_cached(struct sb_cgroup *cg, const char *group, uint64_t *ret, struct sb_err *err);

/*
 * Is the group (or one above it) frozen, or about to be? 1, 0, or a negative errno. Missing group:
 * 0. Who enters a frozen group hangs.
 */
int sb_cgroup_frozen(struct sb_cgroup *cg, const char *group);

/*
 * Freezes or thaws all processes of a group, and waits until they have stopped or go on. Freezing
 * takes v2's freezer, which leaves processes killable, where there is one; thawing thaws in every
 * hierarchy. -ETIMEDOUT: not all have stopped yet, and will. -EOPNOTSUPP: no freezer.
 */
int sb_cgroup_freeze(struct sb_cgroup *cg, const char *group, bool on, int64_t deadline,
		     struct sb_err *err);

/* Process ids in the group, in this process' pid namespace; *ret is malloc'ed. Returns the number
 * or a negative errno. A missing group has none. */
ssize_t sb_cgroup_pids(struct sb_cgroup *cg, const char *group, pid_t **ret);

/* The same for all of a tenant: his group and the rescue group beside it; outside: what runs on the
 * host for him, too. */
ssize_t sb_cgroup_tenant_pids(struct sb_cgroup *cg, uid_t uid, bool outside, pid_t **ret);

/*
 * Limits and usage of the own cgroup, as a process inside a container sees them at /sys/fs/cgroup:
 * for an ordinary user who asks about himself. As sb_cgroup_limits and sb_cgroup_usage; what cannot
 * be told from there is a bit in *ret_unseen.
 */
int sb_cgroup_own(struct sb_limits *ret_limits, unsigned int *ret_unsupported,
		  unsigned int *ret_unseen, struct sb_usage *ret_usage, struct sb_err *err);

/*
 * uids that have a tenant's group, or one beside it, in any hierarchy, ascending, each once; *ret
 * is malloc'ed. Returns the number or a negative errno.
 */
ssize_t sb_cgroup_tenants(const struct sb_cgroup *cg, uid_t **ret);

/* uids of those in a class' group; as above. */
ssize_t sb_cgroup_members(const struct sb_cgroup *cg, const char *class, uid_t **ret);

/*
 * How a single-threaded process gets in. The parts together cover every hierarchy:
 *  - clone_fd: a directory for clone3(CLONE_INTO_CGROUP), or -1 on pure v1;
 *  - fds: files to write "0" to. For a process that is cloned into clone_fd these are the v1
 *    `tasks` files only; for one that migrates itself (migrate = true) also v2's cgroup.procs,
 *    and clone_fd stays -1. In this order: the slowest, and what sb_cgroup_pids() reads, first.
 * The caller closes all of them (sb_cgroup_entry_close).
 */
struct sb_cgroup_entry {
	int clone_fd;
	int fds[SB_CGROUP_FDS_MAX];
	size_t n;
};
int sb_cgroup_entry_open(struct sb_cgroup *cg, const char *group, bool migrate,
			 struct sb_cgroup_entry *ret, struct sb_err *err);
void sb_cgroup_entry_close(struct sb_cgroup_entry *entry);

/* Writes "0" to each of entry->fds. 0 or a negative errno. Async-signal-safe. */
int sb_cgroup_entry_enter(const struct sb_cgroup_entry *entry);

/*
 * For `sessbox-helper hold`, run by the unit sessbox-tenants.service in ".control": makes "init",
 * turns the controllers on and starts one sleeping process in it, "sessbox-hold" (systemd prunes an
 * empty delegated cgroup), which ends on SIGTERM. None is started when a process is there already.
 */
int sb_cgroup_hold(struct sb_cgroup *cg, struct sb_err *err);

/*
 * A place for a copy of the machine (sessctl enable): a group of its own in every hierarchy, below
 * <base>, to be mounted where the copy has its cgroups. There is one at most.
 */
struct sb_cgroup_replica {
	struct sb_cgroup_entry entry; /* for its first process, as of sb_cgroup_entry_open */
	/* The groups, O_PATH, and what they are called below /sys/fs/cgroup, where there are
	 * several hierarchies. */
	int dirs[SB_CGROUP_FDS_MAX];
	char names[SB_CGROUP_FDS_MAX][64];
	size_t n;
};

/* Makes it, after what an earlier one has left. To be closed in every case. */
int sb_cgroup_replica_make(struct sb_cgroup *cg, struct sb_cgroup_replica *ret, struct sb_err *err);
void sb_cgroup_replica_close(struct sb_cgroup_replica *replica);

/* Removes it with all groups in it; missing is fine. -EBUSY: processes are in it at the deadline.
 */
int sb_cgroup_replica_remove(struct sb_cgroup *cg, int64_t deadline, struct sb_err *err);

#endif
