/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cgroup_tree.h"

static void opens_each_mode(void **state)
{
	(void)state;
	static const struct {
		void (*make)(const struct tree *t);
		enum sb_cgroup_mode mode;
		const char *name;
		const char *base;
	} cases[] = {
		{ tree_v2, SB_CGROUP_V2, "v2", "cgroup/sessbox" },
		{ tree_v1, SB_CGROUP_V1, "v1", "cgroup/memory/sessbox" },
		{ tree_hybrid, SB_CGROUP_HYBRID, "hybrid", "cgroup/memory/sessbox" },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = tree_make();
		size_t fds = count_fds();
		cases[i].make(&t);
		struct sb_cgroup *cg = tree_open(&t);
		assert_int_equal(sb_cgroup_mode(cg), cases[i].mode);
		assert_string_equal(sb_cgroup_mode_name(sb_cgroup_mode(cg)), cases[i].name);
		assert_true(tree_has(&t, cases[i].base));
		sb_cgroup_close(cg);
		assert_int_equal(count_fds(), fds);
		tree_remove(&t);
	}
}

static void makes_the_base_of_v2(void **state)
{
	(void)state;
	struct tree t = tree_make();
	tree_put(&t, "self", "0::/\n");
	tree_put(&t, "cgroup/cgroup.controllers", ALL_ON);
	sb_cgroup_close(tree_open(&t));
	assert_true(tree_has(&t, "cgroup/sessbox"));
	tree_remove(&t);
}

#define SLICE "system.slice/sessbox-tenants.service"

/* systemd's hierarchies need its cgroup of our unit; in the others we make it. */
static void wants_the_unit_of_systemd(void **state)
{
	(void)state;
	static const struct {
		void (*make)(const struct tree *t);
		const char *bases[3];
	} cases[] = {
		{ tree_v2, { "cgroup/" SLICE "/cgroup.controllers" } },
		{ tree_v1, { "cgroup/systemd/" SLICE "/x" } },
		{ tree_hybrid,
		  { "cgroup/systemd/" SLICE "/x", "cgroup/unified/" SLICE "/cgroup.controllers" } },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = tree_make();
		struct sb_cgroup *cg = NULL;
		struct sb_err err;
		size_t fds = count_fds();
		cases[i].make(&t);
		tree_parents(&t, "systemd/");
		for (size_t k = 0; cases[i].bases[k]; k++) {
			assert_int_equal(sb_cgroup_open(t.root, &cg, &err), -ENOENT);
			assert_string_equal(err.msg, "no cgroup of sessbox-tenants.service: "
						     "systemctl restart sessbox-tenants");
			assert_null(cg);
			tree_put(&t, cases[i].bases[k], "\n");
		}
		sb_cgroup_close(tree_open(&t));
		assert_int_equal(tree_has(&t, "cgroup/pids/" SLICE), cases[i].make != tree_v2);
		assert_int_equal(count_fds(), fds);
		tree_remove(&t);
	}
}

static void follows_links_of_co_mounts(void **state)
{
	(void)state;
	struct tree t = tree_make();
	tree_put(&t, "self", "2:memory:/\n1:cpuacct,cpu:/\n");
	tree_parents(&t, "cgroup/cpu,cpuacct/");
	tree_parents(&t, "elsewhere/");
	assert_int_equal(symlinkat("cpu,cpuacct", t.fd, "cgroup/cpu"), 0);
	assert_int_equal(symlinkat("../elsewhere", t.fd, "cgroup/memory"), 0);
	struct sb_cgroup *cg = NULL;
	struct sb_err err;
	assert_int_equal(sb_cgroup_open(t.root, &cg, &err), -EXDEV);
	assert_int_equal(unlinkat(t.fd, "cgroup/memory", 0), 0);
	cg = tree_open(&t);
	assert_int_equal(sb_cgroup_create(cg, "u7", &err), 0);
	assert_true(tree_has(&t, "cgroup/cpu,cpuacct/sessbox/u7"));
	assert_false(tree_has(&t, "elsewhere/sessbox"));
	sb_cgroup_close(cg);
	tree_remove(&t);
}

