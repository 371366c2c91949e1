/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_VIEW_H
#define SESSCTL_VIEW_H

/*
 * Who is in, as records and kernel tell it at this moment. Nothing is locked and nothing changed:
 * what ends meanwhile is missing. Root sees all; an ordinary user himself, from inside his
 * container or outside of it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "process.h"
#include "sessbox/container.h"

struct ctl_session {
	struct sb_session_record rec;
	pid_t leader; /* 0 = not found, or not to be seen from here */
	char tty[32];
	uint64_t processes; /* SB_INFINITY = cannot be told */
};

struct ctl_container {
	struct sb_container_record rec;
	enum sb_container_state state;
	uint64_t sessions;
};

struct ctl_user {
	uid_t uid;
	char name[256];
	char class_name[128];
	struct ctl_session *sessions; /* those whose caller lives, by id */
	size_t n_sessions;
	struct ctl_container *containers;
	size_t n_containers;
	struct ctl_processes processes; /* in his cgroup */
	bool frozen;
	uint64_t until;	 /* when a part of his limits ends; 0 = never, or not known */
	bool has_cgroup; /* the rest is only set if he has one */
	struct sb_usage usage;
	struct sb_limits limits;
	unsigned int unsupported; /* SB_LIMIT_BIT */
	unsigned int unseen;	  /* likewise: cannot be told from here */
	bool has_budget;	  /* his class has one; the rest is of that */
	struct sb_usage budget_usage;
	struct sb_limits budget;
	unsigned int budget_unsupported;
};

struct ctl_users {
	struct ctl_user *v;
	size_t n;
	bool self; /* seen by an ordinary user */
};

/* All users with a record; for an ordinary user at most himself. */
int ctl_users_load(struct ctl_users *ret, struct sb_err *err);
void ctl_users_clear(struct ctl_users *users);

static inline void ctl_cleanup_usersp(struct ctl_users *users)
{
	ctl_users_clear(users);
}
#define cleanup_users __attribute__((cleanup(ctl_cleanup_usersp)))

/* NULL if there is none. */
struct ctl_user *ctl_user_find(const struct ctl_users *users, const char *name);
struct ctl_user *ctl_user_of_uid(const struct ctl_users *users, uid_t uid);
struct ctl_session *ctl_session_find(const struct ctl_users *users, const char *id,
				     struct ctl_user **ret_user);

/* What makes up a session among the user's processes. */
struct ctl_membership ctl_session_membership(const struct ctl_user *user,
					     const struct ctl_session *session);

/* view_self.c: the ordinary user's share of ctl_users_load. */
int ctl_self_load(struct ctl_users *ret, struct sb_err *err);

/* view_users.c, for the two: appends, or NULL. */
struct ctl_user *ctl_users_add(struct ctl_users *users, uid_t uid);
struct ctl_session *ctl_user_add_session(struct ctl_user *user,
					 const struct sb_session_record *rec);

#endif
