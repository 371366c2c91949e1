/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pack.h"
#include "sessctl.h"
#include "signame.h"
#include "target.h"

/*
 * Signals with a meaning that every program knows. Others are a program's own language: sshd's half
 * that serves the connection is no addressee of those, and would only die of them.
 */
static bool is_for_all(int sig)
{
	static const int all[] = { SIGTERM, SIGKILL, SIGHUP,  SIGINT,
				   SIGQUIT, SIGSTOP, SIGTSTP, SIGCONT };
	for (size_t i = 0; i < SB_ARRAY_SIZE(all); i++)
		if (all[i] == sig)
			return true;
	return false;
}

/* Does the leader still run the caller's program, as sshd's child does? */
static bool is_login_program(pid_t leader, uint32_t caller)
{
	struct stat a, b;
	char path[48];
	snprintf(path, sizeof(path), "/proc/%d/exe", leader);
	if (leader <= 0 || stat(path, &a) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%u/exe", caller);
	return stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static size_t find_login_programs(const struct ctl_user *user, pid_t *pids)
{
	size_t n = 0;
	for (size_t i = 0; i < user->n_sessions; i++)
		if (is_login_program(user->sessions[i].leader, user->sessions[i].rec.caller))
			pids[n++] = user->sessions[i].leader;
	return n;
}

static int send(const struct ctl_target *target, int sig)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	cleanup_free pid_t *spared = calloc(target->user->n_sessions + 1, sizeof(*spared));
	struct sb_err err = { 0 };
	if (!spared || sb_cgroup_open(NULL, &cg, &err) < 0)
		return ctl_fail(CTL_FAILED, "%s", spared ? err.msg : "out of memory");
	struct ctl_pack pack = {
		.cg = cg, .uid = target->uid, .whole = !target->session, .spared = spared
	};
	if (target->session)
		pack.who = ctl_session_membership(target->user, target->session);
	if (!is_for_all(sig))
		pack.n_spared = find_login_programs(target->user, spared);
	ssize_t n = ctl_pack_send(&pack, sig);
	ctl_pack_clear(&pack);
	return n < 0 ? ctl_fail(CTL_FAILED, "signal '%s': %s", target->name, strerror((int)-n))
		     : CTL_OK;
}

int ctl_kill(const struct ctl_args *args)
{
	cleanup_users struct ctl_users users = { 0 };
	struct ctl_target target;
	int sig = args->signal ? ctl_signal_parse(args->signal) : SIGTERM;
	if (sig < 0)
		return ctl_fail(CTL_USAGE, "no signal '%s'", args->signal);
	int status = ctl_target_load_to_end(&users, args->v[0], &target);
	if (status != CTL_OK)
		return status;
	if (!target.user)
		return ctl_fail(CTL_MISSING, "'%s' is not logged in", target.name);
	return send(&target, sig);
}
