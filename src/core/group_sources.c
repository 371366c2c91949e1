/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "group_internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sessbox/str.h"

/* What a source offers, as libc calls it. */
typedef enum nss_status initgroups_dyn(const char *user, gid_t group, long *start, long *size,
				       gid_t **groups, long limit, int *error);
typedef enum nss_status getpwnam_r_(const char *name, struct passwd *ret, char *buf, size_t size,
				    int *error);
typedef enum nss_status getgrnam_r_(const char *name, struct group *ret, char *buf, size_t size,
				    int *error);

#define SOURCES_MAX 16

struct source {
	const char *name;
	void *library; /* NULL: not there, or the files */
	bool answers;
};

/* NULL: libc asks the files alone. */
static int find_words(char **ret)
{
	cleanup_file FILE *file = fopen("/etc/nsswitch.conf", "re");
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	int r = sb_group_switch(file, "initgroups", ret);
	return r == 0 && !*ret ? sb_group_switch(file, "group", ret) : r;
}

/* ERANGE: there is more than fits. */
static bool is_found(enum nss_status status, int error)
{
	return status == NSS_STATUS_SUCCESS || (status == NSS_STATUS_TRYAGAIN && error == ERANGE);
}

static void *find(const struct source *source, const char *question)
{
	char name[80];
	return !source->library || sb_format(name, sizeof(name), "_nss_%s_%s", source->name,
					     question) < 0
		       ? NULL
		       : dlsym(source->library, name);
}

static bool knows_user(const struct source *source, const char *user)
{
	getpwnam_r_ *question = (getpwnam_r_ *)find(source, "getpwnam_r");
	struct passwd pw;
	char buf[4096];
	int error = 0;
	return question && is_found(question(user, &pw, buf, sizeof(buf), &error), error);
}

static bool knows_group(const struct source *source, const char *group)
{
	getgrnam_r_ *question = (getgrnam_r_ *)find(source, "getgrnam_r");
	struct group gr;
	char buf[4096];
	int error = 0;
	return question && is_found(question(group, &gr, buf, sizeof(buf), &error), error);
}

/* Libraries are there by now, for libc has asked the same sources. What is not there knows nobody.
 */
static size_t load_sources(char *words, struct source *ret)
{
	char *save = NULL;
	size_t n = 0;
	for (char *word = strtok_r(words, " \t", &save); word && n < SOURCES_MAX;
	     word = strtok_r(NULL, " \t", &save)) {
		char library[80];
		bool other = strcmp(word, "files") != 0 &&
			     sb_format(library, sizeof(library), "libnss_%s.so.2", word) == 0;
		ret[n++] =
			(struct source){ .name = word,
					 .library = other ? dlopen(library, RTLD_NOW | RTLD_LOCAL)
							  : NULL };
	}
	return n;
}

/* 1: a member, 0: none that it says, or a negative errno. */
static int ask(struct source *source, const char *user, gid_t gid, gid_t wanted)
{
	long start = 0, size = 64;
	int error = 0;
	initgroups_dyn *list = (initgroups_dyn *)find(source, "initgroups_dyn");
	cleanup_free gid_t *groups = list ? calloc((size_t)size, sizeof(*groups)) : NULL;
	source->answers = true;
	if (!list)
		return 0;
	if (!groups)
		return -ENOMEM;
	enum nss_status status = list(user, gid, &start, &size, &groups, -1, &error);
	source->answers = status == NSS_STATUS_SUCCESS || status == NSS_STATUS_NOTFOUND;
	for (long i = 0; source->answers && i < start; i++)
		if (groups[i] == wanted)
			return 1;
	return 0;
}

/* Does what has not answered matter? Not if others have both the user and the group. */
static int judge_failure(const struct source *sources, size_t n, const char *user,
			 const char *group)
{
	bool failed = false, has_user = sb_user_is_local(user),
	     has_group = sb_group_is_local(group);
	for (size_t i = 0; i < n; i++)
		failed = failed || !sources[i].answers;
	for (size_t i = 0; failed && i < n; i++) {
		if (!sources[i].answers)
			continue;
		has_user = has_user || knows_user(&sources[i], user);
		has_group = has_group || knows_group(&sources[i], group);
	}
	return failed && !(has_user && has_group) ? -EHOSTDOWN : 0;
}

int sb_group_sources_ask(const char *user, gid_t gid, const char *group, gid_t wanted)
{
	struct source sources[SOURCES_MAX];
	cleanup_free char *words = NULL;
	if (sb_user_is_local(user) && sb_group_is_local(group))
		return 0;
	int r = find_words(&words);
	if (r < 0 || !words)
		return r;
	sb_group_drop_actions(words);
	size_t n = load_sources(words, sources);
	for (size_t i = 0; i < n && r == 0; i++)
		r = ask(&sources[i], user, gid, wanted);
	return r == 0 ? judge_failure(sources, n, user, group) : r;
}
