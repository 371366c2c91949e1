/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include "sessbox/parse.h"

static void tmpfs(void **state)
{
	static const struct {
		const char *text;
		uint64_t size, inodes, mode;
		bool ro, noexec;
	} good[] = {
		{ "/a", SB_INFINITY, SB_INFINITY, 0755, false, false },
		{ "/a/b:ro", SB_INFINITY, SB_INFINITY, 0755, true, false },
		{ "/a:ro,rw", SB_INFINITY, SB_INFINITY, 0755, false, false },
		{ "/a:size=10M", 10 << 20, SB_INFINITY, 0755, false, false },
		{ "/a:size=10M,nr_inodes=7,mode=700,noexec", 10 << 20, 7, 0700, false, true },
		{ "/a:mode=1777,nodev,nosuid", SB_INFINITY, SB_INFINITY, 01777, false, false },
	};
	static const char *const bad[] = {
		"",
		"a",
		"/",
		"/a/",
		"/a/../b",
		"/a:",
		"/a:,",
		"/a:ro,",
		"/a:,ro",
		"/a:rox",
		"/a:ro=1",
		"/a:size",
		"/a:size=",
		"/a:size=0",
		"/a:size=10%",
		"/a:size=-1",
		"/a:mode=8",
		"/a:mode=4755",
		"/a:mode=",
		"/a:suid",
		"/a:dev",
		"/a:uid=-1",
		"/a:uid=alice",
		"/a:uid=4294967295",
		"/a:size=infinity",
		"/a:nr_inodes=0",
		"/a:ro:rw",
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(good); i++) {
		struct sb_tmpfs t;
		assert_int_equal(sb_parse_tmpfs(good[i].text, &t), 0);
		assert_int_equal(strncmp(t.path, good[i].text, strlen(t.path)), 0);
		assert_int_equal(t.size, good[i].size);
		assert_int_equal(t.inodes, good[i].inodes);
		assert_int_equal(t.mode, good[i].mode);
		assert_int_equal(t.ro, good[i].ro);
		assert_int_equal(t.noexec, good[i].noexec);
	}
	for (size_t i = 0; i < SB_ARRAY_SIZE(bad); i++) {
		struct sb_tmpfs t = { .path = "untouched" };
		int r = sb_parse_tmpfs(bad[i], &t);
		if (r != -EINVAL && r != -ERANGE)
			fail_msg("'%s' is %d", bad[i], r);
		assert_string_equal(t.path, "untouched");
	}
}

static void inside(void **state)
{
	static const struct {
		const char *text, *path;
		bool optional;
	} rows[] = {
		{ "/a", "/a", false },	 { "-/a/b", "/a/b", true }, { "/", NULL, false },
		{ "", NULL, false },	 { "-", NULL, false },	    { "a", NULL, false },
		{ "--/a", NULL, false }, { "/a/", NULL, false },    { "/a/./b", NULL, false },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		const char *path = NULL;
		bool optional = false;
		int r = sb_parse_inside(rows[i].text, &path, &optional);
		assert_int_equal(r, rows[i].path ? 0 : -EINVAL);
		assert_int_equal(optional, rows[i].optional);
		if (rows[i].path)
			assert_string_equal(path, rows[i].path);
		else
			assert_null(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tmpfs),
		cmocka_unit_test(inside),
	};
	return cmocka_run_group_tests_name("parse mounts", tests, NULL, NULL);
}
