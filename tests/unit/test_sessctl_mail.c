/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What `sessctl check` says of mail servers, from what they say of themselves. */
#include "config_tree.h"
#include "scratch.h"

#include <stdlib.h>
#include <time.h>

#include "check_mail.h"
#include "child.h"

/* What is to be found: nothing if part is NULL. */
struct want {
	enum ctl_severity severity;
	const char *part;
	const char *fix; /* NULL = none */
};

static void expect(const char *name, struct ctl_findings *findings, const struct want *want)
{
	if (findings->n != (want->part ? 1 : 0))
		fail_msg("%s: %zu findings, the first: %s", name, findings->n,
			 findings->n ? findings->v[0].what : "");
	if (want->part) {
		const struct ctl_finding *f = &findings->v[0];
		if (!strstr(f->what, want->part))
			fail_msg("%s: no '%s' in '%s'", name, want->part, f->what);
		if (!f->fix != !want->fix || (f->fix && strcmp(f->fix, want->fix) != 0))
			fail_msg("%s: the fix is '%s'", name, f->fix ? f->fix : "none");
		assert_int_equal(f->severity, want->severity);
	}
	ctl_findings_clear(findings);
}

/* A file below a scratch directory, with those above it. */
static void put_file(const struct scratch *s, const char *dir, const char *name, const char *text)
{
	cleanup_fd int fd = make_dirs(s->fd, dir);
	put_text(fd, name, text);
}

/* ---- postfix ---- */

#define DEFAULTS                                                                                   \
	"forward_path = $home/.forward${recipient_delimiter}${extension}, $home/.forward\n"        \
	"local_transport = local:box.example\nmailbox_command_maps =\n"                            \
	"multi_instance_directories =\n"
#define NO_TRANSPORT "transport_maps =\n"
#define NO_COMMAND "mailbox_command =\n"
#define OPEN "allow_mail_to_commands = alias, forward\n"
#define SHUT "allow_mail_to_commands = alias\n"
#define MASTER                                                                                     \
	"smtp       inet  n       -       y       -       -       smtpd\n"                         \
	"mine       unix  -       n       n       -       -       local\n"                         \
	"local      unix  -       n       n       -       -       local\n"                         \
	"lmtp       unix  -       -       y       -       -       lmtp\n"                          \
	"dovecot    unix  -       n       n       -       -       pipe flags=DRhu user=vmail "     \
	"argv=/bin/deliver\n"
#define FORWARD(value)                                                                             \
	CTL_WARNING, "~/.forward names (allow_mail_to_commands = " value ")",                      \
		"postconf -e allow_mail_to_commands=alias; postfix reload"

