/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The last good configuration: kept whole, read whole, or not at all. */
#include "config_tree.h"

#include <stdio.h>

#include "sessbox/str.h"

#define MAIN "[Defaults]\nContain=no\n[a]\nMatchUsers=ann\nContain=yes\n"
#define DROPIN "[a]\nTasksMax=7\n"
#define OVERRIDE "[a]\nTasksMax=8\n"

static int keep(const struct tree *t, struct sb_err *err)
{
	cleanup_config struct sb_config *config = NULL;
	char dir[64];
	snprintf(dir, sizeof(dir), "%s/state", t->path);
	if (load(t, &config, err) < 0)
		fail_msg("%s", err->msg);
	return sb_config_keep_as(dir, geteuid(), config, err);
}

static int load_kept(const struct tree *t, struct sb_config **ret, struct sb_err *err)
{
	char dir[64];
	snprintf(dir, sizeof(dir), "%s/state", t->path);
	return sb_config_load_kept_as(dir, t->run, geteuid(), ret, err);
}

static struct tree make_kept(void)
{
	struct tree t = make_tree();
	struct sb_err err = { 0 };
	write_text(&t, SB_CONFIG_FILE, MAIN);
	write_text(&t, "sessbox.d/1.conf", DROPIN);
	write_text(&t, "run/2.conf", OVERRIDE);
	if (keep(&t, &err) < 0)
		fail_msg("%s", err.msg);
	return t;
}

static void expect_same(const struct tree *t)
{
	cleanup_config struct sb_config *live = NULL, *kept = NULL;
	struct sb_err err = { 0 };
	if (load(t, &live, &err) < 0 || load_kept(t, &kept, &err) < 0)
		fail_msg("%s", err.msg);
	assert_false(live->kept);
	assert_true(kept->kept);
	assert_int_equal(kept->n, live->n);
	assert_int_equal(kept->files.n, live->files.n);
	for (size_t i = 0; i < live->files.n; i++) {
		assert_string_equal(kept->files.v[i], live->files.v[i]);
		assert_string_equal(kept->texts.v[i], live->texts.v[i]);
	}
	for (size_t i = 0; i < live->n; i++) {
		assert_string_equal(kept->classes[i].name, live->classes[i].name);
		assert_int_equal(kept->classes[i].n, live->classes[i].n);
		for (size_t k = 0; k < live->classes[i].n; k++) {
			const struct sb_entry *a = &live->classes[i].entries[k];
			const struct sb_entry *b = &kept->classes[i].entries[k];
			assert_string_equal(a->text, b->text);
			assert_true(a->key == b->key && a->file == b->file && a->line == b->line);
		}
	}
}

static void reads_what_it_kept(void **state)
{
	(void)state;
	struct tree t = make_kept();
	expect_same(&t);
	/* A newer one takes its place. */
	struct sb_err err = { 0 };
	write_text(&t, SB_CONFIG_FILE, "[b]\nMatchUIDs=7\nContain=yes\n");
	assert_int_equal(keep(&t, &err), 0);
	expect_same(&t);
	drop_tree(&t);
}

