/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_MOUNT_H
#define SESSBOX_MOUNT_H

/*
 * The new mount API as small verbs on descriptors (open_tree, fsopen, mount_setattr, move_mount;
 * Linux >= 5.12). Every function returns a descriptor or 0, or a negative errno; messages are the
 * callers', who know what for.
 *
 * A detached mount that is closed without being attached costs an RCU grace period in the kernel
 * (0.3 ms): on the login path each one is attached.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sessbox/sys.h"

/* A private clone of what dfd/path names, with attributes set on all of it. */
struct sb_clone {
	uint64_t attr;	/* MOUNT_ATTR_* to set */
	bool recursive; /* with the mounts below */
	bool slave;	/* host's umounts reach it; otherwise private */
};
int sb_mount_clone(int dfd, const char *path, const struct sb_clone *how);

/* One option of a new file system; value NULL = a flag. */
struct sb_fsopt {
	const char *key;
	const char *value;
};

/* A new, detached file system. opts ends with a NULL key; opts may be NULL. */
int sb_mount_new(const char *type, uint64_t attr, const struct sb_fsopt *opts);

/* Attaches a detached mount at dfd/path. */
int sb_mount_attach(int mount_fd, int dfd, const char *path);

/* Sets attributes (and, unless 0, the propagation) of a mount that is attached already. */
int sb_mount_set(int dfd, const char *path, uint64_t attr, uint64_t propagation);

#endif
