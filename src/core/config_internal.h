/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_CONFIG_INTERNAL_H
#define SESSBOX_CONFIG_INTERNAL_H

/* What the config*.c files share among themselves and with their tests. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "sessbox/config.h"

#define SB_CONFIG_FILE_MAX (1024 * 1024)

/* iniparser reads lines into a buffer of 1024 bytes, line end and NUL byte included. */
#define SB_CONFIG_LINE_MAX 1022

#define SB_SECTION_MAX 64

/* Where an error is; NULL and 0 are unknown. */
struct sb_place {
	const char *file;
	unsigned int line;
	const char *section;
	const char *key;
};

/* "FILE:LINE: [section] Key: <text>" as an error without strerror. Returns -EINVAL. */
int sb_config_fail(struct sb_err *err, const struct sb_place *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts the place before an error that is set already. Returns -err->num. */
int sb_config_fail_within(struct sb_err *err, const struct sb_place *at);

/*
 * The raw text of a file, scanned for everything iniparser hides, and taken apart into its lines.
 * The lines point into the text, which is written to.
 */
struct sb_scan_line {
	unsigned int number;
	char *section; /* lower case */
	char *key;     /* as written, without "+"; NULL: the section's own line */
	bool append;
	char quote;  /* the one around the value, or NUL */
	char *value; /* without it */

	/* Filled in by the loader. */
	const struct sb_key *row; /* of the table */
	size_t class;		  /* index of the section's class */
};
struct sb_scan {
	struct sb_scan_line *v;
	size_t n;
	size_t room;
};

/* text has size bytes and a NUL byte behind. The caller frees ret->v, on failure too. */
int sb_config_scan(char *text, size_t size, const char *file, struct sb_scan *ret,
		   struct sb_err *err);

/* What is wrong with the raw text behind "Key=", or NULL. */
const char *sb_config_scan_value(const char *value);

/* A file of the given owner that nobody else may write, opened and read. */
struct sb_config_file {
	int fd;
	char *text; /* with a NUL byte behind */
	size_t size;
};

/* path is for messages. -ENOENT (err is set) when there is no such file. */
int sb_config_file_open(int dfd, const char *path, uid_t owner, int64_t max,
			struct sb_config_file *ret, struct sb_err *err);
void sb_config_file_close(struct sb_config_file *file);

/* Opens a directory under the same rule. -ENOENT as above. */
int sb_config_dir_open(const char *path, uid_t owner, struct sb_err *err);

/* Appends the paths of all <path>/<name>.conf in name order. */
int sb_config_dir_list(int dfd, const char *path, struct sb_strv *list, struct sb_err *err);

/* Classes by name, and where in the files each was seen last. */
struct sb_index_row {
	size_t class;
	size_t file;
	unsigned int line;
};

/* Lines of the current section that set a key: "Key=" and "Key+=". */
struct sb_seen {
	unsigned int set;
	unsigned int append;
};

/* A configuration being loaded, file after file. */
struct sb_loader {
	struct sb_config *config;
	uid_t owner;
	struct sb_index_row *index; /* config->n rows, sorted by the class' name */
	struct sb_seen *seen;	    /* sb_keys_n rows */
	struct sb_err *err;
};

/* Adds one file, whose text it writes to. */
int sb_config_load_text(struct sb_loader *l, struct sb_config_file *file, const char *path);

/* What sb_config_load is around a function that adds the files. */
int sb_config_load_with(int (*load)(struct sb_loader *l, const void *ctx), const void *ctx,
			uid_t owner, struct sb_config **ret, struct sb_err *err);

/* After the last file: parses the Match keys and checks each class as a whole. */
int sb_config_finish(struct sb_config *config, struct sb_err *err);

/* sb_config_load for files of another owner than root; only tests need one. */
int sb_config_load_as(const char *conf_dir, const char *runtime_dir, uid_t owner,
		      struct sb_config **ret, struct sb_err *err);

/* sb_config_keep and sb_config_load_kept elsewhere. */
int sb_config_keep_as(const char *state_dir, uid_t owner, const struct sb_config *config,
		      struct sb_err *err);
int sb_config_load_kept_as(const char *state_dir, const char *runtime_dir, uid_t owner,
			   struct sb_config **ret, struct sb_err *err);

#endif
