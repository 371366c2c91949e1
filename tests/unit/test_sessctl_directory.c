/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What `sessctl check` says of local accounts that hang on a directory. */
#include "config_tree.h"
#include "scratch.h"

#include <stdlib.h>

#include "check.h"

static const char passwd[] = "root:x:0:0::/root:/bin/bash\n"
			     "svc:x:900:900::/:/bin/bash\n"
			     "ops:x:1000:1000::/home/ops:/bin/bash\n"
			     "ann:x:1001:1001::/home/ann:/bin/sh\n"
			     "ftp:x:1002:1002::/srv:/usr/sbin/nologin\n"
			     "nobody:x:65534:65534::/:/bin/sh\n";
static const char group[] = "root:x:0:\nsudo:x:27:ops\npupils:x:1500:ann\nann:x:1001:\n";

#define PUPILS "[pupils]\nMatchGroups=pupils\nContain=yes\n"
#define STUDENTS "[students]\nMatchGroups=students\nContain=yes\n"
#define ADMINS "[admins]\nMatchGroups=sudo\nContain=no\n"

/* What follows the words in the one finding that has them; NULL: there is none. */
static void expect(const struct ctl_findings *findings, const char *words, const char *rest)
{
	const char *said = NULL;
	for (size_t i = 0; i < findings->n; i++)
		said = said ? said : strstr(findings->v[i].what, words);
	if (!said != !rest || (said && strncmp(said + strlen(words), rest, strlen(rest)) != 0))
		fail_msg("'%s' instead of '%s'", said ? said : "nothing", rest ? rest : "nothing");
}

static void accounts(void **state)
{
	static const struct {
		const char *config;
		const char *names; /* local ones that hang on it; NULL: nothing to say */
		const char *group;
	} cases[] = {
		{ "", NULL, NULL },
		{ PUPILS, NULL, NULL },
		{ STUDENTS, "ops, ann", "'students'" },
		{ STUDENTS ADMINS, "ann", "'students'" },
		{ ADMINS STUDENTS, "ops, ann", "'students'" },
		{ STUDENTS "[admins]\nMatchUsers=ops ann\nContain=no\n", NULL, "'students'" },
		{ STUDENTS "[admins]\nMatchUIDs=1000-1999\nContain=no\n", "ops, ann",
		  "'students'" },
		{ "[students]\nMatchUIDs=10000-19999\nMatchGroups=!staff\nContain=yes\n", NULL,
		  NULL },
		{ "[Defaults]\nContain=yes\n" STUDENTS, "ops, ann", NULL },
		{ PUPILS "[t]\nMatchGroups=students\nTasksMax=9\n", "ann", NULL },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = make_tree();
		struct sb_config *config = NULL;
		struct ctl_findings findings = { .check = "directory" };
		write_text(&t, "sessbox.conf", cases[i].config);
		assert_int_equal(load(&t, &config, NULL), 0);
		assert_int_equal(mkdirat(t.fd, "etc", 0755), 0);
		write_text(&t, "etc/passwd", passwd);
		write_text(&t, "etc/group", group);
		const struct ctl_host host = { .root = t.fd, .config = config };
		ctl_check_directory(&host, &findings);
		expect(&findings, "log in: ", cases[i].names);
		expect(&findings, "contains by group ", cases[i].group);
		ctl_findings_clear(&findings);
		sb_config_free(config);
		drop_tree(&t);
	}
}

/* Whom root waits for while it is silent; what libc does is shown in tests/directory. */
static void roots_sources(void **state)
{
	static const struct {
		const char *nsswitch;
		const char *group;
		const char *source;
	} cases[] = {
		{ "", "root:x:0:\n", NULL },
		{ "passwd: files sss\ngroup: files systemd\n", "root:x:0:\n", NULL },
		{ "group: files [SUCCESS=merge] systemd\n", "root:x:0:\n", NULL },
		{ "group: files systemd # sss\n", "root:x:0:\n", NULL },
		{ "group: files systemd sss\n", "root:x:0:\n", "'sss'" },
		{ "group: files sss ldap\n", "root:x:0:root\nadm:x:4:root\n", "'sss'" },
		{ "group: files [SUCCESS=return] sss\n", "adm:x:4:root\n", "'sss'" },
		{ "group: files\ninitgroups: files ldap\n", "adm:x:4:root\n", "'ldap'" },
		{ "initgroups: files [SUCCESS=return] systemd sss\n", "adm:x:4:root\n", NULL },
		{ "initgroups: files [success=return] sss\n", "adm:x:4:daemon,root\n", NULL },
		{ "initgroups: files [SUCCESS=return] sss\n", "root:x:0:root\nadm:x:4:ann\n",
		  "'sss'" },
		{ "initgroups: sss files [SUCCESS=return]\n", "adm:x:4:root\n", "'sss'" },
		{ "initgroups: files [NOTFOUND=return] sss\n", "adm:x:4:root\n", "'sss'" },
		{ "initgroups: files [NOTFOUND=continue] sss [SUCCESS=return]\n", "adm:x:4:root\n",
		  "'sss'" },
		{ "initgroups: files [!SUCCESS=return] sss\n", "adm:x:4:root\n", "'sss'" },
		{ "initgroups: files [NOTFOUND=continue SUCCESS=return] sss\n", "adm:x:4:root\n",
		  NULL },
		{ "group: files [SUCCESS=merge NOTFOUND=continue] systemd\n", "root:x:0:\n", NULL },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = make_tree();
		struct sb_config *config = NULL;
		struct ctl_findings findings = { .check = "directory" };
		write_text(&t, "sessbox.conf", "");
		assert_int_equal(load(&t, &config, NULL), 0);
		assert_int_equal(mkdirat(t.fd, "etc", 0755), 0);
		write_text(&t, "etc/nsswitch.conf", cases[i].nsswitch);
		write_text(&t, "etc/group", cases[i].group);
		const struct ctl_host host = { .root = t.fd, .config = config };
		ctl_check_directory(&host, &findings);
		expect(&findings, "wait for ", cases[i].source);
		ctl_findings_clear(&findings);
		sb_config_free(config);
		drop_tree(&t);
	}
}

/* Nobody is judged by a configuration that does not load. */
static void no_configuration(void **state)
{
	struct ctl_findings findings = { .check = "directory" };
	const struct ctl_host host = { .root = AT_FDCWD };
	(void)state;
	ctl_check_directory(&host, &findings);
	assert_int_equal(findings.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accounts),
		cmocka_unit_test(roots_sources),
		cmocka_unit_test(no_configuration),
	};
	return cmocka_run_group_tests_name("sessctl_directory", tests, NULL, NULL);
}
