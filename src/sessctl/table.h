/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_TABLE_H
#define SESSCTL_TABLE_H

/*
 * Rows of structs, shown through one table of columns: as a table for people, as raw lines for
 * scripts, as JSON.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "sessbox/config.h"

/* What stands at a column's offset in a row, and how it is shown. */
enum ctl_cell {
	CTL_TEXT,   /* const char *; NULL = none */
	CTL_COUNT,  /* uint64_t; SB_INFINITY = none */
	CTL_BYTES,  /* uint64_t; SB_INFINITY = none */
	CTL_SHARED, /* struct ctl_shared */
	CTL_TIME,   /* uint64_t, seconds since the epoch; 0 = unknown */
	CTL_BOOL,   /* int; negative = unknown */
	CTL_LIMIT,  /* struct ctl_amount */
	CTL_LIST,   /* const struct sb_strv * */
};

/* Bytes that several rows share: people see them once, so that a column adds up. */
struct ctl_shared {
	uint64_t bytes;
	bool again;
};

/* The value of a limit, or what is used of it. */
struct ctl_amount {
	uint64_t value;
	enum sb_key_type type;
	bool supported;
	bool known;
	const char *text; /* in place of the number; NULL = there is none */
};

enum ctl_column_flag {
	CTL_RIGHT = 1 << 0, /* numbers */
	CTL_WRAP = 1 << 1,  /* long text: in a terminal it gets several lines */
};

struct ctl_column {
	const char *name; /* in JSON and in -o; the heading in capitals */
	enum ctl_cell type;
	size_t offset;
	unsigned int flags; /* enum ctl_column_flag */
};

struct ctl_table {
	const char *name; /* of the array in JSON */
	const struct ctl_column *columns;
	size_t n_columns;
	const void *rows;
	size_t n_rows;
	size_t row_size;
};

#define CTL_COLUMNS_MAX 24
#define CTL_CELL_MAX 1024

/* The columns chosen by -o, as indices. */
struct ctl_choice {
	size_t v[CTL_COLUMNS_MAX];
	size_t n;
};

/*
 * "user,pid" -> a choice, in that order; NULL = all of them. -EINVAL: *ret_bad names the unknown
 * column.
 */
int ctl_choose(const struct ctl_table *table, const char *names, struct ctl_choice *ret,
	       char *ret_bad, size_t size);

/* A cell for people; raw: the same without blanks in it. */
void ctl_cell_text(const struct ctl_column *column, const void *row, bool raw, char *buf);

void ctl_print_size(char *buf, size_t size, uint64_t bytes);		     /* "12.3M" */
void ctl_print_time(char *buf, size_t size, uint64_t seconds, bool in_json); /* local, or UTC */

/* As an array of objects, within an object that has been begun. */
void ctl_table_json(struct ctl_json *j, const struct ctl_table *table,
		    const struct ctl_choice *choice);

/* One row, into an object that has been begun. */
void ctl_row_json(struct ctl_json *j, const struct ctl_table *table, size_t row,
		  const struct ctl_choice *choice);

enum ctl_style {
	CTL_HEADED,  /* aligned, with headings */
	CTL_ALIGNED, /* aligned alone */
	CTL_RAW,     /* a blank between the columns and none within */
};

/* On stdout, through libsmartcols, which makes every text harmless. 0 or a negative errno. */
int ctl_table_print(const struct ctl_table *table, const struct ctl_choice *choice,
		    enum ctl_style style);

#endif
