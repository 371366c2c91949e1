/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config_tree.h"
#include "pam_tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "check.h"

/* ---- the check of sshd's stack ---- */

#define ACCOUNT "account required pam_sessbox.so\n"
#define AUTH "auth required pam_sessbox.so join=cred\n"
#define CLOSE "session required pam_sessbox.so close\n"
#define OPEN "session required pam_sessbox.so open join=cred\n"
#define A "@include common-auth\n"
#define C "account required pam_nologin.so\n@include common-account\n"
#define S                                                                                          \
	"session required pam_loginuid.so\n@include common-session\nsession optional "             \
	"pam_mail.so\n"

#define STACKS_PARTS 4

static const struct {
	const char *name, *text;
	enum ctl_severity worst;
	size_t n;			 /* findings */
	const char *parts[STACKS_PARTS]; /* each in some finding */
} stacks[] = {
	{ "as it should be", A AUTH ACCOUNT C CLOSE S OPEN, CTL_NOTE, 0, { NULL } },
	{ "no line of ours",
	  A C S,
	  CTL_ERROR,
	  4,
	  { "no account", "no auth", "no close", "no open" } },
	{ "no auth line", A ACCOUNT C CLOSE S OPEN, CTL_ERROR, 1, { "no auth line" } },
	{ "no open line", A AUTH ACCOUNT C CLOSE S, CTL_ERROR, 1, { "no open line" } },
	{ "no close line", A AUTH ACCOUNT C S OPEN, CTL_ERROR, 1, { "no close line" } },
	{ "no account line", A AUTH C CLOSE S OPEN, CTL_ERROR, 1, { "no account line" } },
	{ "two auth lines",
	  A AUTH AUTH ACCOUNT C CLOSE S OPEN,
	  CTL_ERROR,
	  1,
	  { "a second auth line" } },
	{ "two open lines",
	  A AUTH ACCOUNT C CLOSE S OPEN OPEN,
	  CTL_ERROR,
	  1,
	  { "a second open line" } },
	{ "two account lines",
	  A AUTH ACCOUNT ACCOUNT C CLOSE S OPEN,
	  CTL_NOTE,
	  1,
	  { "a second account line" } },
	{ "auth first",
	  AUTH A ACCOUNT C CLOSE S OPEN,
	  CTL_WARNING,
	  4,
	  { "pam_unix.so", "pam_cap.so", "auth line is not the last" } },
	{ "account last",
	  A AUTH C ACCOUNT CLOSE S OPEN,
	  CTL_ERROR,
	  5,
	  { "account line is not the first: pam_nologin.so", "can go round" } },
	{ "close after another",
	  A AUTH ACCOUNT C "session optional pam_x.so\n" CLOSE S OPEN,
	  CTL_WARNING,
	  1,
	  { "close line is not the first: pam_x.so" } },
	{ "open not last",
	  A AUTH ACCOUNT C CLOSE S OPEN "session optional pam_keyinit.so force\n",
	  CTL_WARNING,
	  1,
	  { "pam_keyinit.so", "keyring" } },
	{ "kerberos behind auth",
	  A AUTH "auth optional pam_krb5.so\n" ACCOUNT C CLOSE S OPEN,
	  CTL_WARNING,
	  1,
	  { "pam_krb5.so", "ticket" } },
	{ "afs behind open",
	  A AUTH ACCOUNT C CLOSE S OPEN "session optional pam_afs_session.so\n",
	  CTL_WARNING,
	  1,
	  { "pam_afs_session.so", "token" } },
	{ "auth without join",
	  A "auth required pam_sessbox.so\n" ACCOUNT C CLOSE S OPEN,
	  CTL_ERROR,
	  1,
	  { "auth line has no join=cred" } },
	{ "open without join",
	  A AUTH ACCOUNT C CLOSE S "session required pam_sessbox.so open\n",
	  CTL_ERROR,
	  1,
	  { "open line has no join=cred" } },
	{ "another join",
	  A AUTH ACCOUNT C CLOSE S "session required pam_sessbox.so open join=fork\n",
	  CTL_ERROR,
	  1,
	  { "no join=cred" } },
	{ "a misspelt argument",
	  A AUTH "account required pam_sessbox.so debg\n" C CLOSE S OPEN,
	  CTL_ERROR,
	  1,
	  { "does not know 'debg'" } },
	{ "a relative conf=",
	  A AUTH "account required pam_sessbox.so conf=here\n" C CLOSE S OPEN,
	  CTL_ERROR,
	  2,
	  { "does not know 'conf=here'" } },
	{ "two configurations",
	  A AUTH "account required pam_sessbox.so conf=/a\n" C CLOSE S OPEN,
	  CTL_ERROR,
	  1,
	  { "different configurations" } },
	{ "another configuration",
	  A AUTH "account required pam_sessbox.so conf=/a\n" C CLOSE S
		 "session required pam_sessbox.so open join=cred conf=/a\n",
	  CTL_NOTE,
	  1,
	  { "'/a'" } },
	{ "debug",
	  A AUTH "account required pam_sessbox.so debug\n" C CLOSE S OPEN,
	  CTL_NOTE,
	  0,
	  { NULL } },
	{ "neither open nor close",
	  A AUTH ACCOUNT C CLOSE "session required pam_sessbox.so\n" S OPEN,
	  CTL_ERROR,
	  1,
	  { "one of `open` and `close`" } },
	{ "open and close in one",
	  A AUTH ACCOUNT C S "session required pam_sessbox.so open close join=cred\n",
	  CTL_ERROR,
	  8,
	  { "one of `open` and `close`" } },
	{ "optional",
	  A AUTH ACCOUNT C CLOSE S "session optional pam_sessbox.so open join=cred\n",
	  CTL_ERROR,
	  1,
	  { "a refusal does not count" } },
	{ "sufficient",
	  A AUTH "account sufficient pam_sessbox.so\n" C CLOSE S OPEN,
	  CTL_ERROR,
	  1,
	  { "a refusal does not count" } },
	{ "requisite",
	  A AUTH "account requisite pam_sessbox.so\n" C CLOSE S OPEN,
	  CTL_NOTE,
	  0,
	  { NULL } },
	{ "required in brackets",
	  A AUTH "account [success=ok ignore=ignore default=bad] pam_sessbox.so\n" C CLOSE S OPEN,
	  CTL_NOTE,
	  0,
	  { NULL } },
	{ "done in brackets",
	  A AUTH "account [success=done default=die] pam_sessbox.so\n" C CLOSE S OPEN,
	  CTL_ERROR,
	  1,
	  { "more than succeed" } },
	{ "a leading dash",
	  A AUTH ACCOUNT C CLOSE S "-session required pam_sessbox.so open join=cred\n",
	  CTL_WARNING,
	  1,
	  { "uncontained" } },
	{ "sufficient before open",
	  A AUTH ACCOUNT C CLOSE S "session sufficient pam_x.so\n" OPEN,
	  CTL_ERROR,
	  1,
	  { "pam_x.so", "can go round the open line" } },
	{ "a jump over auth",
	  A "auth [success=1 default=ignore] pam_x.so\n" AUTH ACCOUNT C CLOSE S OPEN,
	  CTL_ERROR,
	  1,
	  { "pam_x.so", "can go round the auth line" } },
	{ "requisite before open",
	  A AUTH ACCOUNT C CLOSE S "session requisite pam_x.so\n" OPEN,
	  CTL_WARNING,
	  1,
	  { "when pam_x.so fails" } },
	{ "in an include", "@include ours\n", CTL_NOTE, 0, { NULL } },
	{ "user_readenv",
	  A AUTH ACCOUNT C CLOSE S "session required pam_env.so user_readenv=1\n" OPEN,
	  CTL_NOTE,
	  1,
	  { ".pam_environment" } },
	{ "no stack at all", "rubbish\n", CTL_ERROR, 1, { "'rubbish'" } },
};

