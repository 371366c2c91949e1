/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who runs after whom in a stack, and who goes round whom. */
#include <string.h>

#include "sessbox/pam.h"

size_t sb_pam_next(const struct sb_pam_stack *stack, size_t i)
{
	enum sb_pam_type type = stack->v[i].type;
	do
		i++;
	while (i < stack->n && stack->v[i].type != type);
	return i;
}

size_t sb_pam_land(const struct sb_pam_stack *stack, size_t i, int steps)
{
	int level = stack->v[i].level;
	size_t at = sb_pam_next(stack, i);
	for (; steps > 0 && at < stack->n && stack->v[at].level >= level; steps--)
		do
			at = sb_pam_next(stack, at);
		while (at < stack->n && stack->v[at].level > level);
	return at;
}

/* Does the (sub)stack in which i stands go on until the rule at index? */
static bool same_stack(const struct sb_pam_stack *stack, size_t i, size_t index)
{
	for (size_t at = i; at <= index; at = sb_pam_next(stack, at))
		if (stack->v[at].level < stack->v[i].level)
			return false;
	return true;
}

static bool may_skip(const struct sb_pam_stack *stack, size_t i, size_t index)
{
	const struct sb_pam_rule *rule = &stack->v[i];
	for (size_t k = 0; k < SB_PAM_RESULTS; k++) {
		int action = rule->actions[k];
		if (action == SB_PAM_DONE && same_stack(stack, i, index))
			return true;
		if (action > 0 && sb_pam_land(stack, i, action) > index)
			return true;
	}
	return false;
}

const struct sb_pam_rule *sb_pam_skipper(const struct sb_pam_stack *stack, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (stack->v[i].type == stack->v[index].type && !stack->v[i].is_substack &&
		    may_skip(stack, i, index))
			return &stack->v[i];
	return NULL;
}

static bool may_kill(const struct sb_pam_rule *rule)
{
	for (size_t k = 0; k < SB_PAM_RESULTS; k++)
		if (rule->actions[k] == SB_PAM_DIE)
			return true;
	return false;
}

const struct sb_pam_rule *sb_pam_killer(const struct sb_pam_stack *stack, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (stack->v[i].type == stack->v[index].type && !stack->v[i].is_substack &&
		    strcmp(stack->v[i].module, "pam_deny.so") != 0 && may_kill(&stack->v[i]) &&
		    same_stack(stack, i, index))
			return &stack->v[i];
	return NULL;
}
