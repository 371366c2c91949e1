/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The end: of one session, and of all that a user has. */
#include <errno.h>
#include <signal.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/proc.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

/* What an init may take beyond its TimeoutStopSec. */
#define STOP_MARGIN_MS 3000
/* How long v2 may take to kill frozen processes, and v1 to begin with it. */
#define FROZEN_DEATH_MS 200
/* How often callers are looked after meanwhile: a process that ends may stop once more. */
#define WAKE_MS 200

static int leave_container(uid_t uid, uint32_t session, uint32_t number, struct sb_user_dir *user)
{
	const struct sb_init_request leave = { .version = SB_INIT_VERSION,
					       .op = SB_INIT_LEAVE,
					       .session = session };
	struct sb_container_record rec;
	cleanup_fd int init = -1;
	enum sb_container_state state =
		sb_container_ask(user->fd, number, &leave, -1, sb_now_ms() + SB_ASK_MS, &init);
	if (state == SB_CONTAINER_RUNNING || sb_container_load(user->fd, number, &rec) < 0)
		return 0;
	if (init < 0)
		init = sb_proc_open((pid_t)rec.init, rec.init_start);
	const struct sb_reaping reaping = {
		.uid = uid,
		.init = init,
		.deadline = state == SB_CONTAINER_LINGERING
				    ? INT64_MAX
				    : sb_now_ms() + rec.stop_ms + STOP_MARGIN_MS,
	};
	return sb_reaper_start(user->fd, number, &reaping);
}

/* Who ended the container has removed all of the user, and the lock has made his directory anew. */
static void close_forgotten(int run_fd, uid_t uid, struct sb_user_dir *user, int64_t deadline)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	if (sb_cgroup_open(NULL, &cg, NULL) == 0)
		sb_user_sweep(run_fd, uid, user, cg, deadline);
}

int sb_session_close(uid_t uid, uint32_t session, bool had_tty, int64_t deadline,
		     struct sb_err *err)
{
	struct sb_user_dir user;
	struct sb_session_record rec = { 0 };
	cleanup_fd int run = sb_run_open(err);
	if (run < 0)
		return run;
	int r = sb_user_lock(run, uid, deadline, &user, err);
	if (r < 0)
		return r;
	r = sb_session_load(user.fd, "sessions", session, &rec);
	had_tty = had_tty && r == 0;
	if (r == 0) {
		/* The records last: they may have to wait for a lock that is not ours. */
		r = leave_container(uid, session, rec.container, &user);
		sb_session_forget(&user, session, had_tty);
		if (r < 0)
			sb_fail(err, r, "start the reaper");
	} else if (r == -ENOENT) {
		close_forgotten(run, uid, &user, deadline);
		r = 0;
	} else {
		sb_fail(err, r, "read the record of session %u", session);
	}
	sb_user_close(&user);
	/* The user's next login does not wait for who may hold the database. */
	if (had_tty)
		sb_session_history_db(&rec);
	return r;
}

/* ---- terminate ---- */

/* Tells one container to end. Returns its pidfd, or -1 when it is gone. */
static int end_container(int user_fd, uint32_t number, uint32_t *stop_ms)
{
	const struct sb_init_request end = { .version = SB_INIT_VERSION, .op = SB_INIT_TERMINATE };
	struct sb_container_record rec = { .stop_ms = 0 };
	int init = -1, loaded = sb_container_load(user_fd, number, &rec);
	enum sb_container_state state =
		sb_container_ask(user_fd, number, &end, -1, sb_now_ms() + SB_ASK_MS, &init);
	if (state == SB_CONTAINER_SILENT && loaded == 0) {
		init = sb_proc_open((pid_t)rec.init, rec.init_start);
		if (init >= 0)
			sys_pidfd_send_signal(init, SIGKILL);
	}
	if (rec.stop_ms > *stop_ms)
		*stop_ms = rec.stop_ms;
	return init;
}

/* Who is frozen gets no turn any more: killed first, then thawed. */
static int kill_container(int user_fd, uint32_t number)
{
	struct sb_container_record rec;
	int init = -1;
	if (sb_container_load(user_fd, number, &rec) == 0)
		init = sb_proc_open((pid_t)rec.init, rec.init_start);
	else
		sb_container_ask(user_fd, number, NULL, -1, sb_now_ms() + SB_ASK_MS, &init);
	if (init >= 0 && sys_pidfd_send_signal(init, SIGKILL) == 0)
		sb_wait_readable(init, sb_now_ms() + FROZEN_DEATH_MS);
	return init;
}

static void wake_callers(int user_fd)
{
	cleanup_free uint32_t *ids = NULL;
	struct sb_session_record rec;
	ssize_t n = sb_session_list(user_fd, &ids);
	for (ssize_t i = 0; i < n; i++)
		if (sb_session_load(user_fd, "sessions", ids[i], &rec) == 0)
			sb_session_wake(&rec);
}

static int wait_awake(int user_fd, int init, int64_t deadline)
{
	int r;
	do {
		int64_t next = sb_now_ms() + WAKE_MS;
		wake_callers(user_fd);
		r = sb_wait_readable(init, next < deadline ? next : deadline);
	} while (r == -ETIMEDOUT && sb_left_ms(deadline) > 0);
	return r;
}

static void wait_for_end(int user_fd, int init, int64_t deadline)
{
	if (init < 0)
		return;
	if (wait_awake(user_fd, init, deadline) < 0 && sys_pidfd_send_signal(init, SIGKILL) == 0)
		wait_awake(user_fd, init, sb_now_ms() + SB_ASK_MS);
	sb_close(&init);
}

int sb_user_terminate(uid_t uid, struct sb_err *err)
{
	struct sb_user_dir user;
	cleanup_free uint32_t *numbers = NULL;
	cleanup_free int *inits = NULL;
	cleanup_fd int run = sb_run_open(err);
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	char group[SB_CGROUP_NAME_MAX];
	uint32_t stop_ms = 0;
	if (run < 0)
		return run;
	bool has_base = sb_cgroup_open(NULL, &cg, NULL) == 0;
	if (has_base)
		sb_cgroup_find(cg, uid, group);
	bool frozen = has_base && sb_cgroup_frozen(cg, group) > 0;
	int r = sb_user_open(run, uid, &user);
	if (r < 0)
		return r == -ENOENT ? 1 : sb_fail(err, r, "open the records of uid %u", uid);
	/* Without the lock: a login that waits for us would otherwise meet its own deadline. */
	ssize_t n = sb_container_list(user.fd, &numbers);
	inits = n > 0 ? calloc((size_t)n, sizeof(*inits)) : NULL;
	for (ssize_t i = 0; inits && i < n; i++)
		inits[i] = frozen ? kill_container(user.fd, numbers[i])
				  : end_container(user.fd, numbers[i], &stop_ms);
	if (frozen)
		sb_tenant_freeze(cg, uid, false, sb_now_ms() + SB_ASK_MS, NULL);
	int64_t deadline = sb_now_ms() + stop_ms + STOP_MARGIN_MS;
	for (ssize_t i = 0; inits && i < n; i++)
		wait_for_end(user.fd, inits[i], deadline);
	sb_user_close(&user);
	return sb_user_collect(uid, sb_now_ms() + SB_CGROUP_BUSY_MS, err);
}
