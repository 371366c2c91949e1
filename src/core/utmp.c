/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/utmp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>
#include <utmpx.h>

#include "sessbox/io.h"
#include "sessbox/str.h"

#define LINE_PREFIX ":sb-"
#define RECORDS_MAX 100000
#define LOCK_MS 200

#define LINE_SIZE sizeof(((struct utmpx *)0)->ut_line)

static void line_of(char *line, const struct sb_utmp_login *login)
{
	char buf[LINE_SIZE];
	memset(buf, 0, sizeof(buf));
	if (login->line)
		memcpy(buf, login->line, strnlen(login->line, sizeof(buf)));
	else
		snprintf(buf, sizeof(buf), LINE_PREFIX "%u", login->session);
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

/* Reads the whole file at once: getutxent(3) takes five system calls for each record. */
static struct utmpx *read_all(int fd, size_t *n)
{
	struct stat st;
	*n = 0;
	if (fstat(fd, &st) < 0 || st.st_size > RECORDS_MAX * (off_t)sizeof(struct utmpx))
		return NULL;
	struct utmpx *all = malloc((size_t)st.st_size + 1);
	ssize_t got = all ? pread(fd, all, (size_t)st.st_size, 0) : -1;
	if (got > 0)
		*n = (size_t)got / sizeof(*all);
	return all;
}

static const struct utmpx *find_id(const struct utmpx *all, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(all[i].ut_id, id, sizeof(all[i].ut_id)) == 0)
			return &all[i];
	return NULL;
}

/*
 * The id decides which record pututxline replaces: that of a dead one of ours, or the file grows
 * for ever; otherwise one that nobody has, starting from the session's number.
 */
static int choose_id(int fd, char *id, uint32_t session)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	size_t n;
	cleanup_free struct utmpx *all = read_all(fd, &n);
	if (!all)
		return -EFBIG;
	for (size_t i = 0; i < n; i++) {
		if (all[i].ut_type == DEAD_PROCESS &&
		    strncmp(all[i].ut_line, LINE_PREFIX, strlen(LINE_PREFIX)) == 0) {
			memcpy(id, all[i].ut_id, sizeof(all[i].ut_id));
			return 0;
		}
	}
	for (uint32_t k = session, tries = 0; tries < 46656; k++, tries++) {
		const char candidate[4] = { '~', digits[k / 1296 % 36], digits[k / 36 % 36],
					    digits[k % 36] };
		memcpy(id, candidate, sizeof(candidate));
		if (!find_id(all, n, id))
			return 0;
	}
	return -ENOSPC;
}

/* The terminal's record is there already, getty's, or it gets the id that login would give it. */
static int find_line_id(int fd, char *id, const char *line)
{
	size_t n, len = strnlen(line, LINE_SIZE);
	cleanup_free struct utmpx *all = read_all(fd, &n);
	if (!all)
		return -EFBIG;
	for (size_t i = 0; i < n; i++) {
		if (all[i].ut_type < INIT_PROCESS || strnlen(all[i].ut_line, LINE_SIZE) != len ||
		    memcmp(all[i].ut_line, line, len) != 0)
			continue;
		memcpy(id, all[i].ut_id, sizeof(all[i].ut_id));
		return 0;
	}
	put_field(id, sizeof(all[0].ut_id), len > 3 ? line + 3 : line);
	return 0;
}

/*
 * Opens a record file under the lock that glibc and login programs take. Everybody who may read the
 * file can hold it, and pututxline(3) would wait ten seconds for him: we do not.
 */
static int open_locked(const char *path, int flags)
{
	cleanup_fd int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	int64_t deadline = sb_now_ms() + LOCK_MS;
	for (;;) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return sb_steal_fd(&fd);
		if ((errno != EAGAIN && errno != EACCES) || sb_left_ms(deadline) == 0)
			return -errno;
		usleep(2000);
	}
}

