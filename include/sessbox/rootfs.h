/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_ROOTFS_H
#define SESSBOX_ROOTFS_H

/*
 * The tree a tenant sees: first a plan, a list of operations made from the policy alone (pure,
 * testable, printed by `sessctl policy --mounts`), then one executor in two halves. The first runs
 * in the host's mount namespace and opens and clones every source; the second runs as the process
 * that becomes init, in its new and empty mount namespace, and puts everything together there. What
 * the host holds is thus never looked up from inside, and the reverse.
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "sessbox/err.h"
#include "sessbox/policy.h"

enum sb_mount_op_kind {
	SB_MOUNT_ROOT,	 /* the root itself, a tree of its own or a tmpfs; the first operation */
	SB_MOUNT_DIR,	 /* make a directory */
	SB_MOUNT_LINK,	 /* make a symbolic link: source = its text */
	SB_MOUNT_FS,	 /* mount a new file system: source = its type */
	SB_MOUNT_PART,	 /* bind a new directory of our own tmpfs: source = its path inside */
	SB_MOUNT_BIND,	 /* clone what the host has at source */
	SB_MOUNT_LIKE,	 /* as the host has it: its link copied, or its directory cloned */
	SB_MOUNT_RDONLY, /* make what is at target read-only, with all below */
	SB_MOUNT_MASK,	 /* hide what is at target behind an empty directory or /dev/null */
	SB_MOUNT_SEAL,	 /* make the file system at target itself read-only */
	SB_MOUNT_OVER,	 /* clone the file that the host has at source over the one at target */
};

enum sb_mount_op_flag {
	SB_OP_OPTIONAL = 1 << 0, /* a missing source or target is skipped */
	SB_OP_NO_RECURSE = 1 << 1,
	SB_OP_SLAVE = 1 << 2,	  /* umounts of the host reach it */
	SB_OP_DIRECTORY = 1 << 3, /* the source must be one */
	/* Source and target may lie in a tenant's tree: both are walked by component. */
	SB_OP_GUARDED = 1 << 4,
	SB_OP_CGROUP = 1 << 5,	/* made in the tenant's cgroup namespace */
	SB_OP_NODE = 1 << 8,	/* the source must be a device node */
	SB_OP_MADE = 1 << 7,	/* the source is a private home, made when it is missing */
	SB_OP_IN_TREE = 1 << 6, /* the source is a directory of the tree of SB_MOUNT_ROOT */
};

#define SB_MOUNT_OPTS_MAX 6

/* What persistent overlays and homes are kept in; root's alone. */
#define SB_STORE_DIR "/var/lib/sessbox"

/* Inside: the empty directory that stands in for masked ones. */
#define SB_MASK_DIR "/run/sessbox/empty"

/* Inside: where the directories of SB_MOUNT_PART are; root's alone. */
#define SB_PARTS_DIR "/run/sessbox/parts"

/* The source of a SB_MOUNT_ROOT that is no tree: an empty file system. */
#define SB_ROOT_TMPFS "tmpfs"

struct sb_mount_op {
	enum sb_mount_op_kind kind;
	char *target;	 /* absolute, inside */
	uint32_t hash;	 /* of target */
	bool superseded; /* a later operation sets this target's flags */
	char *source;
	uint64_t attr; /* MOUNT_ATTR_* */
	unsigned int flags;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct {
		const char *key;
		char value[96]; /* "" = a flag */
	} opts[SB_MOUNT_OPTS_MAX];

	/* filled by sb_plan_open and sb_plan_build */
	bool skipped;	 /* optional and not there */
	int fd;		 /* detached mount, or -1 */
	int store;	 /* SB_MOUNT_ROOT: what its overlay is kept in, or -1 */
	bool is_dir;	 /* of the source */
	char *link_text; /* SB_MOUNT_LIKE that is a link */
};

struct sb_plan {
	struct sb_mount_op *ops;
	size_t n;
	int tree;      /* the directory of SB_MOUNT_ROOT on the host, or -1; sb_plan_open's */
	bool homeless; /* what the account has as its home is nothing to be shown as one */
};

/* Is this the policy of a tree of its own, not of a view of the host? */
bool sb_root_is_tree(const struct sb_policy *policy);

/*
 * Opens the directory of a RootDirectory= and checks it: itself, all above it and all right in it
 * must be root's and closed to other writers (-EPERM, the message names the offender). root_fd:
 * what
 * "/" is, -1 for the process' own. An O_PATH descriptor or a negative errno.
 */
int sb_root_open(int root_fd, const char *path, struct sb_err *err);

uint32_t sb_mount_target_hash(const char *target);

/* What the plan needs besides the policy. Borrowed for the call. */
struct sb_plan_spec {
	const struct sb_policy *policy;
	const char *home;	 /* the tenant's home directory */
	const char *account_dir; /* host path of the generated files, shown at /run/etc */
	const char *self_dir;	 /* host path shown at /run/sessbox/self */
	const char *etc_tree;	 /* host path of the shared /etc link tree */
	uint64_t tmp_size;	 /* bytes */
	const char *const *v1;	 /* controllers to show at /sys/fs/cgroup/NAME, NULL-ended; */
				 /* NULL: one cgroup2 */
};

int sb_plan_make(const struct sb_plan_spec *spec, struct sb_plan **ret, struct sb_err *err);
void sb_plan_free(struct sb_plan *plan);

static inline void sb_cleanup_planp(struct sb_plan **plan)
{
	sb_plan_free(*plan);
}
#define cleanup_plan __attribute__((cleanup(sb_cleanup_planp)))

/* One line an operation: "bind /usr from /usr (ro,nosuid,nodev,slave)". */
void sb_plan_print(const struct sb_plan *plan, FILE *out);

/*
 * First half, on the host: opens, clones and flags every source; the deadline is for the overlay of
 * a container that has not ended yet. -ELOOP, here and in the second half: it failed in a tenant's
 * tree, and may be his doing.
 */
int sb_plan_open(struct sb_plan *plan, int64_t deadline, struct sb_err *err);

/*
 * Second half, in the new namespaces: makes the root, attaches it on top of the template's, changes
 * root and working directory into it, carries out the plan and seals what is the container's own.
 * enter_cgroup is called once, before the first operation that needs the cgroup namespace, which is
 * made while the tree is built. 0 or a negative errno.
 */
int sb_plan_build(struct sb_plan *plan, int (*enter_cgroup)(void *ctx, struct sb_err *err),
		  void *ctx, struct sb_err *err);

/*
 * Reads the finished table back from /proc/self/mountinfo and compares the flags of every mount
 * point with the plan's: a flag that got lost on the way is an error.
 */
int sb_plan_verify(const struct sb_plan *plan, struct sb_err *err);

/*
 * Brings the /etc link tree (run_fd)/etc up to date with the host's /etc; does nothing when /etc
 * has not changed since. Each name is a link to /run/host/etc/NAME, or a copy of the host's own
 * link; names of the generated files lead to /run/etc; there is none for the shadow files. The
 * caller holds the lock of the run directory.
 */
int sb_etc_refresh(int run_fd, struct sb_err *err);

/* Is it up to date? Cheap, needs no lock. */
bool sb_etc_is_fresh(int run_fd);

#endif