static void refuses_what_it_cannot_read(void **state)
{
	(void)state;
	static const struct {
		const char *self;
		int error;
	} cases[] = {
		{ "", -ENOENT },	{ "0::/\n", -ENOENT },	    { "3:net_cls:/\n", -ENOENT },
		{ "4:pids", -EBADMSG }, { "nonsense\n", -EBADMSG },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = tree_make();
		struct sb_cgroup *cg = NULL;
		struct sb_err err;
		size_t fds = count_fds();
		tree_parents(&t, "cgroup/pids/");
		tree_put(&t, "self", cases[i].self);
		assert_int_equal(sb_cgroup_open(t.root, &cg, &err), cases[i].error);
		assert_int_equal(err.num, -cases[i].error);
		assert_null(cg);
		assert_int_equal(count_fds(), fds);
		tree_remove(&t);
	}
}

static void bounds_the_hierarchies(void **state)
{
	(void)state;
	struct tree t = tree_make();
	char self[1024] = "", path[64];
	for (size_t i = 0; i <= SB_CGROUP_FDS_MAX; i++) {
		size_t len = strlen(self);
		snprintf(self + len, sizeof(self) - len, "%zu:name=h%zu:/\n", i + 1, i);
		snprintf(path, sizeof(path), "cgroup/h%zu/", i);
		tree_parents(&t, path);
	}
	tree_put(&t, "self", self);
	struct sb_cgroup *cg = NULL;
	struct sb_err err;
	size_t fds = count_fds();
	assert_int_equal(sb_cgroup_open(t.root, &cg, &err), -E2BIG);
	assert_int_equal(count_fds(), fds);
	tree_remove(&t);
}

static void names_tenants(void **state)
{
	(void)state;
	char name[SB_CGROUP_NAME_MAX];
	sb_cgroup_tenant(name, 1000, NULL);
	assert_string_equal(name, "u1000");
	sb_cgroup_tenant(name, (uid_t)-2, NULL);
	assert_string_equal(name, "u4294967294");
	sb_cgroup_tenant(name, 7, "staff-2.a_b@c+");
	assert_string_equal(name, "c-staff-2.a_b@c+/u7");
	/* No name of a class can lead anywhere, or run over. */
	sb_cgroup_tenant(name, 7, "../x\n");
	assert_string_equal(name, "c-..\\x2fx\\x0a/u7");
	char budget[200];
	memset(budget, 'z', sizeof(budget) - 1);
	budget[64] = '\0';
	sb_cgroup_tenant(name, (uid_t)-2, budget);
	assert_int_equal(strlen(name), 2 + 64 + strlen("/u4294967294"));
	memset(budget, '/', sizeof(budget) - 1);
	budget[sizeof(budget) - 1] = '\0';
	sb_cgroup_tenant(name, (uid_t)-2, budget);
	assert_true(strlen(name) < sizeof(name));
	assert_non_null(strstr(name, "/u4294967294"));
}

