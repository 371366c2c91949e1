/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/limits.h"

#define ROW(key, field, preset)                                                                    \
	{                                                                                          \
		key, offsetof(struct sb_limits, field), preset                                     \
	}

const struct sb_limit_row sb_limit_rows[SB_LIMITS_N] = {
	[SB_MEMORY_MAX] = ROW("MemoryMax", memory_max, UINT64_MAX),
	[SB_MEMORY_SWAP_MAX] = ROW("MemorySwapMax", memory_swap_max, UINT64_MAX),
	[SB_TASKS_MAX] = ROW("TasksMax", tasks_max, UINT64_MAX),
	[SB_CPU_QUOTA] = ROW("CPUQuota", cpu_quota, UINT64_MAX),
	[SB_CPU_WEIGHT] = ROW("CPUWeight", cpu_weight, 100),
};

void *sb_limit_at(struct sb_limits *limits, enum sb_limit limit)
{
	return (char *)limits + sb_limit_rows[limit].offset;
}

const void *sb_limit_of(const struct sb_limits *limits, enum sb_limit limit)
{
	return (const char *)limits + sb_limit_rows[limit].offset;
}

void sb_limits_init(struct sb_limits *limits)
{
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++)
		*(uint64_t *)sb_limit_at(limits, i) = sb_limit_rows[i].preset;
}

int sb_limit_is_preset(const struct sb_limits *limits, enum sb_limit limit)
{
	return *(const uint64_t *)sb_limit_of(limits, limit) == sb_limit_rows[limit].preset;
}
