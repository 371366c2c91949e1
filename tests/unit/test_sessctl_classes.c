/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What `sessctl check` says of classes that match nobody, or not whom they are meant for. */
#include "config_tree.h"
#include "scratch.h"

#include "check.h"

#define BY_ROOT "MatchUsers=root\nContain=yes\n"

static const struct {
	const char *config;
	size_t findings;
	enum ctl_severity worst;
	const char *part;
} cases[] = {
	{ "[Defaults]\nContain=yes\n", 0, CTL_NOTE, "" },
	{ "[a]\n" BY_ROOT, 0, CTL_NOTE, "" },
	{ "[empty]\n[a]\n" BY_ROOT, 0, CTL_NOTE, "" },
	{ "[Default]\nContain=yes\n", 1, CTL_WARNING,
	  "sessbox.conf:2: [default] has no Match key" },
	{ "[a]\n" BY_ROOT "[b]\nMatchUsers=\nTasksMax=9\n", 0, CTL_NOTE, "" },
	{ "[a]\n" BY_ROOT "[b]\nTasksMax=9\nMemoryMax=1G\n", 1, CTL_WARNING, ":5: [b] has no" },
	{ "[a]\nContain=yes\nMatchUsers=root !no-such\n", 1, CTL_NOTE,
	  "sessbox.conf:3: [a] MatchUsers 'no-such': there is no user" },
	{ "[a]\nContain=no\nMatchUsers=no-such\nMatchGroups=no-such\n", 0, CTL_NOTE, "" },
	{ "[a]\n" BY_ROOT "[b]\nMatchGroups=root no-such\n", 1, CTL_ERROR,
	  ":5: [b] MatchGroups 'no-such': no group" },
	{ "[a]\n" BY_ROOT "MatchGroups=!no-such\n", 1, CTL_ERROR, ":4: [a] MatchGroups 'no-such'" },
};

static void classes(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = make_tree();
		struct sb_config *config = NULL;
		struct ctl_findings found = { .check = "classes" };
		write_text(&t, "sessbox.conf", cases[i].config);
		assert_int_equal(load(&t, &config, NULL), 0);
		const struct ctl_host host = { .root = t.fd, .config = config };
		ctl_check_classes(&host, &found);
		if (found.n != cases[i].findings)
			fail_msg("row %zu: %zu findings, '%s'", i, found.n,
				 found.n ? found.v[0].what : "");
		if (found.n > 0) {
			assert_int_equal(found.v[0].severity, cases[i].worst);
			assert_non_null(strstr(found.v[0].what, cases[i].part));
			assert_non_null(found.v[0].fix);
		}
		ctl_findings_clear(&found);
		sb_config_free(config);
		drop_tree(&t);
	}
}

/* A drop-in whose name has no ending; others are left by editors. */
static void unread_file(void **state)
{
	struct scratch s = make_scratch();
	struct ctl_findings found = { .check = "classes" };
	const struct ctl_host host = { .root = s.fd };
	(void)state;
	static const char *const dirs[] = { "etc", "etc/security", "etc/security/sessbox.d" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdirat(s.fd, dirs[i], 0755), 0);
	put_text(s.fd, "etc/security/sessbox.d/a.conf", "");
	put_text(s.fd, "etc/security/sessbox.d/b.conf~", "");
	put_text(s.fd, "etc/security/sessbox.d/c", "");
	ctl_check_classes(&host, &found);
	assert_int_equal(found.n, 1);
	assert_non_null(strstr(found.v[0].what, "'/etc/security/sessbox.d/c' is not read"));
	ctl_findings_clear(&found);
	drop_scratch(&s);
}

static void no_configuration(void **state)
{
	struct ctl_findings found = { .check = "classes" };
	const struct ctl_host host = { .root = AT_FDCWD }; /* no such directory below it */
	(void)state;
	ctl_check_classes(&host, &found);
	assert_int_equal(found.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes),
		cmocka_unit_test(unread_file),
		cmocka_unit_test(no_configuration),
	};
	return cmocka_run_group_tests_name("sessctl_classes", tests, NULL, NULL);
}
