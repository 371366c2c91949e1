/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Takes a run of digits; *text moves behind it. */
static int take_digits(const char **text, uint64_t *ret)
{
	const char *p = *text;
	uint64_t v = 0;
	if (!is_digit(*p))
		return -EINVAL;
	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	*text = p;
	*ret = v;
	return 0;
}

int sb_parse_bool(const char *text, bool *ret)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{ "yes", true }, { "no", false },  { "true", true }, { "false", false },
		{ "on", true },	 { "off", false }, { "1", true },    { "0", false },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(words); i++) {
		if (strcasecmp(text, words[i].word) == 0) {
			*ret = words[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

int sb_parse_u64(const char *text, uint64_t *ret)
{
	uint64_t v;
	int r = take_digits(&text, &v);
	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	*ret = v;
	return 0;
}

bool sb_parse_is_percent(const char *text)
{
	size_t len = strlen(text);
	return len > 0 && text[len - 1] == '%';
}

/* "12%", "12.5%" or "12.34%", in hundredths of a percent. */
static int parse_percent(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t whole, fraction = 0;
	int r = take_digits(&text, &whole);
	if (r < 0)
		return r;
	if (*text == '.') {
		const char *start = ++text;
		r = take_digits(&text, &fraction);
		if (r < 0 || text - start > 2)
			return -EINVAL;
		if (text - start == 1)
			fraction *= 10;
	}
	if (strcmp(text, "%") != 0)
		return -EINVAL;
	if (whole > max / 100 || whole * 100 + fraction > max)
		return -ERANGE;
	*ret = whole * 100 + fraction;
	return 0;
}

static int parse_share(const char *text, uint64_t whole, uint64_t *ret)
{
	uint64_t p;
	int r = whole > 0 ? parse_percent(text, 10000, &p) : -EINVAL;
	if (r < 0)
		return r;
	/* In two parts, because whole * 10000 may not fit. */
	*ret = whole / 10000 * p + whole % 10000 * p / 10000;
	return 0;
}

static const char suffixes[] = "KMGT";

static int parse_bytes(const char *text, uint64_t *ret)
{
	uint64_t v;
	int r = take_digits(&text, &v);
	if (r < 0)
		return r;
	const char *suffix = *text ? strchr(suffixes, *text) : NULL;
	if (*text && (!suffix || text[1]))
		return -EINVAL;
	unsigned int shift = suffix ? 10 * (unsigned int)(suffix - suffixes + 1) : 0;
	if (v > SB_INFINITY >> shift || v << shift == SB_INFINITY)
		return -ERANGE;
	*ret = v << shift;
	return 0;
}

int sb_parse_size(const char *text, uint64_t whole, uint64_t *ret)
{
	if (strcmp(text, "infinity") == 0) {
		*ret = SB_INFINITY;
		return 0;
	}
	return sb_parse_is_percent(text) ? parse_share(text, whole, ret) : parse_bytes(text, ret);
}

int sb_parse_count(const char *text, uint64_t whole, uint64_t *ret)
{
	uint64_t v = SB_INFINITY;
	int r = 0;
	if (sb_parse_is_percent(text))
		r = parse_share(text, whole, &v);
	else if (strcmp(text, "infinity") != 0)
		r = sb_parse_u64(text, &v) ?: v == SB_INFINITY ? -ERANGE : 0;
	if (r < 0)
		return r;
	if (v == 0)
		return -ERANGE;
	*ret = v;
	return 0;
}

int sb_parse_cpu_quota(const char *text, uint64_t *ret)
{
	/* More CPUs than any machine has; keeps the product far from overflow. */
	static const uint64_t max = 100 * UINT64_C(10000000);
	uint64_t p;
	if (strcmp(text, "infinity") == 0) {
		*ret = SB_INFINITY;
		return 0;
	}
	int r = parse_percent(text, max, &p);
	if (r < 0)
		return r;
	if (p == 0)
		return -ERANGE;
	*ret = (p + 99) / 100 * 10000;
	return 0;
}

static int take_unit(const char **text, uint64_t *ret_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {
		{ "ms", 1 },	      { "msec", 1 },	    { "s", 1000 },     { "sec", 1000 },
		{ "second", 1000 },   { "seconds", 1000 },  { "m", 60000 },    { "min", 60000 },
		{ "minute", 60000 },  { "minutes", 60000 }, { "h", 3600000 },  { "hr", 3600000 },
		{ "hour", 3600000 },  { "hours", 3600000 }, { "d", 86400000 }, { "day", 86400000 },
		{ "days", 86400000 },
	};
	size_t len = strspn(*text, "abcdefghijklmnopqrstuvwxyz");
	for (size_t i = 0; i < SB_ARRAY_SIZE(units); i++) {
		if (strlen(units[i].name) == len && strncmp(*text, units[i].name, len) == 0) {
			*ret_ms = units[i].ms;
			*text += len;
			return 0;
		}
	}
	return -EINVAL;
}

/* Adds one "30min" to *sum. */
static int take_span(const char **text, uint64_t *sum)
{
	uint64_t v, unit;
	int r = take_digits(text, &v);
	if (r < 0)
		return r;
	*text += strspn(*text, BLANKS);
	r = take_unit(text, &unit);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(v, unit, &v) || __builtin_add_overflow(v, *sum, sum) ||
	    *sum == SB_INFINITY)
		return -ERANGE;
	return 0;
}

int sb_parse_span(const char *text, uint64_t *ret_ms)
{
	uint64_t sum = 0;
	if (strcmp(text, "infinity") == 0) {
		*ret_ms = SB_INFINITY;
		return 0;
	}
	if (sb_parse_u64(text, &sum) == 0) {
		if (sum > (SB_INFINITY - 1) / 1000)
			return -ERANGE;
		*ret_ms = sum * 1000;
		return 0;
	}
	for (;;) {
		int r = take_span(&text, &sum);
		if (r < 0)
			return r;
		if (!*text)
			break;
		text += strspn(text, BLANKS);
	}
	*ret_ms = sum;
	return 0;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *p = c ? strchr(digits, c) : NULL;
	return !p ? -1 : p - digits < 16 ? (int)(p - digits) : (int)(p - digits) - 6;
}

/* Decodes the escape at *text, which is a backslash. */
static int take_escape(const char **text, char *ret)
{
	const char *p = *text + 1;
	if (*p == '\\') {
		*ret = '\\';
		*text = p + 1;
		return 0;
	}
	int high = *p == 'x' ? hex_digit(p[1]) : -1;
	int low = high >= 0 ? hex_digit(p[2]) : -1;
	if (low < 0 || high * 16 + low == 0)
		return -EINVAL;
	*ret = (char)(high * 16 + low);
	*text = p + 3;
	return 0;
}

/* Decodes the word at *text into out, which has room for all of the text. */
static int take_word(const char **text, char *out)
{
	const char *p = *text;
	char quote = is_quote(*p) ? *p++ : '\0';
	while (*p && (quote ? *p != quote : !is_blank(*p))) {
		if (!quote && is_quote(*p))
			return -EINVAL;
		if (*p != '\\')
			*out++ = *p++;
		else if (take_escape(&p, out++) < 0)
			return -EINVAL;
	}
	if (quote && *p++ != quote)
		return -EINVAL;
	if (*p && !is_blank(*p))
		return -EINVAL;
	*out = '\0';
	*text = p;
	return 0;
}

int sb_parse_words(const char *text, struct sb_strv *list)
{
	cleanup_free char *word = malloc(strlen(text) + 1);
	size_t before = list->n;
	int r = word ? 0 : -ENOMEM;
	for (text += strspn(text, BLANKS); r == 0 && *text; text += strspn(text, BLANKS)) {
		r = take_word(&text, word);
		if (r == 0)
			r = sb_strv_add(list, word);
	}
	while (r < 0 && list->n > before)
		free(list->v[--list->n]);
	return r;
}

static int take_uid(const char **text, uid_t *ret)
{
	uint64_t v;
	int r = take_digits(text, &v);
	if (r < 0)
		return r;
	if (v >= (uid_t)-1)
		return -ERANGE;
	*ret = (uid_t)v;
	return 0;
}

int sb_parse_uid_range(const char *text, uid_t *ret_first, uid_t *ret_last)
{
	uid_t first, last;
	int r = take_uid(&text, &first);
	if (r < 0)
		return r;
	last = first;
	if (*text == '-') {
		text++;
		r = take_uid(&text, &last);
		if (r < 0)
			return r;
	}
	if (*text)
		return -EINVAL;
	if (last < first)
		return -ERANGE;
	*ret_first = first;
	*ret_last = last;
	return 0;
}

bool sb_parse_has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

bool sb_parse_is_plain_path(const char *path)
{
	if (path[0] != '/')
		return false;
	if (path[1] == '\0')
		return true;
	while (*path) {
		size_t len = strcspn(++path, "/");
		if (len == 0 || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += len;
	}
	return true;
}

void sb_print_size(char *buf, size_t size, uint64_t bytes)
{
	size_t i = 0;
	if (bytes == SB_INFINITY) {
		sb_copy(buf, size, "infinity");
		return;
	}
	for (; bytes > 0 && bytes % 1024 == 0 && suffixes[i]; i++)
		bytes /= 1024;
	sb_format(buf, size, i ? "%" PRIu64 "%c" : "%" PRIu64, bytes, suffixes[i ? i - 1 : 0]);
}
