/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a tenant is told at a login about what went wrong before. sshd shows it to a shell alone,
 * and whether one comes nobody knows at open: so it is told to each login until one has had a
 * terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "container_opening.h"
#include "sessbox/notice.h"
#include "sessbox/str.h"

#define PTMX makedev(5, 2)

/* sshd's own process keeps the other end of a terminal that it has made. */
static bool holds_terminal(pid_t caller)
{
	char path[32];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/fd", caller);
	cleanup_dir DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));)
		if (fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && S_ISCHR(st.st_mode) &&
		    st.st_rdev == PTMX)
			return true;
	return false;
}

/* It writes a record for each as well, where the host has utmp. */
static bool had_terminal(int user_fd, uint32_t session)
{
	char name[48];
	struct stat st;
	struct sb_session_record rec;
	snprintf(name, sizeof(name), "sessions/%u-utmp", session);
	if (fstatat(user_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return st.st_size > 0;
	return sb_session_load(user_fd, "sessions", session, &rec) == 0 &&
	       sb_service_has(sb_service_find(rec.service), SB_SERVICE_SCRATCH) &&
	       sb_session_lives(&rec) && holds_terminal((pid_t)rec.caller);
}

static bool was_told_to(const struct sb_notice_record *notice, uint32_t session)
{
	return notice->shown && session >= notice->shown;
}

static bool was_seen(int user_fd, const struct sb_notice_record *notice)
{
	cleanup_free uint32_t *ids = NULL;
	ssize_t n = sb_session_list(user_fd, &ids);
	for (ssize_t i = 0; i < n; i++)
		if (was_told_to(notice, ids[i]) && had_terminal(user_fd, ids[i]))
			return true;
	return false;
}

void sb_notice_leave(int user_fd, uid_t uid, uint32_t session, bool had_tty)
{
	struct sb_notice_record notice;
	cleanup_fd int run = openat(user_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (run >= 0 && sb_notice_load(run, uid, &notice) == 0 && was_told_to(&notice, session) &&
	    (had_tty || had_terminal(user_fd, session)))
		sb_notice_remove(run, uid);
}

/* Nothing of it is worth a login. */
int sb_grant_notice(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	const struct sb_policy *policy = sb_opening_policy(o);
	bool shell_may_come = sb_service_has(o->service, SB_SERVICE_SCRATCH);
	bool at_terminal =
		sb_service_has(o->service, SB_SERVICE_BRINGS_TTY) && o->creation.request->tty >= 0;
	struct sb_notice_record notice;
	(void)err;
	/* In the rescue session there is something more urgent to say. */
	if ((!shell_may_come && !at_terminal) || o->grant.rescue ||
	    sb_notice_load(o->creation.run_fd, policy->uid, &notice) < 0)
		return 0;
	if (was_seen(o->user.fd, &notice)) {
		sb_notice_remove(o->creation.run_fd, policy->uid);
		return 0;
	}
	sb_notice_print(o->grant.notice, sizeof(o->grant.notice), notice.text, notice.at,
			policy->user);
	if (at_terminal) {
		sb_notice_remove(o->creation.run_fd, policy->uid);
	} else if (!notice.shown) {
		notice.shown = o->session.id;
		sb_notice_save(o->creation.run_fd, policy->uid, &notice);
	}
	return 0;
}
