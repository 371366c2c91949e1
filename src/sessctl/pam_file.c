/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pam_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sessbox/io.h"
#include "sessbox/str.h"

#define TEXT_MAX 65536
#define NAMES_MAX 4096

static bool is_closed(const struct stat *st, uid_t owner)
{
	return st->st_uid == owner && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

int ctl_pam_dir_open(int root, uid_t owner, struct sb_err *err)
{
	struct stat st;
	cleanup_fd int etc = openat(root, "etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int dir = openat(etc, "pam.d", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0)
		return sb_fail(err, errno, "open /etc/pam.d");
	if (!is_closed(&st, owner))
		return sb_fail_plain(err, EPERM, "/etc/pam.d can be written by others than root");
	return sb_steal_fd(&dir);
}

int ctl_pam_lock(int root, struct sb_err *err)
{
	cleanup_fd int lock =
		openat(root, "run/sessctl.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
		return sb_steal_fd(&lock);
	if (lock >= 0 && errno == EWOULDBLOCK)
		return sb_fail_plain(err, EBUSY, "another sessctl is changing /etc/pam.d");
	return sb_fail(err, errno, "lock /run/sessctl.lock");
}

static int read_text(struct ctl_pam_file *file, struct sb_err *err)
{
	size_t size = (size_t)file->st.st_size, len = 0;
	if (size > TEXT_MAX)
		return sb_fail_plain(err, EFBIG, "/etc/pam.d/%s is too large", file->name);
	file->text = calloc(1, size + 1);
	for (ssize_t n = 1; file->text && len < size && n > 0; len += n > 0 ? (size_t)n : 0)
		n = read(file->fd, file->text + len, size - len);
	if (!file->text || len < size)
		return sb_fail(err, file->text ? EIO : ENOMEM, "read /etc/pam.d/%s", file->name);
	if (memchr(file->text, '\0', size))
		return sb_fail_plain(err, EINVAL, "/etc/pam.d/%s is not a text", file->name);
	return 0;
}

static int check(const struct ctl_pam_file *file, uid_t owner, struct sb_err *err)
{
	const char *why = !S_ISREG(file->st.st_mode)	 ? "is no plain file"
			  : !is_closed(&file->st, owner) ? "can be written by others than root"
			  : file->st.st_nlink != 1	 ? "has a second name (a hard link)"
							 : NULL;
	return why ? sb_fail_plain(err, EPERM, "/etc/pam.d/%s %s", file->name, why) : 0;
}

int ctl_pam_file_open(int dir, const char *name, uid_t owner, struct ctl_pam_file *ret,
		      struct sb_err *err)
{
	*ret = (struct ctl_pam_file){ .dir = dir, .fd = -1 };
	if (sb_copy(ret->name, sizeof(ret->name), name) < 0)
		return sb_fail(err, ENAMETOOLONG, "open '%s'", name);
	ret->fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (ret->fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (ret->fd < 0 && errno == ELOOP)
		return sb_fail_plain(err, ELOOP,
				     "/etc/pam.d/%s is a symbolic link: another program keeps it",
				     name);
	if (ret->fd < 0 || fstat(ret->fd, &ret->st) < 0)
		return sb_fail(err, errno, "open /etc/pam.d/%s", name);
	int r = check(ret, owner, err);
	return r < 0 ? r : read_text(ret, err);
}

void ctl_pam_file_clear(struct ctl_pam_file *file)
{
	sb_close(&file->fd);
	free(file->text);
	file->text = NULL;
}

/* ---- writing ---- */

/* Labels and access lists. A file system that has none, or takes none, is fine. */
static int copy_attributes(int from, int to)
{
	char names[NAMES_MAX], value[NAMES_MAX];
	ssize_t size = flistxattr(from, names, sizeof(names)), n = 0;
	int r = size < 0 ? -errno : 0;
	for (const char *name = names; r == 0 && name < names + size; name += strlen(name) + 1) {
		n = fgetxattr(from, name, value, sizeof(value));
		if (n < 0 || fsetxattr(to, name, value, (size_t)n, 0) < 0)
			r = -errno;
	}
	return r == -EOPNOTSUPP ? 0 : r;
}

static int fill(const struct ctl_pam_file *file, int fd, const char *text)
{
	int r = sb_write_all(fd, text, strlen(text));
	if (r == 0 && fchown(fd, file->st.st_uid, file->st.st_gid) < 0)
		r = -errno;
	/* After the chown, which clears bits, and against the umask. */
	if (r == 0 && fchmod(fd, file->st.st_mode & 07777) < 0)
		r = -errno;
	if (r == 0)
		r = copy_attributes(file->fd, fd);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

static int make_beside(const struct ctl_pam_file *file, int dir, const char *name, const char *text)
{
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return -errno;
	cleanup_fd int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fill(file, fd, text);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_unchanged(const struct ctl_pam_file *file)
{
	struct stat st;
	return fstatat(file->dir, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == file->st.st_dev && st.st_ino == file->st.st_ino &&
	       st.st_size == file->st.st_size && same_time(&st.st_mtim, &file->st.st_mtim) &&
	       same_time(&st.st_ctim, &file->st.st_ctim);
}

/* Under another name, on the disk, and then in place. dir/name is the file itself if `replace`. */
static int put(const struct ctl_pam_file *file, int dir, const char *name, const char *text,
	       bool replace)
{
	char fresh[sizeof(file->name) + 32];
	int r = sb_format(fresh, sizeof(fresh), ".%s.sessctl", name);
	if (r == 0)
		r = make_beside(file, dir, fresh, text);
	if (r == 0 && replace && !is_unchanged(file))
		r = -EAGAIN;
	if (r == 0 && renameat(dir, fresh, dir, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, fresh, 0);
	return r == 0 && fsync(dir) < 0 ? -errno : r;
}

int ctl_pam_file_copy(const struct ctl_pam_file *file, int dir, const char *name,
		      struct sb_err *err)
{
	int r = put(file, dir, name, file->text, false);
	return r < 0 ? sb_fail(err, r, "keep a copy of /etc/pam.d/%s", file->name) : 0;
}

int ctl_pam_file_replace(const struct ctl_pam_file *file, const char *text, struct sb_err *err)
{
	int r = put(file, file->dir, file->name, text, true);
	if (r == -EAGAIN)
		return sb_fail_plain(err, EAGAIN, "/etc/pam.d/%s was changed meanwhile",
				     file->name);
	return r < 0 ? sb_fail(err, r, "write /etc/pam.d/%s", file->name) : 0;
}
