/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Plans of a RootDirectory=, and which directories may be one. */
#include "plan.h"

#include "sessbox/err.h"

static bool is_root(void)
{
	return geteuid() == 0;
}

/* The tree first, then what is always ours; nothing of the host's system. */
static void plans(void **state)
{
	static const struct {
		enum sb_root_overlay overlay;
		const char *word;
	} rows[] = {
		{ SB_OVERLAY_NO, NULL },
		{ SB_OVERLAY_TMPFS, "tmpfs" },
		{ SB_OVERLAY_PERSISTENT, "persistent" },
	};
	static const struct {
		enum sb_mount_op_kind kind;
		const char *target;
	} ours[] = {
		{ SB_MOUNT_FS, "/proc" },  { SB_MOUNT_FS, "/sys" },   { SB_MOUNT_FS, "/run" },
		{ SB_MOUNT_PART, "/dev" }, { SB_MOUNT_PART, "/tmp" }, { SB_MOUNT_PART, "/home" },
	};
	(void)state;
	for (size_t k = 0; k < SB_ARRAY_SIZE(rows); k++) {
		struct sb_plan *plan = make_plan(
			&(struct wish){ .root = "/srv/tree", .overlay = rows[k].overlay });
		const struct sb_mount_op *root = &plan->ops[0];
		assert_int_equal(root->kind, SB_MOUNT_ROOT);
		assert_string_equal(root->source, "/srv/tree");
		assert_int_equal(root->attr, NOSUID | NODEV);
		assert_int_equal(plan->tree, -1);
		if (rows[k].word) {
			assert_string_equal(option_of(root, "overlay"), rows[k].word);
			assert_string_equal(option_of(root, "size"), "67108864");
			assert_int_equal(root->uid, 2500);
		} else {
			assert_null(option_of(root, "overlay"));
		}
		/* Writable with an overlay alone. */
		assert_int_equal(find(plan, SB_MOUNT_SEAL, "/") == NONE, rows[k].word != NULL);
		for (size_t i = 0; i < SB_ARRAY_SIZE(ours); i++)
			assert_true(find(plan, ours[i].kind, ours[i].target) != NONE);
		assert_int_equal(find(plan, SB_MOUNT_BIND, "/usr"), NONE);
		assert_int_equal(find(plan, SB_MOUNT_LIKE, "/bin"), NONE);
		for (size_t i = 0; i < plan->n; i++) {
			/* No link in the tree decides where something is mounted. */
			assert_true(plan->ops[i].flags & SB_OP_GUARDED);
			assert_string_not_equal(plan->ops[i].source, "/etc");
		}
		sb_plan_free(plan);
	}
}

static void etc_of_a_tree(void **state)
{
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ .root = "/srv/tree" });
	const struct sb_mount_op *own = get(plan, SB_MOUNT_BIND, "/run/host/etc");
	const struct sb_mount_op *etc = get(plan, SB_MOUNT_FS, "/etc");
	assert_string_equal(own->source, "/srv/tree/etc");
	assert_true(own->flags & SB_OP_IN_TREE);
	assert_int_equal(own->attr, RO | NOSUID | NODEV);
	assert_string_equal(etc->source, "overlay");
	/* What is generated comes first. */
	assert_string_equal(option_of(etc, "lowerdir"), "/run/etc:/run/host/etc");
	assert_int_equal(etc->attr, RO | NOSUID | NODEV);
	assert_true(etc > own && etc > get(plan, SB_MOUNT_BIND, "/run/etc"));
	sb_plan_free(plan);
}

static void prints_the_root(void **state)
{
	(void)state;
	struct sb_plan *plan =
		make_plan(&(struct wish){ .root = "/srv/tree", .overlay = SB_OVERLAY_PERSISTENT });
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	assert_non_null(f);
	sb_plan_print(plan, f);
	fclose(f);
	static const char line[] =
		"root   / from /srv/tree (nosuid,nodev,overlay=persistent,size=67108864)\n";
	assert_int_equal(strncmp(text, line, strlen(line)), 0);
	free(text);
	sb_plan_free(plan);
}

