/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Classes that match nobody, or not whom they are meant for: what loads without a mistake. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "check.h"
#include "sessbox/io.h"

#define DROPINS "etc/security/sessbox.d"
/* For a directory that has to be asked about each name. */
#define ASK_MS 5000

static bool has_match_key(const struct sb_class *class)
{
	for (size_t i = 0; i < class->n; i++)
		if (class->entries[i].key->kind == SB_KEY_MATCH)
			return true;
	return false;
}

/* One whose Match keys are emptied by a later file is meant to match nobody. */
static void check_unmatched(const struct ctl_host *host, const struct sb_class *class,
			    struct ctl_findings *findings)
{
	if (class->n > 0 && strcmp(class->name, SB_CLASS_DEFAULTS) != 0 && !has_match_key(class))
		ctl_find(findings, CTL_WARNING,
			 "MatchUsers=, MatchGroups= or MatchUIDs=; what holds for everybody stands "
			 "in [Defaults]",
			 "%s:%u: [%s] has no Match key, so it matches nobody",
			 host->config->files.v[class->entries[0].file], class->entries[0].line,
			 class->name);
}

/* A source that does not answer knows them, perhaps. */
static bool is_no_user(const char *name)
{
	errno = 0;
	return !getpwnam(name) && (errno == 0 || errno == ENOENT);
}

static bool is_no_group(const char *name)
{
	errno = 0;
	return !getgrnam(name);
}

static const struct kind {
	const char *key;
	size_t offset; /* of the names in struct sb_match */
	bool (*is_missing)(const char *name);
	enum ctl_severity severity;
	const char *what, *fix;
} kinds[] = {
	{ "MatchUsers", offsetof(struct sb_match, users), is_no_user, CTL_NOTE,
	  "there is no user of this name", "correct it, if it is misspelt" },
	/* It is no "no" at a login. */
	{ "MatchGroups", offsetof(struct sb_match, groups), is_no_group, CTL_ERROR,
	  "no group of this name can be found: logins that hang on it are refused",
	  "correct it, make the group, or bring the directory back that has it" },
};

static void check_names(const struct ctl_host *host, const struct sb_class *class,
			const struct kind *kind, struct ctl_findings *findings)
{
	const struct sb_strv *names = (const void *)((const char *)&class->match + kind->offset);
	const struct sb_entry *e = ctl_class_entry(class, kind->key);
	int64_t deadline = sb_now_ms() + ASK_MS;
	for (size_t i = 0; e && i < names->n && sb_left_ms(deadline) > 0; i++) {
		const char *name = names->v[i] + (names->v[i][0] == '!');
		if (kind->is_missing(name))
			ctl_find(findings, kind->severity, kind->fix, "%s:%u: [%s] %s '%s': %s",
				 host->config->files.v[e->file], e->line, class->name, kind->key,
				 name, kind->what);
	}
}

/* Not those with another ending: editors and packages leave such ones. */
static void check_unread(const struct ctl_host *host, struct ctl_findings *findings)
{
	int fd = openat(host->root, DROPINS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; dir && (e = readdir(dir));)
		if (!strchr(e->d_name, '.'))
			ctl_find(findings, CTL_NOTE, "rename it, if it is to count",
				 "'/" DROPINS "/%s' is not read: its name does not end in .conf",
				 e->d_name);
}

void ctl_check_classes(const struct ctl_host *host, struct ctl_findings *findings)
{
	/* Where nobody is contained no group is asked for, and all names are there for later. */
	bool asked = ctl_config_contains(host->config);
	check_unread(host, findings);
	for (size_t i = 0; host->config && i < host->config->n; i++) {
		const struct sb_class *class = &host->config->classes[i];
		check_unmatched(host, class, findings);
		for (size_t k = 0; asked && k < SB_ARRAY_SIZE(kinds); k++)
			check_names(host, class, &kinds[k], findings);
	}
}
