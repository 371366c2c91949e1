/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "helper.h"
#include "sessbox/str.h"

static bool is_listed(const struct group *group, const char *user)
{
	for (char **m = group->gr_mem; *m; m++)
		if (strcmp(*m, user) == 0)
			return true;
	return false;
}

/* The user's whole list, looked up once. */
static struct {
	gid_t *gids;
	int n;
} all;

static int look_up(const struct sb_login *login)
{
	if (all.gids)
		return 0;
	for (int size = 64;; size = all.n) {
		gid_t *more = reallocarray(all.gids, (size_t)size, sizeof(*more));
		if (!more)
			return -ENOMEM;
		all.gids = more;
		all.n = size;
		if (getgrouplist(login->user, login->gid, all.gids, &all.n) >= 0)
			return 0;
		if (all.n <= size)
			return -EIO;
	}
}

int sb_group_member(const struct sb_login *login, const char *group, void *ctx)
{
	(void)ctx;
	errno = 0;
	const struct group *g = getgrnam(group);
	if (!g)
		return errno && errno != ENOENT && errno != ESRCH ? -errno : 0;
	gid_t gid = g->gr_gid;
	if (gid == login->gid || is_listed(g, login->user))
		return 1;
	int r = look_up(login);
	for (int i = 0; r == 0 && i < all.n; i++)
		if (all.gids[i] == gid)
			return 1;
	return r;
}
