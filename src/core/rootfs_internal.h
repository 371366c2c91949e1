/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_ROOTFS_INTERNAL_H
#define SESSBOX_ROOTFS_INTERNAL_H

/* What the rootfs*.c files share. */
#include "sessbox/rootfs.h"

#include "sessbox/sys.h"

#define RO MOUNT_ATTR_RDONLY
#define NOSUID MOUNT_ATTR_NOSUID
#define NODEV MOUNT_ATTR_NODEV
#define NOEXEC MOUNT_ATTR_NOEXEC
#define OPTIONAL SB_OP_OPTIONAL
#define SLAVE SB_OP_SLAVE

/* ---- rootfs_maker.c: a plan being made ---- */

/* A row of a table of operations; source NULL = the target's own name on the host. */
struct sb_row {
	enum sb_mount_op_kind kind;
	const char *target;
	const char *source;
	uint64_t attr;
	unsigned int flags;
	mode_t mode;
};

/* The first error sticks, so that rows need no checks of their own. */
struct sb_maker {
	const struct sb_plan_spec *spec;
	struct sb_plan *plan;
	unsigned int always; /* flags of every operation */
	int r;
};

struct sb_mount_op *sb_maker_add(struct sb_maker *m, const struct sb_row *row);
void sb_maker_rows(struct sb_maker *m, const struct sb_row *rows, size_t n);

/* Sets an option of a new file system; value NULL = a flag. */
void sb_maker_option(struct sb_mount_op *op, const char *key, const char *value);
void sb_maker_number(struct sb_mount_op *op, const char *key, uint64_t value);

/* How many inodes a tmpfs of this many bytes may have: one costs the kernel about a kilobyte that
 * `size` does not count. */
static inline uint64_t sb_tmpfs_inodes(uint64_t size)
{
	return size / 1024 > 256 ? size / 1024 : 256;
}

/*
 * A directory that needs a mount of its own and no file system of its own: in the kernel one costs
 * some 20 KB, and a part of each cgroup's memory for as long as the machine is up.
 */
struct sb_mount_op *sb_maker_part(struct sb_maker *m, const char *target, const char *name,
				  mode_t mode, uint64_t attr);

/* A tmpfs with a bound on bytes and inodes. */
struct sb_mount_op *sb_maker_tmpfs(struct sb_maker *m, const char *target, uint64_t size,
				   const char *mode, uint64_t attr);

/* The one tmpfs of a container, of TmpSize=, that everything writable in memory is a part of. */
void sb_maker_shared(struct sb_maker *m, enum sb_mount_op_kind kind, const char *target);

/* ---- rootfs_view.c: where the system's files come from ---- */

void sb_maker_system(struct sb_maker *m); /* before everything else */
void sb_maker_etc(struct sb_maker *m);
void sb_maker_masks(struct sb_maker *m);
/* What those masks hide of a directory of the host that is shown once more. */
void sb_maker_masks_below(struct sb_maker *m, const char *source, const char *dest);
void sb_maker_seals(struct sb_maker *m); /* after everything else */

/* ---- rootfs_paths.c: what the policy shows, hides and closes by path ---- */

void sb_maker_home(struct sb_maker *m);
void sb_maker_nodes(struct sb_maker *m);
void sb_maker_tmpfs_paths(struct sb_maker *m);
void sb_maker_binds(struct sb_maker *m);
void sb_maker_proxies(struct sb_maker *m);
void sb_maker_closed_paths(struct sb_maker *m);

/* ---- rootfs_root.c ---- */

/* The value of an operation's option, "" for a flag, or NULL. */
const char *sb_op_option(const struct sb_mount_op *op, const char *key);

/* On the host: verifies and clones the tree, and opens what its overlay is stored in. */
int sb_root_clone(struct sb_plan *plan, struct sb_mount_op *op, int64_t deadline,
		  struct sb_err *err);

/* In the new namespaces: attaches the root on top of the template's and goes into it. */
int sb_root_enter(const struct sb_mount_op *op);

/* ---- rootfs_store.c ---- */

/*
 * The file system in which a tenant's persistent overlay is kept: an image of the given size in
 * SB_STORE_DIR, made when it is missing, on a loop device that goes with its mount. Whoever has
 * mounted it holds it alone; waits for that until the deadline. A detached mount or a negative
 * errno.
 */
int sb_store_open(uid_t uid, uint64_t size, int64_t deadline, struct sb_err *err);

/* ---- rootfs_home.c ---- */

#define SB_HOMES_DIR SB_STORE_DIR "/home"

/* Makes the private home SB_HOMES_DIR/u<uid> if it is missing, with what /etc/skel has. */
int sb_home_make(uid_t uid, gid_t gid, struct sb_err *err);

/*
 * Opens the operation's source on the host, or makes its target inside. With the tenant's ids if
 * root may not pass a directory on the way: a network file system may take root for nobody.
 */
int sb_op_open_source(const struct sb_mount_op *op, struct sb_err *err);
int sb_op_make_target(const struct sb_mount_op *op, bool as_dir);

#endif
