/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bare.h"
#include "sessbox/sys.h"

static int clone_mount(const char *path, const struct sb_mount_op *op, bool recursive)
{
	unsigned int recurse = recursive ? AT_RECURSIVE : 0;
	struct mount_attr attr = { .attr_set = op->attr,
				   .propagation =
					   op->flags & SB_OP_SLAVE ? SB_MS_SLAVE : SB_MS_PRIVATE };
	int fd = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recurse);
	if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH | recurse, &attr, sizeof(attr)) < 0)
		die(path);
	return fd;
}

static void attach(int fd, const char *target)
{
	if (sys_move_mount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		die(target);
}

void bare_tree_open(struct bare_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct bare_op *b = &plan->ops[i];
		struct sb_mount_op *op = b->op;
		if (op->kind == SB_MOUNT_BIND || (op->kind == SB_MOUNT_LIKE && !op->link_text))
			op->fd = clone_mount(op->source, op,
					     b->is_dir && !(op->flags & SB_OP_NO_RECURSE));
	}
}

static void set_option(int fs, const char *key, const char *value)
{
	if (sys_fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0) < 0)
		die(key);
}

/* A v1 hierarchy's controllers are flags of their own. */
static void set_controllers(int fs, const char *list)
{
	char names[64], *save = NULL;
	snprintf(names, sizeof(names), "%s", list);
	for (char *s = strtok_r(names, ",", &save); s; s = strtok_r(NULL, ",", &save))
		set_option(fs, s, NULL);
}

static int new_fs(const struct sb_mount_op *op)
{
	int fs = sys_fsopen(op->source, FSOPEN_CLOEXEC);
	if (fs < 0)
		die(op->source);
	if (strcmp(op->source, "cgroup") == 0)
		set_controllers(fs, op->opts[0].value);
	for (size_t i = 0; i < SB_MOUNT_OPTS_MAX && op->opts[i].key; i++)
		if (strcmp(op->source, "cgroup") != 0)
			set_option(fs, op->opts[i].key,
				   *op->opts[i].value ? op->opts[i].value : NULL);
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		die(op->source);
	int fd = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)op->attr);
	if (fd < 0)
		die(op->source);
	return fd;
}

static void enter_root(const struct sb_mount_op *root)
{
	int fd = new_fs(root);
	attach(fd, "/");
	if (fchdir(fd) < 0 || chroot(".") < 0)
		die("enter the root");
}

static void make_dir(const struct sb_mount_op *op)
{
	if (mkdir(op->target, 0755) < 0 && errno != EEXIST)
		die(op->target);
	if (op->mode != 0755 && chmod(op->target, op->mode) < 0)
		die(op->target);
	if (op->uid && chown(op->target, op->uid, op->gid) < 0)
		die(op->target);
}

static void make_mount_point(const struct bare_op *b)
{
	for (size_t i = 0; i < b->n_make; i++)
		if (mkdir(b->make[i], 0755) < 0 && errno != EEXIST)
			die(b->make[i]);
	if (b->make_file && mknod(b->op->target, S_IFREG | 0444, 0) < 0)
		die(b->op->target);
}

static void bind_part(const struct sb_mount_op *op)
{
	if ((mkdir(op->source, 0700) < 0 && errno != EEXIST) || chmod(op->source, op->mode) < 0)
		die(op->source);
	attach(clone_mount(op->source, op, false), op->target);
}

static void build_one(struct bare_op *b)
{
	struct sb_mount_op *op = b->op;
	struct mount_attr attr = { .attr_set = op->attr };
	make_mount_point(b);
	if (op->kind == SB_MOUNT_DIR)
		make_dir(op);
	else if (op->kind == SB_MOUNT_LINK || op->link_text) {
		if (symlink(op->link_text ? op->link_text : op->source, op->target) < 0)
			die(op->target);
	} else if (op->kind == SB_MOUNT_FS)
		attach(new_fs(op), op->target);
	else if (op->kind == SB_MOUNT_PART)
		bind_part(op);
	else if (op->kind == SB_MOUNT_RDONLY)
		attach(clone_mount(op->target, op, true), op->target);
	else if (op->kind == SB_MOUNT_MASK)
		attach(clone_mount(b->is_dir ? SB_MASK_DIR : "/dev/null", op, false), op->target);
	else if (op->kind == SB_MOUNT_SEAL) {
		if (sys_mount_setattr(AT_FDCWD, op->target, 0, &attr, sizeof(attr)) < 0)
			die(op->target);
	} else
		attach(op->fd, op->target);
}

void bare_tree_build(struct bare_plan *plan)
{
	enter_root(plan->ops[0].op);
	for (size_t i = 1; i < plan->n; i++)
		build_one(&plan->ops[i]);
	sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
}
