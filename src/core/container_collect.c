/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/notice.h"
#include "sessbox/ns.h"
#include "sessbox/proc.h"
#include "sessbox/service.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"
#include "sessbox/utmp.h"

/* What an init may take beyond its TimeoutStopSec. */
#define STOP_MARGIN_MS 3000
#define ASK_MS 2000
/* How long v2 may take to kill frozen processes, and v1 to begin with it. */
#define FROZEN_DEATH_MS 200

/* Does another session of the container have the terminal, too? (su, suspended, and su again) */
static bool shares_terminal(const struct sb_user_dir *user, const struct sb_session_record *rec)
{
	cleanup_free uint32_t *ids = NULL;
	ssize_t n = sb_session_list(user->fd, &ids);
	for (ssize_t i = 0; i < n; i++) {
		struct sb_session_record other;
		if (ids[i] != rec->id &&
		    sb_session_load(user->fd, "sessions", ids[i], &other) == 0 &&
		    other.container == rec->container && strcmp(other.terminal, rec->terminal) == 0)
			return true;
	}
	return false;
}

/* A container that ends takes it along. 0, or -EPERM: somebody with more rights has to do it. */
static int give_terminal_back(const struct sb_user_dir *user, const struct sb_session_record *rec)
{
	cleanup_fd int init = -1;
	if (!*rec->terminal || shares_terminal(user, rec))
		return 0;
	if (sb_container_ask(user->fd, rec->container, NULL, -1, sb_now_ms() + ASK_MS, &init) !=
	    SB_CONTAINER_RUNNING)
		return 0;
	return sb_terminal_detach(init, rec->terminal);
}

static struct sb_utmp_login login_of(const struct sb_session_record *rec)
{
	bool has_line = sb_service_has(sb_service_find(rec->service), SB_SERVICE_LINE);
	return (struct sb_utmp_login){ .session = rec->id,
				       .caller = (pid_t)rec->caller,
				       .user = rec->user,
				       .host = rec->from,
				       .line = has_line ? rec->terminal : NULL };
}

void sb_session_forget(struct sb_user_dir *user, uint32_t session, bool had_tty)
{
	char name[48];
	struct sb_session_record rec = { .id = session };
	snprintf(name, sizeof(name), "sessions/%u-utmp", session);
	cleanup_fd int utmp = openat(user->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool known = sb_session_load(user->fd, "sessions", session, &rec) == 0;
	const struct sb_utmp_login login = login_of(&rec);
	sb_utmp_logout(&login);
	if (known && (had_tty || (utmp >= 0 && sb_utmp_had_tty(utmp))))
		sb_utmp_history(&login, rec.since);
	/* Its record is all that tells of the terminal. */
	if (known && give_terminal_back(user, &rec) == -EPERM)
		return;
	if (known)
		sb_notice_leave(user->fd, rec.uid, session, had_tty);
	sb_session_remove(user->fd, session);
}

bool sb_session_lives(const struct sb_session_record *rec)
{
	struct sb_proc proc;
	return sb_proc_read((pid_t)rec->caller, &proc) == 0 && proc.start == rec->caller_start &&
	       proc.state != 'Z';
}

ssize_t sb_session_count(struct sb_user_dir *user)
{
	cleanup_free uint32_t *ids = NULL;
	ssize_t n = sb_session_list(user->fd, &ids), living = 0;
	for (ssize_t i = 0; i < n; i++) {
		struct sb_session_record rec;
		living += sb_session_load(user->fd, "sessions", ids[i], &rec) == 0 &&
			  sb_session_lives(&rec);
	}
	return n < 0 ? n : living;
}

static bool has_container(struct sb_user_dir *user, uint32_t number)
{
	char name[16];
	snprintf(name, sizeof(name), "c%u", number);
	return faccessat(user->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Sessions whose caller or container is gone. */
int sb_session_drop_dead(struct sb_user_dir *user)
{
	cleanup_free uint32_t *ids = NULL;
	ssize_t n = sb_session_list(user->fd, &ids);
	for (ssize_t i = 0; i < n; i++) {
		struct sb_session_record rec;
		int r = sb_session_load(user->fd, "sessions", ids[i], &rec);
		if (r < 0 || !sb_session_lives(&rec) || !has_container(user, rec.container))
			sb_session_forget(user, ids[i], false);
	}
	return n < 0 ? (int)n : 0;
}

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

int sb_user_reconcile(struct sb_user_dir *user, int64_t deadline, struct sb_err *err)
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
	/* The counters go with the cgroup. */
	if (cg)
		sb_notice_look(run_fd, user->fd, cg, uid, 0, &notice);
	int r = cg ? sb_cgroup_destroy_tenant(cg, uid, deadline, NULL) : 0;
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
		if (sb_container_ask(user->fd, numbers[i], NULL, -1, sb_now_ms() + ASK_MS, NULL) !=
		    SB_CONTAINER_DEAD)
			return false;
	return n > 0 && sb_tenant_freeze(cg, uid, false, sb_now_ms() + ASK_MS, NULL) == 0;
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
	r = sb_user_reconcile(&user, deadline, err);
	if (r > 0 && cg && thaw_dying(&user, cg, uid))
		r = sb_user_reconcile(&user, deadline, err);
	if (r == 0) {
		r = sb_user_sweep(run, uid, &user, cg, deadline);
		r = r < 0 ? sb_fail(err, r, "remove the cgroup of uid %u", uid) : 1;
	} else if (r > 0) {
		r = 0;
	}
	sb_user_close(&user);
	return r;
}

/* ---- close ---- */

static int leave_container(uid_t uid, uint32_t session, uint32_t number, struct sb_user_dir *user)
{
	const struct sb_init_request leave = { .version = SB_INIT_VERSION,
					       .op = SB_INIT_LEAVE,
					       .session = session };
	struct sb_container_record rec;
	cleanup_fd int init = -1;
	enum sb_container_state state =
		sb_container_ask(user->fd, number, &leave, -1, sb_now_ms() + ASK_MS, &init);
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
	const struct sb_utmp_login login = login_of(&rec);
	if (had_tty)
		sb_utmp_history_db(&login, rec.service, rec.since);
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
		sb_container_ask(user_fd, number, &end, -1, sb_now_ms() + ASK_MS, &init);
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
		sb_container_ask(user_fd, number, NULL, -1, sb_now_ms() + ASK_MS, &init);
	if (init >= 0 && sys_pidfd_send_signal(init, SIGKILL) == 0)
		sb_wait_readable(init, sb_now_ms() + FROZEN_DEATH_MS);
	return init;
}

static void wait_for_end(int init, int64_t deadline)
{
	if (init < 0)
		return;
	if (sb_wait_readable(init, deadline) < 0 && sys_pidfd_send_signal(init, SIGKILL) == 0)
		sb_wait_readable(init, sb_now_ms() + ASK_MS);
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
		sb_tenant_freeze(cg, uid, false, sb_now_ms() + ASK_MS, NULL);
	int64_t deadline = sb_now_ms() + stop_ms + STOP_MARGIN_MS;
	for (ssize_t i = 0; inits && i < n; i++)
		wait_for_end(inits[i], deadline);
	sb_user_close(&user);
	return sb_user_collect(uid, sb_now_ms() + SB_CGROUP_BUSY_MS, err);
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