/* The place of the record that has this id, or the end of the file. */
static int put_record(int fd, const struct utmpx *u)
{
	size_t n, i;
	cleanup_free struct utmpx *all = read_all(fd, &n);
	if (!all)
		return -EFBIG;
	for (i = 0; i < n; i++)
		if (memcmp(all[i].ut_id, u->ut_id, sizeof(u->ut_id)) == 0)
			break;
	ssize_t put = pwrite(fd, u, sizeof(*u), (off_t)(i * sizeof(*u)));
	return put == sizeof(*u) ? 0 : put < 0 ? -errno : -ENOSPC;
}

/* A record of a session that lives now. */
static void fill(struct utmpx *u, const struct sb_utmp_login *login)
{
	memset(u, 0, sizeof(*u));
	u->ut_type = USER_PROCESS;
	u->ut_pid = login->caller;
	line_of(u->ut_line, login);
	put_field(u->ut_user, sizeof(u->ut_user), login->user);
	put_field(u->ut_host, sizeof(u->ut_host), login->host ? login->host : "");
	put_now(u);
}

/* And of one that has ended now. */
static void bury(struct utmpx *u)
{
	u->ut_type = DEAD_PROCESS;
	memset(u->ut_user, 0, sizeof(u->ut_user));
	memset(u->ut_host, 0, sizeof(u->ut_host));
	put_now(u);
}

int sb_utmp_login(const struct sb_utmp_login *login)
{
	cleanup_fd int fd = open_locked(SB_UTMP_FILE, O_RDWR);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	struct utmpx u;
	fill(&u, login);
	int r = login->line ? find_line_id(fd, u.ut_id, login->line)
			    : choose_id(fd, u.ut_id, login->session);
	return r < 0 ? r : put_record(fd, &u);
}

int sb_utmp_logout(const struct sb_utmp_login *login)
{
	cleanup_fd int fd = open_locked(SB_UTMP_FILE, O_RDWR);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	char line[LINE_SIZE];
	size_t n;
	cleanup_free struct utmpx *all = read_all(fd, &n);
	line_of(line, login);
	for (size_t i = 0; all && i < n; i++) {
		struct utmpx *u = &all[i];
		if (u->ut_type != USER_PROCESS || memcmp(u->ut_line, line, sizeof(line)) != 0)
			continue;
		if (login->line && u->ut_pid != login->caller)
			continue;
		bury(u);
		return put_record(fd, u);
	}
	return all ? 0 : -EFBIG;
}

bool sb_utmp_had_tty(int scratch_fd)
{
	struct utmp u;
	for (off_t at = 0; pread(scratch_fd, &u, sizeof(u), at) == sizeof(u);
	     at += (off_t)sizeof(u))
		if ((u.ut_type == USER_PROCESS || u.ut_type == DEAD_PROCESS) && u.ut_line[0])
			return true;
	return false;
}

/* All or none, after whole ones: a part of a record garbles all that come after it. */
static int append(int fd, const struct utmpx *v, size_t size)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	off_t end = st.st_size - st.st_size % (off_t)sizeof(*v);
	if (end != st.st_size && ftruncate(fd, end) < 0)
		return -errno;
	ssize_t n = write(fd, v, size);
	if (n == (ssize_t)size)
		return 0;
	int r = n < 0 ? -errno : -ENOSPC;
	return n > 0 && ftruncate(fd, end) < 0 ? -errno : r;
}

int sb_utmp_history(const struct sb_utmp_login *login, uint64_t since)
{
	struct utmpx both[2];
	cleanup_fd int fd = open_locked(SB_WTMP_FILE, O_WRONLY | O_APPEND);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	fill(&both[0], login);
	both[0].ut_tv.tv_sec = (int32_t)since;
	both[0].ut_tv.tv_usec = 0;
	both[1] = both[0];
	bury(&both[1]);
	return append(fd, both, sizeof(both));
}

void sb_utmp_terminals(int scratch_utmp_fd, void (*each)(const char *line, void *ctx), void *ctx)
{
	char line[LINE_SIZE + 1];
	struct utmp u;
	for (off_t at = 0; pread(scratch_utmp_fd, &u, sizeof(u), at) == sizeof(u);
	     at += (off_t)sizeof(u)) {
		snprintf(line, sizeof(line), "%.*s", (int)LINE_SIZE, u.ut_line);
		if (u.ut_type == USER_PROCESS && *line)
			each(line, ctx);
	}
}
