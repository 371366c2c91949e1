/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a tenant is told at a login about what went wrong before. sshd shows it to a shell alone,
 * and whether one comes nobody knows at open: so it is told to each login until one has had a
 * terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "container_opening.h"
#include "sessbox/notice.h"
#include "sessbox/str.h"

/* sshd writes a record for each terminal it makes. */
static bool had_terminal(int user_fd, uint32_t session)
{
	char name[48];
	struct stat st;
	snprintf(name, sizeof(name), "sessions/%u-utmp", session);
	return fstatat(user_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0;
}

static bool was_seen_by(int user_fd, const struct sb_notice_record *notice, uint32_t session)
{
	return notice->shown && session >= notice->shown && had_terminal(user_fd, session);
}

static bool was_seen(int user_fd, const struct sb_notice_record *notice)
{
	cleanup_free uint32_t *ids = NULL;
	ssize_t n = sb_session_list(user_fd, &ids);
	for (ssize_t i = 0; i < n; i++)
		if (was_seen_by(user_fd, notice, ids[i]))
			return true;
	return false;
}

void sb_notice_leave(int user_fd, uid_t uid, uint32_t session)
{
	struct sb_notice_record notice;
	cleanup_fd int run = openat(user_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (run >= 0 && sb_notice_load(run, uid, &notice) == 0 &&
	    was_seen_by(user_fd, &notice, session))
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
	/* Without a scratch file nobody will know of a terminal. */
	if (at_terminal || o->grant.utmp < 0) {
		sb_notice_remove(o->creation.run_fd, policy->uid);
	} else if (!notice.shown) {
		notice.shown = o->session.id;
		sb_notice_save(o->creation.run_fd, policy->uid, &notice);
	}
	return 0;
}