static ino_t inode_of(const struct tree *t)
{
	struct stat st;
	assert_int_equal(fstatat(t->fd, "state/last-good", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	return st.st_ino;
}

static void writes_only_what_is_new(void **state)
{
	(void)state;
	struct tree t = make_kept();
	struct sb_err err = { 0 };
	ino_t before = inode_of(&t);
	assert_int_equal(keep(&t, &err), 0);
	assert_int_equal(inode_of(&t), before);
	/* One byte less of it, and one that is not longer. */
	write_text(&t, "sessbox.d/1.conf", "[a]\nTasksMax=6\n");
	assert_int_equal(keep(&t, &err), 0);
	assert_int_not_equal(inode_of(&t), before);
	expect_same(&t);
	drop_tree(&t);
}

static size_t read_copy(const struct tree *t, char *buf, size_t size)
{
	ssize_t n = sb_read_file(t->fd, "state/last-good", buf, size);
	assert_true(n > 0);
	return (size_t)n;
}

static void put_copy(const struct tree *t, const char *text, size_t size)
{
	write_bytes(t, "state/last-good", text, size);
}

static void of_another_boot(void **state)
{
	(void)state;
	struct tree t = make_kept();
	cleanup_config struct sb_config *kept = NULL;
	struct sb_err err = { 0 };
	char text[4096];
	size_t n = read_copy(&t, text, sizeof(text));
	char *id = text + strlen("sessbox 1 ");
	*id = *id == '0' ? '1' : '0';
	put_copy(&t, text, n);
	assert_int_equal(load_kept(&t, &kept, &err), 0);
	assert_int_equal(kept->files.n, 2);
	assert_non_null(strstr(kept->files.v[1], "sessbox.d/1.conf"));
	drop_tree(&t);
}

static void no_part_of_one(void **state)
{
	(void)state;
	struct tree t = make_kept();
	struct sb_config *kept = NULL;
	struct sb_err err = { 0 };
	char text[4096];
	size_t whole = read_copy(&t, text, sizeof(text));
	for (size_t n = 0; n < whole; n++) {
		put_copy(&t, text, n);
		/* Cut between two files it is one of fewer files; only a crash could do that. */
		if (load_kept(&t, &kept, &err) == 0) {
			assert_true(text[n] >= '0' && text[n] <= '9' && text[n - 1] == '\n');
			sb_config_free(kept);
			kept = NULL;
		}
	}
	static const char *const damaged[] = {
		"",
		"x",
		"sessbox 2 a\n",
		"sessbox 1 a\n1",
		"sessbox 1 a\n1 2\nab",
		"sessbox 1 a\n-1 2\nabc",
		"sessbox 1 a\n99999999999999999999 2\nabc",
		"sessbox 1 a\n4 9\n/a/b[Defaults",
		"sessbox 1 a\n4 12\n/a/b[a]\nNoKey=1\n",
		"sessbox 1 a\n4294967296 1\n/a/b",
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(damaged); i++) {
		put_copy(&t, damaged[i], strlen(damaged[i]));
		assert_true(load_kept(&t, &kept, &err) < 0);
		assert_null(kept);
	}
	drop_tree(&t);
}

static void none_at_all(void **state)
{
	(void)state;
	struct tree t = make_tree();
	struct sb_config *kept = NULL;
	struct sb_err err = { 0 };
	assert_int_equal(load_kept(&t, &kept, &err), -ENOENT);
	assert_int_equal(mkdirat(t.fd, "state", 0700), 0);
	assert_int_equal(load_kept(&t, &kept, &err), -ENOENT);
	drop_tree(&t);
}

static void nobody_else_may_write_it(void **state)
{
	(void)state;
	struct tree t = make_kept();
	struct sb_config *kept = NULL;
	struct sb_err err = { 0 };
	assert_int_equal(fchmodat(t.fd, "state/last-good", 0620, 0), 0);
	assert_true(load_kept(&t, &kept, &err) < 0);
	assert_int_equal(fchmodat(t.fd, "state/last-good", 0600, 0), 0);
	assert_int_equal(fchmodat(t.fd, "state", 0777, 0), 0);
	assert_true(load_kept(&t, &kept, &err) < 0);
	assert_true(keep(&t, &err) < 0);
	assert_int_equal(fchmodat(t.fd, "state", 0700, 0), 0);
	assert_int_equal(unlinkat(t.fd, "state/last-good", 0), 0);
	assert_int_equal(symlinkat("../sessbox.conf", t.fd, "state/last-good"), 0);
	assert_true(load_kept(&t, &kept, &err) < 0);
	drop_tree(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_kept), cmocka_unit_test(writes_only_what_is_new),
		cmocka_unit_test(of_another_boot),    cmocka_unit_test(no_part_of_one),
		cmocka_unit_test(none_at_all),	      cmocka_unit_test(nobody_else_may_write_it),
	};
	return cmocka_run_group_tests_name("config_good", tests, NULL, NULL);
}
