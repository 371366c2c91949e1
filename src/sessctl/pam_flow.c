/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who runs after whom in a stack, and who goes round whom. */
#include <string.h>

#include "pam_stack.h"

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
