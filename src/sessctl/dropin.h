/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_DROPIN_H
#define SESSCTL_DROPIN_H

/*
 * The file `sessctl limit` writes for a user: one section [limit-<uid>] that matches him alone. It
 * is read back from the loaded configuration, never parsed here, and written whole.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "sessbox/config.h"

struct ctl_setting {
	char *key;
	char *text; /* as in the file */
	bool append;
};

struct ctl_dropin {
	struct ctl_setting *v;
	size_t n;
	/* Of `limit --for`: a section, and a file, of its own. */
	bool temporary;
	uint64_t until; /* seconds since the epoch */
	const char *reason;
};

/*
 * What the configuration has from the file of that path, or nothing, if that was another user's,
 * who had the uid before. -EEXIST when there is more in it than the user's section: somebody edits
 * it by hand, and writing it whole would lose that.
 */
int ctl_dropin_load(struct ctl_dropin *dropin, const struct sb_config *config, const char *path,
		    uid_t uid, const char *user, struct sb_err *err);

/* Replaces or adds a setting; an empty text takes it out. 0 or -ENOMEM. */
int ctl_dropin_set(struct ctl_dropin *dropin, const char *key, const char *text);

/* Bytes of a reason. */
#define CTL_REASON_MAX 200

/* The file's text. -EINVAL for a name that cannot be matched. *ret is malloc'ed. */
int ctl_dropin_print(const struct ctl_dropin *dropin, uid_t uid, const char *user, char **ret,
		     struct sb_err *err);
void ctl_dropin_clear(struct ctl_dropin *dropin);

/* A name as one word of a list: blanks, quotes and what ends a value become \x20 and the like. */
int ctl_escape_word(const char *word, char *buf, size_t size);

#endif
