/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include <signal.h>

#include "sessbox/proxy.h"

#define ARGS_MAX 100

/* "at -q a now" as a command line. A word in '' may be empty or hold blanks. */
static size_t split(char *text, const char **argv)
{
	size_t n = 0;
	for (char *s = text; *s;) {
		char end = *s == '\'' ? '\'' : ' ';
		s += *s == '\'';
		argv[n++] = s;
		s = strchrnul(s, end);
		if (*s)
			*s++ = '\0';
		s += *s == ' ' && end == '\'';
	}
	return n;
}

static int parse(const char *line, bool inside, struct sb_proxy_call *ret)
{
	static char text[4096];
	const char *argv[ARGS_MAX];
	assert_int_equal(sb_copy(text, sizeof(text), line), 0);
	return sb_proxy_parse(split(text, argv), argv, inside, ret);
}

/* The words the program gets, in one line. */
static void print_words(const struct sb_proxy_call *call, char *buf, size_t size)
{
	const char *words[SB_PROXY_WORDS_MAX];
	size_t n = sb_proxy_words(call, words), len = 0;
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? "|" : "", words[i]);
}

static void rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sb_proxy_commands_n; i++) {
		const struct sb_proxy_command *c = &sb_proxy_commands[i];
		char path[64];
		assert_ptr_equal(sb_proxy_find(c->name), c);
		assert_true(sb_proxy_is_key(c->key));
		assert_non_null(sb_proxy_find(c->key));
		sb_format(path, sizeof(path), "/usr/bin/%s", c->name);
		assert_string_equal(c->path, path);
		/* What the client does itself the broker never does. */
		for (const char *s = c->inside; *s; s++)
			assert_true(*s == ':' || !strchr(c->options, *s));
		assert_int_equal(c->spools != NULL, c->spool_max != 0);
		assert_int_equal(c->spools != NULL, c->leaves_none != NULL);
		for (const char *s = c->leaves_none; s && *s; s++)
			assert_non_null(strchr(c->options, *s));
	}
	assert_null(sb_proxy_find("sh"));
	assert_null(sb_proxy_find(""));
	assert_false(sb_proxy_is_key("atq"));
	assert_false(sb_proxy_is_key("Crontab"));
	assert_false(sb_proxy_is_key(""));
}

static void lets_through(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{ "crontab -l", "crontab|-l" },
		{ "/usr/bin/crontab -", "crontab|-" },
		{ "crontab -ri", "crontab|-r|-i" },
		{ "crontab", "crontab" },
		{ "at now", "at|now" },
		{ "at now + 1 minute -m", "at|-m|now|+|1|minute" },
		{ "at -qb -t 202601312359", "at|-q|b|-t|202601312359" },
		{ "at -mq b now", "at|-m|-q|b|now" },
		{ "at 10:30 '10/12/26' 'next week'", "at|10:30|10/12/26|next week" },
		{ "at -c 5 6", "at|-c|5|6" },
		{ "at -qb now", "at|-q|b|now" },
		{ "atq -q a 7", "atq|-q|a|7" },
		{ "atrm 1 22 333", "atrm|1|22|333" },
		{ "passwd", "passwd" },
		{ "passwd -S alice", "passwd|-S|alice" },
		{ "quota -sv dom\\alice", "quota|-s|-v|dom\\alice" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct sb_proxy_call call;
		char words[1024];
		if (parse(cases[i].line, false, &call) != 0)
			fail_msg("%s: %s", cases[i].line, call.why);
		print_words(&call, words, sizeof(words));
		assert_string_equal(words, cases[i].words);
	}
}

static void leaves(void **state)
{
	static const struct {
		const char *line;
		bool none;
	} cases[] = {
		{ "crontab -", false }, { "crontab -i -", false }, { "crontab -il", true },
		{ "at -m now", false }, { "at -q c now", false },  { "at -v -c 5", true },
		{ "passwd -S", false }, { "atq -q d", false },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct sb_proxy_call call;
		assert_int_equal(parse(cases[i].line, false, &call), 0);
		assert_int_equal(sb_proxy_leaves_none(&call), cases[i].none);
	}
}

