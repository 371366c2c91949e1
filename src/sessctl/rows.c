/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "sessbox/parse.h"

#define COLUMN(row, member, name, type, flags)                                                     \
	{                                                                                          \
		name, type, offsetof(struct row, member), flags                                    \
	}

/* ---- sessions ---- */

struct session_row {
	uint64_t id;
	const char *user;
	uint64_t uid;
	const char *class_name;
	const char *service;
	const char *tty;
	const char *from;
	uint64_t leader;
	uint64_t since;
	uint64_t processes;
	struct ctl_shared memory;
	struct ctl_shared memory_max;
	uint64_t until;
};

static const struct ctl_column session_columns[] = {
	COLUMN(session_row, id, "id", CTL_COUNT, CTL_RIGHT),
	COLUMN(session_row, user, "user", CTL_TEXT, 0),
	COLUMN(session_row, uid, "uid", CTL_COUNT, CTL_RIGHT),
	COLUMN(session_row, class_name, "class", CTL_TEXT, 0),
	COLUMN(session_row, service, "service", CTL_TEXT, 0),
	COLUMN(session_row, tty, "tty", CTL_TEXT, 0),
	COLUMN(session_row, from, "from", CTL_TEXT, 0),
	COLUMN(session_row, leader, "leader", CTL_COUNT, CTL_RIGHT),
	COLUMN(session_row, since, "since", CTL_TIME, 0),
	COLUMN(session_row, processes, "processes", CTL_COUNT, CTL_RIGHT),
	COLUMN(session_row, memory, "memory", CTL_SHARED, CTL_RIGHT),
	COLUMN(session_row, memory_max, "memory-max", CTL_SHARED, CTL_RIGHT),
	COLUMN(session_row, until, "until", CTL_TIME, 0),
};

/* "" is how a record says none. */
static const char *text_or_null(const char *text)
{
	return *text ? text : NULL;
}

static struct session_row session_row(const struct ctl_user *user, const struct ctl_session *s)
{
	uint64_t memory = user->has_cgroup ? user->usage.memory : SB_INFINITY;
	uint64_t max = user->has_cgroup ? user->limits.memory_max : SB_INFINITY;
	bool again = s != user->sessions;
	return (struct session_row){ .id = s->rec.id,
				     .user = s->rec.user,
				     .uid = user->uid,
				     .class_name = text_or_null(s->rec.class_name),
				     .service = text_or_null(s->rec.service),
				     .tty = text_or_null(s->tty),
				     .from = text_or_null(s->rec.from),
				     .leader = s->leader ? (uint64_t)s->leader : SB_INFINITY,
				     .since = s->rec.since,
				     .processes = s->processes,
				     .memory = { memory, again },
				     .memory_max = { max, again },
				     .until = user->until };
}

int ctl_session_table(const struct ctl_users *users, const struct ctl_user *user,
		      const struct ctl_session *session, struct ctl_table *ret)
{
	size_t n = 0, at = 0;
	for (size_t i = 0; i < users->n; i++)
		n += users->v[i].n_sessions;
	struct session_row *rows = calloc(n + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < users->n; i++)
		for (size_t k = 0; k < users->v[i].n_sessions; k++)
			if ((!user || user == &users->v[i]) &&
			    (!session || session == &users->v[i].sessions[k]))
				rows[at++] = session_row(&users->v[i], &users->v[i].sessions[k]);
	if (session)
		rows[0].memory.again = rows[0].memory_max.again = false;
	*ret = (struct ctl_table){
		"sessions", session_columns, SB_ARRAY_SIZE(session_columns), rows, at, sizeof(*rows)
	};
	return 0;
}

/* ---- containers ---- */

struct container_row {
	const char *user;
	uint64_t uid;
	const char *class_name;
	uint64_t number;
	uint64_t init;
	uint64_t sessions;
	uint64_t since;
	uint64_t processes;
	struct ctl_shared memory;
	struct ctl_shared memory_max;
	const char *state;
	int stale;
	uint64_t until;
};

