/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who has been found: added, looked up, and told apart. */
#include <stdlib.h>
#include <string.h>

#include "sessbox/parse.h"
#include "view.h"

struct ctl_user *ctl_users_add(struct ctl_users *users, uid_t uid)
{
	struct ctl_user *v = reallocarray(users->v, users->n + 1, sizeof(*v));
	if (!v)
		return NULL;
	users->v = v;
	v[users->n] = (struct ctl_user){ .uid = uid };
	return &v[users->n++];
}

struct ctl_session *ctl_user_add_session(struct ctl_user *user, const struct sb_session_record *rec)
{
	struct ctl_session *v = reallocarray(user->sessions, user->n_sessions + 1, sizeof(*v));
	if (!v)
		return NULL;
	user->sessions = v;
	v[user->n_sessions] = (struct ctl_session){ .rec = *rec, .processes = SB_INFINITY };
	return &v[user->n_sessions++];
}

void ctl_users_clear(struct ctl_users *users)
{
	for (size_t i = 0; i < users->n; i++) {
		free(users->v[i].sessions);
		free(users->v[i].containers);
		ctl_processes_clear(&users->v[i].processes);
		if (users->v[i].has_cgroup)
			sb_limits_clear(&users->v[i].limits);
		if (users->v[i].has_budget)
			sb_limits_clear(&users->v[i].budget);
	}
	free(users->v);
	*users = (struct ctl_users){ 0 };
}

struct ctl_user *ctl_user_find(const struct ctl_users *users, const char *name)
{
	for (size_t i = 0; i < users->n; i++)
		if (strcmp(users->v[i].name, name) == 0)
			return &users->v[i];
	return NULL;
}

struct ctl_user *ctl_user_of_uid(const struct ctl_users *users, uid_t uid)
{
	for (size_t i = 0; i < users->n; i++)
		if (users->v[i].uid == uid)
			return &users->v[i];
	return NULL;
}

struct ctl_session *ctl_session_find(const struct ctl_users *users, const char *id,
				     struct ctl_user **ret_user)
{
	uint64_t number;
	if (sb_parse_u64(id, &number) < 0)
		return NULL;
	for (size_t i = 0; i < users->n; i++) {
		struct ctl_user *user = &users->v[i];
		for (size_t k = 0; k < user->n_sessions; k++) {
			if (user->sessions[k].rec.id != number)
				continue;
			*ret_user = user;
			return &user->sessions[k];
		}
	}
	return NULL;
}

/* An id that another session of the user has too was inherited, and tells nothing. */
static uint32_t audit_of(const struct ctl_user *user, const struct ctl_session *session)
{
	for (size_t i = 0; i < user->n_sessions; i++)
		if (&user->sessions[i] != session &&
		    user->sessions[i].rec.audit_session == session->rec.audit_session)
			return UINT32_MAX;
	return session->rec.audit_session;
}

static uint64_t own_pidns(const struct ctl_user *user, const struct ctl_session *session)
{
	for (size_t i = 0; i < user->n_containers; i++) {
		const struct sb_container_record *rec = &user->containers[i].rec;
		if (rec->number == session->rec.container && rec->scope == SB_SCOPE_SESSION)
			return ctl_process_pidns((pid_t)rec->init);
	}
	return 0;
}

struct ctl_membership ctl_session_membership(const struct ctl_user *user,
					     const struct ctl_session *session)
{
	return (struct ctl_membership){ session->leader, audit_of(user, session),
					own_pidns(user, session) };
}
