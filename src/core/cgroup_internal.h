/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_CGROUP_INTERNAL_H
#define SESSBOX_CGROUP_INTERNAL_H

/*
 * What the files of the cgroup module share: the handle, and what v1 and v2 do differently, as two
 * sets of tables and functions. Limits and usage come from the set that has the controllers (on
 * hybrid: v1's); membership, freezing and preparing are asked of each hierarchy's own set.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sessbox/cgroup.h"
#include "sessbox/err.h"
#include "sessbox/limits.h"

#define SB_DIR_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* The controllers that mean something to us. */
enum sb_controller {
	SB_CONTROLLER_CPU = 1 << 0,
	SB_CONTROLLER_CPUACCT = 1 << 1,
	SB_CONTROLLER_CPUSET = 1 << 2,
	SB_CONTROLLER_FREEZER = 1 << 3,
	SB_CONTROLLER_MEMORY = 1 << 4,
	SB_CONTROLLER_PIDS = 1 << 5,
	SB_CONTROLLER_IO = 1 << 6,
	SB_CONTROLLER_DEVICES = 1 << 7, /* on v2 none of its own: a program of the group's */
	SB_CONTROLLER_ALL = (1 << 8) - 1,
};

struct sb_cgroup_ops;

struct sb_hierarchy {
	const struct sb_cgroup_ops *ops;
	int base; /* <base>, O_PATH */
	/* enum sb_controller; for the v2 one of a hybrid host at most the devices. */
	unsigned int controllers;
	char name[64]; /* for messages: "memory", "cpu,cpuacct", "unified" */
};

struct sb_cgroup {
	enum sb_cgroup_mode mode;
	bool systemd;
	/* The v2 hierarchy, if there is one, comes first. */
	struct sb_hierarchy list[SB_CGROUP_FDS_MAX];
	size_t n;
};

/*
 * How a hierarchy does one limit; one without a file it cannot do. read and write get the group's
 * directory, their own row and the limit's value, write also those of the others.
 */
struct sb_cgroup_limit {
	enum sb_controller controller;
	const char *file;
	/* -ENOENT, -EOPNOTSUPP, -EINVAL or -ERANGE: this limit cannot be had here. */
	int (*write)(int dir, const struct sb_cgroup_limit *row, const void *value,
		     const struct sb_limits *limits);
	int (*read)(int dir, const struct sb_cgroup_limit *row, void *ret);
	const char *key; /* what the two make of it */
};

/* One figure of usage. */
struct sb_cgroup_stat {
	enum sb_controller controller;
	size_t offset; /* in struct sb_usage */
	const char *file;
	const char *key;  /* of a "key value" line; NULL: the file is the number */
	uint64_t divisor; /* to our unit */
	enum {
		SB_STAT_ALL,	     /* the figure is what there is */
		SB_STAT_WITH_MEMORY, /* it contains that of memory, whose row is earlier */
	} part;
};

struct sb_cgroup_ops {
	uint64_t magic;	   /* of statfs(2) */
	const char *enter; /* the file that takes a "0" */
	struct sb_cgroup_limit limits[SB_LIMITS_N];
	const struct sb_cgroup_stat *stats;
	size_t stats_n;
	/* Makes <base> fit for groups with limits; runs before each create. May be NULL. */
	int (*prepare_base)(const struct sb_cgroup *cg, const struct sb_hierarchy *h,
			    struct sb_err *err);
	/* Makes a class' group fit for groups with limits. May be NULL. */
	int (*prepare_class)(const struct sb_cgroup *cg, const struct sb_hierarchy *h,
			     const char *group, struct sb_err *err);
	/* Makes a group fit for processes. May be NULL. */
	int (*prepare_group)(const struct sb_hierarchy *h, const char *group, struct sb_err *err);
	/* 1, 0 or a negative errno; -ENOENT: no such group. */
	int (*frozen)(const struct sb_hierarchy *h, const char *group);
	/* Asks for it, again and again: 1 = it is so, 0 = not for all yet, -EOPNOTSUPP. */
	int (*freeze)(const struct sb_hierarchy *h, const char *group, bool on);
};

extern const struct sb_cgroup_ops sb_cgroup_v1;
extern const struct sb_cgroup_ops sb_cgroup_v2;

/* Is it the name of a group that could be ours? */
bool sb_cgroup_is_group(const char *group);

/* Opens a group's directory in one hierarchy: a descriptor or a negative errno. */
int sb_hierarchy_group(const struct sb_hierarchy *h, const char *group);

/* Reads a file that is one number; `infinite` (may be NULL) is the word for SB_INFINITY. */
int sb_cgroup_read_number(int dir, const char *file, const char *infinite, uint64_t *ret);
int sb_cgroup_write_number(int dir, const char *file, const char *infinite, uint64_t value);

