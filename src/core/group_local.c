/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What /etc alone knows, at once. */
#include "group_internal.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "sessbox/str.h"

bool sb_group_has(const struct group *group, const char *user, gid_t gid)
{
	for (char **m = group->gr_mem; *m; m++)
		if (strcmp(*m, user) == 0)
			return true;
	return group->gr_gid == gid;
}

/* Valid until the next is looked for. */
static const struct group *find_group(const char *name)
{
	cleanup_file FILE *file = fopen("/etc/group", "re");
	const struct group *group;
	while (file && (group = fgetgrent(file)))
		if (strcmp(group->gr_name, name) == 0)
			return group;
	return NULL;
}

bool sb_group_lists(const char *user, gid_t gid, const char *name)
{
	const struct group *group = find_group(name);
	return group && sb_group_has(group, user, gid);
}

bool sb_user_is_local(const char *user)
{
	cleanup_file FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *pw;
	while (file && (pw = fgetpwent(file)))
		if (strcmp(pw->pw_name, user) == 0)
			return true;
	return false;
}

bool sb_uid_is_local(uid_t uid)
{
	cleanup_file FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *pw;
	while (file && (pw = fgetpwent(file)))
		if (pw->pw_uid == uid)
			return true;
	return false;
}

bool sb_group_is_local(const char *name)
{
	return find_group(name);
}