/* Neither a path, nor another user, nor anything that the program might take for an option. */
static void holds_back(void **state)
{
	static const char *const lines[] = {
		"",
		"sh",
		"sh -c id",
		"CRONTAB -l",
		"crontab -e",
		"crontab -u root -l",
		"crontab -lu root",
		"crontab /etc/passwd",
		"crontab x",
		"crontab ''",
		"crontab --help",
		"crontab -- -",
		"crontab -: x",
		"crontab -l\t",
		"at -f /etc/shadow now",
		"at -f/etc/shadow now",
		"at -mf x now",
		"at now -f x",
		"at -q",
		"at -q -f x now",
		"at -q '' now",
		"at -t -f",
		"at -u root now",
		"at -o %s -l",
		"at /etc/passwd",
		"at ../x",
		"at ''",
		"at 'now;id'",
		"at '$(id)'",
		"at 'a\nb'",
		"atq x",
		"atq -f x",
		"atrm 5x",
		"atrm -1",
		"atrm --",
		"passwd -d",
		"passwd -l alice",
		"passwd -R / alice",
		"passwd --root=/",
		"passwd 'a b'",
		"passwd a/b",
		"passwd ''",
		"quota -f /home",
		"quota --filesystem=/home",
		"quota -F xfs",
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(lines); i++) {
		struct sb_proxy_call call;
		if (parse(lines[i], false, &call) != -EPERM)
			fail_msg("'%s' passes", lines[i]);
		assert_non_null(strstr(call.why, "is not passed on to the host"));
	}
}

/* The client opens files and edits; all else is as above. */
static void inside(void **state)
{
	static const struct {
		const char *line;
		int result;
	} cases[] = {
		{ "crontab -e", 0 },	    { "crontab '/tmp/a b'", 0 }, { "crontab ''", -EPERM },
		{ "crontab -u x", -EPERM }, { "at -f '/a b' now", 0 },	 { "at -f", -EPERM },
		{ "at -f '' now", -EPERM }, { "at now -f x", 0 },	 { "at -e now", -EPERM },
		{ "passwd -e", -EPERM },    { "atq -f x", -EPERM },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct sb_proxy_call call;
		if (parse(cases[i].line, true, &call) != cases[i].result)
			fail_msg("'%s'", cases[i].line);
	}
}

static void too_many_words(void **state)
{
	const char *argv[ARGS_MAX] = { "atrm" };
	struct sb_proxy_call call;
	char flags[SB_PROXY_OPTIONS_MAX + 3] = "-";
	(void)state;
	for (size_t i = 1; i < ARGS_MAX; i++)
		argv[i] = "1";
	assert_int_equal(sb_proxy_parse(SB_PROXY_OPERANDS_MAX + 1, argv, false, &call), 0);
	assert_int_equal(sb_proxy_parse(SB_PROXY_OPERANDS_MAX + 2, argv, false, &call), -E2BIG);
	memset(flags + 1, 'V', SB_PROXY_OPTIONS_MAX);
	argv[1] = flags;
	assert_int_equal(sb_proxy_parse(2, argv, false, &call), 0);
	flags[SB_PROXY_OPTIONS_MAX + 1] = 'V';
	assert_int_equal(sb_proxy_parse(2, argv, false, &call), -E2BIG);
	assert_int_equal(sb_proxy_parse(0, argv, false, &call), -EPERM);
}

static void environment(void **state)
{
	static const struct {
		const char *pair;
		bool is;
	} cases[] = {
		{ "TERM=xterm-256color", true },
		{ "LANG=de_DE.UTF-8@euro", true },
		{ "LC_ALL=C", true },
		{ "LC_TIME=C.UTF-8", true },
		{ "LANG=", false },
		{ "LANG=/tmp/x", false },
		{ "LANG=..\n", false },
		{ "LANG=a b", false },
		{ "LANG", false },
		{ "LANGUAGE=de", false },
		{ "TERMINFO=/tmp/x", false },
		{ "TERMCAP=x", false },
		{ "LC_=x", false },
		{ "LC_1=x", false },
		{ "LC_ALL=%s%n", false },
		{ "LC_ABCDEFGHIJKLMNOPQRSTUVWXYZ=x", false },
		{ "LD_PRELOAD=x", false },
		{ "EDITOR=vi", false },
		{ "IFS=x", false },
		{ "PATH=x", false },
		{ "=x", false },
		{ "", false },
	};
	char long_one[128] = "LANG=";
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++)
		if (sb_proxy_is_env(cases[i].pair) != cases[i].is)
			fail_msg("'%s'", cases[i].pair);
	memset(long_one + 5, 'x', 100);
	assert_false(sb_proxy_is_env(long_one));
	assert_true(sb_proxy_passes(SIGINT) && sb_proxy_passes(SIGTERM) && sb_proxy_passes(SIGHUP));
	assert_false(sb_proxy_passes(SIGKILL) || sb_proxy_passes(SIGSTOP) || sb_proxy_passes(0) ||
		     sb_proxy_passes(-1) || sb_proxy_passes(NSIG));
}

