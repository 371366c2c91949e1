/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config_tree.h"

#include "dropin.h"
#include "sessbox/parse.h"
#include "sessbox/policy.h"

static void test_escape(void **state)
{
	static const struct {
		const char *word, *text;
	} cases[] = {
		{ "alice", "alice" },	       { "domain user", "domain\\x20user" },
		{ "a\"b'c", "a\\x22b\\x27c" }, { "a\\b", "a\\x5cb" },
		{ "a#b;c", "a\\x23b\\x3bc" },  { "a\tb\n", "a\\x09b\\x0a" },
		{ "DOM+user$", "DOM+user$" },  { "j\xc3\xb6rg", "j\xc3\xb6rg" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		char buf[64];
		struct sb_strv list = { 0 };
		assert_int_equal(ctl_escape_word(cases[i].word, buf, sizeof(buf)), 0);
		assert_string_equal(buf, cases[i].text);
		/* and back */
		assert_int_equal(sb_parse_words(buf, &list), 0);
		assert_int_equal(list.n, 1);
		assert_string_equal(list.v[0], cases[i].word);
		sb_strv_clear(&list);
	}
}

static void test_escape_refuses(void **state)
{
	char small[4];
	(void)state;
	assert_int_equal(ctl_escape_word("", small, sizeof(small)), -EINVAL);
	assert_int_equal(ctl_escape_word("alice", small, sizeof(small)), -ENAMETOOLONG);
}

static char *print(const struct ctl_dropin *dropin, const char *user)
{
	char *text = NULL;
	struct sb_err err = { 0 };
	if (ctl_dropin_print(dropin, 1001, user, &text, &err) < 0)
		fail_msg("%s", err.msg);
	return text;
}

static void test_set_and_print(void **state)
{
	struct ctl_dropin d = { 0 };
	(void)state;
	assert_int_equal(ctl_dropin_set(&d, "MemoryMax", "1G"), 0);
	assert_int_equal(ctl_dropin_set(&d, "TasksMax", "100"), 0);
	assert_int_equal(ctl_dropin_set(&d, "MemoryMax", "2G"), 0);
	assert_int_equal(ctl_dropin_set(&d, "CPUWeight", ""), 0);
	char *text = print(&d, "alice");
	assert_string_equal(text, "# Written by `sessctl limit`, which replaces this file whole.\n"
				  "[limit-1001]\nMatchUsers=alice\nTasksMax=100\nMemoryMax=2G\n");
	free(text);
	assert_int_equal(ctl_dropin_set(&d, "tasksmax", ""), 0);
	assert_int_equal(ctl_dropin_set(&d, "MEMORYMAX", ""), 0);
	assert_int_equal(d.n, 0);
	ctl_dropin_clear(&d);
}

static void test_temporary(void **state)
{
	struct ctl_dropin d = { .temporary = true,
				.until = 1795600801,
				.reason = "  it's \"due\";\t#7 " };
	(void)state;
	assert_int_equal(ctl_dropin_set(&d, "TasksMax", "100"), 0);
	char *text = print(&d, "alice");
	assert_string_equal(text, "# Written by `sessctl limit`, which replaces this file whole.\n"
				  "[limit-1001-for]\nMatchUsers=alice\n"
				  "MatchUntil=2026-11-25T10:00:01Z\n"
				  "Reason=it\\x27s \\x22due\\x22\\x3b \\x237\nTasksMax=100\n");
	free(text);
	ctl_dropin_clear(&d);
}

static void test_unmatchable_names(void **state)
{
	static const char *const names[] = { "", "!alice" };
	struct ctl_dropin d = { 0 };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(names); i++) {
		struct sb_err err = { 0 };
		char *text = NULL;
		assert_int_equal(ctl_dropin_print(&d, 1, names[i], &text, &err), -EINVAL);
		assert_null(text);
	}
}

/* ---- against the loader ---- */

#define NAME "sessbox.d/90-limit-1001.conf"

static const char *path_of(const struct tree *t)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", t->path, NAME);
	return path;
}

static struct sb_config *load_well(const struct tree *t)
{
	struct sb_config *config = NULL;
	struct sb_err err = { 0 };
	if (load(t, &config, &err) < 0)
		fail_msg("%s", err.msg);
	return config;
}

static uint64_t tasks_of(const struct sb_config *config, const char *user, uid_t uid)
{
	const struct sb_login login = { .user = user, .uid = uid, .service = "sshd" };
	struct sb_policy *policy = NULL;
	assert_int_equal(sb_policy_resolve(config, &login, &policy, NULL), 0);
	uint64_t tasks = policy->set.limits.tasks_max;
	sb_policy_free(policy);
	return tasks;
}

