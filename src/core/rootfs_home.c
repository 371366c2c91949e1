/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Homes: those of the host, and private ones that the containers of a user have for themselves. */
#include "rootfs_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "sessbox/io.h"
#include "sessbox/path.h"

#define SKEL "/etc/skel"
#define DEPTH_MAX 16

int sb_op_open_source(const struct sb_mount_op *op, struct sb_err *err)
{
	unsigned int want = op->flags & SB_OP_DIRECTORY ? SB_PATH_DIRECTORY : 0;
	int fd = sb_path_open(op->source, want, err);
	if (fd != -EACCES || op->uid == 0)
		return fd;
	sb_path_as(op->uid, op->gid);
	fd = sb_path_open(op->source, want, err);
	sb_path_as(0, 0);
	return fd;
}

int sb_op_make_target(const struct sb_mount_op *op, bool as_dir)
{
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	int fd = sb_path_make(root, op->target, as_dir, NULL);
	if (fd != -EACCES || op->uid == 0)
		return fd;
	sb_path_as(op->uid, op->gid);
	fd = sb_path_make(root, op->target, as_dir, NULL);
	sb_path_as(0, 0);
	return fd;
}

static int copy_tree(int from, int to, int depth, const struct stat *owner);

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
	cleanup_fd int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	cleanup_fd int out =
		in < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n = out < 0 ? -1 : 1;
	while (n > 0)
		n = sendfile(out, in, NULL, 1 << 20);
	return n < 0 || fchmod(out, st->st_mode & 0777) < 0 ? -errno : 0;
}

static int copy_link(int from, int to, const char *name)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(from, name, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return symlinkat(text, to, name) < 0 ? -errno : 0;
}

static int copy_dir(int from, int to, const char *name, const struct stat *st, int depth,
		    const struct stat *owner)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if (mkdirat(to, name, 0700) < 0)
		return -errno;
	cleanup_fd int in = openat(from, name, flags);
	cleanup_fd int out = openat(to, name, flags);
	if (in < 0 || out < 0)
		return -errno;
	int r = copy_tree(in, out, depth - 1, owner);
	return r == 0 && fchmod(out, st->st_mode & 0777) < 0 ? -errno : r;
}

static int copy_entry(int from, int to, const char *name, int depth, const struct stat *owner)
{
	struct stat st;
	int r = 0;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		r = copy_dir(from, to, name, &st, depth, owner);
	else if (S_ISREG(st.st_mode))
		r = copy_file(from, to, name, &st);
	else if (S_ISLNK(st.st_mode))
		r = copy_link(from, to, name);
	else
		return 0;
	if (r == 0 && fchownat(to, name, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r;
}

/* Nobody but root reaches the copy before it is complete. */
static int copy_tree(int from, int to, int depth, const struct stat *owner)
{
	int fd = depth > 0 ? openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int r = dir ? 0 : depth > 0 ? -errno : -ELOOP;
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = copy_entry(from, to, e->d_name, depth, owner);
	return r;
}

/* Under another name until it is complete. The user's lock is held. */
static int make_home(int homes, const char *name, const struct stat *owner)
{
	char fresh[32];
	snprintf(fresh, sizeof(fresh), "%s.new", name);
	int r = sb_remove_tree(homes, fresh);
	if (r < 0 || mkdirat(homes, fresh, 0700) < 0)
		return r < 0 ? r : -errno;
	cleanup_fd int home = openat(homes, fresh, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (home < 0)
		return -errno;
	cleanup_fd int skel = open(SKEL, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = skel < 0 ? 0 : copy_tree(skel, home, DEPTH_MAX, owner);
	if (r == 0 && (fchown(home, owner->st_uid, owner->st_gid) < 0 ||
		       renameat(homes, fresh, homes, name) < 0))
		r = -errno;
	return r;
}

int sb_home_make(uid_t uid, gid_t gid, struct sb_err *err)
{
	const struct stat owner = { .st_uid = uid, .st_gid = gid };
	struct stat st;
	char name[24];
	snprintf(name, sizeof(name), "u%u", uid);
	cleanup_fd int store = sb_open_dir(AT_FDCWD, SB_STORE_DIR, 0700);
	cleanup_fd int homes = store < 0 ? store : sb_open_dir(store, "home", 0700);
	if (homes < 0)
		return sb_fail(err, homes, "open '" SB_HOMES_DIR "'");
	int r = fstatat(homes, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	if (r == -ENOENT)
		r = make_home(homes, name, &owner);
	return r < 0 ? sb_fail(err, r, "make the private home '" SB_HOMES_DIR "/%s'", name) : 0;
}
