/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Limits that are more than a number. */
#include "sessbox/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SEPARATORS " \t,"

/* One "3" or "0-3" of a list. */
static int add_range(struct sb_cpus *cpus, const char *text, size_t len)
{
	char first[24], *dash;
	uint64_t low, high;
	if (len >= sizeof(first))
		return -EINVAL;
	memcpy(first, text, len);
	first[len] = '\0';
	dash = strchr(first, '-');
	if (dash)
		*dash = '\0';
	if (sb_parse_u64(first, &low) < 0 || sb_parse_u64(dash ? dash + 1 : first, &high) < 0)
		return -EINVAL;
	if (high < low || high >= SB_CPUS_MAX)
		return -ERANGE;
	for (uint64_t cpu = low; cpu <= high; cpu++)
		sb_cpus_add(cpus, (unsigned int)cpu);
	return 0;
}

int sb_parse_cpus(const char *text, struct sb_cpus *ret)
{
	struct sb_cpus cpus = { 0 };
	for (text += strspn(text, SEPARATORS); *text; text += strspn(text, SEPARATORS)) {
		size_t len = strcspn(text, SEPARATORS);
		int r = add_range(&cpus, text, len);
		if (r < 0)
			return r;
		text += len;
	}
	*ret = cpus;
	return 0;
}

void sb_print_cpus(char *buf, size_t size, const struct sb_cpus *cpus)
{
	size_t len = 0;
	buf[0] = '\0';
	for (unsigned int cpu = 0; cpu < SB_CPUS_MAX && len < size; cpu++) {
		unsigned int first = cpu;
		if (!sb_cpus_has(cpus, cpu))
			continue;
		while (sb_cpus_has(cpus, cpu + 1))
			cpu++;
		len += (size_t)snprintf(buf + len, size - len, first == cpu ? "%s%u" : "%s%u-%u",
					len ? "," : "", first, cpu);
	}
}

static const char suffixes[] = "KMGT";

static int parse_rate(const char *text, uint64_t *ret)
{
	char digits[24];
	uint64_t value;
	size_t len = strspn(text, "0123456789");
	const char *suffix = text[len] ? strchr(suffixes, text[len]) : NULL;
	if (strcmp(text, "infinity") == 0) {
		*ret = SB_INFINITY;
		return 0;
	}
	if (len == 0 || len >= sizeof(digits) || (text[len] && (!suffix || text[len + 1])))
		return -EINVAL;
	memcpy(digits, text, len);
	digits[len] = '\0';
	int r = sb_parse_u64(digits, &value);
	for (const char *s = suffixes; r == 0 && suffix && s <= suffix; s++)
		if (__builtin_mul_overflow(value, 1000, &value))
			r = -ERANGE;
	if (r == 0 && (value == 0 || value == SB_INFINITY))
		r = -ERANGE;
	if (r == 0)
		*ret = value;
	return r;
}

int sb_parse_rates(const char *text, struct sb_rates *ret)
{
	struct sb_strv words = { 0 };
	struct sb_rates rates = { 0 };
	int r = sb_parse_words(text, &words);
	if (r == 0 && words.n % 2)
		r = -EINVAL;
	for (size_t i = 0; r == 0 && i < words.n; i += 2) {
		uint64_t value;
		r = sb_parse_is_plain_path(words.v[i]) ? parse_rate(words.v[i + 1], &value)
						       : -EINVAL;
		if (r == 0)
			r = sb_rates_set(&rates, words.v[i], value);
	}
	sb_strv_clear(&words);
	if (r < 0)
		sb_rates_clear(&rates);
	else
		*ret = rates;
	return r;
}

void sb_print_rate(char *buf, size_t size, uint64_t value)
{
	size_t i = 0;
	if (value == SB_INFINITY) {
		sb_copy(buf, size, "infinity");
		return;
	}
	for (; value > 0 && value % 1000 == 0 && suffixes[i]; i++)
		value /= 1000;
	sb_format(buf, size, i ? "%" PRIu64 "%c" : "%" PRIu64, value, suffixes[i ? i - 1 : 0]);
}