static void round_trips(void **state)
{
	static const char *const env[] = { "PATH=/x", "TERM=vt100", "LD_PRELOAD=x", "LANG=C",
					   NULL };
	struct sb_proxy_call call;
	struct sb_proxy_request q;
	struct sb_proxy_wanted wanted;
	char words[256];
	(void)state;
	assert_int_equal(parse("at -mqb 10:30 tomorrow", false, &call), 0);
	assert_int_equal(sb_proxy_pack(&call, env, &q), 0);
	assert_int_equal(sb_proxy_unpack(&q, &wanted), 0);
	print_words(&wanted.call, words, sizeof(words));
	assert_string_equal(words, "at|-m|-q|b|10:30|tomorrow");
	assert_int_equal(wanted.n_env, 2);
	assert_string_equal(wanted.env[0], "TERM=vt100");
	assert_string_equal(wanted.env[1], "LANG=C");
}

static void does_not_pack_what_is_too_long(void **state)
{
	static const char *const env[] = { NULL };
	char line[SB_PROXY_WORD_MAX + 8] = "at ";
	struct sb_proxy_call call;
	struct sb_proxy_request q;
	(void)state;
	memset(line + 3, 'x', SB_PROXY_WORD_MAX);
	assert_int_equal(parse(line, false, &call), 0);
	assert_int_equal(sb_proxy_pack(&call, env, &q), -E2BIG);
	line[3 + SB_PROXY_WORD_MAX - 1] = '\0';
	assert_int_equal(parse(line, false, &call), 0);
	assert_int_equal(sb_proxy_pack(&call, env, &q), 0);
	for (size_t i = 1; i < SB_PROXY_OPERANDS_MAX; i++)
		call.operands[call.n_operands++] = call.operands[0];
	assert_int_equal(sb_proxy_pack(&call, env, &q), -E2BIG);
}

static void believes_no_request(void **state)
{
	static const char *const env[] = { "TERM=vt100", NULL };
	struct sb_proxy_call call;
	struct sb_proxy_request good, q;
	struct sb_proxy_wanted wanted;
	(void)state;
	assert_int_equal(parse("crontab -l", false, &call), 0);
	assert_int_equal(sb_proxy_pack(&call, env, &good), 0);
	const struct {
		uint32_t *field;
		uint32_t value;
	} cases[] = {
		{ &q.magic, 1 },
		{ &q.version, 2 },
		{ &q.n_words, 0 },
		{ &q.n_words, 3 }, /* then there is one pair too few */
		{ &q.n_words, SB_PROXY_WORDS_MAX + 1 },
		{ &q.n_words, UINT32_MAX },
		{ &q.n_env, 2 },
		{ &q.n_env, SB_PROXY_ENV_MAX + 1 },
		{ &q.n_env, UINT32_MAX },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		q = good;
		*cases[i].field = cases[i].value;
		if (sb_proxy_unpack(&q, &wanted) != -EPROTO)
			fail_msg("row %zu", i);
	}
	/* No end of a word in all of the text, and one that is too long. */
	q = good;
	memset(q.text, 'x', sizeof(q.text));
	assert_int_equal(sb_proxy_unpack(&q, &wanted), -EPROTO);
	q.text[SB_PROXY_WORD_MAX] = '\0';
	assert_int_equal(sb_proxy_unpack(&q, &wanted), -EPROTO);
	q = good;
	assert_int_equal(sb_proxy_unpack(&q, &wanted), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
		cmocka_unit_test(lets_through),
		cmocka_unit_test(leaves),
		cmocka_unit_test(holds_back),
		cmocka_unit_test(inside),
		cmocka_unit_test(too_many_words),
		cmocka_unit_test(environment),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(does_not_pack_what_is_too_long),
		cmocka_unit_test(believes_no_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
