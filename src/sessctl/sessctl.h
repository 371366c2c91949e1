/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_H
#define SESSCTL_H

/*
 * sessctl: the admin's tool. main.c has the table of verbs; each file of verbs says on stderr what
 * failed and returns an exit status.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "table.h"

enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1, /* something failed; findings of `check` */
	CTL_USAGE = 2,
	CTL_MISSING = 3, /* no such user or session */
	CTL_REFUSED = 4, /* needs --force, or --no-proof */
	CTL_NOT_PERMITTED = 5,
};

enum ctl_option {
	CTL_JSON = 1 << 0,
	CTL_NO_HEADINGS = 1 << 1,
	CTL_OUTPUT = 1 << 2,
	CTL_CONTAINERS = 1 << 3,
	CTL_RUNTIME = 1 << 4,
	CTL_FORCE = 1 << 5,
	CTL_SERVICE = 1 << 6,
	CTL_MOUNTS = 1 << 7,
	CTL_SIGNAL = 1 << 8,
	CTL_ALL = 1 << 9,
	CTL_WATCH = 1 << 10,
	CTL_FOR = 1 << 11,
	CTL_REASON = 1 << 12,
	CTL_DRY_RUN = 1 << 13,
	CTL_NO_PROOF = 1 << 14,
	CTL_HELP = 1 << 15, /* every verb takes it */
};

/* The command line of a verb: its options, and what else stands there. */
struct ctl_args {
	unsigned int set; /* enum ctl_option */
	const char *output;
	const char *service;
	const char *signal;
	const char *watch;
	const char *duration;
	const char *reason;
	char **v;
	int n;
};

struct ctl_verb {
	const char *name;
	const char *synopsis; /* what follows the name */
	const char *help;
	unsigned int options; /* enum ctl_option */
	int min, max;	      /* arguments; max -1 = any number */
	bool anyone;	      /* an ordinary user may, about himself */
	int (*run)(const struct ctl_args *args);
};

/* ---- options.c ---- */

/* Parses argv[1...] by the verb's options. CTL_OK or CTL_USAGE, with what is wrong said. */
int ctl_args_parse(const struct ctl_verb *verb, int argc, char **argv, struct ctl_args *ret);
void ctl_options_help(const struct ctl_verb *verb);

/* ---- say.c: the few ways to end ---- */

/* "sessctl: ..." on stderr; returns status. */
int ctl_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same without an end. */
void ctl_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The columns of -o. CTL_OK, or CTL_USAGE with the names there are said. */
int ctl_columns(const struct ctl_table *table, const struct ctl_args *args, struct ctl_choice *ret);

/* One table alone: as JSON or for people, with the columns of -o. An exit status. */
int ctl_show_table(const struct ctl_table *table, const struct ctl_args *args);

/* Was something for scripts or programs asked for, and not sentences for people? */
bool ctl_is_raw(const struct ctl_args *args);

/* ---- the verbs ---- */

int ctl_list(const struct ctl_args *args);
int ctl_show(const struct ctl_args *args);
int ctl_limit(const struct ctl_args *args);
int ctl_policy(const struct ctl_args *args);
int ctl_check(const struct ctl_args *args);
int ctl_enable(const struct ctl_args *args);
int ctl_disable(const struct ctl_args *args);
int ctl_kill(const struct ctl_args *args);
int ctl_freeze(const struct ctl_args *args);
int ctl_thaw(const struct ctl_args *args);
int ctl_terminate(const struct ctl_args *args);
int ctl_gc(const struct ctl_args *args);
int ctl_monitor(const struct ctl_args *args);

#endif
