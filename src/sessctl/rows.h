/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_ROWS_H
#define SESSCTL_ROWS_H

/* The tables several verbs show: sessions, containers, limits. */
#include "sessctl.h"
#include "view.h"

/* Rows for all sessions (user NULL), of one user, or one of his. The owner frees table->rows. */
int ctl_session_table(const struct ctl_users *users, const struct ctl_user *user,
		      const struct ctl_session *session, struct ctl_table *ret);

/* Likewise; loads the configuration to find the stale ones, and says so if it cannot. */
int ctl_container_table(const struct ctl_users *users, const struct ctl_user *user,
			struct ctl_table *ret);

/*
 * A row for each process of a session, by pid; none if they cannot be told. The owner frees
 * table->rows, which borrow from user.
 */
int ctl_process_table(const struct ctl_user *user, const struct ctl_session *session,
		      struct ctl_table *ret);

/* One row for each limit, in the order of enum sb_limit. */
struct ctl_limit {
	const char *name;
	struct ctl_amount value;
	struct ctl_amount usage;
	int supported;
	const char *source; /* NULL = unknown */
};
extern const struct ctl_column ctl_limit_columns[];
#define CTL_LIMIT_COLUMNS_N 5
#define CTL_LIMIT_COLUMNS_SHOWN 4 /* without the source */

/* All of them, and the budget of a class. */
#define CTL_LIMITS_MAX (SB_LIMITS_N + SB_BUDGETS_N)

/*
 * What is in force and used, from the kernel if the user (may be NULL) has a cgroup, else what the
 * policy (may be NULL) would set. rows has CTL_LIMITS_MAX; they point into the policy and
 * `sources`. Returns their number: without a budget SB_LIMITS_N.
 */
struct ctl_sources {
	char text[CTL_LIMITS_MAX][512];
	char value[SB_LIMITS_N][CTL_CELL_MAX]; /* of limits that are more than a number */
};
size_t ctl_limit_rows(const struct ctl_user *user, const struct sb_policy *policy,
		      const struct sb_config *config, struct ctl_limit *rows,
		      struct ctl_sources *sources);

#endif
