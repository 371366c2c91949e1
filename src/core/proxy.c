/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/proxy.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "sessbox/str.h"

#define MIB (UINT64_C(1) << 20)

/*
 * No option with a path, none for another user, none that is root's. A row for each name: atq and
 * atrm are links to at on most hosts, and what they lead to is what is covered.
 * A crontab is short: each of its lines is a process of cron's and one of ours, in a minute that
 * its user chooses.
 */
const struct sb_proxy_command sb_proxy_commands[] = {
	{ .name = "crontab",
	  .key = "crontab",
	  .path = "/usr/bin/crontab",
	  .options = "hilr",
	  .inside = "e",
	  .words = SB_PROXY_FILE,
	  .file_max = 8 << 10,
	  .spools = "/var/spool/cron/crontabs /var/spool/cron",
	  .spool_max = 20,
	  .spool_days = 1,
	  .leaves_none = "hlr",
	  .service = "cron" },
	{ .name = "at",
	  .key = "at",
	  .path = "/usr/bin/at",
	  .options = "bcdlmMq:rt:vV",
	  .inside = "f:",
	  .words = SB_PROXY_TIME,
	  .file_max = MIB,
	  .spools = "/var/spool/cron/atjobs /var/spool/at",
	  .spool_max = 100,
	  .leaves_none = "cdlrV",
	  .service = "atd",
	  .keeps_env = true },
	{ .name = "atq",
	  .key = "at",
	  .path = "/usr/bin/atq",
	  .options = "q:V",
	  .inside = "",
	  .words = SB_PROXY_JOBS },
	{ .name = "atrm",
	  .key = "at",
	  .path = "/usr/bin/atrm",
	  .options = "V",
	  .inside = "",
	  .words = SB_PROXY_JOBS },
	{ .name = "passwd",
	  .key = "passwd",
	  .path = "/usr/bin/passwd",
	  .options = "hkqS",
	  .inside = "",
	  .words = SB_PROXY_SELF },
	{ .name = "quota",
	  .key = "quota",
	  .path = "/usr/bin/quota",
	  .options = "gilmpqsuvwAQ",
	  .inside = "",
	  .words = SB_PROXY_SELF },
};
const size_t sb_proxy_commands_n = SB_ARRAY_SIZE(sb_proxy_commands);

const struct sb_proxy_command *sb_proxy_find(const char *name)
{
	for (size_t i = 0; i < sb_proxy_commands_n; i++)
		if (strcmp(sb_proxy_commands[i].name, name) == 0)
			return &sb_proxy_commands[i];
	return NULL;
}

bool sb_proxy_is_key(const char *text)
{
	for (size_t i = 0; i < sb_proxy_commands_n; i++)
		if (strcmp(sb_proxy_commands[i].key, text) == 0)
			return true;
	return false;
}

/* ---- a command line ---- */

static bool consists_of(const char *text, const char *of)
{
	return *text && text[strspn(text, of)] == '\0';
}

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* "10:30", "+", "2026-01-31": nothing that could be a path, or an option. */
static bool is_time(const char *text)
{
	return *text != '-' && *text != '/' && !strstr(text, "..") &&
	       consists_of(text, DIGITS LETTERS "+:.,/- ");
}

static bool is_number(const char *text)
{
	return consists_of(text, DIGITS);
}

static bool is_dash(const char *text)
{
	return strcmp(text, "-") == 0;
}

/* Whether it is the user's own name is asked by the broker, who knows it. */
static bool is_name(const char *text)
{
	return *text != '-' && consists_of(text, DIGITS LETTERS "_.-@\\+$");
}

static bool (*const operand_checks[])(const char *) = {
	[SB_PROXY_FILE] = is_dash,
	[SB_PROXY_TIME] = is_time,
	[SB_PROXY_JOBS] = is_number,
	[SB_PROXY_SELF] = is_name,
};

static int refuse(struct sb_proxy_call *call, const char *what, const char *text)
{
	snprintf(call->why, sizeof(call->why), "%s '%.40s' is not passed on to the host", what,
		 text);
	return -EPERM;
}

/* The letter in an option string, or NULL. */
static const char *find_option(const struct sb_proxy_command *command, char letter, bool inside)
{
	if (!strchr(LETTERS, letter))
		return NULL;
	const char *at = strchr(command->options, letter);
	return !at && inside ? strchr(command->inside, letter) : at;
}

static bool is_option_arg(const struct sb_proxy_command *command, char letter, const char *arg)
{
	return strchr(command->inside, letter) ? *arg != '\0' : is_time(arg);
}

static int add_option(struct sb_proxy_call *call, char letter, const char *arg)
{
	if (call->n_options == SB_PROXY_OPTIONS_MAX)
		return -E2BIG;
	call->options[call->n_options++] =
		(struct sb_proxy_option){ .text = { '-', letter, '\0' }, .arg = arg };
	return 0;
}

/* "-lv", "-qa" or "-q a", whose argument is the next word. Returns the number of words used. */
static int parse_options(struct sb_proxy_call *call, const char *word, const char *next,
			 bool inside)
{
	for (const char *s = word + 1; *s; s++) {
		const char *at = find_option(call->command, *s, inside), *arg = NULL;
		if (!at)
			return refuse(call, "the option", word);
		if (at[1] == ':') {
			arg = s[1] ? s + 1 : next;
			if (!arg || !is_option_arg(call->command, *s, arg))
				return refuse(call, "the argument of", word);
		}
		int r = add_option(call, *s, arg);
		if (r < 0 || arg)
			return r < 0 ? r : 1 + (arg == next);
	}
	return 1;
}

