/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_BENCH_DRIVER_H
#define SESSBOX_BENCH_DRIVER_H

#include "bench.h"

/* Nanoseconds of one login, shared with the child. */
struct figures {
	int64_t account;
	int64_t open;
	int64_t fork;
	int64_t child; /* setcred in the child */
	int64_t close;
	int64_t tree;	 /* of open: the caller's private tree */
	int64_t migrate; /* of child: the move into the tenant's cgroup */
};
extern struct figures *figures;

#endif
