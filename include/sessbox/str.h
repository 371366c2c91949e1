/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_STR_H
#define SESSBOX_STR_H

/*
 * Scope-bound cleanup, bounded formatting and lists of strings.
 *
 * A variable with a cleanup_* attribute is initialised where it is declared and released at the end
 * of its scope; ownership leaves the scope through sb_steal_*.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void sb_cleanup_freep(void *p)
{
	free(*(void **)p);
}

static inline void sb_cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void sb_cleanup_closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static inline void sb_cleanup_fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define cleanup_free __attribute__((cleanup(sb_cleanup_freep)))
#define cleanup_fd __attribute__((cleanup(sb_cleanup_closep)))
#define cleanup_dir __attribute__((cleanup(sb_cleanup_closedirp)))
#define cleanup_file __attribute__((cleanup(sb_cleanup_fclosep)))

static inline int sb_steal_fd(int *fd)
{
	int r = *fd;
	*fd = -1;
	return r;
}

static inline void *sb_steal_ptr(void *p)
{
	void *r = *(void **)p;
	*(void **)p = NULL;
	return r;
}

/* Closes *fd if it is open and sets it to -1. errno is kept. */
void sb_close(int *fd);

#define SB_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * snprintf that knows truncation for an error. Returns 0, or -ENAMETOOLONG with buf empty.
 */
int sb_format(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Copies a string whole or not at all. Returns 0, or -ENAMETOOLONG with buf empty. */
int sb_copy(char *buf, size_t size, const char *from);

/* A list of strings; { NULL, 0 } is empty. Owns its strings. */
struct sb_strv {
	char **v;
	size_t n;
};

int sb_strv_add(struct sb_strv *list, const char *s); /* copies s; 0 or -ENOMEM */
bool sb_strv_has(const struct sb_strv *list, const char *s);
void sb_strv_clear(struct sb_strv *list);

/* Is the word one of the text's, which any of the separators divide? */
bool sb_has_word(const char *text, const char *separators, const char *word);

/*
 * Which of some names is a text meant to be? { text } to begin with; then each name is tried, and
 * best is the nearest, or NULL: one with the same first letter that the text is a beginning of, or
 * that few slips - a letter more, less, another one, two swapped - turn into the text. Case does
 * not count.
 */
struct sb_near {
	const char *text;
	const char *best;
	size_t slips;
};

void sb_near_try(struct sb_near *near, const char *name);

#endif
