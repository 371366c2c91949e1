/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the keys of a policy make of the plan, and how it is printed. */
#include "plan.h"

/* ---- BindPaths=, BindReadOnlyPaths= ---- */

static const struct {
	const char *word;
	const char *source, *target;
	unsigned int flags; /* besides those all of them have */
} binds[] = {
	{ "/data", "/data", "/data", 0 },
	{ "-/data", "/data", "/data", SB_OP_OPTIONAL },
	{ "/data:/inside/data", "/data", "/inside/data", 0 },
	{ "/data:/inside:rbind", "/data", "/inside", 0 },
	{ "/data:/inside:norbind", "/data", "/inside", SB_OP_NO_RECURSE },
	{ "-/data:/inside:norbind", "/data", "/inside", SB_OP_OPTIONAL | SB_OP_NO_RECURSE },
	{ "/data:rbind", "/data", "/data", 0 },
	{ "/data:norbind", "/data", "/data", SB_OP_NO_RECURSE },
	{ "-/data:norbind", "/data", "/data", SB_OP_OPTIONAL | SB_OP_NO_RECURSE },
	{ "/with blank:/norbind", "/with blank", "/norbind", 0 },
	{ "/home", "/home", "/home", 0 },
};

static void bind_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(binds); i++) {
		for (int ro = 0; ro < 2; ro++) {
			struct wish w = { 0 };
			*(ro ? w.ro_binds : w.binds) = binds[i].word;
			struct sb_plan *plan = make_plan(&w);
			size_t at = find(plan, SB_MOUNT_BIND, binds[i].target);
			if (at == NONE || at < find(plan, SB_MOUNT_BIND, "/home/ann"))
				fail_msg("'%s' is not bound", binds[i].word);
			const struct sb_mount_op *op = &plan->ops[at];
			assert_string_equal(op->source, binds[i].source);
			assert_int_equal(op->attr, NOSUID | NODEV | (ro ? RO : 0));
			assert_int_equal(op->flags, SB_OP_SLAVE | SB_OP_GUARDED | binds[i].flags);
			sb_plan_free(plan);
		}
	}
}

static void binds_keep_their_order(void **state)
{
	(void)state;
	struct sb_plan *plan = make_plan(
		&(struct wish){ .binds = { "/b", "/a", "/b/c" }, .ro_binds = { "/z", "/y" } });
	static const char *const targets[] = { "/z", "/y", "/b", "/a", "/b/c" };
	size_t last = 0;
	for (size_t i = 0; i < SB_ARRAY_SIZE(targets); i++) {
		size_t at = find(plan, SB_MOUNT_BIND, targets[i]);
		assert_true(at != NONE && at > last);
		last = at;
	}
	sb_plan_free(plan);
}

/* ---- homes ---- */

static void homes(void **state)
{
	static const struct {
		const char *home;
		bool bound;
	} rows[] = {
		{ "/home/ann", true },
		{ "/srv/homes/a/ann", true },
		{ "/ann", true },
		{ "/", false },
		{ "", false },
		{ "home/ann", false },
		{ "/home/../root", false },
		{ "/home//ann", false },
		{ "/home/ann/", false },
		{ "/home/./ann", false },
	};
	(void)state;
	struct sb_plan *plain = make_plan(&(struct wish){ .home = "/" });
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct sb_plan *plan = make_plan(&(struct wish){ .home = rows[i].home });
		assert_int_equal(plan->n, plain->n + rows[i].bound);
		if (rows[i].bound) {
			const struct sb_mount_op *op = get(plan, SB_MOUNT_BIND, rows[i].home);
			assert_string_equal(op->source, rows[i].home);
			assert_int_equal(op->attr, NOSUID | NODEV);
			assert_true(op->flags & SB_OP_DIRECTORY);
			assert_true(op->flags & SB_OP_GUARDED);
		}
		sb_plan_free(plan);
	}
	sb_plan_free(plain);
}

/* ---- PrivateTmp=, TmpSize= ---- */

