/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_GROUP_H
#define SESSBOX_GROUP_H

/*
 * Who is in which group. May ask a directory over the network and take as long as it does: asked
 * only when the answer matters. Source: getgrnam(3), getgrouplist(3).
 */
#include <sys/types.h>

/* A user's groups, looked up once; { 0 } to begin with. */
struct sb_group_cache {
	gid_t *gids;
	int n;
};
void sb_group_cache_clear(struct sb_group_cache *cache);

/* Fills the cache, if it is empty. 0 or a negative errno. */
int sb_group_load(const char *user, gid_t gid, struct sb_group_cache *cache);

/*
 * Is the user, whose primary group is gid, in the group of this name? 1, 0 or a negative errno.
 * /etc/group comes first and takes no NSS at all when it says yes; then the user's whole list,
 * which a directory may know better. A group that cannot be found is -ENOENT and not a "no": it may
 * have been renamed, or its directory may be down.
 */
int sb_group_member(const char *user, gid_t gid, const char *name, struct sb_group_cache *cache);

#endif
