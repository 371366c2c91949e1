/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One stack beside another: are the lines of others the same, and do their jumps end there, too? */
#include <string.h>

#include "pam_lines.h"

static bool equal_args(const struct sb_strv *a, const struct sb_strv *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static bool equal(const struct sb_pam_rule *a, const struct sb_pam_rule *b)
{
	return a->type == b->type && a->level == b->level && a->is_substack == b->is_substack &&
	       a->may_be_gone == b->may_be_gone && strcmp(a->module, b->module) == 0 &&
	       strcmp(a->file, b->file) == 0 && strcmp(a->control, b->control) == 0 &&
	       equal_args(&a->args, &b->args);
}

static size_t skip_ours(const struct sb_pam_stack *stack, size_t i)
{
	while (i < stack->n && sb_pam_is_ours(&stack->v[i]))
		i++;
	return i;
}

/* How many rules of others, of its type, a jump passes. */
static size_t passes(const struct sb_pam_stack *stack, size_t i, int steps)
{
	size_t to = sb_pam_land(stack, i, steps), n = 0;
	for (size_t at = sb_pam_next(stack, i); at < to; at = sb_pam_next(stack, at))
		n += !sb_pam_is_ours(&stack->v[at]);
	return n;
}

static bool same_jumps(const struct sb_pam_stack *a, size_t i, const struct sb_pam_stack *b,
		       size_t k)
{
	for (size_t r = 0; r < SB_PAM_RESULTS; r++) {
		int action = a->v[i].actions[r];
		if (action > 0 && passes(a, i, action) != passes(b, k, action))
			return false;
	}
	return true;
}

const struct sb_pam_rule *ctl_pam_differs(const struct sb_pam_stack *a,
					  const struct sb_pam_stack *b, bool *ret_jumps)
{
	size_t i = skip_ours(a, 0), k = skip_ours(b, 0);
	*ret_jumps = false;
	for (; i < a->n && k < b->n; i = skip_ours(a, i + 1), k = skip_ours(b, k + 1)) {
		if (!equal(&a->v[i], &b->v[k]))
			return &a->v[i];
		*ret_jumps = !same_jumps(a, i, b, k);
		if (*ret_jumps)
			return &a->v[i];
	}
	return i < a->n ? &a->v[i] : k < b->n ? &b->v[k] : NULL;
}
