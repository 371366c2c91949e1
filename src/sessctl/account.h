/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_ACCOUNT_H
#define SESSCTL_ACCOUNT_H

/* Users as the name service knows them, and what the configuration has for them. */
#include <sys/types.h>

#include "sessbox/policy.h"

/* Whose rules count where nothing else is said. */
#define CTL_SERVICE_DEFAULT "sshd"

struct ctl_account {
	char name[256];
	char home[1024];
	uid_t uid;
	gid_t gid;
};

/* By name, else, if the text is a number, by uid. 0, or -ENOENT if there is none. */
int ctl_account_find(const char *text, struct ctl_account *ret);

/* service NULL = CTL_SERVICE_DEFAULT. As sb_policy_resolve. */
int ctl_account_policy(const struct ctl_account *account, const char *service,
		       const struct sb_config *config, struct sb_policy **ret, struct sb_err *err);

#endif
