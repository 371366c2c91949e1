/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_PAM_LINES_H
#define SESSCTL_PAM_LINES_H

/*
 * Our lines in a service's stack: which there are, how each reads and where it has its place. This
 * one table is what `check` looks for and what `enable` writes.
 */
#include <stdbool.h>

#include "sessbox/pam.h"
#include "sessbox/service.h"

#define CTL_ROLE_LINE_MAX 128

/* A line that makes a contained login. */
struct ctl_role {
	const char *name;
	enum sb_pam_type type;
	const char *arg; /* what tells it from others of its type; NULL = nothing */
	bool first;	 /* of its type, else last */
	bool joins;	 /* has join= */
};

enum ctl_role_name {
	CTL_ROLE_ACCOUNT,
	CTL_ROLE_AUTH, /* join=cred alone */
	CTL_ROLE_CLOSE,
	CTL_ROLE_OPEN,
	CTL_ROLES,
};
extern const struct ctl_role ctl_roles[CTL_ROLES];

bool ctl_role_is(const struct sb_pam_rule *rule, const struct ctl_role *role);

/* Has a contained login through the service such a line? */
bool ctl_role_wanted(const struct sb_service *service, const struct ctl_role *role);

/* su-l's close line stands in su-l itself, before what comes ahead of the include, and in su. */
bool ctl_role_may_be_twice(const struct sb_service *service, const struct ctl_role *role);

/* "join=cred" */
const char *ctl_role_join(const struct sb_service *service);

/* The whole line, without its end: buf has CTL_ROLE_LINE_MAX bytes. */
void ctl_role_line(const struct sb_service *service, const struct ctl_role *role, char *buf);

/*
 * Do two stacks differ in more than lines of ours? The first rule that has no equal in the same
 * place of the other, or, with *ret_jumps, whose jump ends somewhere else there; NULL: they do not.
 */
const struct sb_pam_rule *ctl_pam_differs(const struct sb_pam_stack *a,
					  const struct sb_pam_stack *b, bool *ret_jumps);

#endif
