/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "prose.h"
#include "sessbox/str.h"

static void test_lines(void **state)
{
	static const struct {
		size_t width;
		const char *lead, *text, *want;
	} cases[] = {
		{ 0, "a: ", "one two three", "a: one two three\n" },
		{ 12, "a: ", "one two three", "a: one two\n   three\n" },
		{ 13, "a: ", "one two three", "a: one two\n   three\n" },
		{ 16, "a: ", "one two three", "a: one two three\n" },
		{ 15, "a: ", "one two three", "a: one two\n   three\n" },
		{ 10, "", "one two three", "one two\nthree\n" },
		{ 10, "a: ", "", "a: \n" },
		/* A word that is too long stands alone. */
		{ 8, "- ", "a longlongword b", "- a\n  longlongword\n  b\n" },
		{ 3, "lead: ", "a b", "lead: a\n      b\n" },
		/* Blanks within a line stay, those at a break go. */
		{ 20, "", "one  two", "one  two\n" },
		{ 5, "", "one   two", "one\ntwo\n" },
		{ 20, "", "one ", "one \n" },
		/* Columns are counted, not bytes. */
		{ 9, "", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 \xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6",
		  "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 \xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\n" },
		{ 3, "", "\xe4\xbd\xa0 b", "\xe4\xbd\xa0\nb\n" },
		/* Nothing reaches the terminal that it would obey. */
		{ 0, "", "a\033[2Jb\n", "a\\x1b[2Jb\\x0a\n" },
		{ 0, "", "\x7f\xff\xc3", "\\x7f\\xff\\xc3\n" },
		{ 0, "", "\xc2\x9b!", "\\xc2\\x9b!\n" },
		{ 8, "", "abc \033def", "abc\n\\x1bdef\n" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		char *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);
		ctl_prose(out, cases[i].width, cases[i].lead, cases[i].text);
		fclose(out);
		if (strcmp(text, cases[i].want) != 0)
			fail_msg("case %zu: '%s'", i, text);
		free(text);
	}
}

static int set_locale(void **state)
{
	(void)state;
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
	};
	return cmocka_run_group_tests(tests, set_locale, NULL);
}
