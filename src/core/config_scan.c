/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * iniparser merges duplicates, drops what follows a quoted value, continues lines - comments, too -
 * after a backslash, ignores a last line of one byte, and ends a value at "#" and ";". Whoever
 * asks its dictionary cannot tell. So the text is looked at before, and only texts without any of
 * that go on.
 */
#include "config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BLANKS " \t"

struct scanner {
	struct sb_scan *out;
	struct sb_err *err;
	struct sb_place at;
	char *section;
};

static bool is_name_char(char c, const char *more)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr(more, c));
}

static bool is_name(const char *text, const char *more)
{
	if (!*text)
		return false;
	while (*text && is_name_char(*text, more))
		text++;
	return *text == '\0';
}

static int push(struct scanner *s, const struct sb_scan_line *line)
{
	struct sb_scan *out = s->out;
	if (out->n == out->room) {
		size_t room = out->room ? 2 * out->room : 64;
		struct sb_scan_line *v = reallocarray(out->v, room, sizeof(*v));
		if (!v)
			return sb_fail(s->err, ENOMEM, "read '%s'", s->at.file);
		out->v = v;
		out->room = room;
	}
	out->v[out->n++] = *line;
	return 0;
}

static int scan_section(struct scanner *s, char *line, size_t len)
{
	s->at.section = NULL;
	if (line[len - 1] != ']')
		return sb_config_fail(s->err, &s->at, "expected [section] alone, got '%.60s'",
				      line);
	line[len - 1] = '\0';
	s->section = line + 1;
	if (!is_name(s->section, "._-@+") || len - 2 > SB_SECTION_MAX)
		return sb_config_fail(s->err, &s->at,
				      "expected a section name of at most %d letters, digits and "
				      "._-@+, got '%.60s'",
				      SB_SECTION_MAX, s->section);
	for (char *p = s->section; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return push(s, &(struct sb_scan_line){ .number = s->at.line, .section = s->section });
}

static int scan_key(struct scanner *s, char *line)
{
	struct sb_scan_line out = { .number = s->at.line, .section = s->section, .key = line };
	char *equals = strchr(line, '=');
	if (!equals)
		return sb_config_fail(s->err, &s->at,
				      "expected Key=value, [section] or a comment, got '%.60s'",
				      line);
	if (!s->section)
		return sb_config_fail(s->err, &s->at, "expected a [section] before '%.60s'", line);
	out.value = equals + 1 + strspn(equals + 1, BLANKS);
	while (equals > line && strchr(BLANKS, equals[-1]))
		equals--;
	if (equals > line && equals[-1] == '+') {
		out.append = true;
		equals--;
	}
	*equals = '\0';
	if (!is_name(line, ""))
		return sb_config_fail(s->err, &s->at,
				      "expected a key of letters and digits before '=', got "
				      "'%.60s'",
				      line);
	s->at.key = line;
	const char *fault = sb_config_scan_value(out.value);
	if (fault)
		return sb_config_fail(s->err, &s->at, "%s, got '%.60s'", fault, out.value);
	if (out.value[0] == '"' || out.value[0] == '\'') {
		out.quote = *out.value++;
		out.value[strlen(out.value) - 1] = '\0';
	}
	return push(s, &out);
}

static int check_bytes(struct scanner *s, const char *line, size_t len)
{
	if (len > SB_CONFIG_LINE_MAX)
		return sb_config_fail(s->err, &s->at, "expected at most %d bytes, got %zu",
				      SB_CONFIG_LINE_MAX, len);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];
		if (c == '\r')
			return sb_config_fail(s->err, &s->at,
					      "expected Unix line ends, got a carriage return");
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return sb_config_fail(s->err, &s->at, "expected text, got the byte 0x%02x",
					      c);
	}
	return 0;
}

static int scan_line(struct scanner *s, char *line, size_t len)
{
	int r = check_bytes(s, line, len);
	if (r < 0)
		return r;
	while (len > 0 && strchr(BLANKS, line[len - 1]))
		len--;
	line[len] = '\0';
	size_t blanks = strspn(line, BLANKS);
	line += blanks;
	len -= blanks;
	if (len == 0)
		return 0;
	/* iniparser continues comments and sections as well. */
	if (line[len - 1] == '\\')
		return sb_config_fail(s->err, &s->at,
				      "a line cannot be continued by a backslash, got '%.60s'",
				      line);
	if (line[0] == '#' || line[0] == ';')
		return 0;
	return line[0] == '[' ? scan_section(s, line, len) : scan_key(s, line);
}

int sb_config_scan(char *text, size_t size, const char *file, struct sb_scan *ret,
		   struct sb_err *err)
{
	struct scanner s = { .out = ret, .err = err };
	char *end = text + size;
	for (unsigned int number = 1; text < end; number++) {
		char *next = memchr(text, '\n', (size_t)(end - text));
		if (!next)
			next = end;
		s.at = (struct sb_place){ .file = file, .line = number, .section = s.section };
		int r = scan_line(&s, text, (size_t)(next - text));
		if (r < 0)
			return r;
		text = next + 1;
	}
	return 0;
}
