/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_PAM_STACK_H
#define SESSCTL_PAM_STACK_H

/*
 * The PAM stacks of a service as libpam sees them: its file, with what it includes put in place.
 * Sources: pam.conf(5), libpam's pam_handlers.c and pam_dispatch.c, Debian's @include.
 */
#include <stdbool.h>
#include <stddef.h>

#include "sessbox/str.h"

enum ctl_pam_type {
	CTL_PAM_AUTH,
	CTL_PAM_ACCOUNT,
	CTL_PAM_SESSION,
	CTL_PAM_PASSWORD,
	CTL_PAM_TYPES,
};

/* What is done about a module's result. A positive number jumps over that many modules. */
enum ctl_pam_action {
	CTL_PAM_IGNORE = 0,
	CTL_PAM_OK = -1,
	CTL_PAM_DONE = -2,
	CTL_PAM_BAD = -3,
	CTL_PAM_DIE = -4,
	CTL_PAM_RESET = -5,
};

#define CTL_PAM_SUCCESS 0    /* index of PAM_SUCCESS */
#define CTL_PAM_SYSTEM_ERR 4 /* and of what we return when we refuse */
#define CTL_PAM_PERM_DENIED 6
#define CTL_PAM_RESULTS 32

struct ctl_pam_rule {
	enum ctl_pam_type type;
	int level;	  /* in how many substacks it stands */
	bool is_substack; /* the head of one: no module, but one step for a jump */
	bool may_be_gone; /* "-session": a missing module is not even logged */
	int actions[CTL_PAM_RESULTS];
	char control[128]; /* as written */
	char *module;	   /* without its directory; the file's name of a substack */
	struct sb_strv args;
	char *file;
	unsigned int line;
	/* The lines of the service's own file that bring it in, from 1: its own, or the include. */
	unsigned int from, to;
	bool is_own; /* it stands in the service's own file */
};

struct ctl_pam_stack {
	struct ctl_pam_rule *v; /* in order; the types mixed */
	size_t n;
	char problem[256]; /* why libpam would not take it, "" = nothing */
};

/* Text of etc/pam.d that stands for a file's. */
struct ctl_pam_text {
	const char *name;
	const char *text;
};

/* Where files are read from. */
struct ctl_pam_source {
	int root;
	const struct ctl_pam_text *texts; /* in place of files */
	size_t n;
};

/*
 * Reads the service from etc/pam.d or usr/lib/pam.d below root. 0, -ENOENT when there is no such
 * file (libpam then takes "other"), or -EINVAL with ret->problem set; what was read till there is
 * kept. To be cleared in every case.
 */
int ctl_pam_load_from(const struct ctl_pam_source *from, const char *service,
		      struct ctl_pam_stack *ret);
int ctl_pam_load(int root, const char *service, struct ctl_pam_stack *ret);
void ctl_pam_clear(struct ctl_pam_stack *stack);
#define cleanup_stack __attribute__((cleanup(ctl_pam_clear)))

/* The name of a type: "auth". */
const char *ctl_pam_type_name(enum ctl_pam_type type);

/* The first rule whose result may pass over the one at index, or NULL. */
const struct ctl_pam_rule *ctl_pam_skipper(const struct ctl_pam_stack *stack, size_t index);

/* The first rule before the one at index that ends the stack when it fails, or NULL. */
const struct ctl_pam_rule *ctl_pam_killer(const struct ctl_pam_stack *stack, size_t index);

#endif
