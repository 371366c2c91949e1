/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The root itself: an empty tmpfs, a directory of the host, or an overlay over one. */
#include "rootfs_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sessbox/mount.h"
#include "sessbox/parse.h"
#include "sessbox/path.h"

const char *sb_op_option(const struct sb_mount_op *op, const char *key)
{
	for (size_t i = 0; i < SB_MOUNT_OPTS_MAX && op->opts[i].key; i++)
		if (strcmp(op->opts[i].key, key) == 0)
			return op->opts[i].value;
	return NULL;
}

static bool is_tree(const struct sb_mount_op *op)
{
	return strcmp(op->source, SB_ROOT_TMPFS) != 0;
}

/* ---- on the host ---- */

/* What is right in the tree decides where everything below it leads. */
static int check_entries(int dir_fd, const char *path, struct sb_err *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return sb_fail(err, errno, "read '%s'", path);
	for (struct dirent *e; (e = readdir(dir));) {
		struct stat st;
		if (strcmp(e->d_name, "..") == 0)
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return sb_fail(err, errno, "look at '%s/%s'", path, e->d_name);
		if (S_ISLNK(st.st_mode) ? st.st_uid != 0 : !sb_path_is_roots(&st))
			return sb_fail_plain(err, EPERM, "'%s/%s' is not root's alone", path,
					     e->d_name);
	}
	return 0;
}

int sb_root_open(int root_fd, const char *path, struct sb_err *err)
{
	struct stat st;
	cleanup_fd int fd = sb_path_open_in(root_fd, path, SB_PATH_DIRECTORY | SB_PATH_ROOTS, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return sb_fail(err, errno, "look at '%s'", path);
	/* No sticky bit here: whoever could add a name would give the tree what it lacks. */
	if (st.st_uid != 0 || (st.st_mode & 022))
		return sb_fail_plain(err, EPERM, "'%s' is not root's alone", path);
	int r = check_entries(fd, path, err);
	return r < 0 ? r : sb_steal_fd(&fd);
}

int sb_root_clone(struct sb_plan *plan, struct sb_mount_op *op, int64_t deadline,
		  struct sb_err *err)
{
	const char *overlay = sb_op_option(op, "overlay");
	const struct sb_clone how = { .attr = op->attr | (overlay ? RO : 0) };
	uint64_t size = 0;
	if (!is_tree(op))
		return 0;
	plan->tree = sb_root_open(-1, op->source, err);
	if (plan->tree < 0)
		return plan->tree;
	op->is_dir = true;
	op->fd = sb_mount_clone(plan->tree, "", &how);
	if (op->fd < 0)
		return sb_fail(err, op->fd, "clone the mount of '%s'", op->source);
	if (!overlay || strcmp(overlay, "persistent") != 0)
		return 0;
	int r = sb_parse_u64(sb_op_option(op, "size"), &size);
	if (r == 0)
		r = op->store = sb_store_open(op->uid, size, deadline, err);
	/* What it lies in others can fill up. */
	if (r < 0 && err)
		err->num = ELOOP;
	return r < 0 ? r : 0;
}

/* ---- inside ---- */

static int go_into(int mount_fd)
{
	int r = sb_mount_attach(mount_fd, AT_FDCWD, "/");
	if (r == 0 && (fchdir(mount_fd) < 0 || chroot(".") < 0))
		r = -errno;
	return r;
}

static int enter_tmpfs(const char *size, const char *inodes)
{
	const struct sb_fsopt opts[] = { { "source", "sessbox" },
					 { "size", size },
					 { "nr_inodes", inodes },
					 { "mode", "755" },
					 { NULL, NULL } };
	cleanup_fd int root = sb_mount_new("tmpfs", NOSUID | NODEV, opts);
	return root < 0 ? root : go_into(root);
}

static int attach_below(int mount_fd, const char *dir)
{
	if (mkdir(dir, 0700) < 0)
		return -errno;
	return sb_mount_attach(mount_fd, AT_FDCWD, dir);
}

static int make_layers(const char *upper, const char *work)
{
	if ((mkdir(upper, 0755) < 0 || mkdir(work, 0700) < 0) && errno != EEXIST)
		return -errno;
	/* The first may be there without the second: its maker was killed in between. */
	return mkdir(work, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/*
 * To mount an overlay takes a few inodes for a moment. A tenant can use up all that his image has,
 * and could never come in again to give some back: so these are kept for that.
 */
#define SPARE_DIR "/store/spare"
#define SPARE_INODES 16

static void spare_name(char *buf, size_t size, int i)
{
	snprintf(buf, size, SPARE_DIR "/%d", i);
}

static void give_spare(void)
{
	char name[32];
	for (int i = 0; i < SPARE_INODES; i++) {
		spare_name(name, sizeof(name), i);
		unlink(name);
	}
}

/* Where there is no room for them any more, an image of an older version's, it is as it was. */
static void take_spare(void)
{
	char name[32];
	int fd = 0;
	mkdir(SPARE_DIR, 0700);
	for (int i = 0; i < SPARE_INODES && fd >= 0; i++) {
		spare_name(name, sizeof(name), i);
		fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd >= 0)
			close(fd);
	}
}

/*
 * A stage below the overlay holds its layers: the kernel takes none from a mount that is attached
 * nowhere. From the overlay nothing leads down there, and no tenant can take the overlay away.
 */
static int enter_overlay(const struct sb_mount_op *op)
{
	const char *upper = op->store >= 0 ? "/store/upper" : "/upper";
	const char *work = op->store >= 0 ? "/store/work" : "/work";
	const struct sb_fsopt opts[] = { { "source", "sessbox" }, { "lowerdir", "/tree" },
					 { "upperdir", upper },	  { "workdir", work },
					 { "index", "off" },	  { "redirect_dir", "off" },
					 { "metacopy", "off" },	  { "xino", "off" },
					 { NULL, NULL } };
	char inodes[32];
	uint64_t size = 0;
	int r = op->store >= 0 ? 0 : sb_parse_u64(sb_op_option(op, "size"), &size);
	snprintf(inodes, sizeof(inodes), "%" PRIu64, sb_tmpfs_inodes(size));
	if (r == 0)
		r = enter_tmpfs(op->store >= 0 ? "64k" : sb_op_option(op, "size"), inodes);
	if (r == 0)
		r = attach_below(op->fd, "/tree");
	if (r == 0 && op->store >= 0)
		r = attach_below(op->store, "/store");
	if (r == 0)
		r = make_layers(upper, work);
	if (r < 0)
		return r;
	if (op->store >= 0)
		give_spare();
	cleanup_fd int root = sb_mount_new("overlay", op->attr, opts);
	if (op->store >= 0)
		take_spare();
	return root < 0 ? root : go_into(root);
}

int sb_root_enter(const struct sb_mount_op *op)
{
	if (!is_tree(op))
		return enter_tmpfs(sb_op_option(op, "size"), sb_op_option(op, "nr_inodes"));
	return sb_op_option(op, "overlay") ? enter_overlay(op) : go_into(op->fd);
}
