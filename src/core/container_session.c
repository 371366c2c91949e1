/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The records of sessions: who of them lives, and what goes with one that does not. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/proc.h"
#include "sessbox/service.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"
#include "sessbox/utmp.h"

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
	enum sb_container_state state = sb_container_ask(user->fd, rec->container, NULL, -1,
							 sb_now_ms() + SB_ASK_MS, &init);
	bool stays = state == SB_CONTAINER_RUNNING || state == SB_CONTAINER_LINGERING;
	return stays ? sb_terminal_detach(init, rec->terminal) : 0;
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

void sb_session_history_db(const struct sb_session_record *rec)
{
	const struct sb_utmp_login login = login_of(rec);
	sb_utmp_history_db(&login, rec->service, rec->since);
}

void sb_session_wake(const struct sb_session_record *rec)
{
	struct sb_proc proc;
	cleanup_fd int caller = sb_proc_open((pid_t)rec->caller, rec->caller_start);
	if (caller >= 0 && sb_proc_read((pid_t)rec->caller, &proc) == 0 && proc.state == 'T')
		sys_pidfd_send_signal(caller, SIGCONT);
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
