/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The parsers of single values: the first byte of an input says which. */
#include "fuzz.h"

#include <errno.h>

#include "sessbox/parse.h"

#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)

static void check_result(int r, uint64_t value)
{
	CLAIM(r == 0 || r == -EINVAL || r == -ERANGE);
	CLAIM(r == 0 || value == UNTOUCHED);
}

static void words(const char *text)
{
	struct sb_strv list = { 0 };
	CLAIM(sb_strv_add(&list, "before") == 0);
	int r = sb_parse_words(text, &list);
	CLAIM(r == 0 || r == -EINVAL);
	CLAIM(r == 0 ? list.n >= 1 : list.n == 1);
	CLAIM(strcmp(list.v[0], "before") == 0);
	for (size_t i = 1; i < list.n; i++)
		CLAIM(strlen(list.v[i]) <= strlen(text));
	sb_strv_clear(&list);
}

static void check_infinity(const char *text, int r, uint64_t v)
{
	CLAIM(r < 0 || (v == SB_INFINITY) == (strcmp(text, "infinity") == 0));
}

/* Digits and a suffix, counted with more bits than the parser has. */
static void check_bytes(const char *text, uint64_t v)
{
	static const char suffixes[] = "KMGT";
	unsigned __int128 sum = 0;
	for (; *text >= '0' && *text <= '9'; text++)
		sum = sum * 10 + (unsigned int)(*text - '0');
	const char *suffix = *text ? strchr(suffixes, *text) : NULL;
	for (; suffix && suffix >= suffixes; suffix--)
		sum *= 1024;
	CLAIM(v == SB_INFINITY || sum == v);
}

/* What is printed is read as the same number. */
static void size(const char *text)
{
	uint64_t v = UNTOUCHED, again = 0;
	char buf[32];
	int r = sb_parse_size(text, UINT64_C(1) << 40, &v);
	check_result(r, v);
	check_infinity(text, r, v);
	if (r < 0)
		return;
	if (!sb_parse_is_percent(text))
		check_bytes(text, v);
	sb_print_size(buf, sizeof(buf), v);
	CLAIM(sb_parse_size(buf, 0, &again) == 0 && again == v);
}

static void size_without_whole(const char *text)
{
	uint64_t v = UNTOUCHED;
	int r = sb_parse_size(text, 0, &v);
	check_result(r, v);
	CLAIM(r < 0 || !sb_parse_is_percent(text));
}

static void count(const char *text)
{
	uint64_t v = UNTOUCHED;
	int r = sb_parse_count(text, 32768, &v);
	check_result(r, v);
	check_infinity(text, r, v);
	CLAIM(r < 0 || v > 0);
}

static void quota(const char *text)
{
	uint64_t v = UNTOUCHED;
	int r = sb_parse_cpu_quota(text, &v);
	check_result(r, v);
	check_infinity(text, r, v);
	CLAIM(r < 0 || v == SB_INFINITY || (v > 0 && v % 10000 == 0));
}

static void span(const char *text)
{
	uint64_t v = UNTOUCHED;
	int r = sb_parse_span(text, &v);
	check_result(r, v);
	check_infinity(text, r, v);
}

static void number(const char *text)
{
	uint64_t v = UNTOUCHED;
	int r = sb_parse_u64(text, &v);
	check_result(r, v);
	CLAIM(r < 0 || v == strtoull(text, NULL, 10));
}

static void boolean(const char *text)
{
	bool v = false;
	int r = sb_parse_bool(text, &v);
	CLAIM(r == 0 || r == -EINVAL);
}

static void uids(const char *text)
{
	uid_t first = 1, last = 0;
	int r = sb_parse_uid_range(text, &first, &last);
	CLAIM(r == 0 || r == -EINVAL || r == -ERANGE);
	CLAIM(r == 0 ? first <= last && last < (uid_t)-1 : first == 1 && last == 0);
}

static void bind(const char *text)
{
	struct sb_bind b;
	memset(&b, 0, sizeof(b));
	if (sb_parse_bind(text, &b) < 0)
		return;
	CLAIM(b.source[0] == '/' && b.dest[0] == '/' && b.dest[1]);
	CLAIM(!strstr(b.dest, "//") && !strstr(b.dest, "/../") && !strstr(b.source, "/../"));
	CLAIM(b.optional == (text[0] == '-'));
}

static const struct {
	char letter;
	void (*run)(const char *text);
} parsers[] = {
	{ 'w', words },	 { 's', size },	   { 'S', size_without_whole },
	{ 'c', count },	 { 'q', quota },   { 't', span },
	{ 'n', number }, { 'y', boolean }, { 'u', uids },
	{ 'b', bind },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	for (size_t i = 0; len > 0 && i < SB_ARRAY_SIZE(parsers); i++) {
		if ((uint8_t)parsers[i].letter != data[0])
			continue;
		char *text = as_text(data + 1, len - 1);
		parsers[i].run(text);
		free(text);
	}
	return 0;
}
