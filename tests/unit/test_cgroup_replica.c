/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The place for a copy of the machine; that it can be made is seen by `sessctl enable`. */
#include "cgroup_tree.h"

static void make_dir(const struct tree *t, const char *path)
{
	char part[256];
	for (size_t i = 1; i <= strlen(path); i++) {
		if (path[i] != '/' && path[i])
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		if (mkdirat(t->fd, part, 0755) < 0)
			assert_int_equal(errno, EEXIST);
	}
}

static int remove_replica(const struct tree *t, struct sb_err *err)
{
	struct sb_cgroup *cg = tree_open(t);
	int r = sb_cgroup_replica_remove(cg, sb_now_ms() + 50, err);
	sb_cgroup_close(cg);
	return r;
}

static void goes_with_all_that_is_in_it(void **state)
{
	static const char *const dirs[] = {
		"cgroup/memory/sessbox/c-:replica/inside",
		"cgroup/memory/sessbox/c-:replica/sessbox/init",
		"cgroup/memory/sessbox/c-:replica/sessbox/c-gold/u7",
		"cgroup/pids/sessbox/c-:replica/sessbox/u7",
	};
	struct tree t = tree_make();
	struct sb_err err = { 0 };
	(void)state;
	tree_hybrid(&t);
	make_dir(&t, "cgroup/memory/sessbox/c-gold/u7");
	size_t fds = count_fds();
	assert_int_equal(remove_replica(&t, &err), 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++)
		make_dir(&t, dirs[i]);
	assert_int_equal(remove_replica(&t, &err), 1);
	assert_false(tree_has(&t, "cgroup/memory/sessbox/c-:replica"));
	assert_false(tree_has(&t, "cgroup/pids/sessbox/c-:replica"));
	assert_true(tree_has(&t, "cgroup/memory/sessbox/c-gold/u7"));
	assert_int_equal(count_fds(), fds);
	tree_remove(&t);
}

static void stays_while_somebody_is_in_it(void **state)
{
	struct tree t = tree_make();
	struct sb_err err = { 0 };
	(void)state;
	tree_v1(&t);
	tree_put(&t, "cgroup/memory/sessbox/c-:replica/inside/busy", "x");
	assert_int_equal(remove_replica(&t, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "remove cgroup c-:replica"));
	assert_true(tree_has(&t, "cgroup/memory/sessbox/c-:replica/inside/busy"));
	tree_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_with_all_that_is_in_it),
		cmocka_unit_test(stays_while_somebody_is_in_it),
	};
	return cmocka_run_group_tests_name("cgroup replica", tests, NULL, NULL);
}
