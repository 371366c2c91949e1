/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A unified diff of two texts of which one has lines that the other has not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pam_edit.h"

#define CONTEXT 3

/* ' ' in both, '-' in the old one, '+' in the new one. */
struct line {
	char mark;
	const char *at;
	size_t len; /* without its end */
	bool bare;  /* there is no end */
};

struct script {
	struct line *v;
	size_t n;
};

static struct line cut_line(const char *at)
{
	size_t len = strcspn(at, "\n");
	return (struct line){ .at = at, .len = len, .bare = at[len] == '\0' };
}

static const char *next_line(const struct line *line)
{
	return line->at + line->len + !line->bare;
}

static bool same(const struct line *a, const struct line *b)
{
	return a->len == b->len && a->bare == b->bare && memcmp(a->at, b->at, a->len) == 0;
}

static bool comes(const struct line *line, const char *text)
{
	while (*text) {
		struct line one = cut_line(text);
		if (same(line, &one))
			return true;
		text = next_line(&one);
	}
	return false;
}

static const char *add(struct script *s, const struct line *line, char mark)
{
	s->v[s->n] = *line;
	s->v[s->n++].mark = mark;
	return next_line(line);
}

/* A line of the old text that comes in the new one is waited for. */
static void compare(struct script *s, const char *old, const char *new)
{
	while (*old || *new) {
		struct line a = cut_line(old), b = cut_line(new);
		if (*old && *new &&same(&a, &b)) {
			new = next_line(&b);
			old = add(s, &a, ' ');
		} else if (*old && !comes(&a, new)) {
			old = add(s, &a, '-');
		} else {
			new = add(s, &b, '+');
		}
	}
}

/* The end of the hunk that has its first change at i: with the lines after its last one. */
static size_t hunk_end(const struct script *s, size_t i)
{
	size_t end = i + 1;
	for (size_t same_lines = 0; i < s->n && same_lines <= 2 * CONTEXT; i++) {
		same_lines = s->v[i].mark == ' ' ? same_lines + 1 : 0;
		if (same_lines == 0)
			end = i + 1;
	}
	return end + CONTEXT < s->n ? end + CONTEXT : s->n;
}

static size_t count(const struct script *s, size_t from, size_t to, char but)
{
	size_t n = 0;
	for (size_t i = from; i < to; i++)
		n += s->v[i].mark != but;
	return n;
}

/* "3,7"; of nothing the line before it is named. */
static void print_range(FILE *out, const struct script *s, size_t from, size_t to, char but)
{
	size_t before = count(s, 0, from, but), n = count(s, from, to, but);
	fprintf(out, "%zu", before + (n > 0));
	if (n != 1)
		fprintf(out, ",%zu", n);
}

static void print_hunk(FILE *out, const struct script *s, size_t from, size_t to)
{
	fputs("@@ -", out);
	print_range(out, s, from, to, '+');
	fputs(" +", out);
	print_range(out, s, from, to, '-');
	fputs(" @@\n", out);
	for (size_t i = from; i < to; i++)
		fprintf(out, "%c%.*s\n%s", s->v[i].mark, (int)s->v[i].len, s->v[i].at,
			s->v[i].bare ? "\\ No newline at end of file\n" : "");
}

static size_t count_lines(const char *text)
{
	size_t n = 1;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

int ctl_pam_diff(FILE *out, const char *path, const char *old, const char *new)
{
	struct script s = { 0 };
	cleanup_free struct line *room = calloc(count_lines(old) + count_lines(new), sizeof(*room));
	if (!room)
		return -ENOMEM;
	s.v = room;
	compare(&s, old, new);
	bool begun = false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.v[i].mark == ' ')
			continue;
		if (!begun)
			fprintf(out, "--- %s\n+++ %s\n", path, path);
		begun = true;
		size_t end = hunk_end(&s, i);
		print_hunk(out, &s, i > CONTEXT ? i - CONTEXT : 0, end);
		i = end - 1;
	}
	return 0;
}