/* What is written is loaded, and matches its user and nobody else, whatever his name. */
static void test_written_is_in_force(void **state)
{
	static const char *const names[] = { "alice",  "domain user", "a#b;c",
					     "a\"b'c", "a\\b",	      "j\xc3\xb6rg" };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(names); i++) {
		struct tree t = make_tree();
		struct ctl_dropin d = { 0 };
		write_text(&t, "sessbox.conf", "[Defaults]\nTasksMax=7\n");
		assert_int_equal(ctl_dropin_set(&d, "TasksMax", "42"), 0);
		char *text = print(&d, names[i]);
		write_text(&t, NAME, text);
		struct sb_config *config = load_well(&t);
		assert_int_equal(tasks_of(config, names[i], 1001), 42);
		assert_int_equal(tasks_of(config, "other", 1002), 7);
		sb_config_free(config);
		free(text);
		ctl_dropin_clear(&d);
		drop_tree(&t);
	}
}

static void test_merge(void **state)
{
	struct tree t = make_tree();
	struct ctl_dropin d = { 0 };
	struct sb_err err = { 0 };
	(void)state;
	write_text(&t, "sessbox.conf", "[students]\nMatchGroups=students\nTasksMax=9\n");
	write_text(&t, NAME,
		   "# by hand\n[limit-1001]\nMatchUsers=alice\nMemoryMax=\"1G\"\n"
		   "TasksMax=5\nBindPaths+=/data\n");
	write_text(&t, "run/limit-1001.conf", "[limit-1001]\nMatchUsers=alice\nCPUWeight=7\n");
	struct sb_config *config = load_well(&t);
	assert_int_equal(ctl_dropin_load(&d, config, path_of(&t), 1001, "alice", &err), 0);
	assert_int_equal(ctl_dropin_set(&d, "TasksMax", "6"), 0);
	char *text = print(&d, "alice");
	/* Keys of the other file are that file's; those nobody asked about stay as they were. */
	assert_non_null(strstr(text, "]\nMatchUsers=alice\nMemoryMax=\"1G\"\nBindPaths+=/data\n"
				     "TasksMax=6\n"));
	assert_null(strstr(text, "CPUWeight"));
	free(text);
	sb_config_free(config);
	ctl_dropin_clear(&d);
	drop_tree(&t);
}

static void test_a_file_of_who_had_the_uid_before(void **state)
{
	struct tree t = make_tree();
	struct ctl_dropin d = { 0 };
	struct sb_err err = { 0 };
	(void)state;
	write_text(&t, "sessbox.conf", "[Defaults]\nContain=no\n");
	write_text(&t, NAME, "[limit-1001]\nMatchUsers=alice\nMemoryMax=16G\n");
	struct sb_config *config = load_well(&t);
	assert_int_equal(ctl_dropin_load(&d, config, path_of(&t), 1001, "bob", &err), 0);
	assert_int_equal(d.n, 0);
	sb_config_free(config);
	write_text(&t, NAME, "[limit-1001]\nMatchUsers=alice\nMatchGroups=staff\nTasksMax=5\n");
	config = load_well(&t);
	assert_int_equal(ctl_dropin_load(&d, config, path_of(&t), 1001, "alice", &err), -EEXIST);
	assert_non_null(strstr(err.msg, "MatchGroups="));
	sb_config_free(config);
	ctl_dropin_clear(&d);
	drop_tree(&t);
}

static void test_no_file_yet(void **state)
{
	struct tree t = make_tree();
	struct ctl_dropin d = { 0 };
	struct sb_err err = { 0 };
	(void)state;
	write_text(&t, "sessbox.conf", "[limit-1001]\nMatchUsers=alice\nTasksMax=5\n");
	struct sb_config *config = load_well(&t);
	assert_int_equal(ctl_dropin_load(&d, config, path_of(&t), 1001, "alice", &err), 0);
	assert_int_equal(d.n, 0);
	sb_config_free(config);
	drop_tree(&t);
}

static void test_a_file_with_more_is_left_alone(void **state)
{
	struct tree t = make_tree();
	struct ctl_dropin d = { 0 };
	struct sb_err err = { 0 };
	(void)state;
	write_text(&t, "sessbox.conf", "[Defaults]\nContain=no\n");
	write_text(&t, NAME, "[limit-1001]\nMatchUsers=alice\nTasksMax=5\n[mine]\nTasksMax=4\n");
	struct sb_config *config = load_well(&t);
	assert_int_equal(ctl_dropin_load(&d, config, path_of(&t), 1001, "alice", &err), -EEXIST);
	assert_non_null(strstr(err.msg, "[mine]"));
	sb_config_free(config);
	ctl_dropin_clear(&d);
	drop_tree(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_refuses),
		cmocka_unit_test(test_set_and_print),
		cmocka_unit_test(test_temporary),
		cmocka_unit_test(test_unmatchable_names),
		cmocka_unit_test(test_written_is_in_force),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_a_file_of_who_had_the_uid_before),
		cmocka_unit_test(test_no_file_yet),
		cmocka_unit_test(test_a_file_with_more_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
