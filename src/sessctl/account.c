/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "account.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "sessbox/group.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"

static const struct passwd *look_up(const char *text)
{
	uint64_t uid;
	const struct passwd *pw = getpwnam(text);
	if (!pw && sb_parse_u64(text, &uid) == 0 && uid < UINT32_MAX)
		pw = getpwuid((uid_t)uid);
	return pw;
}

int ctl_account_find(const char *text, struct ctl_account *ret)
{
	errno = 0;
	const struct passwd *pw = look_up(text);
	if (!pw)
		return errno == EIO || errno == EAGAIN || errno == ENOMEM ? -errno : -ENOENT;
	struct ctl_account a = { .uid = pw->pw_uid, .gid = pw->pw_gid };
	if (sb_copy(a.name, sizeof(a.name), pw->pw_name) < 0 ||
	    sb_copy(a.home, sizeof(a.home), pw->pw_dir) < 0)
		return -ENAMETOOLONG;
	*ret = a;
	return 0;
}

static int in_group(const struct sb_login *login, const char *name, void *ctx)
{
	return sb_group_find(login->user, login->gid, name, ctx);
}

static bool in_local_group(const struct sb_login *login, const char *name)
{
	return sb_group_lists(login->user, login->gid, name);
}

int ctl_account_policy(const struct ctl_account *account, const char *service,
		       const struct sb_config *config, struct sb_policy **ret, struct sb_err *err)
{
	struct sb_group_cache groups = { 0 };
	const struct sb_login login = { .user = account->name,
					.uid = account->uid,
					.gid = account->gid,
					.service = service ? service : CTL_SERVICE_DEFAULT,
					.in_group = in_group,
					.ctx = &groups,
					.in_local_group = in_local_group };
	int r = sb_policy_resolve(config, &login, ret, err);
	sb_group_cache_clear(&groups);
	return r;
}
