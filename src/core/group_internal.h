/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_GROUP_INTERNAL_H
#define SESSBOX_GROUP_INTERNAL_H

/* What the group*.c files share. */
#include "sessbox/group.h"

/* ---- group_sources.c ---- */

/*
 * Asks each source of groups but the files itself. 1 if one has the user in the group, whose id is
 * wanted; 0 if none has; -EHOSTDOWN if one does not answer, and the user or the group is known
 * neither to /etc nor to one that does. libc's getgrouplist passes over a source that fails, so
 * that its answer of such a time reads as "in no other group". If /etc has both, nobody is asked.
 */
int sb_group_sources_ask(const char *user, gid_t gid, const char *group, gid_t wanted);

#endif
