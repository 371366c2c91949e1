/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The names of groups. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cgroup_internal.h"

/*
 * Names of classes have letters, digits and ._-@+, which mean nothing to cgroupfs; behind "c-" they
 * are no file of a controller's either. Anything else would be written as \x2f.
 */
static void print_class(char *buf, size_t size, const char *budget)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789._-@+";
	size_t len = (size_t)snprintf(buf, size, "c-");
	for (; *budget && len + sizeof("\\x00") <= size; budget++)
		len += (size_t)snprintf(buf + len, size - len,
					strchr(plain, *budget) ? "%c" : "\\x%02x",
					(unsigned char)*budget);
}

void sb_cgroup_tenant(char *buf, uid_t uid, const char *budget)
{
	char class[SB_CGROUP_NAME_MAX - sizeof("/u4294967295") + 1];
	if (budget) {
		print_class(class, sizeof(class), budget);
		snprintf(buf, SB_CGROUP_NAME_MAX, "%s/u%u", class, (unsigned int)uid);
	} else {
		snprintf(buf, SB_CGROUP_NAME_MAX, "u%u", (unsigned int)uid);
	}
}

bool sb_cgroup_above(const char *group, char *buf)
{
	const char *slash = strchr(group, '/');
	if (slash)
		snprintf(buf, SB_CGROUP_NAME_MAX, "%.*s", (int)(slash - group), group);
	return slash;
}

void sb_cgroup_rescue(char *buf, uid_t uid)
{
	snprintf(buf, SB_CGROUP_NAME_MAX, "r%u", (unsigned int)uid);
}

void sb_cgroup_outside(char *buf, uid_t uid)
{
	snprintf(buf, SB_CGROUP_NAME_MAX, "o%u", (unsigned int)uid);
}

/* One name, and not one of cgroupfs' own directories or ours that start with a dot. */
static bool is_name(const char *name)
{
	return name[0] && name[0] != '.' && !strchr(name, '/');
}

bool sb_cgroup_is_group(const char *group)
{
	char class[SB_CGROUP_NAME_MAX];
	if (strlen(group) >= sizeof(class))
		return false;
	if (!sb_cgroup_above(group, class))
		return is_name(group);
	return strncmp(class, "c-", 2) == 0 && is_name(strchr(group, '/') + 1);
}

int sb_hierarchy_group(const struct sb_hierarchy *h, const char *group)
{
	if (!sb_cgroup_is_group(group))
		return -EINVAL;
	int dir = openat(h->base, group, SB_DIR_FLAGS);
	return dir < 0 ? -errno : dir;
}
