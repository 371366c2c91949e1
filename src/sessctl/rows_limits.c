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

void ctl_limit_rows(const struct ctl_user *user, const struct sb_policy *policy,
		    const struct sb_config *config, struct ctl_limit *rows,
		    struct ctl_sources *sources)
{
	bool live = user && user->has_cgroup;
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++) {
		const struct sb_key *key = sb_key_find(sb_limit_rows[i].key);
		bool supported = !live || !(user->unsupported & SB_LIMIT_BIT(i));
		bool has_usage = usages[i] > 0;
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
			row->value.value = *(const uint64_t *)sb_limit_of(&user->limits, i);
		if (live && has_usage)
			row->usage.value = value_at(&user->usage, usages[i] - 1);
		row->usage.known = has_usage && row->usage.value != SB_INFINITY;
	}
}