static void groups_of_classes(void **state)
{
	(void)state;
	static void (*const make[])(const struct tree *t) = { tree_v2, tree_v1 };
	for (size_t i = 0; i < SB_ARRAY_SIZE(make); i++) {
		struct tree t = tree_make();
		struct sb_err err = { 0 };
		char name[SB_CGROUP_NAME_MAX];
		uid_t *uids = NULL;
		const char *pids = i ? "cgroup/pids/sessbox/" : "cgroup/sessbox/";
		char path[128];
		make[i](&t);
		/* What the kernel would make. */
		if (i == 0)
			tree_put(&t, "cgroup/sessbox/c-a/cgroup.subtree_control", ALL_ON);
		for (int k = 0; i == 1 && k < 2; k++) {
			tree_put(&t,
				 k ? "cgroup/cpuset/sessbox/c-a/u6/cpuset.cpus"
				   : "cgroup/cpuset/sessbox/c-a/cpuset.cpus",
				 "\n");
			tree_put(&t,
				 k ? "cgroup/cpuset/sessbox/c-a/u6/cpuset.mems"
				   : "cgroup/cpuset/sessbox/c-a/cpuset.mems",
				 "\n");
		}
		struct sb_cgroup *cg = tree_open(&t);
		sb_cgroup_find(cg, 8, name);
		assert_string_equal(name, "u8");
		if (sb_cgroup_create(cg, "c-a/u6", &err) < 0)
			fail_msg("%s", err.msg);
		snprintf(path, sizeof(path), "%sc-a/u6", pids);
		assert_true(tree_has(&t, path));
		if (i == 1)
			tree_expect(&t, "cgroup/cpuset/sessbox/c-a/u6/cpuset.cpus", "0-1\n");
		sb_cgroup_find(cg, 6, name);
		assert_string_equal(name, "c-a/u6");
		char class[SB_CGROUP_NAME_MAX];
		assert_true(sb_cgroup_above(name, class));
		assert_string_equal(class, "c-a");
		assert_int_equal(sb_cgroup_tenants(cg, &uids), i ? 2 : 1);
		assert_int_equal(uids[0], 6);
		free(uids);
		snprintf(path, sizeof(path), "%sc-a/u9", pids);
		tree_parents(&t, path);
		assert_int_equal(mkdirat(t.fd, path, 0755), 0);
		static const char *const beside[] = { "r9", "o9" };
		for (size_t k = 0; k < SB_ARRAY_SIZE(beside); k++) {
			snprintf(path, sizeof(path), "%s%s", pids, beside[k]);
			assert_int_equal(mkdirat(t.fd, path, 0755), 0);
			assert_int_equal(sb_cgroup_tenants(cg, &uids), i ? 3 : 2);
			free(uids);
		}
		assert_int_equal(sb_cgroup_destroy_tenant(cg, 9, 0, &err), 0);
		for (size_t k = 0; k < SB_ARRAY_SIZE(beside); k++) {
			snprintf(path, sizeof(path), "%s%s", pids, beside[k]);
			assert_false(tree_has(&t, path));
		}
		snprintf(path, sizeof(path), "%sc-a/u6", pids);
		assert_true(tree_has(&t, path));
		for (int k = 0; i == 1 && k < 2; k++) {
			tree_parents(&t, "cgroup/cpuset/sessbox/c-a/u6/");
			unlinkat(t.fd,
				 k ? "cgroup/cpuset/sessbox/c-a/u6/cpuset.cpus"
				   : "cgroup/cpuset/sessbox/c-a/cpuset.cpus",
				 0);
			unlinkat(t.fd,
				 k ? "cgroup/cpuset/sessbox/c-a/u6/cpuset.mems"
				   : "cgroup/cpuset/sessbox/c-a/cpuset.mems",
				 0);
		}
		if (i == 0)
			unlinkat(t.fd, "cgroup/sessbox/c-a/cgroup.subtree_control", 0);
		/* The last one takes the class along. */
		assert_int_equal(sb_cgroup_destroy_tenant(cg, 6, 0, &err), 0);
		snprintf(path, sizeof(path), "%sc-a", pids);
		assert_false(tree_has(&t, path));
		sb_cgroup_close(cg);
		tree_remove(&t);
	}
}

static void takes_plain_names_only(void **state)
{
	(void)state;
	static const char *const bad[] = { "", ".", "..", ".control", "../x", "u7/x", "/" };
	struct tree t = tree_make();
	tree_v2(&t);
	tree_put(&t, "cgroup/x/cgroup.procs", "1\n");
	struct sb_cgroup *cg = tree_open(&t);
	for (size_t i = 0; i < SB_ARRAY_SIZE(bad); i++) {
		struct sb_cgroup_entry entry;
		struct sb_err err;
		pid_t *pids;
		assert_int_equal(sb_cgroup_create(cg, bad[i], &err), -EINVAL);
		assert_int_equal(sb_cgroup_destroy(cg, bad[i], 0, &err), -EINVAL);
		assert_int_equal(sb_cgroup_frozen(cg, bad[i]), -EINVAL);
		assert_int_equal(sb_cgroup_pids(cg, bad[i], &pids), -EINVAL);
		assert_int_equal(sb_cgroup_entry_open(cg, bad[i], true, &entry, &err), -EINVAL);
		assert_false(sb_cgroup_exists(cg, bad[i]));
	}
	sb_cgroup_close(cg);
	tree_remove(&t);
}

