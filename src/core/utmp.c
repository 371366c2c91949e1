/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/utmp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>
#include <utmpx.h>

#include "sessbox/str.h"

#define LINE_PREFIX ":sb-"

static void line_of(char *line, uint32_t session)
{
	char buf[sizeof(((struct utmpx *)0)->ut_line)];
	memset(buf, 0, sizeof(buf));
	snprintf(buf, sizeof(buf), LINE_PREFIX "%u", session);
	memcpy(line, buf, sizeof(buf));
}

/* utmp fields are padded, not terminated. */
static void put_field(char *field, size_t size, const char *text)
{
	memset(field, 0, size);
	memcpy(field, text, strnlen(text, size));
}

static void put_now(struct utmpx *u)
{
	struct timeval tv;
	gettimeofday(&tv, NULL);
	u->ut_tv.tv_sec = (int32_t)tv.tv_sec;
	u->ut_tv.tv_usec = (int32_t)tv.tv_usec;
}

/* Is some record using this id? */
static bool id_taken(const char *id, size_t size)
{
	bool taken = false;
	setutxent();
	for (struct utmpx *u; !taken && (u = getutxent());)
		taken = memcmp(u->ut_id, id, size) == 0;
	return taken;
}

/*
 * The id decides which record pututxline replaces: that of a dead one of ours, or the file grows
 * for ever; otherwise one that nobody has, starting from the session's number.
 */
static void choose_id(char *id, size_t size, uint32_t session)
{
	setutxent();
	for (struct utmpx *u; (u = getutxent());) {
		if (u->ut_type == DEAD_PROCESS &&
		    strncmp(u->ut_line, LINE_PREFIX, strlen(LINE_PREFIX)) == 0) {
			memcpy(id, u->ut_id, size);
			return;
		}
	}
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	for (uint32_t n = session, tries = 0; tries < 46656; n++, tries++) {
		const char candidate[4] = { '~', digits[n / 1296 % 36], digits[n / 36 % 36],
					    digits[n % 36] };
		memcpy(id, candidate, size);
		if (!id_taken(id, size))
			return;
	}
}

int sb_utmp_login(const struct sb_utmp_login *login)
{
	if (access(SB_UTMP_FILE, F_OK) < 0)
		return 0;
	struct utmpx u;
	memset(&u, 0, sizeof(u));
	u.ut_type = USER_PROCESS;
	u.ut_pid = login->caller;
	line_of(u.ut_line, login->session);
	choose_id(u.ut_id, sizeof(u.ut_id), login->session);
	put_field(u.ut_user, sizeof(u.ut_user), login->user);
	put_field(u.ut_host, sizeof(u.ut_host), login->host ? login->host : "");
	put_now(&u);
	setutxent();
	int r = pututxline(&u) ? 0 : -errno;
	endutxent();
	return r;
}

int sb_utmp_logout(uint32_t session)
{
	if (access(SB_UTMP_FILE, F_OK) < 0)
		return 0;
	struct utmpx key, *found;
	memset(&key, 0, sizeof(key));
	line_of(key.ut_line, session);
	setutxent();
	while ((found = getutxent()))
		if (found->ut_type == USER_PROCESS &&
		    memcmp(found->ut_line, key.ut_line, sizeof(key.ut_line)) == 0)
			break;
	int r = 0;
	if (found) {
		struct utmpx dead = *found;
		dead.ut_type = DEAD_PROCESS;
		memset(dead.ut_user, 0, sizeof(dead.ut_user));
		memset(dead.ut_host, 0, sizeof(dead.ut_host));
		put_now(&dead);
		setutxent();
		r = pututxline(&dead) ? 0 : -errno;
	}
	endutxent();
	return r;
}

/* When the terminal opened by the record at `from` was closed; now, if it still is open. */
static int32_t closed_at(int fd, const struct utmp *login, off_t from)
{
	struct utmp u;
	for (off_t at = from; pread(fd, &u, sizeof(u), at) == sizeof(u); at += (off_t)sizeof(u))
		if (u.ut_type == DEAD_PROCESS &&
		    memcmp(u.ut_line, login->ut_line, sizeof(u.ut_line)) == 0)
			return u.ut_tv.tv_sec;
	return (int32_t)time(NULL);
}

int sb_utmp_history(uint32_t session, int scratch_wtmp_fd)
{
	if (access(SB_WTMP_FILE, F_OK) < 0)
		return 0;
	struct utmp u;
	off_t at = 0;
	while (pread(scratch_wtmp_fd, &u, sizeof(u), at) == sizeof(u)) {
		at += (off_t)sizeof(u);
		if (u.ut_type != USER_PROCESS)
			continue;
		int32_t end = closed_at(scratch_wtmp_fd, &u, at);
		line_of(u.ut_line, session);
		updwtmp(SB_WTMP_FILE, &u);

		u.ut_type = DEAD_PROCESS;
		memset(u.ut_user, 0, sizeof(u.ut_user));
		memset(u.ut_host, 0, sizeof(u.ut_host));
		u.ut_tv.tv_sec = end;
		updwtmp(SB_WTMP_FILE, &u);
	}
	return 0;
}
