/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_CONTAINER_OPENING_H
#define SESSBOX_CONTAINER_OPENING_H

/* What container_open.c and container_grant.c share. */
#include "container_internal.h"
#include "sessbox/service.h"

/* A login under way. */
struct sb_opening {
	struct sb_creation creation; /* request, run_fd, user_fd and cgroup serve the joins, too */
	struct sb_user_dir user;
	struct sb_session_record session;
	struct sb_container_record container;
	struct sb_session_grant grant;
	const struct sb_service *service; /* NULL = no row */
	struct sb_terminal terminal;	  /* that the caller brings */
	struct sb_ticket tickets;	  /* likewise */
	int caller;			  /* pidfd */
	bool created;			  /* the container is this login's */
};

static inline const struct sb_policy *sb_opening_policy(const struct sb_opening *o)
{
	return o->creation.request->policy;
}

/* ---- container_grant.c: steps of the opening; ctx is it ---- */

int sb_grant_scratch(void *ctx, struct sb_err *err);
int sb_grant_find_tickets(void *ctx, struct sb_err *err);
int sb_grant_inside(void *ctx, struct sb_err *err);
int sb_grant_fill(void *ctx, struct sb_err *err);
int sb_grant_watch_end(void *ctx, struct sb_err *err);
int sb_grant_login_record(void *ctx, struct sb_err *err);
int sb_grant_keeper(void *ctx, struct sb_err *err);

/* ---- container_notice.c; a step, too ---- */

int sb_grant_notice(void *ctx, struct sb_err *err);

#endif
