/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The numbers that files of a cgroup hold: one alone, or one of many lines "KEY NUMBER"; and the
 * limits that are such a number. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"

/* Above the kernel's largest number of processes (pid_max) pids.max is EINVAL. */
#define TASKS_LIMIT ((uint64_t)4194304)
/* The kernel refuses less than a millisecond in each period. */
#define QUOTA_MIN 1000
#define USEC_PER_SEC 1000000

int sb_cgroup_number(const char *text, uint64_t *ret)
{
	char digits[24];
	size_t len = strcspn(text, "\n");
	if (len >= sizeof(digits) || (text[len] && text[len + 1]))
		return -EBADMSG;
	memcpy(digits, text, len);
	digits[len] = '\0';
	return sb_parse_u64(digits, ret) < 0 ? -EBADMSG : 0;
}

int sb_cgroup_keyed(const char *text, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);
	char number[24];
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) != 0 || line[len] != ' ')
			continue;
		size_t n = strcspn(line + len + 1, "\n");
		if (n >= sizeof(number))
			return -EBADMSG;
		memcpy(number, line + len + 1, n);
		number[n] = '\0';
		return sb_cgroup_number(number, ret);
	}
	return -ENOENT;
}

int sb_cgroup_read_number(int dir, const char *file, const char *infinite, uint64_t *ret)
{
	char text[64];
	ssize_t n = sb_read_file(dir, file, text, sizeof(text));
	if (n < 0)
		return (int)n;
	size_t len = infinite ? strlen(infinite) : 0;
	if (!infinite || strncmp(text, infinite, len) != 0)
		return sb_cgroup_number(text, ret);
	if (text[len] && strcmp(text + len, "\n") != 0)
		return -EBADMSG;
	*ret = SB_INFINITY;
	return 0;
}

int sb_cgroup_write_number(int dir, const char *file, const char *infinite, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return sb_write_file(dir, file, infinite && value == SB_INFINITY ? infinite : text);
}

uint64_t sb_cgroup_quota(uint64_t per_second)
{
	uint64_t part = USEC_PER_SEC / SB_CPU_PERIOD;
	uint64_t quota = per_second / part + (per_second % part > 0);
	return quota < QUOTA_MIN ? QUOTA_MIN : quota;
}

uint64_t sb_cgroup_per_second(uint64_t quota, uint64_t period)
{
	uint64_t whole;
	if (__builtin_mul_overflow(quota / period, (uint64_t)USEC_PER_SEC, &whole))
		return SB_INFINITY;
	return whole + quota % period * USEC_PER_SEC / period;
}

int sb_limit_write_max(int dir, const struct sb_cgroup_limit *row, const void *value,
		       const struct sb_limits *limits)
{
	(void)limits;
	return sb_cgroup_write_number(dir, row->file, "max", *(const uint64_t *)value);
}

int sb_limit_read_max(int dir, const struct sb_cgroup_limit *row, void *ret)
{
	return sb_cgroup_read_number(dir, row->file, "max", ret);
}

int sb_limit_write_tasks(int dir, const struct sb_cgroup_limit *row, const void *value,
			 const struct sb_limits *limits)
{
	uint64_t tasks = *(const uint64_t *)value;
	(void)limits;
	return sb_cgroup_write_number(dir, row->file, "max",
				      tasks > TASKS_LIMIT ? SB_INFINITY : tasks);
}
