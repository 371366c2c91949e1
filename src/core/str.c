/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/str.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

void sb_close(int *fd)
{
	int saved = errno;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int sb_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < size)
		return 0;
	buf[0] = '\0';
	return -ENAMETOOLONG;
}

int sb_copy(char *buf, size_t size, const char *from)
{
	size_t len = strlen(from);
	if (len >= size) {
		buf[0] = '\0';
		return -ENAMETOOLONG;
	}
	memcpy(buf, from, len + 1);
	return 0;
}

int sb_strv_add(struct sb_strv *list, const char *s)
{
	char **v = reallocarray(list->v, list->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	list->v = v;
	list->v[list->n] = strdup(s);
	if (!list->v[list->n])
		return -ENOMEM;
	list->n++;
	return 0;
}

bool sb_strv_has(const struct sb_strv *list, const char *s)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], s) == 0)
			return true;
	return false;
}

void sb_strv_clear(struct sb_strv *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
	*list = (struct sb_strv){ 0 };
}
