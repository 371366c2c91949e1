/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "sessbox/parse.h"

#define KIB UINT64_C(1024)
#define UNTOUCHED UINT64_C(0x5a5a5a5a)

/* One parser of numbers on one text; value counts if result is 0. */
struct number {
	const char *text;
	int result;
	uint64_t value;
};

static void check_numbers(const struct number *rows, size_t n,
			  int (*parse)(const char *text, uint64_t *ret))
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = UNTOUCHED, want = rows[i].result ? UNTOUCHED : rows[i].value;
		int r = parse(rows[i].text, &v);
		if (r != rows[i].result || v != want)
			fail_msg("'%s': %d, %llu", rows[i].text, r, (unsigned long long)v);
	}
}

static void numbers(void **state)
{
	static const struct number rows[] = {
		{ "0", 0, 0 },
		{ "007", 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "12abc", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "\xd9\xa1", -EINVAL, 0 },
	};
	(void)state;
	check_numbers(rows, SB_ARRAY_SIZE(rows), sb_parse_u64);
}

static int size_of_machine(const char *text, uint64_t *ret)
{
	return sb_parse_size(text, 1000 * KIB, ret);
}

static int size_without_machine(const char *text, uint64_t *ret)
{
	return sb_parse_size(text, 0, ret);
}

static int size_of_huge(const char *text, uint64_t *ret)
{
	return sb_parse_size(text, UINT64_MAX - 1, ret);
}

