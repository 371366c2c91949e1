/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "rows.h"
#include "sessbox/parse.h"

#define NO_USAGE SIZE_MAX

/* What belongs to each limit; the key has the rest. */
static const struct {
	const char *name;
	enum sb_limit_bit bit;
	size_t usage; /* in struct sb_usage */
} limits[CTL_LIMITS_N] = {
	{ "MemoryMax", SB_LIMIT_MEMORY_MAX, offsetof(struct sb_usage, memory) },
	{ "MemorySwapMax", SB_LIMIT_MEMORY_SWAP_MAX, offsetof(struct sb_usage, swap) },
	{ "TasksMax", SB_LIMIT_TASKS_MAX, offsetof(struct sb_usage, tasks) },
	{ "CPUQuota", SB_LIMIT_CPU_QUOTA, NO_USAGE },
	{ "CPUWeight", SB_LIMIT_CPU_WEIGHT, NO_USAGE },
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

enum sb_limit_bit ctl_limit_bit(size_t i)
{
	return limits[i].bit;
}

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

void ctl_limit_rows(const struct ctl_user *user, const struct sb_policy *policy,
		    const struct sb_config *config, struct ctl_limit *rows,
		    struct ctl_sources *sources)
{
	bool live = user && user->has_cgroup;
	for (size_t i = 0; i < CTL_LIMITS_N; i++) {
		const struct sb_key *key = sb_key_find(limits[i].name);
		bool supported = !live || !(user->unsupported & limits[i].bit);
		bool has_usage = limits[i].usage != NO_USAGE;
		struct ctl_limit *row = &rows[i];
		*row = (struct ctl_limit){ .name = key->name, .supported = supported };
		row->value =
			(struct ctl_amount){ SB_INFINITY, key->type, supported, live || policy };
		row->usage = (struct ctl_amount){ 0, key->type, true, has_usage };
		if (policy) {
			row->value.value = value_at(&policy->set, key->offset);
			name_source(policy, config, key, sources->text[i],
				    sizeof(sources->text[i]));
			row->source = sources->text[i];
		}
		if (live && supported)
			row->value.value = value_at(
				&user->limits, key->offset - offsetof(struct sb_settings, limits));
		if (live && has_usage)
			row->usage.value = value_at(&user->usage, limits[i].usage);
		row->usage.known = has_usage && row->usage.value != SB_INFINITY;
	}
}
