/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What runs on the host for a tenant: whose it is, and in which limits. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/proc.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define SWEEP_MS 500

/* What all that runs outside for a user may have together. */
#define OUTSIDE_TASKS 32
#define OUTSIDE_MEMORY (UINT64_C(64) << 20)
#define OUTSIDE_CPU 500000 /* microseconds per second */

static int read_pid_namespace(pid_t pid, ino_t *ret)
{
	char path[48];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	if (stat(path, &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

/* Is it the pid namespace of this container? Init's pidfd keeps its pid from being another's. */
static bool is_in(const struct sb_container_record *rec, ino_t ns)
{
	ino_t theirs;
	cleanup_fd int init = sb_proc_open((pid_t)rec->init, rec->init_start);
	return init >= 0 && read_pid_namespace((pid_t)rec->init, &theirs) == 0 && theirs == ns &&
	       sb_wait_readable(init, 0) == -ETIMEDOUT;
}

static int find_in(int user_fd, uid_t uid, ino_t ns, struct sb_container_record *ret)
{
	cleanup_free uint32_t *numbers = NULL;
	ssize_t n = sb_container_list(user_fd, &numbers);
	for (ssize_t i = 0; i < n; i++)
		if (sb_container_load(user_fd, numbers[i], ret) == 0 && ret->uid == uid &&
		    is_in(ret, ns))
			return 0;
	return n < 0 ? (int)n : -ESRCH;
}

int sb_container_find(uid_t uid, pid_t pid, struct sb_container_record *ret, struct sb_err *err)
{
	struct sb_user_dir user = { -1, -1 };
	ino_t ns;
	cleanup_fd int run = sb_run_open(err);
	if (run < 0)
		return run;
	int r = read_pid_namespace(pid, &ns);
	if (r == 0)
		r = sb_user_open(run, uid, &user);
	if (r == 0)
		r = find_in(user.fd, uid, ns, ret);
	sb_user_close(&user);
	return r == -ENOENT || r == -ESRCH
		       ? sb_fail_plain(err, ESRCH, "process %d is in no container of uid %u", pid,
				       uid)
	       : r < 0 ? sb_fail(err, r, "look for the container of process %d", pid)
		       : 0;
}

/*
 * A group of its own, in which nothing of his runs, and limits of its own: passwd holds a lock that
 * all of the host waits for while it hashes, and must not be slowed down by what he runs inside, in
 * his limits or beside them. The same for everybody, however little a tenant has.
 */
static int make_group(struct sb_cgroup *cg, const char *group, struct sb_err *err)
{
	cleanup_limits struct sb_limits limits;
	unsigned int unsupported;
	sb_limits_init(&limits);
	limits.tasks_max = OUTSIDE_TASKS;
	limits.memory_max = OUTSIDE_MEMORY;
	limits.memory_swap_max = OUTSIDE_MEMORY;
	limits.cpu_quota = OUTSIDE_CPU;
	int r = sb_cgroup_create(cg, group, err);
	if (r == 0)
		r = sb_cgroup_apply(cg, group, &limits, &unsupported, err);
	return r;
}

static pid_t clone_into(struct sb_cgroup *cg, const char *group, int *ret_pidfd, struct sb_err *err)
{
	struct sb_cgroup_entry entry;
	int pidfd = -1;
	int r = sb_cgroup_entry_open(cg, group, false, &entry, err);
	if (r < 0)
		return r;
	struct clone_args args = { .flags = CLONE_PIDFD,
				   .pidfd = (uint64_t)(uintptr_t)&pidfd,
				   .exit_signal = SIGCHLD };
	if (entry.clone_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)entry.clone_fd;
	}
	pid_t pid = sys_clone3(&args);
	r = pid < 0 ? sb_fail(err, errno, "make a process in '%s'", group) : 0;
	if (pid == 0 && sb_cgroup_entry_enter(&entry) < 0)
		_exit(126);
	sb_cgroup_entry_close(&entry);
	*ret_pidfd = pidfd;
	return r < 0 ? r : pid;
}

/* Whoever is frozen is to begin nothing new. What he has begun goes on: freezing leaves that group
 * out, for it would freeze passwd with its lock. */
static int check_frozen(struct sb_cgroup *cg, uid_t uid, struct sb_err *err)
{
	char group[SB_CGROUP_NAME_MAX];
	sb_cgroup_find(cg, uid, group);
	return sb_session_check_frozen(cg, group, err);
}

/* As long as somebody is in the container, and the lock is held, nobody removes the cgroup. */
static pid_t fork_locked(const struct sb_outside *outside, struct sb_cgroup *cg, int *ret_pidfd,
			 struct sb_err *err)
{
	struct sb_container_record rec;
	char group[SB_CGROUP_NAME_MAX];
	int r = sb_container_find(outside->uid, outside->inside, &rec, err);
	if (r == 0)
		r = check_frozen(cg, outside->uid, err);
	sb_cgroup_outside(group, outside->uid);
	if (r == 0)
		r = make_group(cg, group, err);
	return r < 0 ? r : clone_into(cg, group, ret_pidfd, err);
}

pid_t sb_outside_fork(const struct sb_outside *outside, int *ret_pidfd, struct sb_err *err)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	struct sb_user_dir user = { -1, -1 };
	uid_t uid = outside->uid;
	cleanup_fd int run = sb_run_open(err);
	if (run < 0)
		return run;
	int r = sb_cgroup_open(NULL, &cg, err);
	if (r == 0)
		r = sb_user_lock(run, uid, outside->deadline, &user, err);
	if (r < 0)
		return r;
	pid_t pid = fork_locked(outside, cg, ret_pidfd, err);
	/* To take the lock may have been to make the user's directory. */
	if (pid < 0)
		sb_user_sweep(run, uid, &user, cg, sb_now_ms() + SWEEP_MS);
	/* The child has it, too, and gets its turn when its limits let it. */
	if (pid > 0)
		flock(user.lock, LOCK_UN);
	sb_user_close(&user);
	return pid;
}
