/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

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

bool sb_has_word(const char *text, const char *separators, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = text; *(at += strspn(at, separators));) {
		size_t n = strcspn(at, separators);
		if (n == len && strncmp(at, word, n) == 0)
			return true;
		at += n;
	}
	return false;
}

#define NEAR_MAX 32

static bool is_same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The distance of Damerau and Levenshtein, where no part is changed twice. */
static size_t count_slips(const char *a, size_t n, const char *b, size_t m)
{
	size_t d[NEAR_MAX + 1][NEAR_MAX + 1];
	for (size_t i = 0; i <= n; i++)
		d[i][0] = i;
	for (size_t k = 0; k <= m; k++)
		d[0][k] = k;
	for (size_t i = 1; i <= n; i++) {
		for (size_t k = 1; k <= m; k++) {
			size_t one = smaller(d[i - 1][k], d[i][k - 1]) + 1;
			d[i][k] = smaller(one, d[i - 1][k - 1] + !is_same(a[i - 1], b[k - 1]));
			if (i > 1 && k > 1 && is_same(a[i - 1], b[k - 2]) &&
			    is_same(a[i - 2], b[k - 1]))
				d[i][k] = smaller(d[i][k], d[i - 2][k - 2] + 1);
		}
	}
	return d[n][m];
}

void sb_near_try(struct sb_near *near, const char *name)
{
	size_t n = strlen(near->text), m = strlen(name);
	if (n < 2 || n > NEAR_MAX || m > NEAR_MAX || !is_same(near->text[0], name[0]))
		return;
	size_t slips = count_slips(near->text, n, name, m);
	/* One in three letters may be wrong; of a beginning nothing is, so that of several names
	 * the first is as good as any. */
	if (n > 2 && strncasecmp(near->text, name, n) == 0)
		slips = 1;
	else if (slips > (n < 6 ? 1 : n / 3))
		return;
	if (near->best && near->slips <= slips)
		return;
	near->best = name;
	near->slips = slips;
}
