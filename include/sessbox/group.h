/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_GROUP_H
#define SESSBOX_GROUP_H

/*
 * Who is in which group. May ask a directory over the network and take as long as it does: asked
 * only when the answer matters. Source: getgrnam(3), getgrouplist(3), nsswitch.conf(5).
 */
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* A user's groups, looked up once; { 0 } to begin with. */
struct sb_group_cache {
	gid_t *gids;
	int n;
};
void sb_group_cache_clear(struct sb_group_cache *cache);

/* Fills the cache, if it is empty. 0 or a negative errno. */
int sb_group_load(const char *user, gid_t gid, struct sb_group_cache *cache);

/* Has the group the user, whose primary one is gid, by what it says itself? */
bool sb_group_has(const struct group *group, const char *user, gid_t gid);

/* Has /etc/passwd the user, or one of that number; /etc/group the group? */
bool sb_user_is_local(const char *user);
bool sb_uid_is_local(uid_t uid);
bool sb_group_is_local(const char *name);

/* Is the user, whose primary group is gid, in the group of this name, by /etc/group alone? At
 * once; "no" says nothing of what a directory knows. */
bool sb_group_lists(const char *user, gid_t gid, const char *name);

/*
 * The same by all sources. 1, 0 or a negative errno. A group that cannot be found is -ENOENT and
 * not a "no": it may have been renamed, or its directory may be down. Nor is it a "no" when a
 * source fails that might know better.
 */
int sb_group_find(const char *user, gid_t gid, const char *name, struct sb_group_cache *cache);

/* Both, the quick one first. */
int sb_group_member(const char *user, gid_t gid, const char *name, struct sb_group_cache *cache);

/*
 * The words behind "database:" in an nsswitch.conf(5), without a comment, for the caller to free;
 * NULL: there is no such line. Of several the last one counts, as in libc. 0 or a negative errno.
 */
int sb_group_switch(FILE *file, const char *database, char **ret);

/* Leaves the sources: what is in brackets says which answer ends the search. */
void sb_group_drop_actions(char *words);

#endif
