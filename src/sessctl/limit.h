/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_LIMIT_H
#define SESSCTL_LIMIT_H

/* The two halves of `sessctl limit`. */
#include "account.h"
#include "sessctl.h"

/* One KEY=VALUE of the command line; an empty value takes the setting out. */
struct ctl_wish {
	const struct sb_key *key;
	const char *text;
};
#define CTL_WISHES_MAX 16

/*
 * limit_set.c: carries the wishes out, all of them or none. until: with --for, the end in seconds
 * since the epoch; 0 = now. An exit status.
 */
int ctl_limit_set(const struct ctl_account *account, const struct ctl_wish *wishes, size_t n,
		  uint64_t until, const struct ctl_args *args);

#endif