static const struct {
	const char *name, *settings, *overrides;
	struct want want;
} postfix[] = {
	{ "as it comes", OPEN DEFAULTS NO_TRANSPORT NO_COMMAND, "", { FORWARD("alias, forward") } },
	{ "shut", SHUT DEFAULTS NO_TRANSPORT NO_COMMAND, "", { 0 } },
	{ "nothing at all",
	  "allow_mail_to_commands =\n" DEFAULTS NO_TRANSPORT NO_COMMAND,
	  "",
	  { 0 } },
	{ "other words",
	  "allow_mail_to_commands = alias,forwarded\n" DEFAULTS NO_TRANSPORT NO_COMMAND,
	  "",
	  { 0 } },
	{ "without blanks",
	  "allow_mail_to_commands = alias,forward\n" DEFAULTS NO_TRANSPORT NO_COMMAND,
	  "",
	  { FORWARD("alias,forward") } },
	{ "a file that it includes",
	  "allow_mail_to_commands = alias include\n" DEFAULTS NO_TRANSPORT NO_COMMAND,
	  "",
	  { FORWARD("alias include") } },
	{ "no aliases either",
	  "allow_mail_to_commands = forward\n" DEFAULTS NO_TRANSPORT NO_COMMAND,
	  "",
	  { CTL_WARNING, "= forward)", "postconf -e allow_mail_to_commands=; postfix reload" } },
	{ "it reads no ~/.forward",
	  OPEN "forward_path =\nlocal_transport = local\n" NO_TRANSPORT NO_COMMAND,
	  "",
	  { 0 } },
	{ "opened in master.cf",
	  SHUT DEFAULTS NO_TRANSPORT NO_COMMAND,
	  "local/unix/allow_mail_to_commands = alias,forward\n",
	  { CTL_WARNING, "~/.forward",
	    "postconf -P local/unix/allow_mail_to_commands=alias; postfix reload" } },
	{ "shut in master.cf",
	  OPEN DEFAULTS NO_TRANSPORT NO_COMMAND,
	  "relay/unix/syslog_name = x\nlocal/unix/allow_mail_to_commands =\n",
	  { 0 } },
	{ "another service is shut",
	  OPEN DEFAULTS NO_TRANSPORT NO_COMMAND,
	  "mine/unix/allow_mail_to_commands =\n",
	  { FORWARD("alias, forward") } },
	{ "another name for local(8)",
	  OPEN "forward_path = $home/.forward\nlocal_transport = mine\n" NO_TRANSPORT NO_COMMAND,
	  "",
	  { FORWARD("alias, forward") } },
	{ "procmail",
	  SHUT DEFAULTS NO_TRANSPORT "mailbox_command = procmail -a \"$EXTENSION\"\n",
	  "",
	  { CTL_WARNING,
	    "postfix' mailbox_command runs procmail, and that runs on the host what a tenant's "
	    "~/.procmailrc names",
	    "postconf -e mailbox_command=; postfix reload" } },
	{ "procmail by master.cf",
	  SHUT DEFAULTS NO_TRANSPORT NO_COMMAND,
	  "local/unix/mailbox_command = /usr/bin/procmail\n",
	  { CTL_WARNING, "/usr/bin/procmail",
	    "postconf -P local/unix/mailbox_command=; postfix reload" } },
	{ "maildrop",
	  SHUT DEFAULTS NO_TRANSPORT "mailbox_command = /usr/bin/maildrop\n",
	  "",
	  { 0 } }, /* it is not there */
	{ "some other program",
	  SHUT DEFAULTS NO_TRANSPORT "mailbox_command = /usr/bin/procmail2 -f\n",
	  "",
	  { CTL_NOTE, "/usr/bin/procmail2 on the host", NULL } },
	{ "maps of programs",
	  SHUT "forward_path =\nlocal_transport = local:\n" NO_TRANSPORT NO_COMMAND
	       "mailbox_command_maps = hash:/etc/postfix/commands\n",
	  "",
	  { CTL_NOTE, "hash:/etc/postfix/commands", NULL } },
	{ "lmtp", OPEN "local_transport = lmtp:unix:x\n" NO_TRANSPORT NO_COMMAND, "", { 0 } },
	{ "a program",
	  OPEN "local_transport = dovecot\n" NO_TRANSPORT NO_COMMAND,
	  "",
	  { CTL_NOTE, "local_transport = dovecot", NULL } },
	{ "no such service",
	  OPEN "local_transport = nothing:x\n" NO_TRANSPORT NO_COMMAND,
	  "",
	  { CTL_NOTE, "cannot be told", NULL } },
	{ "lmtp, and local(8) for some",
	  OPEN "local_transport = lmtp:unix:x\ntransport_maps = hash:/etc/t\n" NO_COMMAND,
	  "",
	  { CTL_NOTE, "transport_maps = hash:/etc/t", NULL } },
	{ "instances",
	  SHUT "local_transport = local\nmulti_instance_directories = /etc/postfix-out\n",
	  "",
	  { CTL_NOTE, "/etc/postfix-out", NULL } },
	{ "nothing said", "", "", { CTL_NOTE, "cannot be told", NULL } },
};

static void test_postfix(void **state)
{
	struct scratch s = make_scratch();
	const struct ctl_host host = { .root = s.fd };
	(void)state;
	put_file(&s, "/usr/bin", "procmail", "");
	put_file(&s, "/usr/bin", "procmail2", "");
	for (size_t i = 0; i < SB_ARRAY_SIZE(postfix); i++) {
		struct ctl_findings findings = { .check = "mail" };
		const struct ctl_postfix says = { postfix[i].settings, MASTER,
						  postfix[i].overrides };
		ctl_check_postfix(&host, &says, &findings);
		expect(postfix[i].name, &findings, &postfix[i].want);
	}
	drop_scratch(&s);
}

/* ---- exim ---- */

#define DEBIANS "/var/lib/exim4/config.autogenerated\n"
#define ROUTER(options)                                                                            \
	"\nuserforward router:\ncheck_local_user\ndriver = redirect\nfile_transport = f\n" options
#define HOME "file = $home/.forward\n"
#define PIPES "pipe_transport = address_pipe\n"
#define NO_PIPES "forbid_pipe\n"
#define FILTERS "allow_filter\nno_forbid_exim_filter\n"
#define NO_RUN "forbid_filter_run\nforbid_filter_dlfunc\nforbid_filter_perl\n"
#define SED(words, file)                                                                           \
	"sed -i '/^userforward:$/,/^\\s*driver/s/^\\s*driver.*/&\\n" words "/' " file "; "
#define UPDATE "update-exim4.conf; "
#define RESTART "systemctl try-restart exim4"
#define WHOLE "/etc/exim4/exim4.conf.template"
#define PROCMAIL_ROUTER                                                                            \
	"\nprocmail router:\ncheck_local_user\ndriver = accept\ntransport = procmail_pipe\n"
