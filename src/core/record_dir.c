/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The directories of the records: who holds which lock, and how they come and go. */
#include "sessbox/record.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "sessbox/io.h"
#include "sessbox/str.h"

/* What a user's directory is called while it is removed. */
#define GONE "gone."
#define GONE_TRIES 1000

int sb_run_open(struct sb_err *err)
{
	cleanup_fd int fd = sb_open_dir(AT_FDCWD, SB_RUN_DIR, 0711);
	if (fd < 0)
		return sb_fail(err, fd, "open '%s'", SB_RUN_DIR);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return sb_fail(err, errno, "look at '%s'", SB_RUN_DIR);
	if (st.st_uid != 0 || (st.st_mode & 022))
		return sb_fail_plain(err, EPERM, "'%s' is not root's alone", SB_RUN_DIR);
	return sb_steal_fd(&fd);
}

/* flock with a deadline: polled, since a signal would have to be ours to interrupt it. */
static int lock_file(int dfd, const char *name, int64_t deadline)
{
	cleanup_fd int fd = openat(dfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	for (unsigned int pause_us = 200;; pause_us = pause_us < 10000 ? pause_us * 2 : pause_us) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return sb_steal_fd(&fd);
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (sb_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		usleep(pause_us);
	}
}

/* "Connection timed out" is no reason anybody understands here. */
static int fail_lock(struct sb_err *err, int r, const char *path)
{
	if (r == -ETIMEDOUT || r == -EAGAIN)
		return sb_fail_plain(err, ETIMEDOUT,
				     "'%s' stays locked: another login or sessctl is at work on it",
				     path);
	return sb_fail(err, r, "lock '%s'", path);
}

int sb_run_lock(int run_fd, int64_t deadline, struct sb_err *err)
{
	int fd = lock_file(run_fd, "lock", deadline);
	return fd < 0 ? fail_lock(err, fd, SB_RUN_DIR) : fd;
}

int sb_user_turn(int run_fd, uid_t uid)
{
	cleanup_fd int fd =
		openat(run_fd, "turns", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	for (off_t i = 0; i < SB_TURNS; i++) {
		struct flock place = { .l_type = F_WRLCK,
				       .l_whence = SEEK_SET,
				       .l_start = (off_t)uid * SB_TURNS + i,
				       .l_len = 1 };
		if (fcntl(fd, F_OFD_SETLK, &place) == 0)
			return sb_steal_fd(&fd);
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
	}
	return -EBUSY;
}

int sb_session_next(int run_fd, uint32_t *ret, struct sb_err *err)
{
	cleanup_fd int fd = openat(run_fd, "next", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char buf[16] = "";
	/* Blocking: held for two system calls only. */
	if (fd < 0 || flock(fd, LOCK_EX) < 0 || pread(fd, buf, sizeof(buf) - 1, 0) < 0)
		return sb_fail(err, errno, "read the next session id");
	uint32_t id = (uint32_t)strtoul(buf, NULL, 10) + 1;
	if (id == 0 || id > INT32_MAX)
		id = 1;
	int n = snprintf(buf, sizeof(buf), "%10u\n", id);
	if (pwrite(fd, buf, (size_t)n, 0) != n)
		return sb_fail(err, errno, "write the next session id");
	*ret = id;
	return 0;
}

static void user_name(char *buf, size_t size, uid_t uid)
{
	snprintf(buf, size, "u%u", uid);
}

void sb_user_close(struct sb_user_dir *user)
{
	sb_close(&user->fd);
	sb_close(&user->lock);
}

int sb_user_open(int run_fd, uid_t uid, struct sb_user_dir *ret)
{
	char name[16];
	user_name(name, sizeof(name), uid);
	int fd = openat(run_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret = (struct sb_user_dir){ .fd = fd, .lock = -1 };
	return 0;
}

/* One attempt; -EAGAIN when the directory was removed while we waited for its lock. */
static int lock_user(int run_fd, const char *name, int64_t deadline, struct sb_user_dir *ret)
{
	if (mkdirat(run_fd, name, 0711) < 0 && errno != EEXIST)
		return -errno;
	cleanup_fd int dir = openat(run_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	cleanup_fd int lock = lock_file(dir, "lock", deadline);
	if (lock < 0)
		return lock == -ENOENT ? -EAGAIN : lock;
	struct stat held, named;
	if (fstat(dir, &held) < 0)
		return -errno;
	if (fstatat(run_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0 || held.st_ino != named.st_ino)
		return -EAGAIN;
	*ret = (struct sb_user_dir){ .fd = sb_steal_fd(&dir), .lock = sb_steal_fd(&lock) };
	return 0;
}

int sb_user_lock(int run_fd, uid_t uid, int64_t deadline, struct sb_user_dir *ret,
		 struct sb_err *err)
{
	char name[16], path[64];
	user_name(name, sizeof(name), uid);
	int r;
	do
		r = lock_user(run_fd, name, deadline, ret);
	while (r == -EAGAIN && sb_left_ms(deadline) > 0);
	snprintf(path, sizeof(path), "%s/%s", SB_RUN_DIR, name);
	return r < 0 ? fail_lock(err, r, path) : 0;
}

/* Who waits for the lock may make it once more in here, before he sees that the name has gone. */
static int remove_gone(int run_fd, const char *gone)
{
	int r = sb_remove_tree(run_fd, gone);
	for (int tries = 0; r == -ENOTEMPTY && tries < GONE_TRIES; tries++)
		r = sb_remove_tree(run_fd, gone);
	return r;
}

int sb_user_remove(int run_fd, uid_t uid)
{
	char name[16], gone[48];
	user_name(name, sizeof(name), uid);
	/* By another name first: who comes while we remove must find nothing, not half of it. */
	snprintf(gone, sizeof(gone), GONE "%u.%d", uid, getpid());
	remove_gone(run_fd, gone);
	if (renameat(run_fd, name, run_fd, gone) < 0)
		return errno == ENOENT ? 0 : -errno;
	return remove_gone(run_fd, gone);
}

void sb_run_sweep(int run_fd)
{
	int fd = openat(run_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; dir && (e = readdir(dir));)
		if (strncmp(e->d_name, GONE, strlen(GONE)) == 0)
			remove_gone(run_fd, e->d_name);
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* Names in a directory that are prefix + decimal number, sorted. */
static ssize_t list_numbers(int dfd, const char *sub, const char *prefix, uint32_t **ret)
{
	int fd = openat(dfd, sub, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	*ret = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	cleanup_dir DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -errno;
	}
	cleanup_free uint32_t *v = NULL;
	size_t n = 0, plen = strlen(prefix);
	for (struct dirent *e; (e = readdir(dir));) {
		char *end;
		if (strncmp(e->d_name, prefix, plen) != 0 ||
		    !isdigit((unsigned char)e->d_name[plen]))
			continue;
		unsigned long number = strtoul(e->d_name + plen, &end, 10);
		if (*end || number > UINT32_MAX)
			continue;
		uint32_t *more = reallocarray(v, n + 1, sizeof(*v));
		if (!more)
			return -ENOMEM;
		v = more;
		v[n++] = (uint32_t)number;
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), compare_u32);
	*ret = sb_steal_ptr(&v);
	return (ssize_t)n;
}

ssize_t sb_user_list(int run_fd, uid_t **ret)
{
	return list_numbers(run_fd, ".", "u", ret);
}

ssize_t sb_container_list(int user_fd, uint32_t **ret)
{
	return list_numbers(user_fd, ".", "c", ret);
}

ssize_t sb_session_list(int user_fd, uint32_t **ret)
{
	return list_numbers(user_fd, "sessions", "", ret);
}

static int open_monitor(int run_fd)
{
	int fd = openat(run_fd, "monitor", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

int sb_monitor_lock(int run_fd)
{
	cleanup_fd int fd = open_monitor(run_fd);
	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return sb_steal_fd(&fd);
}

/* Shared, so that two who ask at once do not take each other for it. */
bool sb_monitor_runs(int run_fd)
{
	cleanup_fd int fd = open_monitor(run_fd);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}
