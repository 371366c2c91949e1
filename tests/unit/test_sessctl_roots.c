/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What `sessctl check` says of the trees that are configured. */
#include "config_tree.h"

#include <stdio.h>

#include "check.h"

static const char *const dirs[] = { "srv",	    "srv/tree",	       "srv/tree/proc",
				    "srv/tree/sys", "srv/tree/dev",    "srv/tree/run",
				    "srv/tree/tmp", "srv/tree/etc",    "srv/tree/home",
				    "srv/tree/var", "srv/tree/var/tmp" };

static struct tree make_host(void)
{
	struct tree t = make_tree();
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdirat(t.fd, dirs[i], 0755), 0);
	return t;
}

/* Findings of one class with these lines; the first one has all the parts. */
static void expect(const struct tree *t, const char *lines, size_t n, enum ctl_severity severity,
		   const char *part, const char *fix)
{
	struct sb_config *config = NULL;
	struct ctl_findings findings = { .check = "roots" };
	char text[256];
	snprintf(text, sizeof(text), "[a]\nMatchUsers=ann\n%s", lines);
	write_text(t, "sessbox.conf", text);
	assert_int_equal(load(t, &config, NULL), 0);
	const struct ctl_host host = { .root = t->fd, .config = config };
	ctl_check_roots(&host, &findings);
	if (findings.n != n)
		fail_msg("%zu findings, the first: %s", findings.n,
			 findings.n ? findings.v[0].what : "");
	if (n > 0) {
		assert_int_equal(findings.v[0].severity, severity);
		assert_non_null(strstr(findings.v[0].what, part));
		assert_non_null(strstr(findings.v[0].what, "sessbox.conf:3: [a]"));
		if (fix)
			assert_string_equal(findings.v[0].fix, fix);
		else
			assert_null(findings.v[0].fix);
	}
	ctl_findings_clear(&findings);
	sb_config_free(config);
}

#define TREE "RootDirectory=/srv/tree\n"

static void owners(void **state)
{
	static const struct {
		const char *name;
		uid_t uid;
		mode_t mode;
	} rows[] = {
		{ "srv", 2500, 0755 },
		{ "srv/tree", 0, 0775 },
		{ "srv/tree", 2500, 0755 },
		{ "srv/tree/etc", 0, 0777 },
	};
	(void)state;
	if (geteuid() != 0)
		skip();
	struct tree t = make_host();
	expect(&t, "", 0, CTL_NOTE, NULL, NULL);
	expect(&t, "RootDirectory=/\n", 0, CTL_NOTE, NULL, NULL);
	expect(&t, TREE, 0, CTL_NOTE, NULL, NULL);
	expect(&t, "RootDirectory=/srv/none\n", 1, CTL_ERROR, "/srv/none",
	       "make it, or correct the key");
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		assert_int_equal(fchownat(t.fd, rows[i].name, rows[i].uid, 0, 0), 0);
		assert_int_equal(fchmodat(t.fd, rows[i].name, rows[i].mode, 0), 0);
		expect(&t, TREE, 1, CTL_ERROR, "is not root's alone", "chown root, chmod go-w");
		assert_int_equal(fchownat(t.fd, rows[i].name, 0, 0, 0), 0);
		assert_int_equal(fchmodat(t.fd, rows[i].name, 0755, 0), 0);
	}
	drop_tree(&t);
}

static void mount_points(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct tree t = make_host();
	assert_int_equal(unlinkat(t.fd, "srv/tree/proc", AT_REMOVEDIR), 0);
	expect(&t, TREE, 1, CTL_NOTE, "'/srv/tree/proc' is missing", NULL);
	assert_int_equal(symlinkat("etc", t.fd, "srv/tree/proc"), 0);
	expect(&t, TREE, 1, CTL_ERROR, "'/srv/tree/proc' is no directory",
	       "put a directory in its place");
	assert_int_equal(unlinkat(t.fd, "srv/tree/proc", 0), 0);
	assert_int_equal(mkdirat(t.fd, "srv/tree/proc", 0755), 0);
	assert_int_equal(unlinkat(t.fd, "srv/tree/etc", AT_REMOVEDIR), 0);
	expect(&t, TREE, 1, CTL_ERROR, "'/srv/tree/etc' is missing", "make it");
	drop_tree(&t);
}

static void stores(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct tree t = make_host();
	expect(&t, "RootOverlay=persistent\n", 2, CTL_ERROR, "/sbin/mke2fs", "install e2fsprogs");
	assert_int_equal(mkdirat(t.fd, "sbin", 0755), 0);
	write_text(&t, "sbin/mke2fs", "");
	expect(&t, "RootOverlay=persistent\n", 1, CTL_ERROR, "/dev/loop-control",
	       "load the kernel's module 'loop'");
	expect(&t, "RootOverlay=tmpfs\n", 0, CTL_NOTE, NULL, NULL);
	drop_tree(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owners),
		cmocka_unit_test(mount_points),
		cmocka_unit_test(stores),
	};
	return cmocka_run_group_tests_name("check roots", tests, NULL, NULL);
}
