/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Home=, TemporaryFileSystem=, ReadOnlyPaths=, InaccessiblePaths=, ProtectProc= in the plan. */
#include "plan.h"

static void homes(void **state)
{
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ .home_from = SB_HOME_PRIVATE });
	const struct sb_mount_op *op = get(plan, SB_MOUNT_BIND, "/home/ann");
	assert_string_equal(op->source, "/var/lib/sessbox/home/u2500");
	assert_true(op->flags & SB_OP_MADE);
	assert_false(op->flags & SB_OP_OPTIONAL);
	assert_int_equal(op->attr, NOSUID | NODEV);
	assert_int_equal(op->uid, 2500);
	assert_int_equal(op->gid, 2600);
	sb_plan_free(plan);

	plan = make_plan(&(struct wish){ .home_from = SB_HOME_TMPFS, .tmp_size = 4 * MIB });
	op = get(plan, SB_MOUNT_FS, "/home/ann");
	assert_int_equal(find(plan, SB_MOUNT_BIND, "/home/ann"), NONE);
	assert_string_equal(option_of(op, "size"), "4194304");
	assert_string_equal(option_of(op, "mode"), "700");
	assert_string_equal(option_of(op, "uid"), "2500");
	assert_string_equal(option_of(op, "gid"), "2600");
	assert_int_equal(op->attr, NOSUID | NODEV);
	assert_true(op->flags & SB_OP_GUARDED);
	sb_plan_free(plan);

	/* The host's may be closed to root. */
	plan = make_plan(&(struct wish){ 0 });
	op = get(plan, SB_MOUNT_BIND, "/home/ann");
	assert_string_equal(op->source, "/home/ann");
	assert_int_equal(op->uid, 2500);
	sb_plan_free(plan);
}

/* One that would bring back what is hidden, or private, is none. */
static void homes_that_are_none(void **state)
{
	static const struct {
		const char *home;
		bool homeless;
	} rows[] = {
		{ "/home/ann", false },
		{ "/srv", false },
		{ "/srv/ann", false },
		{ "/var/lib/ann", false },
		{ "/var/lib/mysql", false },
		{ "/home", true },
		{ "/tmp", true },
		{ "/var/tmp", true },
		{ "/dev/shm", true },
		{ "/run", true },
		{ "/etc", true },
		{ "/var", true },
		{ "/var/lib", true },
		{ "/var/log", true },
		{ "home/ann", true },
		{ "/home/../etc", true },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct sb_plan *plan = make_plan(&(struct wish){ .home = rows[i].home });
		if (plan->homeless != rows[i].homeless)
			fail_msg("%s", rows[i].home);
		sb_plan_free(plan);
	}
	struct sb_plan *plan = make_plan(&(struct wish){ .home = "/" });
	assert_false(plan->homeless);
	sb_plan_free(plan);
	plan = make_plan(&(struct wish){ .home = "/tmp", .host_tmp = true });
	assert_false(plan->homeless);
	sb_plan_free(plan);
}

/* A directory that is shown once more brings nothing back either, wherever. */
static void masks_below_binds(void **state)
{
	static const struct {
		struct wish wish;
		const char *bind, *mask;
		bool masked;
	} rows[] = {
		{ { .ro_binds = { "/var" } }, "/var", "/var/lib/docker", true },
		{ { .binds = { "/var/lib:/mnt" } }, "/mnt", "/mnt/docker", true },
		{ { .ro_binds = { "/:/host" } }, "/host", "/host/var/lib/docker", true },
		{ { .ro_binds = { "/var" }, .root = "/srv/tree" },
		  "/var",
		  "/var/lib/docker",
		  true },
		{ { .binds = { "/var/lib/docker" } }, "/var/lib/docker", "/var/lib/docker", false },
		{ { .binds = { "/var/li" } }, "/var/li", "/var/li/docker", false },
		{ { .ro_binds = { "/srv:/var" } }, "/var", "/var/lib/docker", false },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct sb_plan *plan = make_plan(&rows[i].wish);
		size_t bind = find(plan, SB_MOUNT_BIND, rows[i].bind), mask = NONE;
		assert_int_not_equal(bind, NONE);
		for (size_t k = bind; k < plan->n; k++)
			if (plan->ops[k].kind == SB_MOUNT_MASK &&
			    strcmp(plan->ops[k].target, rows[i].mask) == 0)
				mask = k;
		if ((mask != NONE) != rows[i].masked)
			fail_msg("row %zu", i);
		sb_plan_free(plan);
	}
}

static void tmpfs_words(void **state)
{
	static const struct {
		const char *word, *target, *size, *inodes, *mode, *uid, *gid;
		uint64_t attr;
		bool sealed;
	} rows[] = {
		{ "/a", "/a", "104857600", "102400", "755", "0", "0", NOSUID | NODEV, false },
		{ "/a/b:ro", "/a/b", "104857600", "102400", "755", "0", "0", NOSUID | NODEV, true },
		{ "/a:size=1M,mode=01777,noexec", "/a", "1048576", "1024", "1777", "0", "0",
		  NOSUID | NODEV | NOEXEC, false },
		{ "/a:uid=7,gid=8,nr_inodes=5,nosuid,nodev,rw", "/a", "104857600", "5", "755", "7",
		  "8", NOSUID | NODEV, false },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct sb_plan *plan = make_plan(
			&(struct wish){ .tmpfs = { rows[i].word }, .binds = { "/d:/a/b/c" } });
		const struct sb_mount_op *op = get(plan, SB_MOUNT_FS, rows[i].target);
		const struct {
			const char *key, *value;
		} options[] = {
			{ "size", rows[i].size }, { "nr_inodes", rows[i].inodes },
			{ "mode", rows[i].mode }, { "uid", rows[i].uid },
			{ "gid", rows[i].gid },
		};
		for (size_t k = 0; k < SB_ARRAY_SIZE(options); k++)
			assert_string_equal(option_of(op, options[k].key), options[k].value);
		assert_int_equal(op->attr, rows[i].attr);
		assert_true(op->flags & SB_OP_GUARDED);
		/* What is bound goes into it; then it is closed. */
		assert_true(op < get(plan, SB_MOUNT_BIND, "/a/b/c"));
		size_t seal = find(plan, SB_MOUNT_SEAL, rows[i].target);
		assert_int_equal(seal != NONE, rows[i].sealed);
		if (rows[i].sealed)
			assert_true(seal > find(plan, SB_MOUNT_BIND, "/a/b/c"));
		sb_plan_free(plan);
	}
}