static bool some_finding_has(const struct ctl_findings *findings, const char *part)
{
	for (size_t i = 0; i < findings->n; i++)
		if (strstr(findings->v[i].what, part))
			return true;
	return false;
}

static void judge(size_t i, const struct ctl_findings *findings)
{
	enum ctl_severity worst = CTL_NOTE;
	for (size_t k = 0; k < findings->n; k++)
		if (findings->v[k].severity > worst)
			worst = findings->v[k].severity;
	bool right = findings->n == stacks[i].n && worst == stacks[i].worst;
	for (size_t k = 0; right && k < STACKS_PARTS && stacks[i].parts[k]; k++)
		right = some_finding_has(findings, stacks[i].parts[k]);
	if (right)
		return;
	for (size_t k = 0; k < findings->n; k++)
		print_message("  %d %s\n", findings->v[k].severity, findings->v[k].what);
	fail_msg("'%s'", stacks[i].name);
}

static void test_sshd_stacks(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(stacks); i++) {
		struct scratch s = make_pam_tree();
		struct ctl_findings findings = { .check = "services" };
		const struct ctl_host host = { .root = s.fd };
		put_common(s.fd);
		put_text(s.fd, "etc/pam.d/ours", A AUTH ACCOUNT C CLOSE S OPEN);
		put_text(s.fd, "etc/pam.d/sshd", stacks[i].text);
		ctl_check_services(&host, &findings);
		judge(i, &findings);
		ctl_findings_clear(&findings);
		drop_scratch(&s);
	}
}