static void sizes(void **state)
{
	static const struct number rows[] = {
		{ "0", 0, 0 },
		{ "4096", 0, 4096 },
		{ "1K", 0, KIB },
		{ "512M", 0, 512 * KIB * KIB },
		{ "2G", 0, 2 * KIB * KIB * KIB },
		{ "3T", 0, 3 * KIB * KIB * KIB * KIB },
		{ "16777215T", 0, (UINT64_C(16777215)) << 40 },
		{ "16777216T", -ERANGE, 0 },
		{ "18446744073709551615", -ERANGE, 0 },
		{ "infinity", 0, SB_INFINITY },
		{ "Infinity", -EINVAL, 0 },
		{ "25%", 0, 250 * KIB },
		{ "12.5%", 0, 125 * KIB },
		{ "0.01%", 0, 102 },
		{ "100%", 0, 1000 * KIB },
		{ "0%", 0, 0 },
		{ "101%", -ERANGE, 0 },
		{ "100.01%", -ERANGE, 0 },
		{ "99999999999999999999%", -ERANGE, 0 },
		{ "1.234%", -EINVAL, 0 },
		{ "1.%", -EINVAL, 0 },
		{ ".5%", -EINVAL, 0 },
		{ "%", -EINVAL, 0 },
		{ "1%%", -EINVAL, 0 },
		{ "1 %", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "K", -EINVAL, 0 },
		{ "1k", -EINVAL, 0 },
		{ "1KB", -EINVAL, 0 },
		{ "1.5G", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
	};
	static const struct number without[] = { { "25%", -EINVAL, 0 }, { "1K", 0, KIB } };
	static const struct number huge[] = { { "100%", 0, UINT64_MAX - 1 },
					      { "50%", 0, (UINT64_MAX - 1) / 2 } };
	(void)state;
	check_numbers(rows, SB_ARRAY_SIZE(rows), size_of_machine);
	check_numbers(without, SB_ARRAY_SIZE(without), size_without_machine);
	check_numbers(huge, SB_ARRAY_SIZE(huge), size_of_huge);
}

static int count_of_machine(const char *text, uint64_t *ret)
{
	return sb_parse_count(text, 32768, ret);
}

static int count_without_machine(const char *text, uint64_t *ret)
{
	return sb_parse_count(text, 0, ret);
}

static void counts(void **state)
{
	static const struct number rows[] = {
		{ "1", 0, 1 },
		{ "4096", 0, 4096 },
		{ "50%", 0, 16384 },
		{ "infinity", 0, SB_INFINITY },
		{ "0", -ERANGE, 0 },
		{ "0%", -ERANGE, 0 },
		{ "18446744073709551615", -ERANGE, 0 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "1K", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
	};
	static const struct number without[] = { { "50%", -EINVAL, 0 } };
	(void)state;
	check_numbers(rows, SB_ARRAY_SIZE(rows), count_of_machine);
	check_numbers(without, SB_ARRAY_SIZE(without), count_without_machine);
}

static void quotas(void **state)
{
	static const struct number rows[] = {
		{ "50%", 0, 500000 },
		{ "200%", 0, 2000000 },
		{ "1%", 0, 10000 },
		{ "0.5%", 0, 10000 },
		{ "0.01%", 0, 10000 },
		{ "12.34%", 0, 130000 },
		{ "infinity", 0, SB_INFINITY },
		{ "10000000%", 0, UINT64_C(100000000000) },
		{ "10000001%", -ERANGE, 0 },
		{ "0%", -ERANGE, 0 },
		{ "50", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
	};
	(void)state;
	check_numbers(rows, SB_ARRAY_SIZE(rows), sb_parse_cpu_quota);
}

static void spans(void **state)
{
	static const struct number rows[] = {
		{ "0", 0, 0 },
		{ "5", 0, 5000 },
		{ "5s", 0, 5000 },
		{ "5 sec", 0, 5000 },
		{ "500ms", 0, 500 },
		{ "2min", 0, 120000 },
		{ "1h 30min", 0, 5400000 },
		{ "1h30min", 0, 5400000 },
		{ "1d 1h 1m 1s 1ms", 0, 90061001 },
		{ "infinity", 0, SB_INFINITY },
		{ "18446744073709551", 0, UINT64_C(18446744073709551000) },
		{ "18446744073709552", -ERANGE, 0 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "18446744073709551615ms", -ERANGE, 0 },
		{ "18446744073709551614ms 1ms", -ERANGE, 0 },
		{ "213503982335d", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ " 5", -EINVAL, 0 },
		{ "5 ", -EINVAL, 0 },
		{ "5s ", -EINVAL, 0 },
		{ "1h 30", -EINVAL, 0 },
		{ "5 5", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ "5 weeks", -EINVAL, 0 },
		{ "1.5s", -EINVAL, 0 },
		{ "-1s", -EINVAL, 0 },
	};
	(void)state;
	check_numbers(rows, SB_ARRAY_SIZE(rows), sb_parse_span);
}

static void bools(void **state)
{
	static const char *const yes[] = { "yes", "YES", "true", "True", "on", "On", "1" };
	static const char *const no[] = { "no", "NO", "false", "False", "off", "Off", "0" };
	static const char *const bad[] = { "tomorrow", "y", "n", "", " yes", "yes ", "2", "nope" };
	bool v = false;
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(yes); i++, v = false)
		assert_true(sb_parse_bool(yes[i], &v) == 0 && v);
	v = true;
	for (size_t i = 0; i < SB_ARRAY_SIZE(no); i++, v = true)
		assert_true(sb_parse_bool(no[i], &v) == 0 && !v);
	for (size_t i = 0; i < SB_ARRAY_SIZE(bad); i++, v = !v) {
		bool before = v;
		assert_int_equal(sb_parse_bool(bad[i], &v), -EINVAL);
		assert_int_equal(v, before);
	}
}

static void words(void **state)
{
	static const struct {
		const char *text;
		const char *words; /* each with a "|" behind; NULL = -EINVAL */
	} rows[] = {
		{ "", "" },
		{ " \t ", "" },
		{ "a", "a|" },
		{ " a\tb  c ", "a|b|c|" },
		{ "\"a b\" c", "a b|c|" },
		{ "'a \"b\"' \"c'd\"", "a \"b\"|c'd|" },
		{ "\"\" ''", "||" },
		{ "Domain\\x20Users", "Domain Users|" },
		{ "\\x41\\x6A\\\\ '\\x20'", "Aj\\| |" },
		{ "\\xff \\x09", "\xff|\t|" },
		{ "a#b;c!", "a#b;c!|" },
		{ "\"a\"b", NULL },
		{ "\"a\"\"b\"", NULL },
		{ "a\"b\"", NULL },
		{ "o'neill", NULL },
		{ "\"a", NULL },
		{ "'a\"", NULL },
		{ "ok \"", NULL },
		{ "ok \\x00", NULL },
		{ "ok \\x4", NULL },
		{ "ok \\xg0", NULL },
		{ "ok \\x0g", NULL },
		{ "ok \\n", NULL },
		{ "ok \\", NULL },
		{ "ok \\x\x10\x10", NULL },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct sb_strv list = { 0 };
		char got[64] = "";
		assert_int_equal(sb_strv_add(&list, "first"), 0);
		int r = sb_parse_words(rows[i].text, &list);
		assert_string_equal(list.v[0], "first");
		for (size_t k = 1; k < list.n; k++) {
			size_t len = strlen(got);
			sb_format(got + len, sizeof(got) - len, "%s|", list.v[k]);
		}
		if (r != (rows[i].words ? 0 : -EINVAL) ||
		    strcmp(got, rows[i].words ? rows[i].words : "") != 0)
			fail_msg("'%s': %d '%s'", rows[i].text, r, got);
		sb_strv_clear(&list);
	}
}

static void uid_ranges(void **state)
{
	static const struct {
		const char *text;
		int result;
		uid_t first, last;
	} rows[] = {
		{ "0", 0, 0, 0 },
		{ "2500", 0, 2500, 2500 },
		{ "2000-2999", 0, 2000, 2999 },
		{ "5-5", 0, 5, 5 },
		{ "0-4294967294", 0, 0, 4294967294U },
		{ "4294967295", -ERANGE, 0, 0 },
		{ "1-4294967295", -ERANGE, 0, 0 },
		{ "4294967296", -ERANGE, 0, 0 },
		{ "6-5", -ERANGE, 0, 0 },
		{ "", -EINVAL, 0, 0 },
		{ "5-", -EINVAL, 0, 0 },
		{ "-5", -EINVAL, 0, 0 },
		{ "5-6-7", -EINVAL, 0, 0 },
		{ "ann", -EINVAL, 0, 0 },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		uid_t first = 77, last = 78;
		int r = sb_parse_uid_range(rows[i].text, &first, &last);
		if (r != rows[i].result || first != (r ? 77 : rows[i].first) ||
		    last != (r ? 78 : rows[i].last))
			fail_msg("'%s': %d %u-%u", rows[i].text, r, first, last);
	}
}

static void binds(void **state)
{
	static const struct {
		const char *text;
		const char *source; /* NULL = refused */
		const char *dest;
		bool recursive, optional;
	} rows[] = {
		{ "/a", "/a", "/a", true, false },
		{ "-/a", "/a", "/a", true, true },
		{ "/a/b:/c/d", "/a/b", "/c/d", true, false },
		{ "/a:/c:rbind", "/a", "/c", true, false },
		{ "-/a:/c:norbind", "/a", "/c", false, true },
		{ "/a:norbind", "/a", "/a", false, false },
		{ "/:/host", "/", "/host", true, false },
		{ "/.a/..b/c.", "/.a/..b/c.", "/.a/..b/c.", true, false },
		{ .text = "" },
		{ .text = "-" },
		{ .text = "--/a" },
		{ .text = "a" },
		{ .text = "/" },
		{ .text = "/a:/" },
		{ .text = "/a/" },
		{ .text = "/a//b" },
		{ .text = "//" },
		{ .text = "/a/../b" },
		{ .text = "/a/.." },
		{ .text = "/./a" },
		{ .text = "/a:b" },
		{ .text = "/a:" },
		{ .text = "/a::" },
		{ .text = ":/a" },
		{ .text = "/a:/b/:rbind" },
		{ .text = "/a:/b:" },
		{ .text = "/a:/b:bind" },
		{ .text = "/a:/b:norbindx" },
		{ .text = "/a:/b:rbind:x" },
		{ .text = "/a:rbind:/b" },
		{ .text = "/a:/b:/c" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct sb_bind b = { .source = "untouched" };
		int r = sb_parse_bind(rows[i].text, &b);
		if (r != (rows[i].source ? 0 : -EINVAL))
			fail_msg("'%s': %d %s %s", rows[i].text, r, b.source, b.dest);
		assert_string_equal(b.source, rows[i].source ? rows[i].source : "untouched");
		assert_string_equal(b.dest, rows[i].source ? rows[i].dest : "");
		assert_int_equal(b.recursive, rows[i].recursive);
		assert_int_equal(b.optional, rows[i].optional);
	}
	char text[SB_BIND_PATH_MAX + 1];
	struct sb_bind b;
	memset(text, 'x', sizeof(text) - 1);
	text[0] = '/';
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(sb_parse_bind(text, &b), -ERANGE);
	text[sizeof(text) - 2] = '\0';
	assert_int_equal(sb_parse_bind(text, &b), 0);
	assert_string_equal(b.dest, text);
}

static void printed_sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0" },
		{ 1024, "1K" },
		{ 1025, "1025" },
		{ 512 * KIB * KIB, "512M" },
		{ 1536 * KIB * KIB, "1536M" },
		{ 2 * KIB * KIB * KIB, "2G" },
		{ KIB * KIB * KIB * KIB, "1T" },
		{ 1024 * KIB * KIB * KIB * KIB, "1024T" },
		{ UINT64_MAX - 1, "18446744073709551614" },
		{ SB_INFINITY, "infinity" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		char buf[32];
		uint64_t v = UNTOUCHED;
		sb_print_size(buf, sizeof(buf), rows[i].bytes);
		assert_string_equal(buf, rows[i].text);
		assert_int_equal(sb_parse_size(buf, 0, &v), 0);
		assert_true(v == rows[i].bytes);
	}
}

static void times(void **state)
{
	static const char *const bad[] = { "",
					   "soon",
					   "2026-11-25",
					   "2026-11-25T10:00:00",
					   "2026-11-25 10:00:00Z",
					   "2026-11-25T10:00:00Z ",
					   " 2026-11-25T10:00:00Z",
					   "2026-02-30T10:00:00Z",
					   "2026-1-25T10:00:00Z",
					   "2026-11-25T24:00:00Z",
					   "1970-01-01T00:00:00Z",
					   "1969-12-31T23:59:59Z" };
	char buf[SB_UTC_MAX];
	uint64_t v = UNTOUCHED;
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(bad); i++) {
		assert_int_equal(sb_parse_utc(bad[i], &v), -EINVAL);
		assert_true(v == UNTOUCHED);
	}
	assert_int_equal(sb_parse_utc("2026-11-25T10:00:01Z", &v), 0);
	assert_true(v == 1795600801);
	sb_print_utc(buf, sizeof(buf), v);
	assert_string_equal(buf, "2026-11-25T10:00:01Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers), cmocka_unit_test(sizes),
		cmocka_unit_test(counts),  cmocka_unit_test(quotas),
		cmocka_unit_test(spans),   cmocka_unit_test(bools),
		cmocka_unit_test(words),   cmocka_unit_test(uid_ranges),
		cmocka_unit_test(binds),   cmocka_unit_test(printed_sizes),
		cmocka_unit_test(times),
	};
	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
