/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dlfcn.h>
#include <errno.h>
#include <nss.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sessbox/group.h"
#include "sessbox/str.h"

#define SWITCH "/etc/nsswitch.conf"

/* What a source of groups offers, as libc calls it. */
typedef enum nss_status initgroups_dyn(const char *user, gid_t group, long *start, long *size,
				       gid_t **groups, long limit, int *error);

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

static int ask(initgroups_dyn *question, const char *user, gid_t gid, gid_t wanted)
{
	long start = 0, size = 64;
	int error = 0;
	cleanup_free gid_t *groups = calloc((size_t)size, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	enum nss_status status = question(user, gid, &start, &size, &groups, -1, &error);
	if (status != NSS_STATUS_SUCCESS && status != NSS_STATUS_NOTFOUND)
		return -EHOSTDOWN;
	for (long i = 0; i < start; i++)
		if (groups[i] == wanted)
			return 1;
	return 0;
}

/* libc has it loaded by now, and goes by the same names. One that is not there knows nobody. */
static int ask_source(const char *source, const char *user, gid_t gid, gid_t wanted)
{
	char library[80], function[80];
	if (sb_format(library, sizeof(library), "libnss_%s.so.2", source) < 0 ||
	    sb_format(function, sizeof(function), "_nss_%s_initgroups_dyn", source) < 0)
		return 0;
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	initgroups_dyn *question = handle ? (initgroups_dyn *)dlsym(handle, function) : NULL;
	return question ? ask(question, user, gid, wanted) : 0;
}

int sb_group_sources_ask(const char *user, gid_t gid, gid_t wanted)
{
	cleanup_free char *words = NULL;
	char *save = NULL;
	int r = find_words("initgroups", &words);
	if (r == 0 && !words)
		r = find_words("group", &words);
	if (r < 0 || !words)
		return r;
	drop_others(words);
	for (char *word = strtok_r(words, " \t", &save); word && r == 0;
	     word = strtok_r(NULL, " \t", &save))
		if (strcmp(word, "files") != 0)
			r = ask_source(word, user, gid, wanted);
	return r;
}