/* The files an admin copies from; the tests run in the tree's top directory. */
static void test_the_examples_are_right(void **state)
{
	struct scratch s = make_pam_tree();
	struct ctl_findings findings = { .check = "services" };
	const struct ctl_host host = { .root = s.fd };
	(void)state;
	put_common(s.fd);
	put_text(s.fd, "etc/pam.d/common-password", "password required pam_unix.so\n");
	put_text(s.fd, "etc/pam.d/common-session-noninteractive",
		 "session [default=1] pam_permit.so\nsession requisite pam_deny.so\n"
		 "session required pam_permit.so\nsession required pam_unix.so\n");
	for (size_t i = 0; i < SB_SERVICES_N; i++) {
		char from[80], to[80], text[16384];
		if (sb_services[i].join == SB_JOIN_NONE)
			continue;
		snprintf(from, sizeof(from), "conf/pam.d/%s.example", sb_services[i].name);
		snprintf(to, sizeof(to), "etc/pam.d/%s", sb_services[i].name);
		if (sb_read_file(AT_FDCWD, from, text, sizeof(text)) <= 0)
			fail_msg("no %s", from);
		put_text(s.fd, to, text);
	}
	ctl_check_services(&host, &findings);
	for (size_t i = 0; i < findings.n; i++)
		if (findings.v[i].severity > CTL_NOTE)
			fail_msg("%s", findings.v[i].what);
	ctl_findings_clear(&findings);
	drop_scratch(&s);
}

/* ---- each of the table's others: its own file, with or without our lines ---- */

#define FORK "session required pam_sessbox.so open join=fork\n"
#define K "session optional pam_keyinit.so force revoke\n"
#define SU "auth sufficient pam_rootok.so\n" A ACCOUNT C CLOSE S FORK

