/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "json.h"

static char *text;
static size_t size;

static struct ctl_json begin(void)
{
	struct ctl_json j;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	ctl_json_begin(&j, out);
	return j;
}

static void finish(struct ctl_json *j, const char *want)
{
	ctl_json_end(j);
	assert_int_equal(fclose(j->out), 0);
	assert_string_equal(text, want);
	free(text);
}

static void test_strings(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain", "plain" },
		{ "", "" },
		{ "a\"b\\c", "a\\\"b\\\\c" },
		{ "\n\t\r\b\f", "\\n\\t\\r\\b\\f" },
		{ "\x01\x1b[31m\x7f", "\\u0001\\u001b[31m\\u007f" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xe2\x82\xac \xf0\x9f\x99\x82", "\xe2\x82\xac \xf0\x9f\x99\x82" },
		/* no UTF-8: stray, cut short, overlong, surrogate, beyond the last */
		{ "\xc2\x9b"
		  "31m\xc2\x80\xc2\xa0",
		  "\\u009b31m\\u0080\xc2\xa0" },
		{ "\xff", "\\ufffd" },
		{ "\x80x", "\\ufffdx" },
		{ "x\xc3", "x\\ufffd" },
		{ "\xe2\x82", "\\ufffd\\ufffd" },
		{ "\xc0\xaf", "\\ufffd\\ufffd" },
		{ "\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd" },
		{ "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" },
		{ "\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" },
		{ "\xf0\x9f\"", "\\ufffd\\ufffd\\\"" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[128];
		struct ctl_json j = begin();
		ctl_json_text(&j, "k", cases[i].in);
		snprintf(want, sizeof(want), "{\n  \"k\": \"%s\"\n}\n", cases[i].out);
		finish(&j, want);
	}
}

static void test_keys_are_escaped(void **state)
{
	(void)state;
	struct ctl_json j = begin();
	ctl_json_null(&j, "a\"b");
	finish(&j, "{\n  \"a\\\"b\": null\n}\n");
}

static void test_values(void **state)
{
	(void)state;
	struct ctl_json j = begin();
	ctl_json_number(&j, "n", UINT64_MAX);
	ctl_json_bool(&j, "yes", true);
	ctl_json_bool(&j, "no", false);
	ctl_json_text(&j, "none", NULL);
	finish(&j, "{\n  \"n\": 18446744073709551615,\n  \"yes\": true,\n  \"no\": false,\n"
		   "  \"none\": null\n}\n");
}

static void test_nesting(void **state)
{
	(void)state;
	struct ctl_json j = begin();
	ctl_json_array(&j, "list");
	ctl_json_object(&j, NULL);
	ctl_json_number(&j, "a", 1);
	ctl_json_end(&j);
	ctl_json_text(&j, NULL, "x");
	ctl_json_end(&j);
	ctl_json_array(&j, "empty");
	ctl_json_end(&j);
	ctl_json_object(&j, "object");
	ctl_json_end(&j);
	finish(&j, "{\n  \"list\": [\n    {\n      \"a\": 1\n    },\n    \"x\"\n  ],\n"
		   "  \"empty\": [],\n  \"object\": {}\n}\n");
}

static void test_one_end_too_many(void **state)
{
	(void)state;
	struct ctl_json j = begin();
	ctl_json_end(&j);
	finish(&j, "{}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),		 cmocka_unit_test(test_keys_are_escaped),
		cmocka_unit_test(test_values),		 cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_one_end_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
