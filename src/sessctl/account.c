/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

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

/* The groups of one user, looked up when the first rule asks. */
struct groups {
	gid_t *gids;
	int n;
};

static int load_groups(const struct sb_login *login, struct groups *groups)
{
	for (int size = 64; !groups->gids; size = groups->n) {
		gid_t *gids = calloc((size_t)size, sizeof(*gids));
		if (!gids)
			return -ENOMEM;
		groups->n = size;
		if (getgrouplist(login->user, login->gid, gids, &groups->n) >= 0)
			groups->gids = gids;
		else
			free(gids);
		if (!groups->gids && groups->n <= size)
			return -EIO;
	}
	return 0;
}

static int in_group(const struct sb_login *login, const char *name, void *ctx)
{
	struct groups *groups = ctx;
	errno = 0;
	const struct group *g = getgrnam(name);
	if (!g)
		return errno && errno != ENOENT && errno != ESRCH ? -errno : 0;
	gid_t gid = g->gr_gid;
	int r = load_groups(login, groups);
	for (int i = 0; r == 0 && i < groups->n; i++)
		if (groups->gids[i] == gid)
			return 1;
	return r;
}

int ctl_account_policy(const struct ctl_account *account, const char *service,
		       const struct sb_config *config, struct sb_policy **ret, struct sb_err *err)
{
	struct groups groups = { 0 };
	const struct sb_login login = { .user = account->name,
					.uid = account->uid,
					.gid = account->gid,
					.service = service ? service : CTL_SERVICE_DEFAULT,
					.in_group = in_group,
					.ctx = &groups };
	int r = sb_policy_resolve(config, &login, ret, err);
	free(groups.gids);
	return r;
}