static int parse_operand(struct sb_proxy_call *call, const char *word, bool inside)
{
	bool (*check)(const char *) = operand_checks[call->command->words];
	bool opened = inside && call->command->words == SB_PROXY_FILE && *word;
	if (!opened && !check(word))
		return refuse(call, "the word", word);
	if (call->n_operands == SB_PROXY_OPERANDS_MAX)
		return -E2BIG;
	call->operands[call->n_operands++] = word;
	return 1;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

int sb_proxy_parse(size_t argc, const char *const *argv, bool inside, struct sb_proxy_call *ret)
{
	*ret = (struct sb_proxy_call){ .command = argc ? sb_proxy_find(base_name(argv[0])) : NULL };
	if (!ret->command)
		return refuse(ret, "the command", argc ? base_name(argv[0]) : "");
	for (size_t i = 1; i < argc;) {
		const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
		int used = word[0] == '-' && word[1] ? parse_options(ret, word, next, inside)
						     : parse_operand(ret, word, inside);
		if (used < 0)
			return used;
		i += (size_t)used;
	}
	return 0;
}

size_t sb_proxy_words(const struct sb_proxy_call *call, const char **words)
{
	size_t n = 0;
	words[n++] = call->command->name;
	for (size_t i = 0; i < call->n_options; i++) {
		words[n++] = call->options[i].text;
		if (call->options[i].arg)
			words[n++] = call->options[i].arg;
	}
	for (size_t i = 0; i < call->n_operands; i++)
		words[n++] = call->operands[i];
	return n;
}

bool sb_proxy_leaves_none(const struct sb_proxy_call *call)
{
	const char *letters = call->command->leaves_none;
	for (size_t i = 0; letters && i < call->n_options; i++)
		if (strchr(letters, call->options[i].text[1]))
			return true;
	return false;
}

bool sb_proxy_is_env(const char *pair)
{
	const char *value = strchr(pair, '=');
	size_t len = value ? (size_t)(value - pair) : 0;
	if (!value || strlen(value) > 64 || !consists_of(value + 1, DIGITS LETTERS "_.@+-"))
		return false;
	if (strncmp(pair, "LC_", 3) == 0)
		return len > 3 && len < 24 && strspn(pair, LETTERS "_") == len;
	return strncmp(pair, "TERM=", 5) == 0 || strncmp(pair, "LANG=", 5) == 0;
}

/* ---- messages ---- */

bool sb_proxy_passes(int sig)
{
	return sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT;
}

static int append(struct sb_proxy_request *q, size_t *at, const char *text)
{
	size_t size = strlen(text) + 1;
	if (size > SB_PROXY_WORD_MAX || size > sizeof(q->text) - *at)
		return -E2BIG;
	memcpy(q->text + *at, text, size);
	*at += size;
	return 0;
}

int sb_proxy_pack(const struct sb_proxy_call *call, const char *const *env,
		  struct sb_proxy_request *ret)
{
	const char *words[SB_PROXY_WORDS_MAX];
	size_t n = sb_proxy_words(call, words), at = 0;
	*ret = (struct sb_proxy_request){ .magic = SB_PROXY_MAGIC,
					  .version = SB_PROXY_VERSION,
					  .n_words = (uint32_t)n };
	for (size_t i = 0; i < n; i++)
		if (append(ret, &at, words[i]) < 0)
			return -E2BIG;
	for (; *env && ret->n_env < SB_PROXY_ENV_MAX; env++)
		if (sb_proxy_is_env(*env) && append(ret, &at, *env) == 0)
			ret->n_env++;
	return 0;
}

/* The next string of the text, or NULL. */
static const char *take(const struct sb_proxy_request *q, size_t *at)
{
	const char *text = q->text + *at;
	const char *end = memchr(text, '\0', sizeof(q->text) - *at);
	if (!end || end - text >= SB_PROXY_WORD_MAX)
		return NULL;
	*at += (size_t)(end - text) + 1;
	return text;
}

int sb_proxy_unpack(const struct sb_proxy_request *q, struct sb_proxy_wanted *ret)
{
	const char *words[SB_PROXY_WORDS_MAX];
	size_t at = 0;
	*ret = (struct sb_proxy_wanted){ .n_env = 0 };
	if (q->magic != SB_PROXY_MAGIC || q->version != SB_PROXY_VERSION || q->n_words == 0 ||
	    q->n_words > SB_PROXY_WORDS_MAX || q->n_env > SB_PROXY_ENV_MAX)
		return -EPROTO;
	for (size_t i = 0; i < q->n_words; i++)
		if (!(words[i] = take(q, &at)))
			return -EPROTO;
	for (size_t i = 0; i < q->n_env; i++) {
		const char *pair = take(q, &at);
		if (!pair || !sb_proxy_is_env(pair))
			return -EPROTO;
		ret->env[ret->n_env++] = pair;
	}
	return sb_proxy_parse(q->n_words, words, false, &ret->call);
}
