/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The CPUs of a group. v1 refuses a set that is not within the parent's; v2 takes any and, if none
 * of it is there, gives the group all of the parent's: both are asked for what there is.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"

#define LIST_MAX 4096

static int read_set(int dir, const char *file, struct sb_cpus *ret)
{
	char text[LIST_MAX];
	ssize_t n = sb_read_file(dir, file, text, sizeof(text));
	if (n < 0)
		return (int)n;
	text[strcspn(text, "\n")] = '\0';
	return sb_parse_cpus(text, ret) < 0 ? -EBADMSG : 0;
}

/* The row's key is the parent's file: what can be had. */
static int write_set(int dir, const struct sb_cgroup_limit *row, const struct sb_cpus *cpus)
{
	char text[LIST_MAX];
	struct sb_cpus now;
	int r = read_set(dir, row->file, &now);
	if (r < 0 || memcmp(&now, cpus, sizeof(now)) == 0)
		return r;
	sb_print_cpus(text, sizeof(text), cpus);
	strcat(text, "\n"); /* an empty write would be none */
	return sb_write_file(dir, row->file, text);
}

int sb_limit_write_cpus(int dir, const struct sb_cgroup_limit *row, const void *value,
			const struct sb_limits *limits)
{
	struct sb_cpus cpus = *(const struct sb_cpus *)value, there;
	bool v1 = strcmp(row->key, "../cpuset.cpus") == 0;
	(void)limits;
	if (sb_cpus_empty(&cpus) && !v1)
		return write_set(dir, row, &cpus);
	int r = read_set(dir, row->key, &there);
	if (r < 0)
		return r;
	if (sb_cpus_empty(&cpus))
		return write_set(dir, row, &there);
	for (size_t i = 0; i < sizeof(cpus.bits) / sizeof(cpus.bits[0]); i++)
		cpus.bits[i] &= there.bits[i];
	return sb_cpus_empty(&cpus) ? -ERANGE : write_set(dir, row, &cpus);
}

int sb_limit_read_cpus(int dir, const struct sb_cgroup_limit *row, void *ret)
{
	struct sb_cpus cpus, there;
	int r = read_set(dir, row->file, &cpus);
	/* In v1 no limit is the parent's set. */
	if (r == 0 && strcmp(row->key, "../cpuset.cpus") == 0 &&
	    read_set(dir, row->key, &there) == 0 && memcmp(&cpus, &there, sizeof(cpus)) == 0)
		cpus = (struct sb_cpus){ 0 };
	if (r == 0)
		*(struct sb_cpus *)ret = cpus;
	return r;
}
