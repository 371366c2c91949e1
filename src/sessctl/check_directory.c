/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Users and groups of a directory: what happens while it does not answer, or knows half. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "sessbox/group.h"
#include "sessbox/policy.h"
#include "sessbox/str.h"

#define FIRST_USER_UID 1000
#define NOBODY 65534
#define NAMES_SHOWN 3

/* The host with its directory out of reach. */
struct alone {
	const struct ctl_host *host;
	char group[64]; /* the first that /etc/group does not have */
};

static FILE *open_file(const struct ctl_host *host, const char *path)
{
	int fd = openat(host->root, path, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
	if (fd >= 0 && !file)
		close(fd);
	return file;
}

/* Is the group in /etc/group; and he in it? */
static bool has_group(const struct ctl_host *host, const char *name, const struct sb_login *login,
		      bool *ret_member)
{
	cleanup_file FILE *file = open_file(host, "etc/group");
	const struct group *group;
	while (file && (group = fgetgrent(file))) {
		if (strcmp(group->gr_name, name) != 0)
			continue;
		*ret_member = login && sb_group_has(group, login->user, login->gid);
		return true;
	}
	return false;
}

static int in_group(const struct sb_login *login, const char *name, void *ctx)
{
	struct alone *alone = ctx;
	bool member;
	if (has_group(alone->host, name, login, &member))
		return member;
	if (!*alone->group)
		snprintf(alone->group, sizeof(alone->group), "%s", name);
	return -ENOENT;
}

static bool in_local_group(const struct sb_login *login, const char *name)
{
	const struct alone *alone = login->ctx;
	bool member;
	return has_group(alone->host, name, login, &member) && member;
}

static bool logs_in(const struct passwd *pw)
{
	const char *shell = strrchr(pw->pw_shell, '/');
	return pw->pw_uid >= FIRST_USER_UID && pw->pw_uid != NOBODY &&
	       !(shell && (strcmp(shell, "/nologin") == 0 || strcmp(shell, "/false") == 0));
}

static bool is_refused(struct alone *alone, const struct passwd *pw)
{
	cleanup_policy struct sb_policy *policy = NULL;
	const struct sb_login login = { .user = pw->pw_name,
					.uid = pw->pw_uid,
					.gid = pw->pw_gid,
					.service = "sshd",
					.in_group = in_group,
					.ctx = alone,
					.in_local_group = in_local_group };
	return sb_policy_resolve(alone->host->config, &login, &policy, NULL) == -ENOENT;
}

static void check_accounts(const struct ctl_host *host, struct ctl_findings *findings)
{
	struct alone alone = { .host = host };
	cleanup_file FILE *file = open_file(host, "etc/passwd");
	const struct passwd *pw;
	char names[128] = "";
	size_t n = 0, len = 0;
	while (file && (pw = fgetpwent(file))) {
		if (!logs_in(pw) || !is_refused(&alone, pw))
			continue;
		if (n++ < NAMES_SHOWN && len < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
						len ? ", " : "", pw->pw_name);
	}
	if (n > 0)
		ctl_find(findings, CTL_WARNING,
			 "a class with MatchUsers= or a group of /etc/group, and Contain=no, "
			 "behind the "
			 "others",
			 "group '%s' is not in /etc/group: while it cannot be looked up these "
			 "local accounts "
			 "cannot log in: %s%s",
			 alone.group, names, n > NAMES_SHOWN ? ", ..." : "");
}

/* Is root in another group of /etc/group than his own? */
static bool root_is_listed(const struct ctl_host *host)
{
	cleanup_file FILE *file = open_file(host, "etc/group");
	const struct group *group;
	while (file && (group = fgetgrent(file)))
		if (group->gr_gid != 0 && sb_group_has(group, "root", 0))
			return true;
	return false;
}

/* Has the list "[STATUS=action ...]" this one, not negated? */
static bool has_action(const char *list, const char *action)
{
	size_t end = strcspn(list, "]");
	const char *found = *list == '[' ? strcasestr(list, action) : NULL;
	return found && found < list + end && found[-1] != '!';
}

/* Cuts off what libc does not ask for the groups of those that /etc/group lists. */
static void end_with_files(char *words)
{
	char *files = strstr(words, "files");
	char *list = files ? files + strlen("files") : words;
	list += strspn(list, " \t");
	if (has_action(list, "success=return"))
		*list = '\0';
}

static bool is_of_this_host(const char *source)
{
	static const char *const here[] = { "altfiles",	  "compat", "db",
					    "extrausers", "files",  "systemd" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(here); i++)
		if (strcmp(source, here[i]) == 0)
			return true;
	return false;
}

/* Who logs in waits for each source of groups, root too, and none has a deadline. */
static void check_root(const struct ctl_host *host, struct ctl_findings *findings)
{
	cleanup_file FILE *file = open_file(host, "etc/nsswitch.conf");
	cleanup_free char *words = NULL;
	char *save = NULL;
	if (file && sb_group_switch(file, "initgroups", &words) == 0 && words &&
	    root_is_listed(host))
		end_with_files(words);
	else if (file && !words)
		sb_group_switch(file, "group", &words);
	if (words)
		sb_group_drop_actions(words);
	for (char *source = words ? strtok_r(words, " \t", &save) : NULL; source;
	     source = strtok_r(NULL, " \t", &save)) {
		if (is_of_this_host(source))
			continue;
		ctl_find(findings, CTL_NOTE,
			 "root in a group of /etc/group, and \"initgroups: files [SUCCESS=return] "
			 "...\" in /etc/nsswitch.conf, see sessbox.conf(5)",
			 "root's logins, too, wait for '%s' while it does not answer: sshd and "
			 "the others ask it for his groups",
			 source);
		return;
	}
}

/* The first group that contains its members and is not in /etc/group, or NULL. */
static const char *foreign_group(const struct ctl_host *host, const struct sb_class *class)
{
	const struct sb_strv *groups = &class->match.groups;
	bool member;
	for (size_t i = 0; i < groups->n; i++)
		if (groups->v[i][0] != '!' && !has_group(host, groups->v[i], NULL, &member))
			return groups->v[i];
	return NULL;
}

/*
 * A directory's client goes by its cache while the directory is away, and may have seen an account
 * and not its groups: that reads as "in none". So it takes a class that needs no group.
 */
static void check_groups(const struct ctl_host *host, struct ctl_findings *findings)
{
	const struct sb_class *open = NULL;
	const char *group = NULL;
	for (size_t i = 0; i < host->config->n; i++) {
		const struct sb_class *class = &host->config->classes[i];
		if (!ctl_class_contains(class))
			continue;
		if (class->match.uids.n > 0 || strcmp(class->name, SB_CLASS_DEFAULTS) == 0)
			return;
		if (!open && (group = foreign_group(host, class)))
			open = class;
	}
	if (open)
		ctl_find(findings, CTL_WARNING,
			 "contain the directory's users by MatchUIDs=, and leave groups out with "
			 "MatchGroups=!, see sessbox.conf(5)",
			 "[%s] contains by group '%s', which is not in /etc/group: a user whom a "
			 "directory's cache knows without his groups is not contained",
			 open->name, group);
}

void ctl_check_directory(const struct ctl_host *host, struct ctl_findings *findings)
{
	if (!host->config)
		return;
	check_accounts(host, findings);
	check_groups(host, findings);
	check_root(host, findings);
}
