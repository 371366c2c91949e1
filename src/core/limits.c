/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER(key, field, preset)                                                                 \
	{                                                                                          \
		key, SB_LIMIT_NUMBER, offsetof(struct sb_limits, field), preset                    \
	}
#define OTHER(key, field, type)                                                                    \
	{                                                                                          \
		key, type, offsetof(struct sb_limits, field), 0                                    \
	}

const struct sb_limit_row sb_limit_rows[SB_LIMITS_N] = {
	[SB_MEMORY_MAX] = NUMBER("MemoryMax", memory_max, UINT64_MAX),
	[SB_MEMORY_HIGH] = NUMBER("MemoryHigh", memory_high, UINT64_MAX),
	[SB_MEMORY_SWAP_MAX] = NUMBER("MemorySwapMax", memory_swap_max, UINT64_MAX),
	[SB_TASKS_MAX] = NUMBER("TasksMax", tasks_max, UINT64_MAX),
	[SB_CPU_QUOTA] = NUMBER("CPUQuota", cpu_quota, UINT64_MAX),
	[SB_CPU_WEIGHT] = NUMBER("CPUWeight", cpu_weight, 100),
	[SB_ALLOWED_CPUS] = OTHER("AllowedCPUs", allowed_cpus, SB_LIMIT_CPUS),
	[SB_IO_WEIGHT] = NUMBER("IOWeight", io_weight, 100),
	[SB_IO_READ_BANDWIDTH_MAX] =
		OTHER("IOReadBandwidthMax", io_read_bandwidth_max, SB_LIMIT_RATES),
	[SB_IO_WRITE_BANDWIDTH_MAX] =
		OTHER("IOWriteBandwidthMax", io_write_bandwidth_max, SB_LIMIT_RATES),
	[SB_IO_READ_IOPS_MAX] = OTHER("IOReadIOPSMax", io_read_iops_max, SB_LIMIT_RATES),
	[SB_IO_WRITE_IOPS_MAX] = OTHER("IOWriteIOPSMax", io_write_iops_max, SB_LIMIT_RATES),
	[SB_DEVICE_ALLOW] = OTHER("DeviceAllow", devices, SB_LIMIT_DEVICES),
};

const struct sb_budget_row sb_budget_rows[SB_BUDGETS_N] = {
	{ "ClassMemoryMax", SB_MEMORY_MAX },
	{ "ClassTasksMax", SB_TASKS_MAX },
	{ "ClassCPUQuota", SB_CPU_QUOTA },
};

static const size_t sizes[] = {
	[SB_LIMIT_NUMBER] = sizeof(uint64_t),
	[SB_LIMIT_CPUS] = sizeof(struct sb_cpus),
	[SB_LIMIT_RATES] = sizeof(struct sb_rates),
	[SB_LIMIT_DEVICES] = sizeof(struct sb_devices),
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
	*limits = (struct sb_limits){ 0 };
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++)
		if (sb_limit_rows[i].type == SB_LIMIT_NUMBER)
			*(uint64_t *)sb_limit_at(limits, i) = sb_limit_rows[i].preset;
}

/* Releases what one of the owning types holds. */
static void clear_one(struct sb_limits *limits, enum sb_limit limit)
{
	if (sb_limit_rows[limit].type == SB_LIMIT_RATES)
		sb_rates_clear(sb_limit_at(limits, limit));
	if (sb_limit_rows[limit].type == SB_LIMIT_DEVICES)
		sb_devices_clear(sb_limit_at(limits, limit));
}

void sb_limits_clear(struct sb_limits *limits)
{
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++)
		clear_one(limits, i);
	sb_limits_init(limits);
}

bool sb_limit_is_preset(const struct sb_limits *limits, enum sb_limit limit)
{
	const void *value = sb_limit_of(limits, limit);
	if (sb_limit_rows[limit].type == SB_LIMIT_NUMBER)
		return *(const uint64_t *)value == sb_limit_rows[limit].preset;
	if (sb_limit_rows[limit].type == SB_LIMIT_CPUS)
		return sb_cpus_empty(value);
	if (sb_limit_rows[limit].type == SB_LIMIT_DEVICES)
		return !((const struct sb_devices *)value)->filtered;
	return ((const struct sb_rates *)value)->n == 0;
}

void sb_limit_move(struct sb_limits *to, struct sb_limits *from, enum sb_limit limit)
{
	struct sb_limits none;
	size_t size = sizes[sb_limit_rows[limit].type];
	sb_limits_init(&none);
	clear_one(to, limit);
	memcpy(sb_limit_at(to, limit), sb_limit_of(from, limit), size);
	memcpy(sb_limit_at(from, limit), sb_limit_of(&none, limit), size);
}

bool sb_cpus_has(const struct sb_cpus *cpus, unsigned int cpu)
{
	return cpu < SB_CPUS_MAX && cpus->bits[cpu / 64] >> cpu % 64 & 1;
}

void sb_cpus_add(struct sb_cpus *cpus, unsigned int cpu)
{
	if (cpu < SB_CPUS_MAX)
		cpus->bits[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

bool sb_cpus_empty(const struct sb_cpus *cpus)
{
	static const struct sb_cpus none;
	return memcmp(cpus, &none, sizeof(none)) == 0;
}

int sb_rates_set(struct sb_rates *rates, const char *device, uint64_t value)
{
	for (size_t i = 0; i < rates->n; i++) {
		if (strcmp(rates->v[i].device, device) != 0)
			continue;
		rates->v[i].value = value;
		return 0;
	}
	struct sb_rate *v = reallocarray(rates->v, rates->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	rates->v = v;
	v[rates->n] = (struct sb_rate){ strdup(device), value };
	if (!v[rates->n].device)
		return -ENOMEM;
	rates->n++;
	return 0;
}

void sb_rates_clear(struct sb_rates *rates)
{
	for (size_t i = 0; i < rates->n; i++)
		free(rates->v[i].device);
	free(rates->v);
	*rates = (struct sb_rates){ 0 };
}

int sb_devices_set(struct sb_devices *devices, const struct sb_device *device)
{
	for (size_t i = 0; i < devices->n; i++) {
		if (strcmp(devices->v[i].path, device->path) != 0)
			continue;
		devices->v[i].access = device->access;
		devices->v[i].optional = device->optional;
		return 0;
	}
	struct sb_device *v = reallocarray(devices->v, devices->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	devices->v = v;
	v[devices->n] =
		(struct sb_device){ strdup(device->path), device->access, device->optional };
	if (!v[devices->n].path)
		return -ENOMEM;
	devices->n++;
	return 0;
}

void sb_devices_clear(struct sb_devices *devices)
{
	for (size_t i = 0; i < devices->n; i++)
		free(devices->v[i].path);
	free(devices->v);
	*devices = (struct sb_devices){ 0 };
}
