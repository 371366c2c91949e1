/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "rows.h"
#include "sessbox/parse.h"

/* What is used of a limit: an offset in struct sb_usage, and 1 more so that 0 is none. */
#define USAGE(field) (offsetof(struct sb_usage, field) + 1)
static const size_t usages[SB_LIMITS_N] = {
	[SB_MEMORY_MAX] = USAGE(memory),
	[SB_MEMORY_SWAP_MAX] = USAGE(swap),
	[SB_TASKS_MAX] = USAGE(tasks),
};

#define COLUMN(member, name, type, flags)                                                          \
	{                                                                                          \
		name, type, offsetof(struct ctl_limit, member), flags                              \
	}

const struct ctl_column ctl_limit_columns[CTL_LIMIT_COLUMNS_N] = {
	COLUMN(name, "limit", CTL_TEXT, 0),	      COLUMN(value, "value", CTL_LIMIT, CTL_RIGHT),
	COLUMN(usage, "usage", CTL_LIMIT, CTL_RIGHT), COLUMN(supported, "supported", CTL_BOOL, 0),
	COLUMN(source, "source", CTL_TEXT, 0),
};

static uint64_t value_at(const void *base, size_t offset)
{
	return *(const uint64_t *)(const void *)((const char *)base + offset);
}

static void name_source(const struct sb_policy *policy, const struct sb_config *config,
			const struct sb_key *key, char *buf, size_t size)
{
	const struct sb_origin *origin = &policy->origins[key - sb_keys];
	if (origin->class)
		snprintf(buf, size, "%s [%s]", config->files.v[origin->file], origin->class->name);
	else
		sb_copy(buf, size, "default");
}

static void print_cpus(const void *value, char *buf, size_t size)
{
	sb_print_cpus(buf, size, value);
}

static void print_rates(const void *value, char *buf, size_t size)
{
	const struct sb_rates *rates = value;
	size_t len = 0;
	buf[0] = '\0';
	for (size_t i = 0; i < rates->n && len < size; i++) {
		char number[24];
		sb_print_rate(number, sizeof(number), rates->v[i].value);
		len += (size_t)snprintf(buf + len, size - len, "%s%s %s", len ? " " : "",
					rates->v[i].device, number);
	}
}

/* What there is besides the standard ones. */
static void print_devices(const void *value, char *buf, size_t size)
{
	const struct sb_devices *devices = value;
	size_t len = 0;
	sb_copy(buf, size, devices->filtered ? "" : "all");
	for (size_t i = 0; i < devices->n && len < size; i++) {
		char access[SB_ACCESS_MAX];
		sb_print_access(access, devices->v[i].access);
		len += (size_t)snprintf(buf + len, size - len, "%s%s %s", len ? " " : "",
					devices->v[i].path, access);
	}
}

static void (*const printers[])(const void *value, char *buf, size_t size) = {
	[SB_LIMIT_CPUS] = print_cpus,
	[SB_LIMIT_RATES] = print_rates,
	[SB_LIMIT_DEVICES] = print_devices,
};

/* text is used by limits that are more than a number; those that limit nothing are unknown then. */
static void put_value(const struct sb_limits *limits, enum sb_limit limit, struct ctl_amount *ret,
		      char text[CTL_CELL_MAX])
{
	const void *value = sb_limit_of(limits, limit);
	if (sb_limit_rows[limit].type == SB_LIMIT_NUMBER) {
		ret->value = *(const uint64_t *)value;
		return;
	}
	printers[sb_limit_rows[limit].type](value, text, CTL_CELL_MAX);
	ret->text = text;
	ret->known = *text;
}

/* His class' budget, if it has one. */
static size_t budget_rows(const struct ctl_user *user, const struct sb_policy *policy,
			  const struct sb_config *config, struct ctl_limit *rows,
			  struct ctl_sources *sources)
{
	bool live = user && user->has_cgroup;
	if (live ? !user->has_budget : !policy || !policy->budget)
		return 0;
	for (size_t i = 0; i < SB_BUDGETS_N; i++) {
		const struct sb_key *key = sb_key_find(sb_budget_rows[i].key);
		enum sb_limit limit = sb_budget_rows[i].limit;
		bool supported = !live || !(user->budget_unsupported & SB_LIMIT_BIT(limit));
		char *source = sources->text[SB_LIMITS_N + i];
		rows[i] = (struct ctl_limit){
			.name = key->name,
			.supported = supported,
			.value = { .type = key->type, .supported = supported, .known = true },
			.usage = { .type = key->type, .supported = true },
		};
		put_value(live ? &user->budget : &policy->set.budget, limit, &rows[i].value, NULL);
		if (live && usages[limit] > 0)
			rows[i].usage.value = value_at(&user->budget_usage, usages[limit] - 1);
		rows[i].usage.known =
			live && usages[limit] > 0 && rows[i].usage.value != SB_INFINITY;
		if (!policy)
			continue;
		name_source(policy, config, key, source, sizeof(sources->text[0]));
		rows[i].source = source;
	}
	return SB_BUDGETS_N;
}

size_t ctl_limit_rows(const struct ctl_user *user, const struct sb_policy *policy,
		      const struct sb_config *config, struct ctl_limit *rows,
		      struct ctl_sources *sources)
{
	bool live = user && user->has_cgroup;
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++) {
		const struct sb_key *key = sb_key_find(sb_limit_rows[i].key);
		bool seen = !live || !(user->unseen & SB_LIMIT_BIT(i));
		bool supported = !live || !seen || !(user->unsupported & SB_LIMIT_BIT(i));
		bool has_usage = usages[i] > 0;
		struct ctl_limit *row = &rows[i];
		*row = (struct ctl_limit){ .name = key->name, .supported = seen ? supported : -1 };
		row->value = (struct ctl_amount){ .value = SB_INFINITY,
						  .type = key->type,
						  .supported = supported,
						  .known = seen && (live || policy) };
		row->usage = (struct ctl_amount){ .type = key->type, .supported = true };
		if (policy) {
			put_value(&policy->set.limits, i, &row->value, sources->value[i]);
			name_source(policy, config, key, sources->text[i],
				    sizeof(sources->text[i]));
			row->source = sources->text[i];
		}
		if (live && seen && supported)
			put_value(&user->limits, i, &row->value, sources->value[i]);
		if (live && has_usage)
			row->usage.value = value_at(&user->usage, usages[i] - 1);
		row->usage.known = has_usage && row->usage.value != SB_INFINITY;
	}
	return SB_LIMITS_N + budget_rows(user, policy, config, rows + SB_LIMITS_N, sources);
}
