/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "pack.h"
#include "sessbox/io.h"
#include "sessbox/sys.h"
#include "sessctl.h"
#include "target.h"

#define KILL_MS 2000
/* What the caller may take to close the session once its child is gone. */
#define CLOSE_MS 5000
#define HOLDER_MS 5000
#define POLL_US 20000

/* ---- one user, all users ---- */

static int end_user(uid_t uid, const char *name)
{
	struct sb_err err = { 0 };
	int r = sb_user_terminate(uid, &err);
	if (r < 0)
		return ctl_fail(CTL_FAILED, "'%s': %s", name, err.msg);
	return r > 0 ? CTL_OK : ctl_fail(CTL_FAILED, "'%s' is in, still or again", name);
}

static pid_t spawn_end(uid_t uid)
{
	char name[24];
	snprintf(name, sizeof(name), "uid %u", uid);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		_exit(end_user(uid, name));
	/* No process to be had: one after the other, then. */
	if (pid < 0 && end_user(uid, name) != CTL_OK)
		return -1;
	return pid < 0 ? 0 : pid;
}

/* A process each: the time is that of the slowest, not the sum. */
static int end_users(const uid_t *uids, size_t n)
{
	cleanup_free pid_t *pids = calloc(n + 1, sizeof(*pids));
	int status = CTL_OK, ended;
	if (!pids)
		return ctl_fail(CTL_FAILED, "%s", strerror(ENOMEM));
	for (size_t i = 0; i < n; i++)
		pids[i] = spawn_end(uids[i]);
	for (size_t i = 0; i < n; i++) {
		while (pids[i] > 0 && waitpid(pids[i], &ended, 0) < 0 && errno == EINTR)
			;
		if (pids[i] < 0 || (pids[i] > 0 && (!WIFEXITED(ended) || WEXITSTATUS(ended))))
			status = CTL_FAILED;
	}
	return status;
}

/* Is this ExecStop= of sessbox-tenants.service? An administrator who types the same only wants
 * the tenants out: without its holder the unit would go on without a cgroup. */
static bool is_unit_stopping(void)
{
	char own[4096] = "";
	cleanup_fd int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, own, sizeof(own) - 1);
	return n > 0 && strstr(own, "/" SB_TENANTS_UNIT "/");
}

/* What lives in the cgroup of the inits without a container: the holder, and timers. */
static bool is_resident(const char *comm)
{
	static const char *const names[] = { "sessbox-hold", "sessbox-timer" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(names); i++)
		if (strcmp(comm, names[i]) == 0)
			return true;
	return false;
}

/* Ends what keeps the delegated cgroup. */
static int end_holder(void)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	cleanup_free pid_t *pids = NULL;
	struct sb_proc proc;
	if (!is_unit_stopping() || sb_cgroup_open(NULL, &cg, NULL) < 0)
		return CTL_OK;
	ssize_t n = sb_cgroup_pids(cg, SB_CGROUP_INIT, &pids);
	for (ssize_t i = 0; i < n; i++) {
		if (sb_proc_read(pids[i], &proc) < 0 || !is_resident(proc.comm))
			continue;
		cleanup_fd int holder = sb_proc_open(pids[i], proc.start);
		if (holder < 0)
			continue;
		sys_pidfd_send_signal(holder, SIGTERM);
		if (sb_wait_readable(holder, sb_now_ms() + HOLDER_MS) < 0)
			return ctl_fail(CTL_FAILED, "%s, %d, does not end", proc.comm, pids[i]);
	}
	return CTL_OK;
}

static int end_all(void)
{
	cleanup_free uid_t *uids = NULL;
	struct sb_err err = { 0 };
	cleanup_fd int run = sb_run_open(&err);
	if (run < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	ssize_t n = sb_user_list(run, &uids);
	if (n < 0)
		return ctl_fail(CTL_FAILED, "list the users: %s", strerror((int)-n));
	int users = end_users(uids, (size_t)n);
	int holder = end_holder();
	return users != CTL_OK ? users : holder;
}

/* ---- one session ---- */

static int64_t stop_ms(const struct ctl_target *target)
{
	for (size_t i = 0; i < target->user->n_containers; i++)
		if (target->user->containers[i].rec.number == target->session->rec.container)
			return target->user->containers[i].rec.stop_ms;
	return CLOSE_MS;
}

/* As the container's init does it: a shell ignores TERM, a stopped process all but CONT. */
static bool end_pack(struct ctl_pack *pack, int64_t patience)
{
	static const int asking[] = { SIGTERM, SIGHUP, SIGCONT };
	int64_t deadline = sb_now_ms() + patience;
	for (size_t i = 0; i < SB_ARRAY_SIZE(asking); i++)
		ctl_pack_send(pack, asking[i]);
	if (ctl_pack_wait(pack, deadline))
		return true;
	deadline = sb_now_ms() + KILL_MS;
	do
		ctl_pack_send(pack, SIGKILL);
	while (!ctl_pack_wait(pack, sb_now_ms() + 100) && sb_left_ms(deadline) > 0);
	return ctl_pack_look(pack) == 0;
}

static bool has_record(const struct ctl_target *target)
{
	struct sb_session_record rec;
	struct sb_user_dir dir;
	cleanup_fd int run = sb_run_open(NULL);
	if (run < 0 || sb_user_open(run, target->uid, &dir) < 0)
		return false;
	int r = sb_session_load(dir.fd, "sessions", target->session->rec.id, &rec);
	sb_user_close(&dir);
	return r != -ENOENT;
}

/* Its caller closes the session; if that is gone, too, nobody does. */
static bool wait_for_close(const struct ctl_target *target)
{
	const struct sb_session_record *rec = &target->session->rec;
	int64_t deadline = sb_now_ms() + CLOSE_MS;
	cleanup_fd int caller = sb_proc_open((pid_t)rec->caller, rec->caller_start);
	while (has_record(target)) {
		bool gone = caller < 0 || sb_wait_readable(caller, sb_now_ms()) == 0;
		sb_session_wake(rec);
		if (gone)
			sb_user_collect(target->uid, deadline, NULL);
		if (sb_left_ms(deadline) == 0)
			return false;
		usleep(POLL_US);
	}
	return true;
}

static int end_session(const struct ctl_target *target)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	struct sb_err err = { 0 };
	uint32_t id = target->session->rec.id;
	if (sb_cgroup_open(NULL, &cg, &err) < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	if (target->user->frozen)
		return ctl_fail(CTL_FAILED, "session %u: '%s' is frozen: thaw or terminate him", id,
				target->name);
	struct ctl_pack pack = { .cg = cg,
				 .uid = target->uid,
				 .who = ctl_session_membership(target->user, target->session) };
	bool ended = end_pack(&pack, stop_ms(target));
	ctl_pack_clear(&pack);
	if (!ended)
		return ctl_fail(CTL_FAILED, "session %u: processes do not end", id);
	if (!wait_for_close(target))
		return ctl_fail(CTL_FAILED,
				"session %u: its processes are gone, but %u does not "
				"close it",
				id, target->session->rec.caller);
	return CTL_OK;
}

int ctl_terminate(const struct ctl_args *args)
{
	cleanup_users struct ctl_users users = { 0 };
	struct ctl_target target;
	if (args->set & CTL_ALL)
		return end_all();
	int status = ctl_target_load_to_end(&users, args->v[0], &target);
	if (status != CTL_OK)
		return status;
	if (target.session)
		return end_session(&target);
	return target.user ? end_user(target.uid, target.name) : CTL_OK;
}
