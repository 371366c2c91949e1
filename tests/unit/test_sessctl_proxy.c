/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What `sessctl check` says of ProxyCommands=. */
#include "config_tree.h"

#include <stdio.h>
#include <sys/stat.h>

#include "check.h"
#include "sessbox/proxy.h"

/* Directories above a path of the host, and a file. */
static void make_file(const struct tree *t, const char *path)
{
	char name[256];
	assert_int_equal(sb_copy(name, sizeof(name), path + 1), 0);
	for (char *s = strchr(name, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		assert_true(mkdirat(t->fd, name, 0755) == 0 || errno == EEXIST);
		*s = '/';
	}
	write_text(t, name, "x");
}

static size_t findings_of(const struct tree *t, const char *value, const char *part)
{
	struct sb_config *config = NULL;
	struct ctl_findings findings = { .check = "proxies" };
	char text[256];
	snprintf(text, sizeof(text), "[a]\nMatchUsers=ann\nProxyCommands=%s\n", value);
	write_text(t, "sessbox.conf", text);
	assert_int_equal(load(t, &config, NULL), 0);
	const struct ctl_host host = { .root = t->fd, .config = config };
	ctl_check_proxies(&host, &findings);
	size_t n = findings.n;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(findings.v[i].severity, CTL_WARNING);
		assert_non_null(strstr(findings.v[i].what, "sessbox.conf:3: [a] ProxyCommands: "));
	}
	if (n == 1)
		assert_non_null(strstr(findings.v[0].what, part));
	ctl_findings_clear(&findings);
	sb_config_free(config);
	return n;
}

static void whats_missing(void **state)
{
	(void)state;
	struct tree t = make_tree();
	assert_int_equal(findings_of(&t, "", NULL), 0);
	assert_int_equal(findings_of(&t, "at crontab", NULL), 4);
	make_file(&t, SB_PROXY);
	make_file(&t, "/usr/bin/at");
	make_file(&t, "/usr/bin/crontab");
	assert_int_equal(findings_of(&t, "at crontab", "nothing listens"), 1);
	make_file(&t, SB_PROXY_SOCKET);
	assert_int_equal(findings_of(&t, "at crontab", NULL), 0);
	assert_int_equal(findings_of(&t, "at quota", "no '/usr/bin/quota'"), 1);
	assert_int_equal(symlinkat("at", t.fd, "usr/bin/quota"), 0);
	assert_int_equal(findings_of(&t, "quota", "is a link"), 1);
	drop_tree(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whats_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
