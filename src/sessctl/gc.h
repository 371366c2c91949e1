/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_GC_H
#define SESSCTL_GC_H

/* What dead sessions have left. Both print what they remove, and return an exit status. */
#include <sys/types.h>

/* Of one user, who may be gone altogether afterwards. */
int ctl_gc_user(int run_fd, uid_t uid);

/* Cgroups whose records are gone: a run directory that was wiped. */
int ctl_gc_orphans(int run_fd);

#endif
