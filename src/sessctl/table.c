/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "table.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "sessbox/parse.h"

#define NONE "-"

void ctl_print_size(char *buf, size_t size, uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	double value = (double)bytes;
	size_t unit = 0;
	/* Up to the next unit also where rounding would print 1024.0. */
	while (value >= 1023.95 && unit + 2 < sizeof(units)) {
		value /= 1024;
		unit++;
	}
	int n = snprintf(buf, size, "%.*f", unit > 0, value);
	if (n > 2 && strcmp(buf + n - 2, ".0") == 0)
		n -= 2;
	snprintf(buf + n, size - (size_t)n, "%c", units[unit]);
}

void ctl_print_time(char *buf, size_t size, uint64_t seconds, bool in_json)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	buf[0] = '\0';
	if (in_json ? !gmtime_r(&t, &tm) : !localtime_r(&t, &tm))
		return;
	strftime(buf, size, in_json ? "%Y-%m-%dT%H:%M:%S+00:00" : "%Y-%m-%d %H:%M", &tm);
}

/* In the unit and the syntax of the key. */
static void print_amount(char *buf, size_t size, const struct ctl_amount *a)
{
	if (!a->supported)
		sb_copy(buf, size, "unsupported");
	else if (!a->known)
		sb_copy(buf, size, NONE);
	else if (a->text)
		snprintf(buf, size, "%s", a->text);
	else if (a->value == SB_INFINITY)
		sb_copy(buf, size, "infinity");
	else if (a->type == SB_TYPE_SIZE)
		ctl_print_size(buf, size, a->value);
	else if (a->type == SB_TYPE_QUOTA)
		snprintf(buf, size, "%g%%", (double)a->value / 10000);
	else
		snprintf(buf, size, "%" PRIu64, a->value);
}

static void print_list(char *buf, size_t size, const struct sb_strv *list)
{
	size_t len = 0;
	for (size_t i = 0; list && i < list->n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? "; " : "", list->v[i]);
}

static void print_cell(const struct ctl_column *column, const void *row, char *buf)
{
	const void *at = (const char *)row + column->offset;
	const struct ctl_shared *shared = at;
	const char *text;
	buf[0] = '\0';
	switch (column->type) {
	case CTL_TEXT:
		text = *(const char *const *)at;
		snprintf(buf, CTL_CELL_MAX, "%s", text ? text : "");
		break;
	case CTL_COUNT:
		if (*(const uint64_t *)at != SB_INFINITY)
			snprintf(buf, CTL_CELL_MAX, "%" PRIu64, *(const uint64_t *)at);
		break;
	case CTL_BYTES:
		if (*(const uint64_t *)at != SB_INFINITY)
			ctl_print_size(buf, CTL_CELL_MAX, *(const uint64_t *)at);
		break;
	case CTL_SHARED:
		if (!shared->again && shared->bytes != SB_INFINITY)
			ctl_print_size(buf, CTL_CELL_MAX, shared->bytes);
		break;
	case CTL_TIME:
		if (*(const uint64_t *)at != 0)
			ctl_print_time(buf, CTL_CELL_MAX, *(const uint64_t *)at, false);
		break;
	case CTL_BOOL:
		if (*(const int *)at >= 0)
			sb_copy(buf, CTL_CELL_MAX, *(const int *)at ? "yes" : "no");
		break;
	case CTL_LIMIT:
		print_amount(buf, CTL_CELL_MAX, at);
		break;
	case CTL_LIST:
		print_list(buf, CTL_CELL_MAX, *(const struct sb_strv *const *)at);
		break;
	}
}

void ctl_cell_text(const struct ctl_column *column, const void *row, bool raw, char *buf)
{
	print_cell(column, row, buf);
	if (!buf[0])
		sb_copy(buf, CTL_CELL_MAX, NONE);
	/* A date and a time; other blanks libsmartcols writes as \x20. */
	char *blank = raw && column->type == CTL_TIME ? strchr(buf, ' ') : NULL;
	if (blank)
		*blank = 'T';
}

static void put_number(struct ctl_json *j, const char *key, uint64_t value)
{
	if (value == SB_INFINITY)
		ctl_json_null(j, key);
	else
		ctl_json_number(j, key, value);
}

static void put_list(struct ctl_json *j, const char *key, const struct sb_strv *list)
{
	ctl_json_array(j, key);
	for (size_t i = 0; list && i < list->n; i++)
		ctl_json_text(j, NULL, list->v[i]);
	ctl_json_end(j);
}

static void put_time(struct ctl_json *j, const char *key, uint64_t seconds)
{
	char buf[40];
	ctl_print_time(buf, sizeof(buf), seconds, true);
	ctl_json_text(j, key, seconds ? buf : NULL);
}

