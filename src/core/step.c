/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/step.h"

int (*sb_step_probe)(const struct sb_step *steps, size_t index, struct sb_err *err);

void sb_steps_undo(const struct sb_step *steps, size_t n, void *ctx)
{
	while (n-- > 0)
		if (steps[n].undo)
			steps[n].undo(ctx);
}

int sb_steps_run(const struct sb_step *steps, size_t n, void *ctx, struct sb_err *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = sb_step_probe ? sb_step_probe(steps, i, err) : 0;
		if (r >= 0)
			r = steps[i].run(ctx, err);
		if (r >= 0)
			continue;
		sb_steps_undo(steps, i + 1, ctx);
		sb_fail_within(err, "%s", steps[i].name);
		return r;
	}
	return 0;
}
