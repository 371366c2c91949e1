/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_STEP_H
#define SESSBOX_STEP_H

/*
 * Work outside the process (cgroups, mounts, records, processes) as a table of steps, so that a
 * failure at any index leaves nothing behind and tests can fail each one.
 */
#include <stddef.h>

#include "sessbox/err.h"

struct sb_step {
	const char *name;
	int (*run)(void *ctx, struct sb_err *err);
	/* Reverts what run did; NULL if there is nothing to revert. Must not fail: what it cannot
	 * remove is left to the next open, or to `sessctl gc`. Also called for the step that
	 * failed, which may have done a part. */
	void (*undo)(void *ctx);
};

/*
 * Runs the steps in order. On the first failure undoes the failed step and, backwards, all before
 * it; err then says what failed within which step. Returns 0 or a negative errno.
 */
int sb_steps_run(const struct sb_step *steps, size_t n, void *ctx, struct sb_err *err);

/* Undoes all steps, last first: for work that was complete and then turned out useless. */
void sb_steps_undo(const struct sb_step *steps, size_t n, void *ctx);

/*
 * Called before each step runs, where set; a negative result fails the step in its place. Only
 * test programs set it.
 */
extern int (*sb_step_probe)(const struct sb_step *steps, size_t index, struct sb_err *err);

#endif
