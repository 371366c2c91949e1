/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "group_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "sessbox/str.h"

void sb_group_cache_clear(struct sb_group_cache *cache)
{
	free(cache->gids);
	*cache = (struct sb_group_cache){ 0 };
}

int sb_group_load(const char *user, gid_t gid, struct sb_group_cache *cache)
{
	if (cache->gids)
		return 0;
	cleanup_free gid_t *gids = NULL;
	for (int size = 64, n = size;; size = n) {
		gid_t *more = reallocarray(gids, (size_t)size, sizeof(*more));
		if (!more)
			return -ENOMEM;
		gids = more;
		n = size;
		if (getgrouplist(user, gid, gids, &n) >= 0) {
			*cache = (struct sb_group_cache){ sb_steal_ptr(&gids), n };
			return 0;
		}
		if (n <= size)
			return -EIO;
	}
}

int sb_group_find(const char *user, gid_t gid, const char *name, struct sb_group_cache *cache)
{
	errno = 0;
	const struct group *g = getgrnam(name);
	if (!g)
		return errno ? -errno : -ENOENT;
	gid_t wanted = g->gr_gid;
	if (sb_group_has(g, user, gid))
		return 1;
	int r = sb_group_load(user, gid, cache);
	for (int i = 0; r == 0 && i < cache->n; i++)
		if (cache->gids[i] == wanted)
			return 1;
	return r < 0 ? r : sb_group_sources_ask(user, gid, name, wanted);
}

int sb_group_member(const char *user, gid_t gid, const char *name, struct sb_group_cache *cache)
{
	return sb_group_lists(user, gid, name) ? 1 : sb_group_find(user, gid, name, cache);
}
