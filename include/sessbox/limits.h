/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_LIMITS_H
#define SESSBOX_LIMITS_H

/* The limits of a tenant's cgroup, as values. SB_INFINITY (parse.h) = none. */
#include <stdint.h>

struct sb_limits {
	uint64_t memory_max;	  /* bytes */
	uint64_t memory_swap_max; /* bytes of swap, without memory */
	uint64_t tasks_max;	  /* processes and threads */
	uint64_t cpu_quota;	  /* microseconds of CPU time per second */
	uint64_t cpu_weight;	  /* 1-10000, 100 is the kernel's default */
};

#endif