static const struct ctl_column container_columns[] = {
	COLUMN(container_row, user, "user", CTL_TEXT, 0),
	COLUMN(container_row, uid, "uid", CTL_COUNT, CTL_RIGHT),
	COLUMN(container_row, class_name, "class", CTL_TEXT, 0),
	COLUMN(container_row, number, "container", CTL_COUNT, CTL_RIGHT),
	COLUMN(container_row, init, "init", CTL_COUNT, CTL_RIGHT),
	COLUMN(container_row, sessions, "sessions", CTL_COUNT, CTL_RIGHT),
	COLUMN(container_row, since, "since", CTL_TIME, 0),
	COLUMN(container_row, processes, "processes", CTL_COUNT, CTL_RIGHT),
	COLUMN(container_row, memory, "memory", CTL_SHARED, CTL_RIGHT),
	COLUMN(container_row, memory_max, "memory-max", CTL_SHARED, CTL_RIGHT),
	COLUMN(container_row, state, "state", CTL_TEXT, 0),
	COLUMN(container_row, stale, "stale", CTL_BOOL, 0),
	COLUMN(container_row, until, "until", CTL_TIME, 0),
};

/* Does the policy of a login of today still make such a container? Negative: cannot be told. */
static int is_stale(const struct ctl_user *user, const struct ctl_container *c,
		    const struct sb_config *config)
{
	cleanup_policy struct sb_policy *policy = NULL;
	struct ctl_account account;
	const char *service =
		user->n_sessions ? user->sessions[user->n_sessions - 1].rec.service : NULL;
	if (!config || ctl_account_find(user->name, &account) < 0 ||
	    ctl_account_policy(&account, service, config, &policy, NULL) < 0)
		return -1;
	return !policy->set.contain || strcmp(policy->container_hash, c->rec.container_hash) != 0 ||
	       strcmp(policy->limits_hash, c->rec.limits_hash) != 0;
}

/* The pid namespace tells which of the user's containers a process is in; one is the rule. */
static uint64_t count_processes(const struct ctl_user *user, const struct ctl_container *c)
{
	char path[64], own[64], other[64];
	uint64_t n = 0;
	if (user->n_containers == 1)
		return user->processes.n;
	snprintf(path, sizeof(path), "/proc/%u/ns/pid", c->rec.init);
	ssize_t len = readlink(path, own, sizeof(own));
	for (size_t i = 0; len > 0 && i < user->processes.n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/pid", user->processes.v[i].proc.pid);
		n += readlink(path, other, sizeof(other)) == len &&
		     memcmp(own, other, (size_t)len) == 0;
	}
	return n;
}

static struct container_row container_row(const struct ctl_user *user,
					  const struct ctl_container *c,
					  const struct sb_config *config)
{
	bool again = c != user->containers;
	uint64_t memory = user->has_cgroup ? user->usage.memory : SB_INFINITY;
	uint64_t max = user->has_cgroup ? user->limits.memory_max : SB_INFINITY;
	return (struct container_row){ .user = c->rec.user,
				       .uid = user->uid,
				       .class_name = text_or_null(c->rec.class_name),
				       .number = c->rec.number,
				       .init = c->rec.init ? c->rec.init : SB_INFINITY,
				       .sessions = c->sessions,
				       .since = c->rec.created,
				       .processes = count_processes(user, c),
				       .memory = { memory, again },
				       .memory_max = { max, again },
				       .state = user->frozen ? "frozen"
							     : sb_container_state_name(c->state),
				       .stale = is_stale(user, c, config),
				       .until = user->until };
}

int ctl_container_table(const struct ctl_users *users, const struct ctl_user *user,
			struct ctl_table *ret)
{
	cleanup_config struct sb_config *config = NULL;
	struct sb_err err = { 0 };
	size_t n = 0, at = 0;
	if (!users->self && sb_config_load(NULL, NULL, &config, &err) < 0)
		ctl_warn("stale containers cannot be told: %s", err.msg);
	for (size_t i = 0; i < users->n; i++)
		n += users->v[i].n_containers;
	struct container_row *rows = calloc(n + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < users->n; i++)
		for (size_t k = 0; k < users->v[i].n_containers; k++)
			if (!user || user == &users->v[i])
				rows[at++] = container_row(&users->v[i], &users->v[i].containers[k],
							   config);
	*ret = (struct ctl_table){
		"containers", container_columns, SB_ARRAY_SIZE(container_columns), rows,
		at,	      sizeof(*rows)
	};
	return 0;
}