static void closed_paths(void **state)
{
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ .read_only = { "/a", "-/b" },
							 .inaccessible = { "/c", "-/d" },
							 .binds = { "/x:/c" } });
	static const struct {
		enum sb_mount_op_kind kind;
		const char *target;
		uint64_t attr;
		unsigned int flags;
	} rows[] = {
		{ SB_MOUNT_RDONLY, "/a", RO | NOSUID, SB_OP_GUARDED },
		{ SB_MOUNT_RDONLY, "/b", RO | NOSUID, SB_OP_GUARDED | SB_OP_OPTIONAL },
		{ SB_MOUNT_MASK, "/c", RO | NOSUID | NOEXEC, SB_OP_GUARDED },
		{ SB_MOUNT_MASK, "/d", RO | NOSUID | NOEXEC, SB_OP_GUARDED | SB_OP_OPTIONAL },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		const struct sb_mount_op *op = get(plan, rows[i].kind, rows[i].target);
		assert_int_equal(op->attr, rows[i].attr);
		assert_int_equal(op->flags, rows[i].flags);
		assert_true(op > get(plan, SB_MOUNT_BIND, "/c"));
	}
	sb_plan_free(plan);
}

/* Usable, in /dev alone; before it is sealed. */
static void nodes(void **state)
{
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){
		.devices = { { .path = (char[]){ "/dev/fuse" } },
			     { .path = (char[]){ "/dev/dri/renderD128" }, .optional = true } } });
	const struct sb_mount_op *fuse = get(plan, SB_MOUNT_BIND, "/dev/fuse");
	const struct sb_mount_op *gpu = get(plan, SB_MOUNT_BIND, "/dev/dri/renderD128");
	assert_string_equal(fuse->source, "/dev/fuse");
	assert_int_equal(fuse->attr, NOSUID | NOEXEC);
	assert_int_equal(fuse->flags, SB_OP_NO_RECURSE | SB_OP_GUARDED | SB_OP_NODE);
	assert_int_equal(gpu->flags, fuse->flags | SB_OP_OPTIONAL);
	assert_true(find(plan, SB_MOUNT_SEAL, "/dev") > find(plan, SB_MOUNT_BIND, gpu->target));
	sb_plan_free(plan);
}

/* The client over those that are named, under all of their names, and the broker's socket. */
static void proxies(void **state)
{
	static const char *const at[] = { "/usr/bin/at", "/usr/bin/atq", "/usr/bin/atrm" };
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ .proxies = { "at", "passwd" } });
	const struct sb_mount_op *dir = get(plan, SB_MOUNT_BIND, "/run/sessbox/proxy");
	assert_int_equal(dir->attr, RO | NOSUID | NODEV | NOEXEC);
	assert_string_equal(get(plan, SB_MOUNT_OVER, "/usr/bin/passwd")->source,
			    SB_LIBEXECDIR "/sessbox-proxy");
	for (size_t i = 0; i < SB_ARRAY_SIZE(at); i++) {
		const struct sb_mount_op *op = get(plan, SB_MOUNT_OVER, at[i]);
		assert_int_equal(op->attr, RO | NOSUID | NODEV);
		assert_true(op->flags & SB_OP_OPTIONAL);
	}
	assert_int_equal(find(plan, SB_MOUNT_OVER, "/usr/bin/crontab"), NONE);
	sb_plan_free(plan);

	plan = make_plan(&(struct wish){ 0 });
	assert_int_equal(find(plan, SB_MOUNT_BIND, "/run/sessbox/proxy"), NONE);
	for (size_t i = 0; i < plan->n; i++)
		assert_int_not_equal(plan->ops[i].kind, SB_MOUNT_OVER);
	sb_plan_free(plan);
}

static void invisible(void **state)
{
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ 0 });
	assert_null(option_of(get(plan, SB_MOUNT_FS, "/proc"), "hidepid"));
	sb_plan_free(plan);
	plan = make_plan(&(struct wish){ .invisible = true });
	assert_string_equal(option_of(get(plan, SB_MOUNT_FS, "/proc"), "hidepid"), "invisible");
	sb_plan_free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(homes),
		cmocka_unit_test(homes_that_are_none),
		cmocka_unit_test(masks_below_binds),
		cmocka_unit_test(tmpfs_words),
		cmocka_unit_test(closed_paths),
		cmocka_unit_test(nodes),
		cmocka_unit_test(proxies),
		cmocka_unit_test(invisible),
	};
	return cmocka_run_group_tests_name("rootfs by path", tests, NULL, NULL);
}
