/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_POLICY_INTERNAL_H
#define SESSBOX_POLICY_INTERNAL_H

/* What policy.c and policy_match.c share. */
#include "sessbox/policy.h"

/* How a class matched; a higher one beats a lower one. */
enum sb_level { SB_LEVEL_NONE, SB_LEVEL_UID, SB_LEVEL_GROUP, SB_LEVEL_USER };

enum sb_contain { SB_CONTAIN_UNSET, SB_CONTAIN_NO, SB_CONTAIN_YES };

struct sb_candidate {
	const struct sb_class *class;
	enum sb_level level;	 /* by what is known */
	enum sb_level by_group;	 /* what a group makes of it */
	enum sb_contain contain; /* what it sets */
	bool may_add;		 /* a group may raise it to by_group */
	bool may_exclude;	 /* a group may take it away */
};

struct sb_resolver {
	const struct sb_config *config;
	const struct sb_login *login;
	struct sb_candidate *candidates; /* all classes but [Defaults], in order */
	size_t n;
	const struct sb_class *defaults;
	struct sb_strv members; /* answers of in_group */
	struct sb_strv strangers;
	struct sb_err *err;
};

/*
 * Fills candidates, n and defaults. Asks for groups only if the answer may still be that the login
 * is a tenant's. 0 or a negative errno.
 */
int sb_resolver_match(struct sb_resolver *r);

/* A section that `sessctl limit` writes. */
bool sb_class_is_limit(const struct sb_class *class);

#endif
