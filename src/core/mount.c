/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/mount.h"

#include <errno.h>

#include "sessbox/str.h"

int sb_mount_clone(int dfd, const char *path, const struct sb_clone *how)
{
	unsigned int recursive = how->recursive ? AT_RECURSIVE : 0;
	cleanup_fd int fd = sys_open_tree(
		dfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | recursive);
	if (fd < 0)
		return -errno;
	struct mount_attr attr = { .attr_set = how->attr,
				   .propagation = how->slave ? SB_MS_SLAVE : SB_MS_PRIVATE };
	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | recursive, &attr, sizeof(attr)) < 0)
		return -errno;
	return sb_steal_fd(&fd);
}

int sb_mount_new(const char *type, uint64_t attr, const struct sb_fsopt *opts)
{
	cleanup_fd int fs = sys_fsopen(type, FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	for (; opts && opts->key; opts++) {
		unsigned int cmd = opts->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
		if (sys_fsconfig(fs, cmd, opts->key, opts->value, 0) < 0)
			return -errno;
	}
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	int fd = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attr);
	return fd < 0 ? -errno : fd;
}

int sb_mount_attach(int mount_fd, int dfd, const char *path)
{
	unsigned int flags = MOVE_MOUNT_F_EMPTY_PATH | (*path ? 0 : MOVE_MOUNT_T_EMPTY_PATH);
	return sys_move_mount(mount_fd, "", dfd, path, flags) < 0 ? -errno : 0;
}

int sb_mount_set(int dfd, const char *path, uint64_t attr, uint64_t propagation)
{
	struct mount_attr a = { .attr_set = attr, .propagation = propagation };
	unsigned int flags = *path ? 0 : AT_EMPTY_PATH;
	return sys_mount_setattr(dfd, path, flags, &a, sizeof(a)) < 0 ? -errno : 0;
}