/* The value of one line "key value" in a text. -ENOENT: no such line; -EBADMSG: no number. */
int sb_cgroup_keyed(const char *text, const char *key, uint64_t *ret);

/* A whole text that is a number. -EBADMSG if it is not. */
int sb_cgroup_number(const char *text, uint64_t *ret);

/* Microseconds of CPU in each period, for microseconds in each second; and back. */
#define SB_CPU_PERIOD 100000
uint64_t sb_cgroup_quota(uint64_t per_second);
uint64_t sb_cgroup_per_second(uint64_t quota, uint64_t period);

/* Limits whose files are the same in v1 and v2, or nearly so. */
int sb_limit_write_max(int dir, const struct sb_cgroup_limit *row, const void *value,
		       const struct sb_limits *limits);
int sb_limit_read_max(int dir, const struct sb_cgroup_limit *row, void *ret);
int sb_limit_write_tasks(int dir, const struct sb_cgroup_limit *row, const void *value,
			 const struct sb_limits *limits);

/* cgroup_cpus.c: key is the parent's file with the CPUs there are, "../cpuset.cpus" in v1. */
int sb_limit_write_cpus(int dir, const struct sb_cgroup_limit *row, const void *value,
			const struct sb_limits *limits);
int sb_limit_read_cpus(int dir, const struct sb_cgroup_limit *row, void *ret);

/* cgroup_io.c: key is the word in v2's io.max, NULL in v1. */
int sb_limit_write_rates(int dir, const struct sb_cgroup_limit *row, const void *value,
			 const struct sb_limits *limits);
int sb_limit_read_rates(int dir, const struct sb_cgroup_limit *row, void *ret);
int sb_limit_write_io_weight(int dir, const struct sb_cgroup_limit *row, const void *value,
			     const struct sb_limits *limits);
int sb_limit_read_io_weight(int dir, const struct sb_cgroup_limit *row, void *ret);

/* ---- devices: cgroup_devices.c has what is allowed and v1's files, cgroup_bpf.c v2's program ----
 */

struct sb_device_rule {
	char type; /* 'c' or 'b' */
	unsigned int major, minor;
	unsigned int access; /* enum sb_device_access */
};
#define SB_DEVICE_ANY UINT32_MAX /* as a number: all of them */

/* all: what no rule names is allowed, too. */
struct sb_device_rules {
	struct sb_device_rule *v;
	size_t n;
	bool all;
};
void sb_device_rules_clear(struct sb_device_rules *rules);

static inline void sb_cleanup_device_rulesp(struct sb_device_rules *rules)
{
	sb_device_rules_clear(rules);
}
#define cleanup_device_rules __attribute__((cleanup(sb_cleanup_device_rulesp)))

/* A rule for the same device gets the access of both. 0 or -ENOMEM. */
int sb_device_rules_add(struct sb_device_rules *rules, const struct sb_device_rule *rule);

/* What everybody may open. */
extern const struct sb_device_rule sb_device_standard[];
extern const size_t sb_device_standard_n;

/* These, and the devices there are of those listed. 0 or a negative errno. */
int sb_device_rules_make(const struct sb_devices *devices, struct sb_device_rules *ret);

/* The devices of rules, by the paths of their nodes, without the standard ones. */
int sb_device_rules_name(const struct sb_device_rules *rules, struct sb_devices *ret);

/* "/dev/sda", or false if the kernel knows no node. type: of a rule. */
bool sb_device_name(char type, unsigned int major, unsigned int minor, char *buf, size_t size);

int sb_limit_write_devices(int dir, const struct sb_cgroup_limit *row, const void *value,
			   const struct sb_limits *limits);
int sb_limit_read_devices(int dir, const struct sb_cgroup_limit *row, void *ret);

struct bpf_insn;
#define SB_DEVICE_PROGRAM "sessbox_devices" /* its name in the kernel: 15 characters at most */

/*
 * The program that allows what the rules allow, malloc'ed: its length or a negative errno. And
 * back: 0, or -EBADMSG if it is none of these.
 */
ssize_t sb_device_program_make(const struct sb_device_rules *rules, struct bpf_insn **ret);
int sb_device_program_parse(const struct bpf_insn *program, size_t n, struct sb_device_rules *ret);

int sb_limit_write_program(int dir, const struct sb_cgroup_limit *row, const void *value,
			   const struct sb_limits *limits);
int sb_limit_read_program(int dir, const struct sb_cgroup_limit *row, void *ret);

/* The functions of a limit's row, by what they write and read: the backend's own, or those of both
 * worlds. */
#define SB_LIMIT_OWN(controller, file, what, key)                                                  \
	{                                                                                          \
		SB_CONTROLLER_##controller, file, write_##what, read_##what, key                   \
	}
#define SB_LIMIT_SHARED(controller, file, what, key)                                               \
	{                                                                                          \
		SB_CONTROLLER_##controller, file, sb_limit_write_##what, sb_limit_read_##what, key \
	}

#endif