#define TRANSPORT(options)                                                                         \
	"\nspool transport:\ndriver = appendfile\n\nprocmail_pipe transport:\n" options

static const struct {
	const char *name, *text;
	struct want want;
} exim[] = {
	{ "as it comes",
	  DEBIANS ROUTER(HOME PIPES FILTERS "no_forbid_pipe\nno_forbid_filter_run\n"),
	  { CTL_WARNING,
	    "router 'userforward' runs on the host what a tenant's $home/.forward names (it lacks "
	    "forbid_pipe, forbid_filter_run, forbid_filter_dlfunc, forbid_filter_perl)",
	    SED("forbid_pipe\\nforbid_filter_run\\nforbid_filter_dlfunc\\nforbid_filter_perl",
		WHOLE) UPDATE RESTART } },
	{ "shut", DEBIANS ROUTER(HOME PIPES FILTERS NO_PIPES NO_RUN), { 0 } },
	{ "no filters",
	  DEBIANS ROUTER(HOME PIPES "no_allow_filter\n"),
	  { CTL_WARNING, "(it lacks forbid_pipe)", SED("forbid_pipe", WHOLE) UPDATE RESTART } },
	{ "no filters of exim's",
	  DEBIANS ROUTER(HOME PIPES NO_PIPES "allow_filter\n"
					     "forbid_exim_filter\n"),
	  { 0 } },
	{ "pipes alone are shut",
	  DEBIANS ROUTER(HOME PIPES FILTERS NO_PIPES),
	  { CTL_WARNING, "(it lacks forbid_filter_run, ",
	    SED("forbid_filter_run\\nforbid_filter_dlfunc\\nforbid_filter_perl", WHOLE)
		    UPDATE RESTART } },
	{ "no transport for pipes", DEBIANS ROUTER(HOME "pipe_transport = \n"), { 0 } },
	{ "no file", DEBIANS ROUTER("file = \ndata = ${lookup{x}}\n" PIPES FILTERS), { 0 } },
	{ "one file for all", DEBIANS ROUTER("file = /etc/forward\n" PIPES FILTERS), { 0 } },
	{ "files of somebody's",
	  DEBIANS ROUTER("file = /etc/fwd/$local_part\n" PIPES),
	  { CTL_NOTE, "whether tenants write it cannot be told",
	    SED("forbid_pipe", WHOLE) UPDATE RESTART } },
	{ "written by hand",
	  "/etc/exim4/exim4.conf\n" ROUTER(HOME PIPES),
	  { CTL_WARNING, "userforward", SED("forbid_pipe", "/etc/exim4/exim4.conf") RESTART } },
	{ "what is said of another router",
	  DEBIANS ROUTER(HOME PIPES) "\nother router:\ndriver = redirect\nforbid_pipe\n",
	  { CTL_WARNING, "userforward", SED("forbid_pipe", WHOLE) UPDATE RESTART } },
	{ "a transport named like it",
	  DEBIANS ROUTER(HOME) "\nuserforward transport:\ndriver = pipe\n" PIPES,
	  { 0 } },
	{ "procmail",
	  DEBIANS PROCMAIL_ROUTER TRANSPORT("command = /usr/bin/procmail -d\ndriver = pipe\n"),
	  { CTL_WARNING,
	    "exim's router 'procmail' runs /usr/bin/procmail, and that runs on the host what a "
	    "tenant's ~/.procmailrc names",
	    "apt-get remove procmail" } },
	{ "procmail is not there",
	  DEBIANS PROCMAIL_ROUTER TRANSPORT("command = /opt/procmail\ndriver = pipe\n"),
	  { 0 } },
	{ "as another user",
	  DEBIANS PROCMAIL_ROUTER TRANSPORT(
		  "command = /usr/bin/procmail\ndriver = pipe\nuser = mail\n"),
	  { 0 } },
	{ "another program",
	  DEBIANS PROCMAIL_ROUTER TRANSPORT("command = /usr/bin/lda\nuser = \ndriver = pipe\n"),
	  { CTL_NOTE, "/usr/bin/lda on the host", NULL } },
	{ "no program", DEBIANS PROCMAIL_ROUTER TRANSPORT("driver = lmtp\n"), { 0 } },
	{ "a transport that is chosen late",
	  DEBIANS "\nlocal router:\ndriver = accept\ntransport = ${if x{a}{b}}\n",
	  { CTL_NOTE, "'${if x{a}{b}}'", NULL } },
	{ "nothing said", "", { 0 } },
};

