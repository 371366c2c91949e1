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

/* ---- settings of the kernel ---- */

/* A host with one file in it; the directories are made. */
static struct scratch host_with(const char *path, const char *text)
{
	struct scratch s = make_scratch();
	char dir[128];
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
		assert_int_equal(mkdirat(s.fd, dir, 0755), 0);
	}
	put_text(s.fd, path, text);
	return s;
}

static const struct {
	const char *path, *text;
	size_t findings;
	const char *part;
} settings[] = {
	{ "proc/sys/fs/suid_dumpable", "0\n", 0, NULL },
	{ "proc/sys/fs/suid_dumpable", "1\n", 1, "fs.suid_dumpable=1" },
	{ "proc/sys/fs/suid_dumpable", "2\n", 0, NULL },
	{ "proc/sys/fs/suid_dumpable", "1 2\n", 0, NULL },
	{ "proc/sys/fs/suid_dumpable", "\n", 0, NULL },
	{ "proc/sys/fs/protected_symlinks", "0\n", 1, "fs.protected_symlinks=0" },
	{ "proc/sys/fs/protected_symlinks", "1\n", 0, NULL },
	{ "proc/sys/fs/protected_hardlinks", "0\n", 1, "fs.protected_hardlinks=0" },
	{ "proc/sys/fs/protected_hardlinks", "1\n", 0, NULL },
	{ "proc/sys/fs/protected_fifos", "0\n", 1, "fs.protected_fifos=0" },
	{ "proc/sys/fs/protected_fifos", "2\n", 0, NULL },
	{ "proc/sys/fs/protected_regular", "0\n", 1, "fs.protected_regular=0" },
	{ "proc/sys/fs/protected_regular", "1\n", 0, NULL },
	{ "proc/sys/kernel/yama/ptrace_scope", "0\n", 1, "kernel.yama.ptrace_scope=0" },
	{ "proc/sys/kernel/yama/ptrace_scope", "1\n", 0, NULL },
	{ "proc/sys/kernel/dmesg_restrict", "0\n", 1, "kernel.dmesg_restrict=0" },
	{ "proc/sys/kernel/dmesg_restrict", "1\n", 0, NULL },
	{ "proc/sys/kernel/perf_event_paranoid", "-1\n", 1, "kernel.perf_event_paranoid=-1" },
	{ "proc/sys/kernel/perf_event_paranoid", "1\n", 1, "kernel.perf_event_paranoid=1" },
	{ "proc/sys/kernel/perf_event_paranoid", "2\n", 0, NULL },
	{ "proc/sys/kernel/unprivileged_bpf_disabled", "0\n", 1, "unprivileged_bpf_disabled=0" },
	{ "proc/sys/kernel/unprivileged_bpf_disabled", "2\n", 0, NULL },
	{ "proc/sys/vm/unprivileged_userfaultfd", "1\n", 1, "userfaultfd=1" },
	{ "proc/sys/vm/unprivileged_userfaultfd", "0\n", 0, NULL },
	{ "proc/sys/dev/tty/legacy_tiocsti", "1\n", 1, "dev.tty.legacy_tiocsti=1" },
	{ "proc/sys/dev/tty/legacy_tiocsti", "0\n", 0, NULL },
	{ "proc/sys/dev/tty/ldisc_autoload", "1\n", 1, "no dev.tty.legacy_tiocsti" },
	{ "proc/sys/user/max_user_namespaces", "1000\n", 1, "user namespaces" },
	{ "proc/sys/user/max_user_namespaces", "0\n", 0, NULL },
	{ "proc/sys/kernel/core_pattern", "core\n", 0, NULL },
	{ "proc/sys/kernel/core_pattern", "|/usr/bin/dump %p\n", 1, "'/usr/bin/dump'" },
	{ "sys/fs/selinux/enforce", "1", 1, "SELinux" },
	{ "sys/fs/selinux/enforce", "0", 0, NULL },
	{ "etc/nothing", "", 0, NULL },
};

static void test_settings(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(settings); i++) {
		struct scratch s = host_with(settings[i].path, settings[i].text);
		struct ctl_findings findings = { .check = "settings" };
		const struct ctl_host host = { .root = s.fd };
		ctl_check_settings(&host, &findings);
		expect_findings(&findings, settings[i].findings, settings[i].part);
		for (size_t k = 0; k < findings.n; k++)
			assert_non_null(findings.v[k].fix);
		ctl_findings_clear(&findings);
		drop_scratch(&s);
	}
}

