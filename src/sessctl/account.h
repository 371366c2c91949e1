/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_ACCOUNT_H
#define SESSCTL_ACCOUNT_H

/* Users as the name service knows them, and what the configuration has for them. */
#include <sys/types.h>

#include "sessbox/group.h"
#include "sessbox/policy.h"

/* Whose rules count where nothing else is said. */
#define CTL_SERVICE_DEFAULT "sshd"

/* What was said of a user's groups: each is asked for once. { 0 } to begin with. */
struct ctl_answers {
	struct sb_group_cache groups;
	struct ctl_answer *v;
	size_t n;
};
void ctl_answers_clear(struct ctl_answers *answers);

struct ctl_account {
	char name[256];
	char home[1024];
	uid_t uid;
	gid_t gid;
	struct ctl_answers *answers; /* looked into, and added to; NULL = not kept */
};

/* By name, else, if the text is a number, by uid. 0, or -ENOENT if there is none. */
int ctl_account_find(const char *text, struct ctl_account *ret);

/* service NULL = CTL_SERVICE_DEFAULT. As sb_policy_resolve. */
int ctl_account_policy(const struct ctl_account *account, const char *service,
		       const struct sb_config *config, struct sb_policy **ret, struct sb_err *err);

#endif
