/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which sources libc asks, and in which order: nsswitch.conf(5). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sessbox/group.h"
#include "sessbox/str.h"

/* What is behind the name, if the line is of this database; NULL = it is not. To libc a blank ends
 * the name as the colon does, which may be missing. */
static const char *find_value(const char *line, const char *database)
{
	static const char ends[] = ": \t\n";
	const char *text = line + strspn(line, " \t");
	size_t len = strlen(database);
	if (strcspn(text, ends) != len || strncmp(text, database, len) != 0)
		return NULL;
	return text + len + strspn(text + len, ends);
}

int sb_group_switch(FILE *file, const char *database, char **ret)
{
	cleanup_free char *line = NULL;
	cleanup_free char *words = NULL;
	size_t size = 0;
	rewind(file);
	errno = 0;
	while (getline(&line, &size, file) >= 0) {
		const char *value = find_value(line, database);
		if (!value)
			continue;
		free(words);
		words = strndup(value, strcspn(value, "#\n"));
		if (!words)
			return -ENOMEM;
	}
	if (errno)
		return -errno;
	*ret = sb_steal_ptr(&words);
	return 0;
}

void sb_group_drop_actions(char *words)
{
	for (char *p = words; (p = strchr(p, '['));)
		memset(p, ' ', strcspn(p, "]") + (strchr(p, ']') != NULL));
}
