/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is dead is removed: containers, sessions, and what is left of a user without any. */
#include <errno.h>
#include <signal.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/notice.h"
#include "sessbox/proc.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

/* Removes a container that is dead; one whose helper died before it had a record is ended. */
bool sb_container_drop_dead(struct sb_user_dir *user, uint32_t number, int64_t deadline)
{
	struct sb_container_record rec;
	char name[16];
	bool recorded = sb_container_load(user->fd, number, &rec) == 0;
	const struct sb_init_request end = { .version = SB_INIT_VERSION, .op = SB_INIT_TERMINATE };
	cleanup_fd int init = -1;
	enum sb_container_state state =
		sb_container_ask(user->fd, number, recorded ? NULL : &end, -1, deadline, &init);
	if (!recorded && init >= 0 && sys_pidfd_send_signal(init, SIGKILL) == 0 &&
	    sb_wait_readable(init, deadline) == 0)
		state = SB_CONTAINER_DEAD;
	if (state != SB_CONTAINER_DEAD)
		return false;
	/* Nobody listens; but does the recorded init live on? Then its processes do, too. */
	cleanup_fd int pidfd = recorded ? sb_proc_open((pid_t)rec.init, rec.init_start) : -1;
	if (pidfd >= 0 && sb_wait_readable(pidfd, deadline) < 0)
		return false;
	snprintf(name, sizeof(name), "c%u", number);
	sb_remove_tree(user->fd, name);
	return true;
}

static int reconcile(struct sb_user_dir *user, int64_t deadline, struct sb_err *err)
{
	cleanup_free uint32_t *numbers = NULL;
	ssize_t n = sb_container_list(user->fd, &numbers);
	int left = 0;
	for (ssize_t i = 0; i < n; i++)
		left += !sb_container_drop_dead(user, numbers[i], deadline);
	int r = n < 0 ? (int)n : sb_session_drop_dead(user);
	return r < 0 ? sb_fail(err, r, "read the records") : left;
}

int sb_user_sweep(int run_fd, uid_t uid, struct sb_user_dir *user, struct sb_cgroup *cg,
		  int64_t deadline)
{
	cleanup_free uint32_t *numbers = NULL;
	struct sb_notice_record notice;
	ssize_t n = sb_container_list(user->fd, &numbers);
	if (n != 0)
		return n < 0 ? (int)n : 0;
	/* Whose container is gone: records of theirs stand elsewhere, too. */
	int r = sb_session_drop_dead(user);
	if (r < 0)
		return r;
	/* The counters go with the cgroup. */
	if (cg)
		sb_notice_look(run_fd, user->fd, cg, uid, 0, &notice);
	r = cg ? sb_cgroup_destroy_tenant(cg, uid, deadline, NULL) : 0;
	return r < 0 ? r : sb_user_remove(run_fd, uid);
}

/*
 * A frozen process of v1 does not die, and its init with it. When nothing but such is left, thawing
 * gives nobody a turn: all have been killed. True if it was done.
 */
static bool thaw_dying(struct sb_user_dir *user, struct sb_cgroup *cg, uid_t uid)
{
	char group[SB_CGROUP_NAME_MAX];
	cleanup_free uint32_t *numbers = NULL;
	sb_cgroup_find(cg, uid, group);
	ssize_t n = sb_cgroup_frozen(cg, group) > 0 ? sb_container_list(user->fd, &numbers) : 0;
	for (ssize_t i = 0; i < n; i++)
		if (sb_container_ask(user->fd, numbers[i], NULL, -1, sb_now_ms() + SB_ASK_MS,
				     NULL) != SB_CONTAINER_DEAD)
			return false;
	return n > 0 && sb_tenant_freeze(cg, uid, false, sb_now_ms() + SB_ASK_MS, NULL) == 0;
}

int sb_user_collect(uid_t uid, int64_t deadline, struct sb_err *err)
{
	struct sb_user_dir user;
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	cleanup_fd int run = sb_run_open(err);
	if (run < 0)
		return run;
	/* Without a base there is no cgroup to remove either. */
	sb_cgroup_open(NULL, &cg, NULL);
	int r = sb_user_lock(run, uid, deadline, &user, err);
	if (r < 0)
		return r;
	r = reconcile(&user, deadline, err);
	if (r > 0 && cg && thaw_dying(&user, cg, uid))
		r = reconcile(&user, deadline, err);
	if (r == 0) {
		r = sb_user_sweep(run, uid, &user, cg, deadline);
		r = r < 0 ? sb_fail(err, r, "remove the cgroup of uid %u", uid) : 1;
	} else if (r > 0) {
		r = 0;
	}
	sb_user_close(&user);
	return r;
}

int sb_collect_all(struct sb_err *err)
{
	cleanup_free uid_t *uids = NULL;
	cleanup_fd int run = sb_run_open(err);
	if (run < 0)
		return run;
	sb_run_sweep(run);
	ssize_t n = sb_user_list(run, &uids);
	int r = n < 0 ? sb_fail(err, (int)n, "list the users") : 0;
	for (ssize_t i = 0; i < n; i++) {
		int one = sb_user_collect(uids[i], sb_now_ms() + SB_CGROUP_BUSY_MS, err);
		if (one < 0)
			r = one;
	}
	return r;
}
