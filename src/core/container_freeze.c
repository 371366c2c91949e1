/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who enters a frozen cgroup hangs (v2) or cannot even be killed (v1). So nobody freezes while a
 * session's leader is on its way in, and no session is opened in a frozen one.
 */
#include <errno.h>
#include <sys/stat.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/proc.h"
#include "sessbox/str.h"

#define JOIN_POLL_US 20000
/* How much of the time is left to those who are to stop once the waiting is over. */
#define STOP_SHARE 4

struct freezing {
	uid_t uid;
	bool on;
	int64_t deadline;
	struct sb_cgroup *cg;
	int run;
	/* Sessions up to this id had their time to come in; 0 = not yet. */
	uint32_t waited_for;
};

static bool same_mounts(pid_t a, pid_t b)
{
	char path[48];
	struct stat one, other;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", a);
	if (stat(path, &one) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", b);
	return stat(path, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* The namespaces come after all cgroups: a child of the caller that is in there has arrived. So has
 * one that is not root's any more; it may have gone on to namespaces of its own. */
static bool is_in(pid_t leader, pid_t init)
{
	uid_t uid;
	return same_mounts(leader, init) || (sb_proc_uid(leader, &uid) == 0 && uid != 0);
}

static bool has_joined(const struct freezing *f, const struct sb_user_dir *user,
		       const struct sb_session_record *rec)
{
	struct sb_container_record container;
	cleanup_free pid_t *pids = NULL;
	if (sb_container_load(user->fd, rec->container, &container) < 0)
		return true; /* nobody gets in there any more */
	ssize_t n = sb_cgroup_tenant_pids(f->cg, f->uid, true, &pids);
	for (ssize_t i = 0; i < n; i++) {
		struct sb_proc proc;
		if (sb_proc_read(pids[i], &proc) == 0 && (uint32_t)proc.ppid == rec->caller &&
		    is_in(pids[i], (pid_t)container.init))
			return true;
	}
	return false;
}

/* 0, or -EAGAIN while a session's leader is neither in nor known to be gone. */
static int check_joins(const struct freezing *f, struct sb_user_dir *user, struct sb_err *err)
{
	cleanup_free uint32_t *ids = NULL;
	ssize_t n = sb_session_list(user->fd, &ids);
	for (ssize_t i = 0; i < n; i++) {
		struct sb_session_record rec;
		if (ids[i] > f->waited_for &&
		    sb_session_load(user->fd, "sessions", ids[i], &rec) == 0 &&
		    sb_session_lives(&rec) && !has_joined(f, user, &rec))
			return sb_fail_plain(err, EAGAIN, "session %u is just beginning or ending",
					     ids[i]);
	}
	return n < 0 ? sb_fail(err, (int)n, "read the records") : 0;
}

static int freeze_locked(const struct freezing *f, struct sb_user_dir *user, struct sb_err *err)
{
	cleanup_free uint32_t *numbers = NULL;
	ssize_t n = sb_container_list(user->fd, &numbers);
	if (n == 0)
		sb_user_sweep(f->run, f->uid, user, f->cg, f->deadline);
	if (n <= 0)
		return sb_fail(err, n ? (int)n : ENOENT, "find a container of uid %u", f->uid);
	int r = f->on ? check_joins(f, user, err) : 0;
	return r < 0 ? r : sb_tenant_freeze(f->cg, f->uid, f->on, f->deadline, err);
}

/* The lock is let go in between: who closes a session needs it, too. */
static int freeze_once(const struct freezing *f, struct sb_err *err)
{
	struct sb_user_dir user;
	int r = sb_user_open(f->run, f->uid, &user);
	if (r < 0)
		return sb_fail(err, r, "find the records of uid %u", f->uid);
	sb_user_close(&user);
	r = sb_user_lock(f->run, f->uid, f->deadline, &user, err);
	if (r < 0)
		return r;
	r = freeze_locked(f, &user, err);
	sb_user_close(&user);
	return r;
}

/* The largest id among the sessions there are. */
static uint32_t last_session(const struct freezing *f)
{
	struct sb_user_dir user;
	cleanup_free uint32_t *ids = NULL;
	if (sb_user_open(f->run, f->uid, &user) < 0)
		return 0;
	ssize_t n = sb_session_list(user.fd, &ids);
	sb_user_close(&user);
	return n > 0 ? ids[n - 1] : 0;
}

/*
 * A caller may live on though its leader has gone: su, for one, stops when its child does, and the
 * user kills that child. He must not keep himself from being frozen by it. So who has not come in
 * all the time is waited for no longer; if he comes after all he stands still like the others.
 */
int sb_user_freeze(uid_t uid, bool on, int64_t deadline, struct sb_err *err)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	cleanup_fd int run = sb_run_open(err);
	struct freezing f = { .uid = uid, .on = on, .deadline = deadline, .run = run };
	int r = run < 0 ? run : sb_cgroup_open(NULL, &cg, err);
	if (r < 0)
		return r;
	f.cg = cg;
	uint32_t last = last_session(&f);
	int64_t until = deadline - sb_left_ms(deadline) / STOP_SHARE;
	while ((r = freeze_once(&f, err)) == -EAGAIN && sb_left_ms(until) > 0)
		usleep(JOIN_POLL_US);
	f.waited_for = last;
	return r == -EAGAIN && last ? freeze_once(&f, err) : r;
}
