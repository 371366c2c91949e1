/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rootfs_internal.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "sessbox/io.h"
#include "sessbox/mount.h"
#include "sessbox/path.h"

/* ---- first half, on the host ---- */

/* Nothing in the tree may lead out of it. */
static int open_in_tree(const struct sb_plan *plan, const struct sb_mount_op *op)
{
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
						 RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV };
	int fd = sys_openat2(plan->tree, op->source + strlen(plan->ops[0].source) + 1, &how);
	return fd < 0 ? -errno : fd;
}

/* A name in root's own directories needs no care; one that may lie in a tenant's tree does. */
static int clone_source(const struct sb_plan *plan, const struct sb_mount_op *op,
			struct sb_err *why)
{
	const struct sb_clone how = { .attr = op->attr,
				      .recursive = !(op->flags & SB_OP_NO_RECURSE),
				      .slave = op->flags & SB_OP_SLAVE };
	cleanup_fd int source = -1;
	int fd = 0;
	if (op->flags & SB_OP_MADE)
		fd = sb_home_make(op->uid, op->gid, why);
	if (fd < 0)
		return fd;
	if (op->flags & SB_OP_IN_TREE)
		source = open_in_tree(plan, op);
	else if (op->flags & SB_OP_GUARDED)
		source = sb_op_open_source(op, why);
	if (op->flags & (SB_OP_IN_TREE | SB_OP_GUARDED))
		fd = source < 0 ? source : sb_mount_clone(source, "", &how);
	else
		fd = sb_mount_clone(AT_FDCWD, op->source, &how);
	if (fd < 0 && !(source < 0 && *why->msg))
		sb_fail(why, fd, "clone the mount of '%s'", op->source);
	return fd;
}

/* What fails in a tenant's tree may be his doing, whatever the reason: always -ELOOP. */
static int blame(const struct sb_mount_op *op, int r)
{
	return op->flags & SB_OP_GUARDED ? -ELOOP : r;
}

