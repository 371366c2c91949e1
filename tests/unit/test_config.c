/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files and their order, and the table of keys. */
#include "config_tree.h"

#include <stdio.h>

static void missing_directories(void **state)
{
	(void)state;
	struct tree t = make_tree();
	cleanup_config struct sb_config *config = NULL;
	struct sb_err err = { 0 };
	write_text(&t, SB_CONFIG_FILE, "");
	assert_int_equal(unlinkat(t.fd, "sessbox.d", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(t.fd, "run", AT_REMOVEDIR), 0);
	assert_int_equal(load(&t, &config, &err), 0);
	assert_int_equal(config->n, 0);
	assert_int_equal(config->files.n, 1);
	drop_tree(&t);
	assert_true(load(&t, &config, &err) < 0);
}

static const char good[] = "# comment with # and ; and = and [x]\n"
			   "  ; another\n"
			   "\n"
			   " \t \n"
			   "[DEFAULTS]\n"
			   "contain = NO\n"
			   "[STUDENTSaz.09_-@+]\n"
			   "\tMATCHGROUPS\t=\tDomain\\x20Users  \"other users\" \t\n"
			   "MatchUsers=\"Alice;#\"\n"
			   "AllowServices=\n"
			   "BindPaths=/a\n"
			   "BindPaths+= '/b c'\n"
			   "Hostname=%u-%U.%H%%\n"
			   "MemoryMax='512M'";

static const struct sb_entry good_entries[] = {
	{ .text = "Domain\\x20Users  \"other users\"", .line = 8 },
	{ .text = "\"Alice;#\"", .line = 9 },
	{ .text = "", .line = 10 },
	{ .text = "/a", .line = 11 },
	{ .text = "'/b c'", .line = 12, .append = true },
	{ .text = "%u-%U.%H%%", .line = 13 },
	{ .text = "'512M'", .line = 14 },
};

static void accept_good(void **state)
{
	(void)state;
	struct tree t = make_tree();
	cleanup_config struct sb_config *config = NULL;
	struct sb_err err = { 0 };
	write_text(&t, SB_CONFIG_FILE, good);
	if (load(&t, &config, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(config->n, 2);
	assert_string_equal(config->classes[0].name, SB_CLASS_DEFAULTS);
	const struct sb_class *c = &config->classes[1];
	assert_string_equal(c->name, "studentsaz.09_-@+");
	assert_int_equal(c->n, SB_ARRAY_SIZE(good_entries));
	for (size_t i = 0; i < c->n; i++) {
		assert_string_equal(c->entries[i].text, good_entries[i].text);
		assert_int_equal(c->entries[i].line, good_entries[i].line);
		assert_int_equal(c->entries[i].append, good_entries[i].append);
		assert_int_equal(c->entries[i].file, 0);
	}
	assert_int_equal(c->match.groups.n, 2);
	assert_string_equal(c->match.groups.v[0], "Domain Users");
	assert_string_equal(c->match.groups.v[1], "other users");
	assert_int_equal(c->match.users.n, 1);
	assert_string_equal(c->match.users.v[0], "Alice;#");
	drop_tree(&t);
}

/* Files in any order of writing; the class' keys as they must be merged. */
struct file {
	const char *name;
	const char *text;
};
static const struct merge {
	const char *name;
	struct file files[6];
	const char *classes; /* in order, each followed by a blank */
	const char *entries; /* of the first class */
	const char *users;   /* its effective MatchUsers */
} merges[] = {
	{ "one file",
	  { { "sessbox.conf", "[a]\nMatchUsers=x y\n[b]\n" } },
	  "a b ",
	  "MatchUsers=x y@sessbox.conf:2\n",
	  "x y " },
	{ "drop-ins in name order, after the main file",
	  { { "sessbox.d/b.conf", "[a]\nMatchUsers=b\n" },
	    { "sessbox.d/a.conf", "[a]\nMatchUsers=a\n[z]\n" },
	    { "sessbox.d/C.conf", "[a]\nMatchUsers=C\n" },
	    { "sessbox.conf", "[k]\n[a]\nMatchUsers=m\n" } },
	  "k a z ",
	  NULL,
	  "b " },
	{ "runtime after the drop-ins",
	  { { "run/a.conf", "[A]\nTasksMax=3\n" },
	    { "sessbox.d/z.conf", "[a]\nTasksMax=2\n" },
	    { "sessbox.conf", "[a]\nTasksMax=1\n" } },
	  "a ",
	  "TasksMax=1@sessbox.conf:2\nTasksMax=2@z.conf:2\nTasksMax=3@a.conf:2\n",
	  "" },
	{ "append",
	  { { "sessbox.conf", "[a]\nMatchUsers=x\n" },
	    { "sessbox.d/1.conf", "[a]\nMatchUsers+=\"y z\"\n" },
	    { "sessbox.d/2.conf", "[a]\nMatchUsers+=!q\n" } },
	  "a ",
	  "MatchUsers=x@sessbox.conf:2\nMatchUsers+=\"y z\"@1.conf:2\n"
	  "MatchUsers+=!q@2.conf:2\n",
	  "x y z !q " },
	{ "set and append in one section",
	  { { "sessbox.conf", "[a]\nMatchUsers=x\nMatchUsers+=y\n" } },
	  "a ",
	  "MatchUsers=x@sessbox.conf:2\nMatchUsers+=y@sessbox.conf:3\n",
	  "x y " },
	{ "replace after append",
	  { { "sessbox.conf", "[a]\nMatchUsers+=x\n" },
	    { "sessbox.d/1.conf", "[a]\nMatchUsers=y\n" } },
	  "a ",
	  "MatchUsers+=x@sessbox.conf:2\nMatchUsers=y@1.conf:2\n",
	  "y " },
	{ "an empty list takes all away",
	  { { "sessbox.conf", "[a]\nMatchUsers=x\n" }, { "run/1.conf", "[a]\nMatchUsers=\n" } },
	  "a ",
	  "MatchUsers=x@sessbox.conf:2\nMatchUsers=@1.conf:2\n",
	  "" },
	{ "MatchServices taken away again",
	  { { "sessbox.conf", "[a]\nMatchUsers=x\nMatchServices=cron\n" },
	    { "run/1.conf", "[a]\nMatchServices=\nPrivateTmp=no\n" } },
	  "a ",
	  NULL,
	  "x " },
	{ "other names are not read",
	  { { "sessbox.conf", "[a]\n" },
	    { "sessbox.d/.1.conf", "x" },
	    { "sessbox.d/1.conf.new", "x" },
	    { "sessbox.d/1.CONF", "x" },
	    { "sessbox.d/README", "x" },
	    { "run/.conf", "x" } },
	  "a ",
	  "",
	  "" },
};

static void add(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	size_t len = strlen(buf);
	assert_in_range(vsnprintf(buf + len, size - len, fmt, ap), 0, size - len - 1);
	va_end(ap);
}

static void merge_files(void **state)
{
	const struct merge *m = *state;
	struct tree t = make_tree();
	cleanup_config struct sb_config *config = NULL;
	struct sb_err err = { 0 };
	char classes[256] = "", entries[512] = "", users[256] = "";
	for (size_t i = 0; i < SB_ARRAY_SIZE(m->files) && m->files[i].name; i++)
		write_text(&t, m->files[i].name, m->files[i].text);
	if (load(&t, &config, &err) < 0)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < config->n; i++)
		add(classes, sizeof(classes), "%s ", config->classes[i].name);
	const struct sb_class *c = &config->classes[strcmp(classes, "k a z ") == 0];
	for (size_t i = 0; i < c->n; i++) {
		const struct sb_entry *e = &c->entries[i];
		add(entries, sizeof(entries), "%s%s=%s@%s:%u\n", e->key->name, e->append ? "+" : "",
		    e->text, strrchr(config->files.v[e->file], '/') + 1, e->line);
	}
	for (size_t i = 0; i < c->match.users.n; i++)
		add(users, sizeof(users), "%s ", c->match.users.v[i]);
	assert_string_equal(classes, m->classes);
	if (m->entries)
		assert_string_equal(entries, m->entries);
	assert_string_equal(users, m->users);
	drop_tree(&t);
}

/* A class for each line: the index must find every one again. */
static void many_classes(void **state)
{
	(void)state;
	struct tree t = make_tree();
	cleanup_config struct sb_config *config = NULL;
	struct sb_err err = { 0 };
	static char text[64 * 1024];
	for (unsigned int i = 0; i < 1000; i++)
		add(text, sizeof(text), "[c%u]\nTasksMax=%u\n", i * 7919 % 1000, i + 1);
	write_text(&t, SB_CONFIG_FILE, text);
	write_text(&t, "run/again.conf", text);
	if (load(&t, &config, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(config->n, 1000);
	for (size_t i = 0; i < config->n; i++) {
		assert_int_equal(config->classes[i].n, 2);
		assert_string_equal(config->classes[i].entries[0].text,
				    config->classes[i].entries[1].text);
	}
	drop_tree(&t);
}

static const struct value {
	const char *key;
	const char *text;
	bool good;
} values[] = {
	{ "MemoryMax", "512M", true },
	{ "MemoryMax", "\"25%\"", true },
	{ "MemoryMax", "512M # comment", false },
	{ "MemoryMax", "\"512M", false },
	{ "MemoryMax", "512M\n", false },
	{ "MemorySwapMax", "0", true },
	{ "TasksMax", "50%", true },
	{ "TasksMax", "infinity", true },
	{ "CPUQuota", "0.5%", true },
	{ "CPUQuota", "infinity", true },
	{ "CPUWeight", "10000", true },
	{ "TimeoutSec", "1min 30s", true },
	{ "TimeoutSec", "\"1min 30s\"", true },
	{ "TimeoutSec", "10min", true },
	{ "TimeoutSec", "10min 1ms", false },
	{ "OnFailure", "ALLOW", true },
	{ "BindPaths", "-/a:/b:norbind '/c d'", true },
	{ "BindPaths", "/a\\x0a", false },
	{ "BindPaths", "/a\n/b", false },
	{ "BindPaths", "/a \\", false },
	{ "MatchUsers", "a\\\\", false }, /* good words, but a continued line */
	{ "BindPaths", "\"\"", false },
	{ "BindPaths", "", true },
	{ "TmpSize", "100%", true },
	{ "TmpSize", "0", false },
	{ "TmpSize", "1G", true },
	{ "Hostname", "\\x41", true },
	{ "Hostname", "", false },
	{ "Hostname", "\"\"", false },
	{ "Hostname", "a_b", false },
	{ "RootDirectory", "\"/\"", true },
	{ "MatchUIDs", "0 1-4294967294 !5-6", true },
	{ "MatchUIDs", "5-", false },
	{ "MatchServices", "!cron sshd", true },
	{ "MatchUsers", "!!x", false },
	{ "MatchUsers", "a:b", false },
	{ "MatchUsers", "a,b", false },
	{ "MatchGroups", "smith,\\x20john's", false },
	{ "MatchGroups", "smith,\\x20john !staff", true },
};

static void check_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(values); i++) {
		struct sb_err err = { 0 };
		const struct sb_key *key = sb_key_find(values[i].key);
		assert_non_null(key);
		int r = sb_config_check_value(key, values[i].text, &err);
		if (r != (values[i].good ? 0 : -EINVAL))
			fail_msg("%s=%s: %d %s", key->name, values[i].text, r, err.msg);
	}
	const struct sb_key any = { .name = "Any", .type = SB_TYPE_WORDS, .expected = "words" };
	assert_int_equal(sb_config_check_value(&any, "a\tb", NULL), 0);
	assert_int_equal(sb_config_check_value(&any, "a\nb", NULL), -EINVAL);
	assert_int_equal(sb_config_check_value(&any, "a\x7f", NULL), -EINVAL);
}

/* A value replaces the one that is there and does not leak it. */
static void parse_twice(void **state)
{
	(void)state;
	struct sb_settings set = { 0 };
	const struct sb_key *words = sb_key_find("AllowServices");
	const struct sb_key *string = sb_key_find("TmpSize");
	assert_int_equal(sb_config_parse_value(words, "a b", &set, NULL), 0);
	assert_int_equal(sb_config_parse_value(words, "a /", &set, NULL), -EINVAL);
	assert_int_equal(set.allow_services.n, 2);
	assert_int_equal(sb_config_parse_value(words, "c", &set, NULL), 0);
	assert_int_equal(set.allow_services.n, 1);
	assert_int_equal(sb_config_parse_value(string, "1G", &set, NULL), 0);
	assert_int_equal(sb_config_parse_value(string, "'2G'", &set, NULL), 0);
	assert_string_equal(set.tmp_size, "2G");
	sb_settings_clear(&set);
	assert_null(set.tmp_size);
}

/* The longest section, line, value and file that are still taken. */
static void longest(void **state)
{
	(void)state;
	static char text[SB_CONFIG_FILE_MAX + 1];
	struct tree t = make_tree();
	cleanup_config struct sb_config *config = NULL;
	struct sb_err err = { 0 };
	const struct sb_key *key = sb_key_find("MatchUsers");
	size_t room = SB_CONFIG_LINE_MAX - strlen("MatchUsers+=");
	memset(text, '#', SB_CONFIG_FILE_MAX);
	for (size_t i = 0; i < SB_CONFIG_FILE_MAX; i += SB_CONFIG_LINE_MAX + 1)
		text[i] = '\n';
	memset(text + 1, 'z', SB_SECTION_MAX + 1);
	text[1] = '[';
	text[SB_SECTION_MAX + 2] = ']';
	text[SB_SECTION_MAX + 3] = '\n';
	char *line = strchr(text + SB_SECTION_MAX + 4, '\n') + 1;
	memset(line, 'x', SB_CONFIG_LINE_MAX);
	memcpy(line, "MatchUsers+=", strlen("MatchUsers+="));
	write_text(&t, SB_CONFIG_FILE, text);
	if (load(&t, &config, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(strlen(config->classes[0].name), SB_SECTION_MAX);
	const char *value = config->classes[0].entries[0].text;
	assert_int_equal(strlen(value), room);
	assert_int_equal(sb_config_check_value(key, value, NULL), 0);
	line[SB_CONFIG_LINE_MAX] = '\0';
	assert_int_equal(sb_config_check_value(key, line + strlen("MatchUsers+"), NULL), -EINVAL);
	drop_tree(&t);
}

static void check_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sb_keys_n; i++) {
		const struct sb_key *key = &sb_keys[i];
		struct sb_err err = { 0 };
		assert_ptr_equal(sb_key_find(key->name), key);
		assert_true(key->expected && key->help && key->preset);
		assert_true(key->kind != SB_KEY_MATCH || key->type == SB_TYPE_WORDS);
		assert_true((key->type == SB_TYPE_CHOICE) == (key->choices != NULL));
		if (sb_config_check_value(key, key->preset, &err) < 0)
			fail_msg("%s=%s: %s", key->name, key->preset, err.msg);
		for (size_t k = 0; k < i; k++)
			assert_true(sb_keys[k].offset != key->offset ||
				    (sb_keys[k].kind == SB_KEY_MATCH) !=
					    (key->kind == SB_KEY_MATCH));
	}
	assert_null(sb_key_find("MemoryMa"));
	assert_null(sb_key_find(""));
	assert_ptr_equal(sb_key_find("memorymax"), sb_key_find("MEMORYMAX"));
}

/*
 * Each limit is a key, and each key of a limit is one, at the same place. Of DeviceAllow a part is
 * the container's, and `sessctl limit` cannot give it.
 */
static void limits_are_keys(void **state)
{
	(void)state;
	size_t n = 0;
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++) {
		const struct sb_key *key = sb_key_find(sb_limit_rows[i].key);
		assert_non_null(key);
		assert_int_equal(key->kind, i == SB_DEVICE_ALLOW ? SB_KEY_CONTAINER : SB_KEY_LIMIT);
		assert_int_equal(key->offset,
				 offsetof(struct sb_settings, limits) + sb_limit_rows[i].offset);
	}
	for (size_t i = 0; i < sb_keys_n; i++)
		n += sb_keys[i].kind == SB_KEY_LIMIT;
	assert_int_equal(n, SB_LIMITS_N - 1);
	for (size_t i = 0; i < SB_BUDGETS_N; i++) {
		const struct sb_key *key = sb_key_find(sb_budget_rows[i].key);
		assert_non_null(key);
		assert_int_equal(key->kind, SB_KEY_BUDGET);
		assert_int_equal(key->offset,
				 offsetof(struct sb_settings, budget) +
					 sb_limit_rows[sb_budget_rows[i].limit].offset);
		n++;
	}
	for (size_t i = 0; i < sb_keys_n; i++)
		n -= sb_keys[i].kind == SB_KEY_BUDGET || sb_keys[i].kind == SB_KEY_LIMIT;
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest plain[] = {
		cmocka_unit_test(missing_directories), cmocka_unit_test(accept_good),
		cmocka_unit_test(many_classes),	       cmocka_unit_test(check_values),
		cmocka_unit_test(check_table),	       cmocka_unit_test(limits_are_keys),
		cmocka_unit_test(parse_twice),	       cmocka_unit_test(longest),
	};
	struct CMUnitTest tests[SB_ARRAY_SIZE(plain) + SB_ARRAY_SIZE(merges)] = { 0 };
	size_t n = 0;
	for (size_t i = 0; i < SB_ARRAY_SIZE(plain); i++)
		tests[n++] = plain[i];
	for (size_t i = 0; i < SB_ARRAY_SIZE(merges); i++)
		tests[n++] = (struct CMUnitTest){ .name = merges[i].name,
						  .test_func = merge_files,
						  .initial_state = (void *)&merges[i] };
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