static void host_tmp(void **state)
{
	static const char *const dirs[] = { "/tmp", "/var/tmp" };
	(void)state;
	struct sb_plan *own = make_plan(&(struct wish){ 0 });
	struct sb_plan *hosts = make_plan(&(struct wish){ .host_tmp = true });
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++) {
		assert_int_equal(find(own, SB_MOUNT_BIND, dirs[i]), NONE);
		assert_int_equal(get(own, SB_MOUNT_PART, dirs[i])->mode, 01777);
		assert_int_equal(get(own, SB_MOUNT_PART, dirs[i])->attr, NOSUID | NODEV);
		assert_int_equal(find(hosts, SB_MOUNT_PART, dirs[i]), NONE);
		assert_string_equal(get(hosts, SB_MOUNT_BIND, dirs[i])->source, dirs[i]);
		assert_int_equal(get(hosts, SB_MOUNT_BIND, dirs[i])->attr, NOSUID | NODEV);
	}
	/* What is the tenant's alone stays so. */
	assert_true(find(hosts, SB_MOUNT_PART, "/dev/shm") != NONE);
	sb_plan_free(own);
	sb_plan_free(hosts);
}

static void sizes(void **state)
{
	static const struct {
		uint64_t size;
		const char *tmp, *inodes;
	} rows[] = {
		{ 4096, "4096", "1280" },
		{ 1 << 20, "1048576", "2048" },
		{ 64 << 20, "67108864", "66560" },
		{ UINT64_C(1) << 40, "1099511627776", "1073742848" },
	};
	static const struct {
		const char *root, *target;
		enum sb_mount_op_kind kind;
	} shared[] = {
		{ "/", "/", SB_MOUNT_ROOT },
		{ "/srv/tree", "/run", SB_MOUNT_FS },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++)
		for (size_t k = 0; k < SB_ARRAY_SIZE(shared); k++) {
			struct sb_plan *plan = make_plan(
				&(struct wish){ .tmp_size = rows[i].size, .root = shared[k].root });
			const struct sb_mount_op *op = get(plan, shared[k].kind, shared[k].target);
			assert_string_equal(op->source, SB_ROOT_TMPFS);
			assert_string_equal(option_of(op, "size"), rows[i].tmp);
			assert_string_equal(option_of(op, "nr_inodes"), rows[i].inodes);
			sb_plan_free(plan);
		}
}

/* No tmpfs without a bound of its own: the kernel's default is half of the machine. */
static void every_tmpfs_is_bounded(void **state)
{
	static const char *const v1[] = { "memory", NULL };
	(void)state;
	struct sb_plan *plan = make_plan(
		&(struct wish){ .v1 = v1, .home_from = SB_HOME_TMPFS, .tmpfs = { "/x" } });
	size_t n = 0;
	for (size_t i = 0; i < plan->n; i++) {
		const struct sb_mount_op *op = &plan->ops[i];
		if (strcmp(op->source, "tmpfs") != 0)
			continue;
		n++;
		assert_true(option_of(op, "size") && *option_of(op, "size"));
		assert_true(option_of(op, "nr_inodes") && *option_of(op, "nr_inodes"));
		assert_true(option_of(op, "mode") && *option_of(op, "mode"));
	}
	assert_int_equal(n, 3); /* / with all its parts, the home, /x */
	sb_plan_free(plan);
}

static void terminals(void **state)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "newinstance", "" }, { "ptmxmode", "0666" }, { "mode", "0620" },
		{ "gid", "5" },	       { "max", "256" },
	};
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ 0 });
	const struct sb_mount_op *op = get(plan, SB_MOUNT_FS, "/dev/pts");
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		assert_non_null(option_of(op, rows[i].key));
		assert_string_equal(option_of(op, rows[i].key), rows[i].value);
	}
	sb_plan_free(plan);
}

/* ---- cgroups ---- */

static void cgroup2(void **state)
{
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ 0 });
	const struct sb_mount_op *op = get(plan, SB_MOUNT_FS, "/sys/fs/cgroup");
	assert_string_equal(op->source, "cgroup2");
	assert_int_equal(op->flags, SB_OP_CGROUP);
	assert_int_equal(op->attr, RO | NOSUID | NODEV | NOEXEC);
	assert_int_equal(find(plan, SB_MOUNT_SEAL, "/sys/fs/cgroup"), NONE);
	for (size_t i = 0; i < plan->n; i++)
		assert_string_not_equal(plan->ops[i].source, "cgroup");
	sb_plan_free(plan);
}

