/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

/* A buffer with something behind it that must stay. */
struct guarded {
	char buf[8];
	char behind[8];
};

static void bounded_text(void **state)
{
	static const struct {
		const char *text;
		int result;
	} rows[] = {
		{ "", 0 },
		{ "1234567", 0 },
		{ "12345678", -ENAMETOOLONG },
		{ "1234567890", -ENAMETOOLONG },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct guarded f = { "old", "behind" }, c = f;
		const char *want = rows[i].result == 0 ? rows[i].text : "";
		assert_int_equal(sb_format(f.buf, sizeof(f.buf), "%s", rows[i].text),
				 rows[i].result);
		assert_string_equal(f.buf, want);
		assert_string_equal(f.behind, "behind");
		assert_int_equal(sb_copy(c.buf, sizeof(c.buf), rows[i].text), rows[i].result);
		assert_string_equal(c.buf, want);
		assert_string_equal(c.behind, "behind");
	}
}

static void lists(void **state)
{
	(void)state;
	struct sb_strv list = { 0 };
	char word[8] = "w0";
	assert_false(sb_strv_has(&list, "w0"));
	for (char c = '0'; c <= '9'; c++) {
		word[1] = c;
		assert_int_equal(sb_strv_add(&list, word), 0);
	}
	word[1] = 'x'; /* the list has copies */
	assert_int_equal(list.n, 10);
	for (size_t i = 0; i < list.n; i++) {
		assert_int_equal(list.v[i][1], '0' + i);
		assert_true(sb_strv_has(&list, list.v[i]));
	}
	static const char *const strangers[] = { "", "w", "wx", "w00", "W0" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(strangers); i++)
		assert_false(sb_strv_has(&list, strangers[i]));
	sb_strv_clear(&list);
	assert_null(list.v);
	assert_int_equal(list.n, 0);
	sb_strv_clear(&list);
}

static void near_misses(void **state)
{
	static const char *const names[] = { "list",	  "limit",	"freeze",     "terminate",
					     "MemoryMax", "MatchUsers", "MemoryHigh", "help",
					     "monitor",	  "gc" };
	static const struct {
		const char *text, *best;
	} rows[] = {
		{ "lst", "list" },
		{ "lsit", "list" },
		{ "LIST", "list" },
		{ "lists", "list" },
		{ "limits", "limit" },
		{ "lim", "limit" },
		{ "term", "terminate" },
		{ "terminat", "terminate" },
		{ "MemryMax", "MemoryMax" },
		{ "MatchUser", "MatchUsers" },
		{ "mem", "MemoryMax" },
		{ "memoryhgih", "MemoryHigh" },
		{ "gd", "gc" },
		{ "g", NULL },
		{ "", NULL },
		{ "unfreeze", NULL },
		{ "stop", NULL },
		{ "ps", NULL },
		{ "hold", NULL },
		{ "MemoryLimit", NULL },
		{ "m", NULL },
		{ "terminate-all-of-the-sessions-there-are", NULL },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct sb_near near = { .text = rows[i].text };
		for (size_t k = 0; k < SB_ARRAY_SIZE(names); k++)
			sb_near_try(&near, names[k]);
		if (rows[i].best && near.best)
			assert_string_equal(near.best, rows[i].best);
		else
			assert_ptr_equal(near.best, rows[i].best);
	}
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int open_null(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void words_of_a_text(void **state)
{
	(void)state;
	assert_true(sb_has_word("cpu", " ", "cpu"));
	assert_true(sb_has_word("cpuset,  cpu\tio\n", " ,\t\n", "cpu"));
	assert_true(sb_has_word(" cpuset io\n", " \n", "io"));
	assert_false(sb_has_word("cpuset xcpu cpu,io", " ", "cpu"));
	assert_false(sb_has_word("", " ", "cpu"));
	assert_false(sb_has_word("  ", " ", ""));
}

static void closing(void **state)
{
	(void)state;
	int fd = open_null(), was = fd;
	errno = EXDEV;
	sb_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, EXDEV);
	assert_false(is_open(was));
	errno = EXDEV;
	sb_close(&fd);
	assert_int_equal(errno, EXDEV);
	fd = was; /* a wrong one: errno stays all the same */
	sb_close(&fd);
	assert_int_equal(errno, EXDEV);
}

static int use_and_steal(int *used, bool steal)
{
	cleanup_fd int fd = *used = open_null();
	cleanup_fd int none = -1;
	(void)none;
	return steal ? sb_steal_fd(&fd) : -1;
}

static void scopes(void **state)
{
	(void)state;
	int fd;
	assert_int_equal(use_and_steal(&fd, false), -1);
	assert_false(is_open(fd));
	assert_int_equal(use_and_steal(&fd, true), fd);
	assert_true(is_open(fd));
	close(fd);

	char *text = strdup("x"), *was = text;
	assert_ptr_equal(sb_steal_ptr(&text), was);
	assert_null(text);
	free(was);
}

/* What is not stolen is freed: the leak checker sees it, and count_fds the descriptors. */
static void scopes_release(void **state)
{
	(void)state;
	size_t before = count_fds();
	{
		cleanup_free char *text = strdup("x");
		cleanup_dir DIR *dir = opendir("/");
		cleanup_file FILE *file = fopen("/dev/null", "re");
		cleanup_free char *no_text = NULL;
		cleanup_dir DIR *no_dir = NULL;
		cleanup_file FILE *no_file = NULL;
		assert_true(text && dir && file && !no_text && !no_dir && !no_file);
		assert_int_equal(count_fds(), before + 2);
	}
	assert_int_equal(count_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounded_text),	   cmocka_unit_test(lists),
		cmocka_unit_test(words_of_a_text), cmocka_unit_test(closing),
		cmocka_unit_test(scopes),	   cmocka_unit_test(scopes_release),
		cmocka_unit_test(near_misses),
	};
	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
