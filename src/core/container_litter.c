/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A look that costs next to nothing: is there anything to collect? */
#include <fcntl.h>

#include "container_internal.h"
#include "sessbox/proc.h"
#include "sessbox/str.h"

static bool is_dead(const struct sb_container_record *rec)
{
	struct sb_proc proc;
	return sb_proc_read((pid_t)rec->init, &proc) < 0 || proc.start != rec->init_start ||
	       proc.state == 'Z';
}

static bool has_dead_container(int user_fd, ssize_t *ret_n)
{
	cleanup_free uint32_t *numbers = NULL;
	*ret_n = sb_container_list(user_fd, &numbers);
	for (ssize_t i = 0; i < *ret_n; i++) {
		struct sb_container_record rec;
		/* Without a record: one that is being made, or whose maker died. */
		if (sb_container_load(user_fd, numbers[i], &rec) < 0 || is_dead(&rec))
			return true;
	}
	return false;
}

static bool has_dead_session(int user_fd)
{
	cleanup_free uint32_t *ids = NULL;
	ssize_t n = sb_session_list(user_fd, &ids);
	for (ssize_t i = 0; i < n; i++) {
		struct sb_session_record rec;
		if (sb_session_load(user_fd, "sessions", ids[i], &rec) < 0)
			return true;
		/* To give its terminal back takes more than who asks here may. */
		if (!*rec.terminal && !sb_session_lives(&rec))
			return true;
	}
	return false;
}

bool sb_user_is_littered(int run_fd, uid_t uid)
{
	struct sb_user_dir user;
	ssize_t containers;
	if (sb_user_open(run_fd, uid, &user) < 0)
		return false;
	bool littered = has_dead_container(user.fd, &containers) || containers == 0 ||
			has_dead_session(user.fd);
	sb_user_close(&user);
	return littered;
}