static void cgroup1(void **state)
{
	static const char *const v1[] = { "memory", "cpu,cpuacct", "pids", NULL };
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ .v1 = v1 });
	size_t top = find(plan, SB_MOUNT_PART, "/sys/fs/cgroup");
	size_t seal = find(plan, SB_MOUNT_SEAL, "/sys/fs/cgroup");
	assert_true(top != NONE);
	assert_true(seal != NONE);
	assert_int_equal(plan->ops[seal].attr, RO | NOSUID | NODEV | NOEXEC);
	for (size_t i = 0; v1[i]; i++) {
		char target[64];
		sb_format(target, sizeof(target), "/sys/fs/cgroup/%s", v1[i]);
		const struct sb_mount_op *op = get(plan, SB_MOUNT_FS, target);
		size_t at = find(plan, SB_MOUNT_FS, target);
		assert_true(top < at && at < seal);
		assert_string_equal(op->source, "cgroup");
		assert_int_equal(op->flags, SB_OP_CGROUP);
		assert_int_equal(op->attr, RO | NOSUID | NODEV | NOEXEC);
		assert_string_equal(option_of(op, "controllers"), v1[i]);
	}
	for (size_t i = 0; i < plan->n; i++)
		assert_string_not_equal(plan->ops[i].source, "cgroup2");
	sb_plan_free(plan);
}

/* ---- printing ---- */

static bool has_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);
	for (; at; at = strstr(at + 1, line))
		if ((at == text || at[-1] == '\n') && at[strlen(line)] == '\n')
			return true;
	return false;
}

static void printing(void **state)
{
	static const char *const v1[] = { "cpu,cpuacct", NULL };
	static const char *const lines[] = {
		"bind   /usr from /usr (ro,nosuid,nodev)",
		"like   /bin from /bin (ro,nosuid,nodev)",
		"dir    /var/log",
		"link   /var/run -> /run",
		"mount  /proc from proc (nosuid,nodev,noexec)",
		"mount  /sys/fs/cgroup/cpu,cpuacct from cgroup "
		"(ro,nosuid,nodev,noexec,controllers=cpu,cpuacct)",
		"mount  /dev/pts from devpts "
		"(nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5,max=256)",
		"root   / from tmpfs (nosuid,nodev,size=104857600,nr_inodes=103424,mode=755)",
		"part   /tmp from /run/sessbox/parts/tmp (nosuid,nodev)",
		"bind   /run/etc from /run/sessbox/u2500/c1/etc (ro,nosuid,nodev,noexec)",
		"rdonly /proc/sys (ro,nosuid,nodev,noexec)",
		"mask   /proc/kcore (ro,nosuid,noexec)",
		"bind   /inside from /data (nosuid,nodev)",
		"seal   / (ro,nosuid,nodev)",
	};
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ .binds = { "/data:/inside" }, .v1 = v1 });
	char *text = NULL;
	size_t size = 0, n = 0;
	FILE *f = open_memstream(&text, &size);
	assert_non_null(f);
	sb_plan_print(plan, f);
	fclose(f);
	for (size_t i = 0; i < SB_ARRAY_SIZE(lines); i++)
		if (!has_line(text, lines[i]))
			fail_msg("no line '%s'", lines[i]);
	for (const char *p = text; *p; p++)
		n += *p == '\n';
	assert_int_equal(n, plan->n); /* one for each */
	free(text);
	sb_plan_free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bind_words), cmocka_unit_test(binds_keep_their_order),
		cmocka_unit_test(homes),      cmocka_unit_test(host_tmp),
		cmocka_unit_test(sizes),      cmocka_unit_test(every_tmpfs_is_bounded),
		cmocka_unit_test(terminals),  cmocka_unit_test(cgroup2),
		cmocka_unit_test(cgroup1),    cmocka_unit_test(printing),
	};
	return cmocka_run_group_tests_name("rootfs by policy", tests, NULL, NULL);
}