/* ---- sb_root_open ---- */

static const struct {
	const char *name; /* whose owner or mode is changed */
	mode_t mode;
	uid_t uid;
	bool good;
} changes[] = {
	{ "above/tree", 0755, 0, true },
	{ "above/tree", 0775, 0, false },
	{ "above/tree", 0757, 0, false },
	{ "above/tree", 01777, 0, false },
	{ "above/tree", 0755, 2500, false },
	{ "above", 0777, 0, false },
	{ "above", 01777, 0, true },
	{ "above", 0755, 2500, false },
	{ "above/tree/usr", 0775, 0, false },
	{ "above/tree/usr", 0755, 2500, false },
	{ "above/tree/usr", 01777, 0, true },
	{ "above/tree/file", 0666, 0, false },
	{ "above/tree/usr/in", 0777, 0, true },
	{ "above/tree/usr/in", 0755, 2500, true },
};

static void who_may_write(void **state)
{
	(void)state;
	if (!is_root())
		skip();
	struct scratch s = make_scratch();
	assert_int_equal(fchmod(s.fd, 0755), 0);
	static const char *const dirs[] = { "above", "above/tree", "above/tree/usr",
					    "above/tree/usr/in" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdirat(s.fd, dirs[i], 0755), 0);
	put_text(s.fd, "above/tree/file", "x");
	assert_int_equal(symlinkat("usr/in", s.fd, "above/tree/bin"), 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(changes); i++) {
		struct stat was;
		struct sb_err err = { 0 };
		const char *name = changes[i].name, *last = strrchr(name, '/');
		assert_int_equal(fstatat(s.fd, name, &was, 0), 0);
		assert_int_equal(fchownat(s.fd, name, changes[i].uid, 0, 0), 0);
		assert_int_equal(fchmodat(s.fd, name, changes[i].mode, 0), 0);
		int fd = sb_root_open(s.fd, "/above/tree", &err);
		if (changes[i].good != (fd >= 0))
			fail_msg("'%s' %o: %d %s", name, changes[i].mode, fd, err.msg);
		if (!changes[i].good) {
			assert_int_equal(fd, -EPERM);
			assert_non_null(strstr(err.msg, last ? last : name));
		}
		sb_close(&fd);
		assert_int_equal(fchownat(s.fd, name, was.st_uid, was.st_gid, 0), 0);
		assert_int_equal(fchmodat(s.fd, name, was.st_mode & 07777, 0), 0);
	}
	drop_scratch(&s);
}

static void links_to_trees(void **state)
{
	static const struct {
		const char *text;
		int result;
	} rows[] = { { "release-2", 0 }, { "/release-2", 0 },  { "none", -ENOENT },
		     { "..", -ELOOP },	 { "file", -ENOTDIR }, { "tree", -ELOOP } };
	(void)state;
	if (!is_root())
		skip();
	struct scratch s = make_scratch();
	assert_int_equal(fchmod(s.fd, 0755), 0);
	assert_int_equal(mkdirat(s.fd, "release-2", 0755), 0);
	put_text(s.fd, "file", "x");
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		assert_int_equal(symlinkat(rows[i].text, s.fd, "tree"), 0);
		int fd = sb_root_open(s.fd, "/tree", NULL);
		assert_int_equal(fd < 0 ? fd : 0, rows[i].result);
		sb_close(&fd);
		/* A stranger's link chooses no root. */
		assert_int_equal(fchownat(s.fd, "tree", 2500, 2500, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(sb_root_open(s.fd, "/tree", NULL), -ELOOP);
		assert_int_equal(unlinkat(s.fd, "tree", 0), 0);
	}
	drop_scratch(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans),	   cmocka_unit_test(etc_of_a_tree),
		cmocka_unit_test(prints_the_root), cmocka_unit_test(who_may_write),
		cmocka_unit_test(links_to_trees),
	};
	return cmocka_run_group_tests_name("rootfs of a tree", tests, NULL, NULL);
}