static void test_exim(void **state)
{
	struct scratch s = make_scratch();
	const struct ctl_host host = { .root = s.fd };
	(void)state;
	put_file(&s, "/usr/bin", "procmail", "");
	put_file(&s, "/usr/bin", "lda", "");
	for (size_t i = 0; i < SB_ARRAY_SIZE(exim); i++) {
		struct ctl_findings findings = { .check = "mail" };
		ctl_check_exim(&host, "exim4", exim[i].text, &findings);
		expect(exim[i].name, &findings, &exim[i].want);
	}
	drop_scratch(&s);
}

static void test_exim_in_pieces(void **state)
{
	static const struct {
		const char *text;
		const char *file;
	} cases[] = {
		{ "dc_x='1'\ndc_use_split_config='true'\n", "/etc/exim4/conf.d/router/*" },
		{ "dc_x='1'\ndc_use_split_config=True\n", "/etc/exim4/conf.d/router/*" },
		{ "dc_x='1'\ndc_use_split_config='false'\n", WHOLE },
		{ "dc_x='1'\n#dc_use_split_config='true'\n", WHOLE },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct scratch s = make_scratch();
		const struct ctl_host host = { .root = s.fd };
		struct ctl_findings findings = { .check = "mail" };
		put_file(&s, "/etc/exim4", "update-exim4.conf.conf", cases[i].text);
		ctl_check_exim(&host, "exim4", DEBIANS ROUTER(HOME PIPES), &findings);
		assert_int_equal(findings.n, 1);
		assert_non_null(strstr(findings.v[0].fix, cases[i].file));
		ctl_findings_clear(&findings);
		drop_scratch(&s);
	}
}

/* ---- which there is ---- */

#define NOBODY "[a]\nMatchUsers=ann\nContain=no\n"
#define SOMEBODY "[a]\nMatchUsers=ann\nContain=yes\n"

static void test_servers(void **state)
{
	static const struct {
		const char *config, *program;
		const struct want want;
	} cases[] = {
		{ SOMEBODY, NULL, { 0 } },
		{ NOBODY, "sendmail", { 0 } },
		{ SOMEBODY,
		  "sendmail",
		  { CTL_NOTE, "neither exim's nor postfix'",
		    "see sessbox.conf(5), OTHER WAYS ONTO THE HOST" } },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = make_tree();
		struct sb_config *config = NULL;
		struct ctl_findings findings = { .check = "mail" };
		const struct scratch s = { .fd = t.fd };
		write_text(&t, "sessbox.conf", cases[i].config);
		assert_int_equal(load(&t, &config, NULL), 0);
		if (cases[i].program)
			put_file(&s, "/usr/sbin", cases[i].program, "");
		const struct ctl_host host = { .root = t.fd, .config = config };
		ctl_check_mail(&host, &findings);
		expect(cases[i].config, &findings, &cases[i].want);
		sb_config_free(config);
		drop_tree(&t);
	}
}

/* ---- what a program says ---- */

static int say(const char *script, char *buf, size_t size)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	return ctl_child_read(argv, CTL_CHILD_PATIENCE_MS, buf, size);
}

static void test_answers(void **state)
{
	static const char *const nothing[] = { "/no/such/program", NULL };
	char buf[64];
	(void)state;
	size_t before = count_fds();
	assert_int_equal(say("echo one; echo two >&2; cat", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "one\ntwo\n");
	assert_int_equal(say("echo why; exit 3", buf, sizeof(buf)), 3);
	assert_string_equal(buf, "why\n");
	assert_int_equal(say("kill -9 $$", buf, sizeof(buf)), 255);
	assert_string_equal(buf, "");
	assert_int_equal(say("printf %063d 0", buf, sizeof(buf)), 0);
	assert_int_equal(strlen(buf), 63);
	assert_int_equal(say("printf %064d 0", buf, sizeof(buf)), -EFBIG);
	assert_int_equal(ctl_child_read(nothing, CTL_CHILD_PATIENCE_MS, buf, sizeof(buf)), 127);
	assert_int_equal(count_fds(), before);
}

static void test_no_answer(void **state)
{
	static const char *const argv[] = { "/bin/sh", "-c", "echo on; exec sleep 60", NULL };
	char buf[64];
	(void)state;
	time_t start = time(NULL);
	assert_int_equal(ctl_child_read(argv, 300, buf, sizeof(buf)), -ETIMEDOUT);
	assert_true(time(NULL) - start < 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_postfix),	       cmocka_unit_test(test_exim),
		cmocka_unit_test(test_exim_in_pieces), cmocka_unit_test(test_servers),
		cmocka_unit_test(test_answers),	       cmocka_unit_test(test_no_answer),
	};
	return cmocka_run_group_tests_name("sessctl_mail", tests, NULL, NULL);
}
