/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who runs after whom in a stack, and who goes round whom. */
#include <string.h>

#include "pam_lines.h"

/* The next rule of the same type after i, or n. */
static size_t next_of(const struct ctl_pam_stack *stack, size_t i)
{
	enum ctl_pam_type type = stack->v[i].type;
	do
		i++;
	while (i < stack->n && stack->v[i].type != type);
	return i;
}

/* Where a jump of `steps` from i lands; a substack is one step, and its end stops the jump. */
static size_t land(const struct ctl_pam_stack *stack, size_t i, int steps)
{
	int level = stack->v[i].level;
	size_t at = next_of(stack, i);
	for (; steps > 0 && at < stack->n && stack->v[at].level >= level; steps--)
		do
			at = next_of(stack, at);
		while (at < stack->n && stack->v[at].level > level);
	return at;
}

/* Does the (sub)stack in which i stands go on until the rule at index? */
static bool same_stack(const struct ctl_pam_stack *stack, size_t i, size_t index)
{
	for (size_t at = i; at <= index; at = next_of(stack, at))
		if (stack->v[at].level < stack->v[i].level)
			return false;
	return true;
}

static bool may_skip(const struct ctl_pam_stack *stack, size_t i, size_t index)
{
	const struct ctl_pam_rule *rule = &stack->v[i];
	for (size_t k = 0; k < CTL_PAM_RESULTS; k++) {
		int action = rule->actions[k];
		if (action == CTL_PAM_DONE && same_stack(stack, i, index))
			return true;
		if (action > 0 && land(stack, i, action) > index)
			return true;
	}
	return false;
}

const struct ctl_pam_rule *ctl_pam_skipper(const struct ctl_pam_stack *stack, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (stack->v[i].type == stack->v[index].type && !stack->v[i].is_substack &&
		    may_skip(stack, i, index))
			return &stack->v[i];
	return NULL;
}

static bool may_kill(const struct ctl_pam_rule *rule)
{
	for (size_t k = 0; k < CTL_PAM_RESULTS; k++)
		if (rule->actions[k] == CTL_PAM_DIE)
			return true;
	return false;
}

const struct ctl_pam_rule *ctl_pam_killer(const struct ctl_pam_stack *stack, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (stack->v[i].type == stack->v[index].type && !stack->v[i].is_substack &&
		    strcmp(stack->v[i].module, "pam_deny.so") != 0 && may_kill(&stack->v[i]) &&
		    same_stack(stack, i, index))
			return &stack->v[i];
	return NULL;
}

/* ---- one stack beside another ---- */

static bool equal_args(const struct sb_strv *a, const struct sb_strv *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static bool equal(const struct ctl_pam_rule *a, const struct ctl_pam_rule *b)
{
	return a->type == b->type && a->level == b->level && a->is_substack == b->is_substack &&
	       a->may_be_gone == b->may_be_gone && strcmp(a->module, b->module) == 0 &&
	       strcmp(a->file, b->file) == 0 && strcmp(a->control, b->control) == 0 &&
	       equal_args(&a->args, &b->args);
}

static size_t skip_ours(const struct ctl_pam_stack *stack, size_t i)
{
	while (i < stack->n && ctl_pam_is_ours(&stack->v[i]))
		i++;
	return i;
}

/* How many rules of others, of its type, a jump passes. */
static size_t passes(const struct ctl_pam_stack *stack, size_t i, int steps)
{
	size_t to = land(stack, i, steps), n = 0;
	for (size_t at = next_of(stack, i); at < to; at = next_of(stack, at))
		n += !ctl_pam_is_ours(&stack->v[at]);
	return n;
}

static bool same_jumps(const struct ctl_pam_stack *a, size_t i, const struct ctl_pam_stack *b,
		       size_t k)
{
	for (size_t r = 0; r < CTL_PAM_RESULTS; r++) {
		int action = a->v[i].actions[r];
		if (action > 0 && passes(a, i, action) != passes(b, k, action))
			return false;
	}
	return true;
}

const struct ctl_pam_rule *ctl_pam_differs(const struct ctl_pam_stack *a,
					   const struct ctl_pam_stack *b, bool *ret_jumps)
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
