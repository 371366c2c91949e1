/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sessbox/group.h"
#include "sessbox/str.h"

#define SWITCH "/etc/nsswitch.conf"

/* What a source offers, as libc calls it. */
typedef enum nss_status initgroups_dyn(const char *user, gid_t group, long *start, long *size,
				       gid_t **groups, long limit, int *error);
typedef enum nss_status getpwnam_r_(const char *name, struct passwd *ret, char *buf, size_t size,
				    int *error);
typedef enum nss_status getgrnam_r_(const char *name, struct group *ret, char *buf, size_t size,
				    int *error);

/* What has been heard, from one source after the other. */
struct inquiry {
	const char *user;
	gid_t gid;
	const char *group;
	gid_t wanted;
	bool failed;	/* a source has not answered */
	bool has_user;	/* one of those that have answered knows him */
	bool has_group; /* and the group */
};

/*
 * The words behind "database:", in a copy that the caller frees; NULL: there is no such line. 0 or
 * a negative errno.
 */
static int find_words(const char *database, char **ret)
{
	cleanup_file FILE *file = fopen(SWITCH, "re");
	cleanup_free char *line = NULL;
	size_t size = 0, len = strlen(database);
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	errno = 0;
	while (getline(&line, &size, file) >= 0) {
		const char *text = line + strspn(line, " \t");
		if (strncmp(text, database, len) != 0 || text[len] != ':')
			continue;
		*ret = strdup(text + len + 1);
		return *ret ? 0 : -ENOMEM;
	}
	return -errno;
}

/* Leaves the sources: what is in brackets says which answer ends the search, and after a # is a
 * comment. */
static void drop_others(char *words)
{
	words[strcspn(words, "#\n")] = '\0';
	for (char *p = words; (p = strchr(p, '['));)
		memset(p, ' ', strcspn(p, "]") + (strchr(p, ']') != NULL));
}

/* ERANGE: there is more than fits. */
static bool is_found(enum nss_status status, int error)
{
	return status == NSS_STATUS_SUCCESS || (status == NSS_STATUS_TRYAGAIN && error == ERANGE);
}

static void *find(void *library, const char *source, const char *question)
{
	char name[80];
	return sb_format(name, sizeof(name), "_nss_%s_%s", source, question) < 0
		       ? NULL
		       : dlsym(library, name);
}

static void note_known(struct inquiry *q, void *library, const char *source)
{
	getpwnam_r_ *passwd = (getpwnam_r_ *)find(library, source, "getpwnam_r");
	getgrnam_r_ *group = (getgrnam_r_ *)find(library, source, "getgrnam_r");
	struct passwd pw;
	struct group gr;
	char buf[4096];
	int error = 0;
	if (passwd && is_found(passwd(q->user, &pw, buf, sizeof(buf), &error), error))
		q->has_user = true;
	error = 0;
	if (group && is_found(group(q->group, &gr, buf, sizeof(buf), &error), error))
		q->has_group = true;
}

/* 1: a member. Else 0, and what else was heard is noted; or a negative errno. */
static int ask(struct inquiry *q, const char *source)
{
	char name[80];
	long start = 0, size = 64;
	int error = 0;
	/* libc has it loaded by now. One that is not there knows nobody. */
	void *library = sb_format(name, sizeof(name), "libnss_%s.so.2", source) < 0
				? NULL
				: dlopen(name, RTLD_NOW | RTLD_LOCAL);
	initgroups_dyn *list =
		library ? (initgroups_dyn *)find(library, source, "initgroups_dyn") : NULL;
	if (!list)
		return 0;
	cleanup_free gid_t *groups = calloc((size_t)size, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	enum nss_status status = list(q->user, q->gid, &start, &size, &groups, -1, &error);
	if (status != NSS_STATUS_SUCCESS && status != NSS_STATUS_NOTFOUND) {
		q->failed = true;
		return 0;
	}
	for (long i = 0; i < start; i++)
		if (groups[i] == q->wanted)
			return 1;
	note_known(q, library, source);
	return 0;
}

int sb_group_sources_ask(const char *user, gid_t gid, const char *group, gid_t wanted)
{
	struct inquiry q = { .user = user,
			     .gid = gid,
			     .group = group,
			     .wanted = wanted,
			     .has_user = sb_user_is_local(user),
			     .has_group = sb_group_is_local(group) };
	cleanup_free char *words = NULL;
	char *save = NULL;
	if (q.has_user && q.has_group)
		return 0;
	int r = find_words("initgroups", &words);
	if (r == 0 && !words)
		r = find_words("group", &words);
	if (r < 0 || !words)
		return r;
	drop_others(words);
	for (char *word = strtok_r(words, " \t", &save); word && r == 0;
	     word = strtok_r(NULL, " \t", &save))
		if (strcmp(word, "files") != 0)
			r = ask(&q, word);
	return r == 0 && q.failed && !(q.has_user && q.has_group) ? -EHOSTDOWN : r;
}