static void turns_controllers_on(void **state)
{
	(void)state;
	static const struct {
		bool systemd;
		const char *top, *available, *on; /* before */
		const char *want_top, *want_on; /* after; files are written over from their start */
	} cases[] = {
		{ false, ALL_ON, ALL_ON, "", ALL_ON, "+cpu +cpuset +io +memory +pids" },
		{ false, "", "", "", "+cpu +cpuset +io +memory +pids", "" },
		{ true, "", "cpu hugetlb memory\n", "", "", "+cpu +memory" },
		{ true, "", "cpuset cpu io memory pids\n", ALL_ON, "", ALL_ON },
		{ true, "", "memory pids\n", "memory pids\n", "", "memory pids\n" },
		/* A word that contains a controller's name is another controller. */
		{ true, "", "cpuset xcpu rdma\n", "", "", "+cpuset" },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct tree t = tree_make();
		struct sb_err err = { 0 };
		const char *base = cases[i].systemd ? "cgroup/" SLICE : "cgroup/sessbox";
		char path[128];
		tree_v2(&t);
		if (cases[i].systemd)
			tree_parents(&t, "systemd/");
		tree_put(&t, "cgroup/cgroup.subtree_control", cases[i].top);
		snprintf(path, sizeof(path), "%s/cgroup.controllers", base);
		tree_put(&t, path, cases[i].available);
		snprintf(path, sizeof(path), "%s/cgroup.subtree_control", base);
		tree_put(&t, path, cases[i].on);
		struct sb_cgroup *cg = tree_open(&t);
		assert_int_equal(sb_cgroup_create(cg, "u7", &err), 0);
		tree_expect(&t, "cgroup/cgroup.subtree_control", cases[i].want_top);
		tree_expect(&t, path, cases[i].want_on);
		sb_cgroup_close(cg);
		tree_remove(&t);
	}
}

static void fails_when_controllers_fail(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_err err;
	tree_v2(&t);
	tree_parents(&t, "cgroup/" SLICE "/cgroup.subtree_control/");
	tree_put(&t, "cgroup/" SLICE "/cgroup.controllers", ALL_ON);
	tree_parents(&t, "systemd/");
	struct sb_cgroup *cg = tree_open(&t);
	assert_int_equal(sb_cgroup_create(cg, "u7", &err), -EISDIR);
	assert_false(sb_cgroup_exists(cg, "u7"));
	sb_cgroup_close(cg);
	tree_remove(&t);
}

static void creates_in_every_hierarchy(void **state)
{
	(void)state;
	static const char *const dirs[] = { "unified", "systemd", "freezer",	"pids",
					    "memory",  "cpuset",  "cpu,cpuacct" };
	struct tree t = tree_make();
	struct sb_err err = { 0 };
	tree_hybrid(&t);
	struct sb_cgroup *cg = tree_open(&t);
	for (int again = 0; again < 2; again++)
		assert_int_equal(sb_cgroup_create(cg, "u7", &err), 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++) {
		char path[64];
		snprintf(path, sizeof(path), "cgroup/%s/sessbox/u7", dirs[i]);
		assert_true(tree_has(&t, path));
	}
	assert_true(sb_cgroup_exists(cg, "u7"));
	assert_false(sb_cgroup_exists(cg, "u8"));
	assert_false(tree_has(&t, "cgroup/net_cls"));
	tree_expect(&t, "cgroup/cpuset/sessbox/u7/cpuset.cpus", "0-1\n");
	tree_expect(&t, "cgroup/cpuset/sessbox/u7/cpuset.mems", "0\n");
	sb_cgroup_close(cg);
	tree_remove(&t);
}

