/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

static void indent(const struct ctl_json *j)
{
	fprintf(j->out, "\n%*s", (int)(2 * j->depth), "");
}

/* Length of the well-formed UTF-8 sequence at s (RFC 3629), 0 = there is none. */
static size_t sequence_length(const unsigned char *s)
{
	static const struct {
		unsigned char first, last; /* of the leading byte */
		unsigned char low, high;   /* of the second byte */
		size_t length;
	} forms[] = {
		{ 0x01, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (s[0] < forms[i].first || s[0] > forms[i].last)
			continue;
		if (forms[i].length > 1 && (s[1] < forms[i].low || s[1] > forms[i].high))
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

static void put_char(FILE *out, const char *s, size_t length)
{
	static const char plain[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
	const char *at = length == 1 ? strchr(plain, *s) : NULL;
	if (at)
		fprintf(out, "\\%c", names[at - plain]);
	else if (length == 1 && ((unsigned char)*s < ' ' || *s == 0x7f))
		fprintf(out, "\\u%04x", (unsigned char)*s);
	else if (length == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0)
		fprintf(out, "\\u%04x", (unsigned char)s[1]); /* C1, CSI among them */
	else
		fwrite(s, 1, length, out);
}

static void put_string(FILE *out, const char *text)
{
	putc('"', out);
	while (*text) {
		size_t length = sequence_length((const unsigned char *)text);
		if (length > 0)
			put_char(out, text, length);
		else
			fputs("\\ufffd", out);
		text += length > 0 ? length : 1;
	}
	putc('"', out);
}

/* What stands before a value: comma, new line, key. */
static void begin_value(struct ctl_json *j, const char *key)
{
	if (j->depth > 0) {
		bool *filled = &j->filled[j->depth - 1];
		if (*filled)
			putc(',', j->out);
		*filled = true;
		indent(j);
	}
	if (!key)
		return;
	put_string(j->out, key);
	fputs(": ", j->out);
}

static void open_level(struct ctl_json *j, const char *key, const char *brackets)
{
	begin_value(j, key);
	putc(brackets[0], j->out);
	if (j->depth == CTL_JSON_DEPTH)
		return; /* a table in the program is wrong, not its input */
	j->closers[j->depth] = brackets[1];
	j->filled[j->depth] = false;
	j->depth++;
}

void ctl_json_begin(struct ctl_json *j, FILE *out)
{
	*j = (struct ctl_json){ .out = out };
	open_level(j, NULL, "{}");
}

void ctl_json_object(struct ctl_json *j, const char *key)
{
	open_level(j, key, "{}");
}

void ctl_json_array(struct ctl_json *j, const char *key)
{
	open_level(j, key, "[]");
}

void ctl_json_end(struct ctl_json *j)
{
	if (j->depth == 0)
		return;
	j->depth--;
	if (j->filled[j->depth])
		indent(j);
	putc(j->closers[j->depth], j->out);
	if (j->depth == 0)
		putc('\n', j->out);
}

void ctl_json_text(struct ctl_json *j, const char *key, const char *text)
{
	begin_value(j, key);
	if (text)
		put_string(j->out, text);
	else
		fputs("null", j->out);
}

void ctl_json_number(struct ctl_json *j, const char *key, uint64_t number)
{
	begin_value(j, key);
	fprintf(j->out, "%" PRIu64, number);
}

void ctl_json_bool(struct ctl_json *j, const char *key, bool value)
{
	begin_value(j, key);
	fputs(value ? "true" : "false", j->out);
}

void ctl_json_null(struct ctl_json *j, const char *key)
{
	begin_value(j, key);
	fputs("null", j->out);
}
