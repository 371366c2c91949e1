/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_LIMITS_H
#define SESSBOX_LIMITS_H

/*
 * The limits of a tenant's cgroup, as values, and the one table of them: cgroup backends, keys and
 * tables of sessctl go by it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which they are set and shown. */
enum sb_limit {
	SB_MEMORY_MAX,
	SB_MEMORY_HIGH,
	SB_MEMORY_SWAP_MAX,
	SB_TASKS_MAX,
	SB_CPU_QUOTA,
	SB_CPU_WEIGHT,
	SB_ALLOWED_CPUS,
	SB_IO_WEIGHT,
	SB_IO_READ_BANDWIDTH_MAX,
	SB_IO_WRITE_BANDWIDTH_MAX,
	SB_IO_READ_IOPS_MAX,
	SB_IO_WRITE_IOPS_MAX,
	SB_DEVICE_ALLOW,
	SB_LIMITS_N
};

/* In sets of limits, such as those that a kernel cannot do. */
#define SB_LIMIT_BIT(limit) (1U << (limit))

enum sb_limit_type {
	SB_LIMIT_NUMBER,  /* uint64_t; SB_INFINITY (parse.h) = none */
	SB_LIMIT_CPUS,	  /* struct sb_cpus */
	SB_LIMIT_RATES,	  /* struct sb_rates */
	SB_LIMIT_DEVICES, /* struct sb_devices */
};

/* A set of CPUs; the empty one limits nothing. */
#define SB_CPUS_MAX 8192
struct sb_cpus {
	uint64_t bits[SB_CPUS_MAX / 64];
};

/*
 * What may be done to each of some devices, in bytes or operations per second. A device is an
 * absolute path: its node, or something on a file system of it. What the kernel tells and has no
 * node is "8:16".
 */
struct sb_rate {
	char *device;
	uint64_t value;
};
struct sb_rates {
	struct sb_rate *v;
	size_t n;
};

/*
 * Devices that may be opened besides those everybody may. A device is the absolute path of its
 * node; what the kernel tells and has no node is "c 10:229". Not filtered: all devices may be
 * opened.
 */
enum sb_device_access { /* as the kernel numbers them (linux/bpf.h) */
			SB_DEVICE_MKNOD = 1 << 0,
			SB_DEVICE_READ = 1 << 1,
			SB_DEVICE_WRITE = 1 << 2,
};
#define SB_DEVICE_ACCESS_ALL (SB_DEVICE_MKNOD | SB_DEVICE_READ | SB_DEVICE_WRITE)
struct sb_device {
	char *path;
	unsigned int access; /* enum sb_device_access */
	bool optional;	     /* that it does not exist is no error */
};
struct sb_devices {
	struct sb_device *v;
	size_t n;
	bool filtered;
};

struct sb_limits {
	uint64_t memory_max;	  /* bytes */
	uint64_t memory_swap_max; /* bytes of swap, without memory */
	uint64_t tasks_max;	  /* processes and threads */
	uint64_t cpu_quota;	  /* microseconds of CPU time per second */
	uint64_t cpu_weight;	  /* 1-10000, 100 is the kernel's default */
	uint64_t memory_high;	  /* bytes from which on they are reclaimed and slowed down */
	uint64_t io_weight;	  /* 1-10000, 100 is the kernel's default */
	struct sb_cpus allowed_cpus;
	struct sb_rates io_read_bandwidth_max; /* bytes per second */
	struct sb_rates io_write_bandwidth_max;
	struct sb_rates io_read_iops_max;
	struct sb_rates io_write_iops_max;
	struct sb_devices devices;
};

struct sb_limit_row {
	const char *key; /* of the configuration: "MemoryMax" */
	enum sb_limit_type type;
	size_t offset;	 /* of the value in struct sb_limits */
	uint64_t preset; /* the number that limits nothing */
};
extern const struct sb_limit_row sb_limit_rows[SB_LIMITS_N];

/* Those that a class can have as a whole, by the key of its budget. */
struct sb_budget_row {
	const char *key; /* "ClassMemoryMax" */
	enum sb_limit limit;
};
#define SB_BUDGETS_N 3
extern const struct sb_budget_row sb_budget_rows[SB_BUDGETS_N];

/* The value of one limit. */
void *sb_limit_at(struct sb_limits *limits, enum sb_limit limit);
const void *sb_limit_of(const struct sb_limits *limits, enum sb_limit limit);

/* All of them at what limits nothing. */
void sb_limits_init(struct sb_limits *limits);

/* Releases what they hold, and leaves them at what limits nothing. */
void sb_limits_clear(struct sb_limits *limits);

static inline void sb_cleanup_limitsp(struct sb_limits *limits)
{
	sb_limits_clear(limits);
}
#define cleanup_limits __attribute__((cleanup(sb_cleanup_limitsp)))

/* Does this one limit nothing? */
bool sb_limit_is_preset(const struct sb_limits *limits, enum sb_limit limit);

/* Puts one value in the place of another, which is released; *from limits nothing afterwards. */
void sb_limit_move(struct sb_limits *to, struct sb_limits *from, enum sb_limit limit);

bool sb_cpus_has(const struct sb_cpus *cpus, unsigned int cpu);
void sb_cpus_add(struct sb_cpus *cpus, unsigned int cpu);
bool sb_cpus_empty(const struct sb_cpus *cpus);

/* A device that is listed already gets the new value. 0 or -ENOMEM. */
int sb_rates_set(struct sb_rates *rates, const char *device, uint64_t value);
void sb_rates_clear(struct sb_rates *rates);

/* The same for a device. */
int sb_devices_set(struct sb_devices *devices, const struct sb_device *device);
void sb_devices_clear(struct sb_devices *devices);

#endif