static void fills_the_cpuset_of_the_base_too(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_err err = { 0 };
	tree_v1(&t);
	tree_put(&t, "cgroup/cpuset/sessbox/cpuset.cpus", "\n");
	tree_put(&t, "cgroup/cpuset/sessbox/u7/cpuset.mems", "1\n");
	struct sb_cgroup *cg = tree_open(&t);
	assert_int_equal(sb_cgroup_create(cg, "u7", &err), 0);
	tree_expect(&t, "cgroup/cpuset/sessbox/cpuset.cpus", "0-3\n");
	tree_expect(&t, "cgroup/cpuset/sessbox/u7/cpuset.cpus", "0-3\n");
	tree_expect(&t, "cgroup/cpuset/sessbox/u7/cpuset.mems", "1\n");
	sb_cgroup_close(cg);
	tree_remove(&t);
}

/* u7's freezer directory was there before, cpuset's cannot be filled: only the rest is undone. */
static void undoes_what_it_made(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_err err;
	tree_v1(&t);
	tree_parents(&t, "cgroup/freezer/sessbox/u7/");
	assert_int_equal(unlinkat(t.fd, "cgroup/cpuset/sessbox/cpuset.mems", 0), 0);
	struct sb_cgroup *cg = tree_open(&t);
	size_t fds = count_fds();
	assert_int_equal(sb_cgroup_create(cg, "u7", &err), -ENOENT);
	assert_string_equal(err.msg, "copy cpuset.mems from the parent: No such file or directory");
	assert_true(tree_has(&t, "cgroup/freezer/sessbox/u7"));
	assert_true(tree_has(&t, "cgroup/cpuset/sessbox/u7"));
	assert_false(tree_has(&t, "cgroup/systemd/sessbox/u7"));
	assert_false(tree_has(&t, "cgroup/pids/sessbox/u7"));
	assert_false(tree_has(&t, "cgroup/memory/sessbox/u7"));
	assert_int_equal(count_fds(), fds);
	sb_cgroup_close(cg);
	tree_remove(&t);
}

static void destroys_until_the_deadline(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_err err = { 0 };
	tree_hybrid(&t);
	tree_put(&t, "cgroup/pids/sessbox/u7/child", "");
	struct sb_cgroup *cg = tree_open(&t);
	int64_t start = sb_now_ms();
	assert_int_equal(unlinkat(t.fd, "cgroup/cpuset/sessbox/u7/cpuset.cpus", 0), 0);
	assert_int_equal(unlinkat(t.fd, "cgroup/cpuset/sessbox/u7/cpuset.mems", 0), 0);
	assert_int_equal(sb_cgroup_destroy(cg, "u7", start + 40, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "remove cgroup u7 (pids): "));
	assert_true(sb_now_ms() - start >= 39);
	assert_false(tree_has(&t, "cgroup/cpuset/sessbox/u7"));
	assert_true(tree_has(&t, "cgroup/pids/sessbox/u7/child"));
	assert_int_equal(unlinkat(t.fd, "cgroup/pids/sessbox/u7/child", 0), 0);
	for (int again = 0; again < 2; again++)
		assert_int_equal(sb_cgroup_destroy(cg, "u7", 0, &err), 0);
	assert_false(sb_cgroup_exists(cg, "u7"));
	sb_cgroup_close(cg);
	tree_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_each_mode),
		cmocka_unit_test(makes_the_base_of_v2),
		cmocka_unit_test(wants_the_unit_of_systemd),
		cmocka_unit_test(follows_links_of_co_mounts),
		cmocka_unit_test(refuses_what_it_cannot_read),
		cmocka_unit_test(bounds_the_hierarchies),
		cmocka_unit_test(names_tenants),
		cmocka_unit_test(groups_of_classes),
		cmocka_unit_test(takes_plain_names_only),
		cmocka_unit_test(turns_controllers_on),
		cmocka_unit_test(fails_when_controllers_fail),
		cmocka_unit_test(creates_in_every_hierarchy),
		cmocka_unit_test(fills_the_cpuset_of_the_base_too),
		cmocka_unit_test(undoes_what_it_made),
		cmocka_unit_test(destroys_until_the_deadline),
	};
	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
