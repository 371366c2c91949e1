/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_PAM_H
#define SESSBOX_PAM_H

/*
 * The PAM stacks of a service as libpam sees them: its file, with what it includes put in place,
 * and who in them goes round whom.
 * Sources: pam.conf(5), libpam's pam_handlers.c and pam_dispatch.c, Debian's @include.
 */
#include <stdbool.h>
#include <stddef.h>

#include "sessbox/str.h"

/* The file of our own module. */
#define SB_PAM_MODULE "pam_sessbox.so"

enum sb_pam_type {
	SB_PAM_AUTH,
	SB_PAM_ACCOUNT,
	SB_PAM_SESSION,
	SB_PAM_PASSWORD,
	SB_PAM_TYPES,
};

/* What is done about a module's result. A positive number jumps over that many modules. */
enum sb_pam_action {
	SB_PAM_IGNORE = 0,
	SB_PAM_OK = -1,
	SB_PAM_DONE = -2,
	SB_PAM_BAD = -3,
	SB_PAM_DIE = -4,
	SB_PAM_RESET = -5,
};

#define SB_PAM_SUCCESS 0    /* index of PAM_SUCCESS */
#define SB_PAM_SYSTEM_ERR 4 /* and of what we return when we refuse */
#define SB_PAM_PERM_DENIED 6
#define SB_PAM_RESULTS 32

struct sb_pam_rule {
	enum sb_pam_type type;
	int level;	  /* in how many substacks it stands */
	bool is_substack; /* the head of one: no module, but one step for a jump */
	bool may_be_gone; /* "-session": a missing module is not even logged */
	int actions[SB_PAM_RESULTS];
	char control[128]; /* as written */
	char *module;	   /* without its directory; the file's name of a substack */
	struct sb_strv args;
	char *file;
	unsigned int line;
	/* The lines of the service's own file that bring it in, from 1: its own, or the include. */
	unsigned int from, to;
	bool is_own; /* it stands in the service's own file */
};

struct sb_pam_stack {
	struct sb_pam_rule *v; /* in order; the types mixed */
	size_t n;
	/* The first line of the service's own file that ends with a backslash, be it a comment or
	 * one with blanks behind that: not all versions of libpam read these the same. 0 = none. */
	unsigned int continued;
	char problem[256]; /* why libpam would not take it, "" = nothing */
};

/* Text of etc/pam.d that stands for a file's. */
struct sb_pam_text {
	const char *name;
	const char *text;
};

/* Where files are read from. */
struct sb_pam_source {
	int root;
	const struct sb_pam_text *texts; /* in place of files */
	size_t n;
};

/*
 * Reads the service from etc/pam.d or usr/lib/pam.d below root. 0, -ENOENT when there is no such
 * file (libpam then takes "other"), or -EINVAL with ret->problem set; what was read till there is
 * kept. To be cleared in every case.
 */
int sb_pam_load_from(const struct sb_pam_source *from, const char *service,
		     struct sb_pam_stack *ret);
int sb_pam_load(int root, const char *service, struct sb_pam_stack *ret);
void sb_pam_clear(struct sb_pam_stack *stack);
#define cleanup_pam __attribute__((cleanup(sb_pam_clear)))

/* The name of a type: "auth". */
const char *sb_pam_type_name(enum sb_pam_type type);

bool sb_pam_is_ours(const struct sb_pam_rule *rule);

/*
 * "required" and the like, or what stands in [brackets] ("success=1 default=ignore"), as one action
 * for each of PAM's results. 0, or -EINVAL.
 */
int sb_pam_control(const char *text, int actions[SB_PAM_RESULTS]);

/* ---- who runs after whom ---- */

/* The next rule of the same type after i, or n. */
size_t sb_pam_next(const struct sb_pam_stack *stack, size_t i);

/* Where a jump of `steps` from i lands; a substack is one step, and its end stops the jump. */
size_t sb_pam_land(const struct sb_pam_stack *stack, size_t i, int steps);

/* The first rule whose result may pass over the one at index, or NULL. */
const struct sb_pam_rule *sb_pam_skipper(const struct sb_pam_stack *stack, size_t index);

/* The first rule before the one at index that ends the stack when it fails, or NULL. */
const struct sb_pam_rule *sb_pam_killer(const struct sb_pam_stack *stack, size_t index);

#endif