static void test_debians_switch_for_user_namespaces(void **state)
{
	static const struct {
		const char *text;
		size_t findings;
	} cases[] = { { "0\n", 0 }, { "1\n", 1 } };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct scratch s = host_with("proc/sys/user/max_user_namespaces", "1000\n");
		struct ctl_findings findings = { .check = "settings" };
		const struct ctl_host host = { .root = s.fd };
		assert_int_equal(mkdirat(s.fd, "proc/sys/kernel", 0755), 0);
		put_text(s.fd, "proc/sys/kernel/unprivileged_userns_clone", cases[i].text);
		ctl_check_settings(&host, &findings);
		expect_findings(&findings, cases[i].findings, "user namespaces");
		if (findings.n > 0)
			assert_non_null(strstr(findings.v[0].fix, "unprivileged_userns_clone=0"));
		ctl_findings_clear(&findings);
		drop_scratch(&s);
	}
}

static void test_a_kernel_that_can_forbid_typing_ahead(void **state)
{
	(void)state;
	struct scratch s = host_with("proc/sys/dev/tty/ldisc_autoload", "1\n");
	struct ctl_findings findings = { .check = "settings" };
	const struct ctl_host host = { .root = s.fd };
	put_text(s.fd, "proc/sys/dev/tty/legacy_tiocsti", "0\n");
	ctl_check_settings(&host, &findings);
	expect_findings(&findings, 0, NULL);
	ctl_findings_clear(&findings);
	drop_scratch(&s);
}

static void test_cgroup_mount(void **state)
{
	static const struct {
		const char *options;
		size_t findings;
		const char *part;
	} cases[] = {
		{ "rw,nosuid,nsdelegate,favordynmods", 0, NULL },
		{ "favordynmods,rw,nsdelegate", 0, NULL },
		{ "rw,nsdelegate", 1, "favordynmods" },
		{ "rw,favordynmods", 1, "nsdelegate" },
		{ "rw,nsdelegated,favordynmods", 1, "nsdelegate" },
		{ "rw", 2, "favordynmods" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		char text[256];
		snprintf(text, sizeof(text),
			 "proc /proc proc rw 0 0\ncgroup2 /elsewhere cgroup2 rw 0 0\n"
			 "cgroup2 /sys/fs/cgroup cgroup2 %s 0 0\n",
			 cases[i].options);
		struct scratch s = host_with("proc/self/mounts", text);
		struct ctl_findings findings = { .check = "cgroup" };
		const struct ctl_host host = { .root = s.fd };
		ctl_check_cgroup_mount(&host, &findings);
		expect_findings(&findings, cases[i].findings, cases[i].part);
		ctl_findings_clear(&findings);
		drop_scratch(&s);
	}
}

/* ---- user managers ---- */

#define GUARD "[Service]\nExecCondition=+/usr/libexec/sessbox/sessbox-helper manager %i\n"

static void test_a_drop_in_guards_user_managers(void **state)
{
	static const struct {
		const char *files[3]; /* in etc, run, usr/lib; NULL = none, "" = an empty one */
		bool guarded;
	} cases[] = {
		{ { NULL, NULL, NULL }, false },
		{ { NULL, NULL, GUARD }, true },
		{ { NULL, GUARD, NULL }, true },
		{ { GUARD, NULL, NULL }, true },
		/* The stronger one takes its place. */
		{ { "", NULL, GUARD }, false },
		{ { NULL, "", GUARD }, false },
		{ { GUARD, "", NULL }, true },
		/* Run as the user it asks nobody we know; and what asks somebody else is not ours.
		 */
		{ { NULL, NULL, "[Service]\nExecCondition=/usr/libexec/sessbox/sessbox-helper\n" },
		  false },
		{ { NULL, NULL, "[Service]\nExecCondition=+/bin/true\n" }, false },
		{ { NULL, NULL, "[Service]\n#ExecCondition=+sessbox\n" }, false },
	};
	static const char *const dirs[] = { "etc", "run", "usr/lib" };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct scratch s = make_scratch();
		const struct ctl_host host = { .root = s.fd };
		for (size_t k = 0; k < SB_ARRAY_SIZE(dirs); k++) {
			char path[96];
			if (!cases[i].files[k])
				continue;
			snprintf(path, sizeof(path), "%s/systemd/system/user@.service.d", dirs[k]);
			cleanup_fd int dir = make_dirs(s.fd, path);
			put_text(dir, "50-sessbox.conf", cases[i].files[k]);
		}
		if (ctl_host_guards_managers(&host) != cases[i].guarded)
			fail_msg("case %zu", i);
		drop_scratch(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_drop_in_guards_user_managers),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_debians_switch_for_user_namespaces),
		cmocka_unit_test(test_a_kernel_that_can_forbid_typing_ahead),
		cmocka_unit_test(test_cgroup_mount),
		cmocka_unit_test(test_chroot),
		cmocka_unit_test(test_chroot_without_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
