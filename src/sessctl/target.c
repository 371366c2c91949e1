/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sessbox/parse.h"
#include "sessbox/str.h"
#include "sessctl.h"

static int missing(const struct ctl_users *users, const char *text)
{
	if (!users->self)
		return ctl_fail(CTL_MISSING, "no user or session '%s'", text);
	/* Whether there is such a session is none of his business. */
	return ctl_fail(CTL_NOT_PERMITTED, "you may ask about yourself alone, not about '%s'",
			text);
}

static void set_user(struct ctl_target *target, struct ctl_user *user)
{
	target->user = user;
	target->uid = user->uid;
	target->name = user->name;
}

static int find(const struct ctl_users *users, const char *text, struct ctl_target *ret)
{
	struct ctl_user *user = NULL;
	*ret = (struct ctl_target){ .session = ctl_session_find(users, text, &user) };
	if (!user)
		user = ctl_user_find(users, text);
	if (user) {
		set_user(ret, user);
		return CTL_OK;
	}
	int r = ctl_account_find(text, &ret->account);
	if (r < 0 && r != -ENOENT)
		return ctl_fail(CTL_FAILED, "look up the user '%s': %s", text, strerror(-r));
	if (r < 0 || (users->self && ret->account.uid != getuid()))
		return missing(users, text);
	ret->name = ret->account.name;
	ret->uid = ret->account.uid;
	user = ctl_user_of_uid(users, ret->uid);
	if (user)
		set_user(ret, user);
	else if (users->self)
		return ctl_fail(CTL_MISSING, "you are not contained");
	return CTL_OK;
}

int ctl_target_load(struct ctl_users *users, const char *text, struct ctl_target *ret)
{
	struct sb_err err = { 0 };
	if (ctl_users_load(users, &err) < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	return find(users, text, ret);
}

int ctl_target_load_to_end(struct ctl_users *users, const char *text, struct ctl_target *ret)
{
	uint64_t number;
	int status = ctl_target_load(users, text, ret);
	if (status != CTL_OK || ret->session || strcmp(ret->name, text) == 0 ||
	    sb_parse_u64(text, &number) < 0)
		return status;
	return ctl_fail(CTL_MISSING, "no session '%s'; if the user is meant: '%s'", text,
			ret->name);
}