static void put_cell(struct ctl_json *j, const struct ctl_column *column, const void *row)
{
	const void *at = (const char *)row + column->offset;
	const struct ctl_amount *amount = at;
	switch (column->type) {
	case CTL_TEXT:
		ctl_json_text(j, column->name, *(const char *const *)at);
		break;
	case CTL_COUNT:
	case CTL_BYTES:
		put_number(j, column->name, *(const uint64_t *)at);
		break;
	case CTL_SHARED:
		put_number(j, column->name, ((const struct ctl_shared *)at)->bytes);
		break;
	case CTL_TIME:
		put_time(j, column->name, *(const uint64_t *)at);
		break;
	case CTL_BOOL:
		if (*(const int *)at < 0)
			ctl_json_null(j, column->name);
		else
			ctl_json_bool(j, column->name, *(const int *)at);
		break;
	case CTL_LIMIT:
		if (amount->known && amount->text)
			ctl_json_text(j, column->name, amount->text);
		else
			put_number(j, column->name, amount->known ? amount->value : SB_INFINITY);
		break;
	case CTL_LIST:
		put_list(j, column->name, *(const struct sb_strv *const *)at);
		break;
	}
}

static const void *row_at(const struct ctl_table *table, size_t i)
{
	return (const char *)table->rows + i * table->row_size;
}

void ctl_row_json(struct ctl_json *j, const struct ctl_table *table, size_t row,
		  const struct ctl_choice *choice)
{
	for (size_t k = 0; k < choice->n; k++)
		put_cell(j, &table->columns[choice->v[k]], row_at(table, row));
}

void ctl_table_json(struct ctl_json *j, const struct ctl_table *table,
		    const struct ctl_choice *choice)
{
	ctl_json_array(j, table->name);
	for (size_t i = 0; i < table->n_rows; i++) {
		ctl_json_object(j, NULL);
		ctl_row_json(j, table, i, choice);
		ctl_json_end(j);
	}
	ctl_json_end(j);
}

static size_t find_column(const struct ctl_table *table, const char *name, size_t len)
{
	size_t i = 0;
	while (i < table->n_columns &&
	       (strncasecmp(table->columns[i].name, name, len) != 0 || table->columns[i].name[len]))
		i++;
	return i;
}

int ctl_choose(const struct ctl_table *table, const char *names, struct ctl_choice *ret,
	       char *ret_bad, size_t size)
{
	struct ctl_choice choice = { .n = 0 };
	while (!names && choice.n < table->n_columns) {
		choice.v[choice.n] = choice.n;
		choice.n++;
	}
	for (const char *at = names; at;) {
		size_t len = strcspn(at, ","), found = find_column(table, at, len);
		if (found == table->n_columns || choice.n == CTL_COLUMNS_MAX) {
			snprintf(ret_bad, size, "%.*s", (int)len, at);
			return -EINVAL;
		}
		at = at[len] ? at + len + 1 : NULL;
		choice.v[choice.n++] = found;
	}
	*ret = choice;
	return 0;
}

static int add_column(struct libscols_table *t, const struct ctl_column *column)
{
	char heading[64];
	size_t i;
	for (i = 0; column->name[i] && i + 1 < sizeof(heading); i++)
		heading[i] = (char)toupper((unsigned char)column->name[i]);
	heading[i] = '\0';
	int flags = (column->flags & CTL_RIGHT ? SCOLS_FL_RIGHT : 0) |
		    (column->flags & CTL_WRAP ? SCOLS_FL_WRAP : 0);
	return scols_table_new_column(t, heading, 0, flags) ? 0 : -ENOMEM;
}

static int add_row(struct libscols_table *t, const struct ctl_table *table, size_t i,
		   const struct ctl_choice *choice)
{
	char buf[CTL_CELL_MAX];
	struct libscols_line *line = scols_table_new_line(t, NULL);
	if (!line)
		return -ENOMEM;
	for (size_t k = 0; k < choice->n; k++) {
		ctl_cell_text(&table->columns[choice->v[k]], row_at(table, i),
			      scols_table_is_raw(t), buf);
		if (scols_line_set_data(line, k, buf) < 0)
			return -ENOMEM;
	}
	return 0;
}

int ctl_table_print(const struct ctl_table *table, const struct ctl_choice *choice,
		    enum ctl_style style)
{
	struct libscols_table *t = scols_new_table();
	int r = t ? 0 : -ENOMEM;
	if (t) {
		scols_table_enable_noheadings(t, style != CTL_HEADED);
		scols_table_enable_raw(t, style == CTL_RAW);
	}
	for (size_t k = 0; r == 0 && k < choice->n; k++)
		r = add_column(t, &table->columns[choice->v[k]]);
	for (size_t i = 0; r == 0 && i < table->n_rows; i++)
		r = add_row(t, table, i, choice);
	if (r == 0 && table->n_rows > 0)
		r = scols_print_table(t);
	scols_unref_table(t);
	return r;
}
