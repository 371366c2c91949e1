/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_JSON_H
#define SESSCTL_JSON_H

/*
 * JSON, written as it comes: every --json of sessctl goes through this. A key is NULL inside an
 * array. Whatever bytes a text has, what is written is valid JSON in UTF-8.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CTL_JSON_DEPTH 8

struct ctl_json {
	FILE *out;
	unsigned int depth;
	char closers[CTL_JSON_DEPTH];
	bool filled[CTL_JSON_DEPTH]; /* has the object or array a member yet? */
};

/* Begins the outermost object; as many ctl_json_end as objects and arrays were begun end it. */
void ctl_json_begin(struct ctl_json *j, FILE *out);
void ctl_json_object(struct ctl_json *j, const char *key);
void ctl_json_array(struct ctl_json *j, const char *key);
void ctl_json_end(struct ctl_json *j);

void ctl_json_text(struct ctl_json *j, const char *key, const char *text); /* NULL: null */
void ctl_json_number(struct ctl_json *j, const char *key, uint64_t number);
void ctl_json_bool(struct ctl_json *j, const char *key, bool value);
void ctl_json_null(struct ctl_json *j, const char *key);

#endif