static const struct {
	const char *service, *text;
	enum ctl_severity severity;
	const char *part; /* of the only finding; NULL = there is none */
} services[] = {
	{ "su", SU, CTL_NOTE, NULL },
	{ "su", ACCOUNT C CLOSE S, CTL_ERROR, "su has no open line" },
	{ "su", ACCOUNT C S FORK, CTL_ERROR, "su has no close line" },
	{ "su", C CLOSE S FORK, CTL_ERROR, "su has no account line" },
	{ "su", ACCOUNT C CLOSE S OPEN, CTL_ERROR, "the open line has no join=fork" },
	{ "su", ACCOUNT C CLOSE FORK S, CTL_WARNING, NULL },
	{ "su", ACCOUNT C CLOSE S FORK FORK, CTL_ERROR, "a second open line" },
	{ "su", ACCOUNT C CLOSE S "session requisite pam_x.so\n" FORK, CTL_NOTE, NULL },
	{ "su", C S, CTL_WARNING, "'su' lets tenants onto the host: no lines" },
	{ "su", ACCOUNT C S, CTL_ERROR, "'su' lets tenants onto the host: AllowServices= has it" },
	{ "su-l", CLOSE K "@include su\n", CTL_NOTE, NULL },
	{ "su-l", K "@include su\n", CTL_WARNING, "close line is not the first: pam_keyinit.so" },
	{ "su-l", "@include su\n" FORK, CTL_ERROR, "a second open line" },
	{ "runuser", CLOSE S FORK, CTL_NOTE, NULL },
	{ "runuser", S, CTL_WARNING, "'runuser' lets tenants onto the host" },
	{ "login", ACCOUNT C CLOSE S FORK, CTL_NOTE, NULL },
	{ "login", "auth optional pam_krb5.so\n" ACCOUNT C CLOSE S FORK, CTL_WARNING,
	  "login calls pam_krb5.so once more after open" },
	{ "su", "auth optional pam_krb5.so\n" ACCOUNT C CLOSE S FORK, CTL_NOTE, NULL },
	{ "atd", "auth optional pam_afs_session.so\n" ACCOUNT C CLOSE S FORK, CTL_WARNING,
	  "atd calls pam_afs_session.so" },
	{ "cron", A AUTH ACCOUNT C CLOSE S OPEN, CTL_NOTE, NULL },
	{ "cron", A ACCOUNT C CLOSE S OPEN, CTL_ERROR, "cron has no auth line" },
	{ "cron", A AUTH ACCOUNT C CLOSE S FORK, CTL_ERROR, "the open line has no join=cred" },
	{ "sudo", A C S, CTL_NOTE, "sudo -u TENANT, as root, runs on the host" },
	{ "sudo", A ACCOUNT C S, CTL_NOTE, "sudo -u TENANT, as root, runs on the host" },
	{ "sudo", A ACCOUNT C CLOSE S FORK, CTL_ERROR, "sudo has auth or session lines" },
	{ "sudo-i", A C S, CTL_NOTE, NULL },
};

/* sshd's is right, and a file that su-l includes. */
static void check_beside_sshd(const char *service, const char *text, const struct sb_config *config,
			      struct ctl_findings *findings)
{
	struct scratch s = make_pam_tree();
	const struct ctl_host host = { .root = s.fd, .config = config };
	char path[64];
	put_common(s.fd);
	put_text(s.fd, "etc/pam.d/sshd", A AUTH ACCOUNT C CLOSE S OPEN);
	if (strcmp(service, "su-l") == 0)
		put_text(s.fd, "etc/pam.d/su", SU);
	snprintf(path, sizeof(path), "etc/pam.d/%s", service);
	put_text(s.fd, path, text);
	ctl_check_services(&host, findings);
	drop_scratch(&s);
}

static void test_services(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(services); i++) {
		struct ctl_findings findings = { .check = "services" };
		check_beside_sshd(services[i].service, services[i].text, NULL, &findings);
		bool right = services[i].part
				     ? findings.n == 1 &&
					       findings.v[0].severity == services[i].severity &&
					       some_finding_has(&findings, services[i].part)
				     : findings.n == 0 || services[i].severity == CTL_WARNING;
		for (size_t k = 0; !right && k < findings.n; k++)
			print_message("  %d %s\n", findings.v[k].severity, findings.v[k].what);
		if (!right)
			fail_msg("case %zu, %s", i, services[i].service);
		ctl_findings_clear(&findings);
	}
}

