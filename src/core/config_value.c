/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From the text of a value to the field it belongs to, by the key's type. */
#include "config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "sessbox/io.h"
#include "sessbox/parse.h"

int sb_config_fail_within(struct sb_err *err, const struct sb_place *at)
{
	char line[16] = "", section[SB_SECTION_MAX + 4] = "";
	if (!err)
		return -EINVAL;
	if (at->line)
		sb_format(line, sizeof(line), ":%u", at->line);
	if (at->section)
		sb_format(section, sizeof(section), " [%s]", at->section);
	return sb_fail_within(err, "%s%s%s%s%s%s", at->file ? at->file : "", line,
			      at->section || at->key ? ":" : "", section, at->key ? " " : "",
			      at->key ? at->key : "");
}

int sb_config_fail(struct sb_err *err, const struct sb_place *at, const char *fmt, ...)
{
	char text[sizeof(err->msg)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sb_fail_plain(err, EINVAL, "%s", text);
	sb_config_fail_within(err, at);
	return -EINVAL;
}

static uint64_t machine_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

static uint64_t read_number(const char *path)
{
	char buf[32];
	uint64_t v;
	ssize_t n = sb_read_file(AT_FDCWD, path, buf, sizeof(buf));
	if (n > 0 && buf[n - 1] == '\n')
		buf[n - 1] = '\0';
	return n > 0 && sb_parse_u64(buf, &v) == 0 ? v : 0;
}

static uint64_t machine_tasks(void)
{
	uint64_t pids = read_number("/proc/sys/kernel/pid_max");
	uint64_t threads = read_number("/proc/sys/kernel/threads-max");
	return pids && (pids < threads || !threads) ? pids : threads;
}

/* What a percentage is one of; the look-up is made only when there is a percentage. */
static uint64_t whole_of(const char *text, uint64_t (*look_up)(void))
{
	return sb_parse_is_percent(text) ? look_up() : 0;
}

static int parse_bool(const struct sb_key *key, const char *text, void *field)
{
	(void)key;
	return sb_parse_bool(text, field);
}

/* Numbers differ in syntax alone. */
static int parse_number(const struct sb_key *key, const char *text, void *field)
{
	uint64_t v = 0;
	int r = -EINVAL;
	switch (key->type) {
	case SB_TYPE_SIZE:
		r = sb_parse_size(text, whole_of(text, machine_memory), &v);
		break;
	case SB_TYPE_COUNT:
		r = sb_parse_count(text, whole_of(text, machine_tasks), &v);
		break;
	case SB_TYPE_NUMBER:
		r = sb_parse_count(text, 0, &v);
		break;
	case SB_TYPE_QUOTA:
		r = sb_parse_cpu_quota(text, &v);
		break;
	case SB_TYPE_SPAN:
		r = sb_parse_span(text, &v);
		break;
	default:
		r = sb_parse_u64(text, &v);
		break;
	}
	if (r == 0 && (v < key->min || v > key->max))
		r = -ERANGE;
	if (r == 0)
		*(uint64_t *)field = v;
	return r;
}

static int parse_choice(const struct sb_key *key, const char *text, void *field)
{
	for (unsigned int i = 0; key->choices[i]; i++) {
		if (strcasecmp(key->choices[i], text) == 0) {
			*(unsigned int *)field = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_words(const struct sb_key *key, const char *text, void *field)
{
	struct sb_strv list = { 0 };
	int r = sb_parse_words(text, &list);
	for (size_t i = 0; r == 0 && i < list.n; i++)
		if (key->check && !key->check(list.v[i]))
			r = -EINVAL;
	if (r < 0) {
		sb_strv_clear(&list);
		return r;
	}
	sb_strv_clear(field);
	*(struct sb_strv *)field = list;
	return 0;
}

/* The first word of a list that is none for the key, or NULL: a long list is not looked through by
 * whoever reads the message. */
static char *find_bad_word(const struct sb_key *key, const char *text)
{
	struct sb_strv list = { 0 };
	char *bad = NULL;
	bool readable =
		key->type == SB_TYPE_WORDS && key->check && sb_parse_words(text, &list) == 0;
	for (size_t i = 0; readable && !bad && i < list.n; i++)
		if (!key->check(list.v[i]))
			bad = sb_steal_ptr(&list.v[i]);
	sb_strv_clear(&list);
	return bad;
}

static int fail_value(const struct sb_key *key, const char *text, struct sb_err *err)
{
	cleanup_free char *bad = find_bad_word(key, text);
	return sb_fail_plain(err, EINVAL, "expected %s, got '%.60s'", key->expected,
			     bad ? bad : text);
}

static int parse_string(const struct sb_key *key, const char *text, void *field)
{
	struct sb_strv list = { 0 };
	int r = sb_parse_words(text, &list);
	if (r == 0 && (list.n != 1 || (key->check && !key->check(list.v[0]))))
		r = -EINVAL;
	if (r == 0) {
		free(*(char **)field);
		*(char **)field = sb_steal_ptr(&list.v[0]);
	}
	sb_strv_clear(&list);
	return r;
}

static int parse_cpus(const struct sb_key *key, const char *text, void *field)
{
	struct sb_strv list = { 0 };
	struct sb_cpus all = { 0 }, some;
	(void)key;
	int r = sb_parse_words(text, &list);
	for (size_t i = 0; r == 0 && i < list.n; i++) {
		r = sb_parse_cpus(list.v[i], &some);
		for (size_t k = 0; r == 0 && k < SB_ARRAY_SIZE(all.bits); k++)
			all.bits[k] |= some.bits[k];
	}
	sb_strv_clear(&list);
	if (r == 0)
		*(struct sb_cpus *)field = all;
	return r;
}

static int parse_rates(const struct sb_key *key, const char *text, void *field)
{
	struct sb_rates rates;
	(void)key;
	int r = sb_parse_rates(text, &rates);
	if (r < 0)
		return r;
	sb_rates_clear(field);
	*(struct sb_rates *)field = rates;
	return 0;
}

static int parse_devices(const struct sb_key *key, const char *text, void *field)
{
	struct sb_devices devices;
	(void)key;
	int r = sb_parse_devices(text, &devices);
	if (r < 0)
		return r;
	sb_devices_clear(field);
	*(struct sb_devices *)field = devices;
	return 0;
}

static int parse_caps(const struct sb_key *key, const char *text, void *field)
{
	(void)key;
	return sb_parse_capabilities(text, field);
}

static int (*const parsers[])(const struct sb_key *key, const char *text, void *field) = {
	[SB_TYPE_BOOL] = parse_bool,	 [SB_TYPE_SIZE] = parse_number,
	[SB_TYPE_COUNT] = parse_number,	 [SB_TYPE_QUOTA] = parse_number,
	[SB_TYPE_NUMBER] = parse_number, [SB_TYPE_WEIGHT] = parse_number,
	[SB_TYPE_SPAN] = parse_number,	 [SB_TYPE_WORDS] = parse_words,
	[SB_TYPE_STRING] = parse_string, [SB_TYPE_CHOICE] = parse_choice,
	[SB_TYPE_CPUS] = parse_cpus,	 [SB_TYPE_RATES] = parse_rates,
	[SB_TYPE_CAPS] = parse_caps,	 [SB_TYPE_DEVICES] = parse_devices,
};

int sb_config_parse_value(const struct sb_key *key, const char *text, void *base,
			  struct sb_err *err)
{
	cleanup_free char *inner = NULL;
	const char *bare = text;
	size_t len = strlen(text);
	/* Words see to their quotes themselves. */
	bool quoted = len >= 2 && (text[0] == '"' || text[0] == '\'') && text[len - 1] == text[0];
	if (quoted && !sb_key_is_list(key) && key->type != SB_TYPE_STRING) {
		inner = strndup(text + 1, len - 2);
		if (!inner)
			return sb_fail(err, ENOMEM, "%s", key->name);
		bare = inner;
	}
	int r = parsers[key->type](key, bare, (char *)base + key->offset);
	if (r == -ENOMEM)
		return sb_fail(err, ENOMEM, "%s", key->name);
	if (r < 0)
		return fail_value(key, text, err);
	return 0;
}

/* Releases what one of the owning types holds. */
static void clear_field(const struct sb_key *key, void *base)
{
	void *field = (char *)base + key->offset;
	if (key->type == SB_TYPE_WORDS)
		sb_strv_clear(field);
	if (key->type == SB_TYPE_STRING)
		free(sb_steal_ptr(field));
	if (key->type == SB_TYPE_RATES)
		sb_rates_clear(field);
	if (key->type == SB_TYPE_DEVICES)
		sb_devices_clear(field);
}

void sb_settings_clear(struct sb_settings *settings)
{
	for (size_t i = 0; i < sb_keys_n; i++)
		if (sb_keys[i].kind != SB_KEY_MATCH)
			clear_field(&sb_keys[i], settings);
	*settings = (struct sb_settings){ 0 };
}

const char *sb_config_scan_value(const char *value)
{
	size_t len = strlen(value);
	if (value[0] == '"' || value[0] == '\'') {
		const char *end = strchr(value + 1, value[0]);
		if (!end)
			return "the closing quote is missing";
		if (end[1])
			return "nothing may follow the closing quote (a blank within a name is "
			       "\\x20)";
		if (memchr(value, '\\', len))
			return "no backslash may stand in a quoted value";
		return NULL;
	}
	if (len > 0 && value[len - 1] == '\\')
		return "a line cannot be continued by a backslash";
	if (strpbrk(value, "#;"))
		return "an unquoted # or ; would end the value: quote the whole value, or give the "
		       "comment its own line";
	return NULL;
}

int sb_config_check_value(const struct sb_key *key, const char *text, struct sb_err *err)
{
	union {
		struct sb_settings settings;
		struct sb_match match;
	} scratch = { 0 };
	const char *fault = sb_config_scan_value(text);
	if (!fault && strlen(text) + strlen(key->name) + strlen("+=") > SB_CONFIG_LINE_MAX)
		fault = "expected a shorter value";
	for (const char *p = text; !fault && *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			fault = "expected text without control characters";
	if (fault)
		return sb_fail_plain(err, EINVAL, "%s, got '%.60s'", fault, text);
	int r = sb_config_parse_value(key, text, &scratch, err);
	clear_field(key, &scratch);
	return r;
}
