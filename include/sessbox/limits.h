/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_LIMITS_H
#define SESSBOX_LIMITS_H

/*
 * The limits of a tenant's cgroup, as values, and the one table of them: cgroup backends, keys and
 * tables of sessctl go by it.
 */
#include <stddef.h>
#include <stdint.h>

/* In the order in which they are set and shown. */
enum sb_limit {
	SB_MEMORY_MAX,
	SB_MEMORY_SWAP_MAX,
	SB_TASKS_MAX,
	SB_CPU_QUOTA,
	SB_CPU_WEIGHT,
	SB_LIMITS_N
};

/* In sets of limits, such as those that a kernel cannot do. */
#define SB_LIMIT_BIT(limit) (1U << (limit))

/* SB_INFINITY (parse.h) = none. */
struct sb_limits {
	uint64_t memory_max;	  /* bytes */
	uint64_t memory_swap_max; /* bytes of swap, without memory */
	uint64_t tasks_max;	  /* processes and threads */
	uint64_t cpu_quota;	  /* microseconds of CPU time per second */
	uint64_t cpu_weight;	  /* 1-10000, 100 is the kernel's default */
};

struct sb_limit_row {
	const char *key; /* of the configuration: "MemoryMax" */
	size_t offset;	 /* of the value in struct sb_limits */
	uint64_t preset; /* the value that limits nothing */
};
extern const struct sb_limit_row sb_limit_rows[SB_LIMITS_N];

/* The value of one limit. */
void *sb_limit_at(struct sb_limits *limits, enum sb_limit limit);
const void *sb_limit_of(const struct sb_limits *limits, enum sb_limit limit);

/* All of them at what limits nothing. */
void sb_limits_init(struct sb_limits *limits);

/* Does this one limit nothing? */
int sb_limit_is_preset(const struct sb_limits *limits, enum sb_limit limit);

#endif
