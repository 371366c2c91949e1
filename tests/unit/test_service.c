/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include "sessbox/service.h"
#include "sessbox/str.h"

/* A row can be acted upon: a name of its own, a program if it is joined, a known file it includes.
 */
static void rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_SERVICES_N; i++) {
		const struct sb_service *s = &sb_services[i];
		assert_ptr_equal(sb_service_find(s->name), s);
		assert_int_equal(*s->programs != '\0', s->join != SB_JOIN_NONE);
		if (s->includes) {
			const struct sb_service *base = sb_service_find(s->includes);
			assert_non_null(base);
			assert_int_equal(base->join, s->join);
			assert_string_equal(base->programs, s->programs);
		}
	}
	assert_null(sb_service_find("vsftpd"));
	assert_null(sb_service_find(""));
	assert_null(sb_service_find(NULL));
	assert_false(sb_service_has(NULL, SB_SERVICE_MAILS));
}

static void names(void **state)
{
	char text[256] = "";
	(void)state;
	for (size_t i = 0; i < SB_SERVICES_N; i++)
		if (sb_services[i].join != SB_JOIN_NONE)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				 *text ? " " : "", sb_services[i].name);
	assert_string_equal(SB_SERVICE_NAMES, text);
}

static void programs(void **state)
{
	static const struct sb_service two = { .name = "x", .programs = "/usr/bin/x /bin/x" };
	static const struct {
		const char *exe;
		bool is;
	} cases[] = {
		{ "/usr/bin/x", true },
		{ "/bin/x", true },
		{ "/bin/x (deleted)", true },
		{ "/bin/x (deleted) ", false },
		{ "/usr/bin/xy", false },
		{ "/usr/bin", false },
		{ "/usr/bin/x /bin/x", false },
		{ "", false },
		{ "x", false },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++)
		assert_int_equal(sb_service_runs(&two, cases[i].exe), cases[i].is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
		cmocka_unit_test(names),
		cmocka_unit_test(programs),
	};
	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