/* A mistake in a file that su-l includes is one mistake, and is mended there. */
static void test_included_file(void **state)
{
	static const struct {
		const char *su;
		size_t n;
		const char *what, *fix;
	} cases[] = {
		{ A ACCOUNT C CLOSE S OPEN, 1, "the open line has no join=fork", "/etc/pam.d/su:" },
		{ A ACCOUNT C CLOSE S "session required pam_sessbox.so opne join=fork\n", 4,
		  "does not know 'opne'", "is it meant to be open? known are: open, close" },
		{ A ACCOUNT C S FORK, 1, "su has no close line", "/etc/pam.d/su:" },
		{ A C CLOSE S FORK, 2, "su-l has no account line", "/etc/pam.d/su:" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct scratch s = make_pam_tree();
		struct ctl_findings found = { .check = "services" };
		const struct ctl_host host = { .root = s.fd };
		const char *fix = NULL;
		put_common(s.fd);
		put_text(s.fd, "etc/pam.d/sshd", A AUTH ACCOUNT C CLOSE S OPEN);
		put_text(s.fd, "etc/pam.d/su", cases[i].su);
		put_text(s.fd, "etc/pam.d/su-l", CLOSE K "@include su\n");
		ctl_check_services(&host, &found);
		for (size_t k = 0; k < found.n; k++)
			if (strstr(found.v[k].what, cases[i].what))
				fix = found.v[k].fix;
		if (found.n != cases[i].n || !fix || !strstr(fix, cases[i].fix))
			fail_msg("case %zu: %zu findings, fix '%s'", i, found.n, fix ? fix : "");
		ctl_findings_clear(&found);
		drop_scratch(&s);
	}
}

/* An account line alone is enough for a service that no class of tenants may use. */
static void test_account_line_alone(void **state)
{
	static const struct {
		const char *text;
		bool lets_in;
	} configs[] = {
		{ "", true },
		{ "[x]\nMatchUsers=a\nContain=yes\n", true },
		{ "[x]\nMatchUsers=a\nContain=yes\nAllowServices=sshd\n", false },
		{ "[x]\nMatchUsers=a\nContain=yes\nAllowServices=sshd su\n", true },
		{ "[x]\nMatchUsers=a\nContain=yes\nAllowServices=sshd\n[y]\nMatchUsers=a\n"
		  "AllowServices=sshd su\n",
		  true },
		{ "[Defaults]\nAllowServices=sshd\n[x]\nMatchUsers=a\nContain=yes\n", false },
		{ "[Defaults]\nAllowServices=sshd\n[x]\nMatchUsers=a\nContain=yes\n"
		  "AllowServices+=su\n",
		  true },
		{ "[x]\nMatchUsers=a\nContain=yes\nAllowServices=sshd\n[y]\nMatchUsers=b\n"
		  "Contain=yes\n",
		  true },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(configs); i++) {
		struct ctl_findings findings = { .check = "services" };
		struct tree tree = make_tree();
		cleanup_config struct sb_config *config = NULL;
		write_text(&tree, "sessbox.conf", configs[i].text);
		assert_int_equal(load(&tree, &config, NULL), 0);
		check_beside_sshd("su", ACCOUNT C S, config, &findings);
		if ((findings.n == 1) != configs[i].lets_in)
			fail_msg("configuration %zu: %zu findings", i, findings.n);
		ctl_findings_clear(&findings);
		drop_tree(&tree);
	}
}

static void test_no_sshd_stack(void **state)
{
	struct scratch s = make_pam_tree();
	struct ctl_findings findings = { .check = "services" };
	const struct ctl_host host = { .root = s.fd };
	(void)state;
	ctl_check_services(&host, &findings);
	assert_int_equal(findings.n, 1);
	assert_int_equal(findings.v[0].severity, CTL_ERROR);
	ctl_findings_clear(&findings);
	drop_scratch(&s);
}

/* ---- other services ---- */

#define DROPIN_DIR "run/systemd/system/user@.service.d"

static void test_other_services(void **state)
{
	static const struct {
		const char *service, *text;
		enum { NO, SYSTEMD, GUARDED } host;
		bool found;
	} cases[] = {
		{ "crond", C S, NO, true },
		{ "crond", ACCOUNT C S, NO, false },
		{ "crond", C ACCOUNT S, NO, true }, /* common-account can go round it */
		{ "crond", "account sufficient pam_x.so\n" ACCOUNT S, NO, true },
		{ "crond", "account required pam_x.so\n" ACCOUNT S, NO, false },
		{ "crond", S, NO, true }, /* no account lines: those of "other" */
		{ "systemd-user", C S, NO, false },
		{ "systemd-user", C S, SYSTEMD, true },
		{ "systemd-user", ACCOUNT C S, SYSTEMD, false },
		{ "systemd-user", C S, GUARDED, false }, /* asked before by a drop-in */
		{ "ftpd-of-mine", C S, NO, true },
		{ "ftpd-of-mine", ACCOUNT C S, NO, false },
		{ "only-asks", "auth required pam_unix.so\n", NO, false }, /* opens no session */
		{ "chsh", C S, NO, false },
		{ "common-session-more", S, NO, false },
		{ "ftpd.dpkg-dist", C S, NO, false },
		{ "broken", "session nonsense\n", NO, false }, /* lets nobody in */
		{ "other", C, NO, true },
		{ "other", ACCOUNT C, NO, false },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct scratch s = make_pam_tree();
		struct ctl_findings findings = { .check = "others" };
		const struct ctl_host host = { .root = s.fd };
		char path[64];
		put_common(s.fd);
		if (cases[i].host) {
			assert_int_equal(mkdirat(s.fd, "run", 0755), 0);
			assert_int_equal(mkdirat(s.fd, "run/systemd", 0755), 0);
			assert_int_equal(mkdirat(s.fd, "run/systemd/system", 0755), 0);
		}
		if (cases[i].host == GUARDED) {
			assert_int_equal(mkdirat(s.fd, DROPIN_DIR, 0755), 0);
			put_text(s.fd, DROPIN_DIR "/x.conf", "[Service]\nExecCondition=+sessbox\n");
		}
		snprintf(path, sizeof(path), "etc/pam.d/%s", cases[i].service);
		put_text(s.fd, path, cases[i].text);
		ctl_check_others(&host, &findings);
		if (findings.n != cases[i].found)
			fail_msg("case %zu: %zu findings", i, findings.n);
		ctl_findings_clear(&findings);
		drop_scratch(&s);
	}
}

static void test_no_account_lines_are_those_of_other(void **state)
{
	struct scratch s = make_pam_tree();
	struct ctl_findings findings = { .check = "others" };
	const struct ctl_host host = { .root = s.fd };
	(void)state;
	put_common(s.fd);
	put_text(s.fd, "etc/pam.d/crond", S);
	put_text(s.fd, "etc/pam.d/other", ACCOUNT C);
	ctl_check_others(&host, &findings);
	assert_int_equal(findings.n, 0);
	ctl_findings_clear(&findings);
	drop_scratch(&s);
}

/* What a package brings, until there is another one in /etc. */
static void test_a_vendors_service(void **state)
{
	struct scratch s = make_pam_tree();
	struct ctl_findings findings = { .check = "others" };
	const struct ctl_host host = { .root = s.fd };
	(void)state;
	put_common(s.fd);
	put_text(s.fd, "usr/lib/pam.d/ftpd", C S);
	ctl_check_others(&host, &findings);
	assert_int_equal(findings.n, 1);
	assert_non_null(strstr(findings.v[0].what, "'ftpd'"));
	put_text(s.fd, "etc/pam.d/ftpd", ACCOUNT C S);
	ctl_check_others(&host, &findings);
	assert_int_equal(findings.n, 1);
	ctl_findings_clear(&findings);
	drop_scratch(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sshd_stacks),
		cmocka_unit_test(test_the_examples_are_right),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_included_file),
		cmocka_unit_test(test_account_line_alone),
		cmocka_unit_test(test_no_sshd_stack),
		cmocka_unit_test(test_other_services),
		cmocka_unit_test(test_a_vendors_service),
		cmocka_unit_test(test_no_account_lines_are_those_of_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
