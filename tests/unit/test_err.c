/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "sessbox/err.h"
#include "sessbox/str.h"

/* It crosses a process in one write; 256 bytes are below any PIPE_BUF. */
_Static_assert(sizeof(struct sb_err) == 256, "struct sb_err is 256 bytes");

static void numbers(void **state)
{
	static const struct {
		int given;
		int kept;
	} rows[] = {
		{ EACCES, EACCES },
		{ -EACCES, EACCES },
		{ 0, EIO },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct sb_err err = { 0 };
		char want[sizeof(err.msg)];
		assert_int_equal(sb_fail(&err, rows[i].given, "open '%s'", "x"), -rows[i].kept);
		assert_int_equal(err.num, rows[i].kept);
		sb_format(want, sizeof(want), "open 'x': %s", strerror(rows[i].kept));
		assert_string_equal(err.msg, want);

		assert_int_equal(sb_fail_plain(&err, rows[i].given, "%d too many", 3),
				 -rows[i].kept);
		assert_int_equal(err.num, rows[i].kept);
		assert_string_equal(err.msg, "3 too many");

		assert_int_equal(sb_fail(NULL, rows[i].given, "x"), -rows[i].kept);
		assert_int_equal(sb_fail_plain(NULL, rows[i].given, "x"), -rows[i].kept);
	}
}

/* The message ends where the room ends, and never without its NUL byte. */
static void long_messages(void **state)
{
	(void)state;
	char text[600];
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	/* Around the end: all fits, the reason is cut, the text itself is. */
	for (size_t len = 200; len < 300; len++) {
		struct {
			struct sb_err err;
			char behind[8];
		} s = { .behind = "behind" };
		char want[700];
		snprintf(want, sizeof(want), "%.*s: %s", (int)len, text, strerror(ENOENT));
		want[sizeof(s.err.msg) - 1] = '\0';
		assert_int_equal(sb_fail(&s.err, ENOENT, "%.*s", (int)len, text), -ENOENT);
		assert_string_equal(s.err.msg, want);
		assert_string_equal(s.behind, "behind");

		snprintf(want, sizeof(want), "%.*s", (int)len, text);
		want[sizeof(s.err.msg) - 1] = '\0';
		sb_fail_plain(&s.err, ENOENT, "%.*s", (int)len, text);
		assert_string_equal(s.err.msg, want);
	}
}

static void within(void **state)
{
	(void)state;
	struct sb_err err = { 0 };
	sb_fail_plain(&err, EPERM, "no");
	assert_int_equal(sb_fail_within(&err, "step %d", 2), -EPERM);
	assert_int_equal(sb_fail_within(&err, "%s", "login"), -EPERM);
	assert_int_equal(err.num, EPERM);
	assert_string_equal(err.msg, "login: step 2: no");
}

/* Without room for both the reason stays, since it is what the reader needs. */
static void within_too_much(void **state)
{
	(void)state;
	char prefix[sizeof(((struct sb_err *)0)->msg) + 1];
	memset(prefix, 'p', sizeof(prefix));
	prefix[sizeof(prefix) - 1] = '\0';
	struct sb_err err = { 0 };
	sb_fail_plain(&err, EPERM, "reason");
	assert_int_equal(sb_fail_within(&err, "%s", prefix), -EPERM);
	assert_string_equal(err.msg, "reason");

	prefix[200] = '\0';
	memset(err.msg, 'm', sizeof(err.msg) - 1);
	sb_fail_within(&err, "%s", prefix);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_int_equal(strncmp(err.msg, prefix, 200), 0);
	assert_int_equal(strncmp(err.msg + 200, ": mmm", 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(long_messages),
		cmocka_unit_test(within),
		cmocka_unit_test(within_too_much),
	};
	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