static int open_source(const struct sb_plan *plan, struct sb_mount_op *op, struct sb_err *err)
{
	struct stat st;
	struct sb_err why = { 0 };
	op->fd = clone_source(plan, op, &why);
	if (op->fd < 0 && (op->flags & SB_OP_OPTIONAL) &&
	    (op->fd == -ENOENT || op->fd == -ENOTDIR ||
	     (op->fd == -ELOOP && !(op->flags & SB_OP_DIRECTORY)))) {
		op->skipped = true;
		return 0;
	}
	if (op->fd < 0)
		return sb_fail_plain(err, blame(op, op->fd), "%s", why.msg);
	if (fstat(op->fd, &st) < 0)
		return sb_fail(err, errno, "look at '%s'", op->source);
	op->is_dir = S_ISDIR(st.st_mode);
	if ((op->flags & SB_OP_NODE) && !S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return sb_fail_plain(err, blame(op, -ENODEV), "'%s' is no device node", op->source);
	return 0;
}

/* Directories that may be links on the host: /bin -> usr/bin. */
static int open_like(const struct sb_plan *plan, struct sb_mount_op *op, struct sb_err *err)
{
	char text[PATH_MAX];
	ssize_t n = readlink(op->source, text, sizeof(text) - 1);
	if (n < 0)
		return open_source(plan, op, err); /* a directory, or missing */
	text[n] = '\0';
	op->link_text = strdup(text);
	return op->link_text ? 0 : sb_fail(err, ENOMEM, "copy the link '%s'", op->source);
}

int sb_plan_open(struct sb_plan *plan, int64_t deadline, struct sb_err *err)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct sb_mount_op *op = &plan->ops[i];
		int r = 0;
		if (op->kind == SB_MOUNT_ROOT)
			r = sb_root_clone(plan, op, deadline, err);
		else if (op->kind == SB_MOUNT_BIND || op->kind == SB_MOUNT_OVER)
			r = open_source(plan, op, err);
		else if (op->kind == SB_MOUNT_LIKE)
			r = open_like(plan, op, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- second half, inside ---- */

/* Makes the directories above a target that is ours alone; nobody else is in here yet. */
static int make_parents(const char *target)
{
	char path[PATH_MAX];
	if (sb_copy(path, sizeof(path), target) < 0)
		return -ENAMETOOLONG;
	for (char *s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*s = '/';
	}
	return 0;
}

/* Makes what is to be at the target, and the directories above it only if they turn out missing. */
static int make_with_parents(const struct sb_mount_op *op, int (*make)(const struct sb_mount_op *))
{
	int r = make(op);
	if (r != -ENOENT)
		return r;
	r = make_parents(op->target);
	return r < 0 ? r : make(op);
}

static int place_dir(const struct sb_mount_op *op)
{
	return mkdir(op->target, 0755) < 0 ? -errno : 0;
}

static int place_file(const struct sb_mount_op *op)
{
	cleanup_fd int fd = open(op->target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	return fd < 0 ? -errno : 0;
}

static int place_link(const struct sb_mount_op *op)
{
	return symlink(op->link_text ? op->link_text : op->source, op->target) < 0 ? -errno : 0;
}

static int make_dir(struct sb_mount_op *op)
{
	int r = make_with_parents(op, place_dir);
	if (r < 0)
		return r == -EEXIST ? 0 : r;
	if (op->uid && chown(op->target, op->uid, op->gid) < 0)
		return -errno;
	return chmod(op->target, op->mode) < 0 ? -errno : 0;
}

static int make_link(struct sb_mount_op *op)
{
	return make_with_parents(op, place_link);
}

static int make_mount_point(const struct sb_mount_op *op, bool as_dir)
{
	int r = make_with_parents(op, as_dir ? place_dir : place_file);
	return r == -EEXIST ? 0 : r;
}

/* Attaches a detached mount at the operation's target. */
static int attach(const struct sb_mount_op *op, int mount_fd, bool as_dir)
{
	if (!(op->flags & SB_OP_GUARDED)) {
		int r = make_mount_point(op, as_dir);
		return r < 0 ? r : sb_mount_attach(mount_fd, AT_FDCWD, op->target);
	}
	cleanup_fd int target = sb_op_make_target(op, as_dir);
	return target < 0 ? target : sb_mount_attach(mount_fd, target, "");
}

static int bind_source(struct sb_mount_op *op)
{
	int r = attach(op, op->fd, op->is_dir);
	sb_close(&op->fd);
	return r;
}

static int bind_part(struct sb_mount_op *op)
{
	const struct sb_clone how = { .attr = op->attr };
	if ((mkdir(op->source, 0700) < 0 && errno != EEXIST) || chmod(op->source, op->mode) < 0)
		return -errno;
	cleanup_fd int fd = sb_mount_clone(AT_FDCWD, op->source, &how);
	return fd < 0 ? fd : attach(op, fd, true);
}

static int like_host(struct sb_mount_op *op)
{
	return op->link_text ? make_link(op) : bind_source(op);
}

/* The controllers of a v1 hierarchy are options of their own: "cpu,cpuacct". */
static int new_cgroup1(const struct sb_mount_op *op)
{
	char names[sizeof(op->opts[0].value)], *save = NULL;
	struct sb_fsopt opts[sizeof(names) / 2] = { { 0 } };
	size_t n = 0;
	if (sb_copy(names, sizeof(names), op->opts[0].value) < 0)
		return -ENAMETOOLONG;
	for (char *s = strtok_r(names, ",", &save); s && n < SB_ARRAY_SIZE(opts) - 1;
	     s = strtok_r(NULL, ",", &save))
		opts[n++].key = s;
	return sb_mount_new("cgroup", op->attr, opts);
}

static int new_fs(struct sb_mount_op *op)
{
	struct sb_fsopt opts[SB_MOUNT_OPTS_MAX + 1] = { { 0 } };
	for (size_t i = 0; i < SB_MOUNT_OPTS_MAX && op->opts[i].key; i++)
		opts[i] = (struct sb_fsopt){ op->opts[i].key,
					     *op->opts[i].value ? op->opts[i].value : NULL };
	cleanup_fd int fd = strcmp(op->source, "cgroup") == 0
				    ? new_cgroup1(op)
				    : sb_mount_new(op->source, op->attr, opts);
	return fd < 0 ? fd : attach(op, fd, true);
}

/*
 * What is there to be covered, at the end of links: a daemon's state may lie on another disk. A
 * stranger on the way could move it from under the cover, from a container of his own.
 */
static int open_target(const struct sb_mount_op *op, bool *ret_elsewhere)
{
	struct stat st;
	*ret_elsewhere = op->flags & SB_OP_GUARDED;
	if (*ret_elsewhere)
		return sb_path_open(op->target, SB_PATH_ROOTS, NULL);
	cleanup_fd int fd = open(op->target, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISLNK(st.st_mode))
		return sb_steal_fd(&fd);
	*ret_elsewhere = true;
	int end = open(op->target, O_PATH | O_CLOEXEC);
	return end < 0 ? -errno : end;
}

/* Attaches over the target a clone of dfd/from with the operation's flags. */
static int cover(const struct sb_mount_op *op, int target, int dfd, const char *from)
{
	const struct sb_clone how = { .attr = op->attr, .recursive = dfd == target };
	cleanup_fd int fd = sb_mount_clone(dfd, from, &how);
	return fd < 0 ? fd : sb_mount_attach(fd, target, "");
}

/*
 * May this be covered? A mount over a single file of a host's directory is dropped as soon as the
 * host renames another one into its place. In the kernel's own file systems nobody renames.
 */
static int check_target(int target, bool *ret_is_dir)
{
	struct stat st;
	struct statfs fs;
	if (fstat(target, &st) < 0 || fstatfs(target, &fs) < 0)
		return -errno;
	*ret_is_dir = S_ISDIR(st.st_mode);
	return *ret_is_dir || fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ? 0
											: -ENOTDIR;
}

/* Links have been followed: the operation's target becomes what they lead to. */
static int note_target(struct sb_mount_op *op, int target)
{
	char link[32], path[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", target);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	free(op->target);
	op->target = copy;
	op->hash = sb_mount_target_hash(copy);
	return 0;
}

static int cover_target(struct sb_mount_op *op)
{
	bool is_dir = false, elsewhere;
	cleanup_fd int target = open_target(op, &elsewhere);
	int r = target < 0 ? target : check_target(target, &is_dir);
	if (r == 0 && elsewhere)
		r = note_target(op, target);
	if (r < 0)
		return r;
	if (op->kind == SB_MOUNT_RDONLY)
		return cover(op, target, target, "");
	return cover(op, target, AT_FDCWD, is_dir ? SB_MASK_DIR : "/dev/null");
}

/* A program that is not there is none to stand in for; neither is a link, whose end is covered. */
static int cover_file(struct sb_mount_op *op)
{
	const struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
				      .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	struct stat st;
	cleanup_fd int target = sys_openat2(AT_FDCWD, op->target, &how);
	int r = target < 0 || fstat(target, &st) < 0 ? -errno : 0;
	if (r == 0)
		r = S_ISREG(st.st_mode) ? sb_mount_attach(op->fd, target, "") : -ENOENT;
	sb_close(&op->fd);
	return r == -ELOOP ? -ENOENT : r;
}

static int seal(struct sb_mount_op *op)
{
	if (!(op->flags & SB_OP_GUARDED))
		return sb_mount_set(AT_FDCWD, op->target, op->attr, 0);
	cleanup_fd int target = sb_op_make_target(op, true);
	return target < 0 ? target : sb_mount_set(target, "", op->attr, 0);
}

/*
 * Nothing may be mounted on a tree that is still detached (EINVAL on 6.1): it has been attached
 * before all else, on top of the template's root, and is filled from inside.
 */
static int root_is_there(struct sb_mount_op *op)
{
	sb_close(&op->fd);
	sb_close(&op->store);
	return 0;
}

static int (*const builders[])(struct sb_mount_op *) = {
	[SB_MOUNT_DIR] = make_dir,	 [SB_MOUNT_LINK] = make_link,
	[SB_MOUNT_FS] = new_fs,		 [SB_MOUNT_BIND] = bind_source,
	[SB_MOUNT_LIKE] = like_host,	 [SB_MOUNT_RDONLY] = cover_target,
	[SB_MOUNT_MASK] = cover_target,	 [SB_MOUNT_SEAL] = seal,
	[SB_MOUNT_ROOT] = root_is_there, [SB_MOUNT_PART] = bind_part,
	[SB_MOUNT_OVER] = cover_file,
};

/* The reason itself, whoever is to blame. Of what covers a path two are rules of its keys. */
static const char *explain(const struct sb_mount_op *op, int r)
{
	bool covers = op->kind == SB_MOUNT_RDONLY || op->kind == SB_MOUNT_MASK;
	if (covers && r == -EPERM)
		return "a directory above it is not root's alone";
	if (covers && r == -ENOTDIR)
		return "it is no directory";
	return strerror(-r);
}

static int build_one(struct sb_mount_op *op, struct sb_err *err)
{
	int r = op->skipped ? 0 : builders[op->kind](op);
	if (r == -ENOENT && (op->flags & SB_OP_OPTIONAL)) {
		op->skipped = true;
		return 0;
	}
	if (r < 0)
		return sb_fail_plain(err, blame(op, r), "build '%s': %s", op->target,
				     explain(op, r));
	return 0;
}

int sb_plan_build(struct sb_plan *plan, int (*enter_cgroup)(void *ctx, struct sb_err *err),
		  void *ctx, struct sb_err *err)
{
	bool entered = false;
	const struct sb_mount_op *root = &plan->ops[0];
	int r = sb_root_enter(root);
	if (r < 0)
		return sb_fail_plain(err, blame(root, r), "make the root: %s", strerror(-r));
	for (size_t i = 0; i < plan->n && r == 0; i++) {
		struct sb_mount_op *op = &plan->ops[i];
		if ((op->flags & SB_OP_CGROUP) && !entered) {
			if ((r = enter_cgroup(ctx, err)) < 0)
				return r;
			entered = true;
		}
		r = build_one(op, err);
	}
	/* A host may have nothing to show there; the namespace is entered all the same. */
	return r == 0 && !entered ? enter_cgroup(ctx, err) : r;
}
