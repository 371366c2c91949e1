/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_BENCH_BARE_H
#define SESSBOX_BENCH_BARE_H

/*
 * The floor under a login: the same container with as few system calls as it takes. What can be
 * known before is found out before the clock runs: the plan (the project's own), which optional
 * things are there, which directories have to be made, the limits' files and values. No check, no
 * record, no lock, no undo.
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "bench.h"
#include "sessbox/rootfs.h"

#define BARE_GROUP "bench" /* the cgroup, beside the tenants' */
#define BARE_GROUPS_MAX 24
#define BARE_LIMITS_MAX 32

/* ---- bare_plan.c: before the clock ---- */

struct bare_op {
	struct sb_mount_op *op;
	bool is_dir;   /* the source, or what a mask hides */
	char *make[8]; /* directories to make first */
	size_t n_make;
	bool make_file; /* the mount point is a file */
};

struct bare_plan {
	struct bare_op *ops;
	size_t n;
	char hostname[65];
};

/* Plans the tree of a user who has a session: its directories in /run are shown. */
void bare_plan_make(const char *user, struct bare_plan *ret);

/* ---- bare_tree.c: under the clock ---- */

void bare_tree_open(struct bare_plan *plan);  /* on the host */
void bare_tree_build(struct bare_plan *plan); /* inside */

#endif
