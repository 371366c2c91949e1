/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What `sessctl check` says of sshd's files and of the host's settings. */
#include "config_tree.h"
#include "scratch.h"

#include <stdlib.h>

#include "check.h"

static void expect_findings(const struct ctl_findings *findings, size_t n, const char *part)
{
	if (findings->n != n)
		fail_msg("%zu findings, the first: %s", findings->n,
			 findings->n ? findings->v[0].what : "");
	if (n > 0 && !strstr(findings->v[0].what, part))
		fail_msg("no '%s' in '%s'", part, findings->v[0].what);
}

/* ---- ChrootDirectory ---- */

static void test_chroot(void **state)
{
	static const struct {
		const char *line;
		const char *config; /* in a class */
		size_t findings;
	} cases[] = {
		{ "/srv/jail", "", 0 },
		{ "/usr", "", 0 },
		{ "/usrlocal", "", 1 },
		{ "/var/lib/jails/%u", "", 0 },
		{ "/var/lib/mysql/jail", "", 1 }, /* masked */
		{ "/var/jails", "", 1 },
		{ "/mnt/jail", "", 1 },
		{ "/mnt/jail", "BindReadOnlyPaths=/mnt/jail\n", 0 },
		{ "/mnt/jail/%u", "BindPaths=/somewhere:/mnt/jail\n", 0 },
		{ "/mnt/jail", "BindPaths=/mnt/jail:/elsewhere\n", 1 },
		{ "/mnt/jail", "BindPaths=/mnt/jailor\n", 1 },
		{ "/home/%u", "", 0 },
		{ "%h", "", 0 },
		{ "%h/jail", "", 0 },
		{ "/home", "", 1 }, /* a directory of the container's own */
		{ "/tmp/jail", "", 1 },
		{ "/proc", "", 1 },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = make_tree();
		struct sb_config *config = NULL;
		struct ctl_findings findings = { .check = "sshd" };
		char text[256];
		snprintf(text, sizeof(text), "[a]\nMatchUsers=ann\nContain=yes\n%s",
			 cases[i].config);
		write_text(&t, "sessbox.conf", text);
		assert_int_equal(load(&t, &config, NULL), 0);
		const struct ctl_host host = { .root = t.fd, .config = config };
		ctl_check_chroot(&host, "etc/ssh/sshd_config", cases[i].line, &findings);
		expect_findings(&findings, cases[i].findings, cases[i].line);
		ctl_findings_clear(&findings);
		sb_config_free(config);
		drop_tree(&t);
	}
}

/* Without a configuration nobody is contained, but the check must not fail either. */
static void test_chroot_without_configuration(void **state)
{
	struct ctl_findings findings = { .check = "sshd" };
	const struct ctl_host host = { .root = AT_FDCWD };
	char longer[1000];
	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	ctl_check_chroot(&host, "f", "/mnt/jail", &findings);
	ctl_check_chroot(&host, "f", longer, &findings);
	expect_findings(&findings, 1, "/mnt/jail");
	ctl_findings_clear(&findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chroot),
		cmocka_unit_test(test_chroot_without_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
