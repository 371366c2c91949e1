/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "sessbox/io.h"
#include "sessbox/str.h"

/* What a silent init may cost a `list`. */
#define ASK_MS 500

static int load_sessions(struct ctl_user *user, int user_fd)
{
	cleanup_free uint32_t *ids = NULL;
	ssize_t n = sb_session_list(user_fd, &ids);
	for (ssize_t i = 0; i < n; i++) {
		struct sb_session_record rec;
		if (sb_session_load(user_fd, "sessions", ids[i], &rec) < 0 ||
		    !sb_session_lives(&rec))
			continue;
		if (!ctl_user_add_session(user, &rec))
			return -ENOMEM;
	}
	return n < 0 ? (int)n : 0;
}

static int load_containers(struct ctl_user *user, int user_fd)
{
	cleanup_free uint32_t *numbers = NULL;
	ssize_t n = sb_container_list(user_fd, &numbers);
	if (n < 0)
		return (int)n;
	user->containers = calloc((size_t)n + 1, sizeof(*user->containers));
	if (!user->containers)
		return -ENOMEM;
	for (ssize_t i = 0; i < n; i++) {
		struct ctl_container *c = &user->containers[user->n_containers];
		if (sb_container_load(user_fd, numbers[i], &c->rec) < 0)
			continue;
		c->state =
			sb_container_ask(user_fd, numbers[i], NULL, -1, sb_now_ms() + ASK_MS, NULL);
		for (size_t k = 0; k < user->n_sessions; k++)
			c->sessions += user->sessions[k].rec.container == numbers[i];
		user->n_containers++;
	}
	return 0;
}

static void find_processes(struct ctl_user *user)
{
	for (size_t i = 0; i < user->n_sessions; i++) {
		struct ctl_session *s = &user->sessions[i];
		const struct ctl_process *leader =
			ctl_process_child(&user->processes, (pid_t)s->rec.caller, UINT32_MAX);
		s->leader = leader ? leader->proc.pid : 0;
		const struct ctl_membership m = ctl_session_membership(user, s);
		s->processes = 0;
		for (size_t k = 0; k < user->processes.n; k++)
			s->processes +=
				ctl_process_is_member(&user->processes, &user->processes.v[k], &m);
		if (leader)
			ctl_process_tty(&user->processes, s->leader, s->tty, sizeof(s->tty));
	}
}

static void load_budget(struct ctl_user *user, struct sb_cgroup *cg, const char *group)
{
	char class[SB_CGROUP_NAME_MAX];
	user->has_budget =
		sb_cgroup_above(group, class) &&
		sb_cgroup_usage(cg, class, &user->budget_usage, NULL) == 0 &&
		sb_cgroup_limits(cg, class, &user->budget, &user->budget_unsupported, NULL) == 0;
}

static int load_cgroup(struct ctl_user *user, struct sb_cgroup *cg)
{
	char group[SB_CGROUP_NAME_MAX];
	cleanup_free pid_t *pids = NULL;
	if (!cg)
		return 0;
	sb_cgroup_find(cg, user->uid, group);
	user->frozen = sb_cgroup_frozen(cg, group) > 0;
	user->has_cgroup =
		sb_cgroup_usage(cg, group, &user->usage, NULL) == 0 &&
		sb_cgroup_limits(cg, group, &user->limits, &user->unsupported, NULL) == 0;
	load_budget(user, cg, group);
	ssize_t n = sb_cgroup_tenant_pids(cg, user->uid, true, &pids);
	return n < 0 ? (int)n : ctl_processes_read(pids, (size_t)n, &user->processes);
}

/* The names are those of the last one who came in. */
static void name_user(struct ctl_user *user)
{
	const char *name = "", *class_name = "";
	if (user->n_sessions > 0) {
		name = user->sessions[user->n_sessions - 1].rec.user;
		class_name = user->sessions[user->n_sessions - 1].rec.class_name;
	} else if (user->n_containers > 0) {
		name = user->containers[user->n_containers - 1].rec.user;
		class_name = user->containers[user->n_containers - 1].rec.class_name;
	}
	sb_copy(user->name, sizeof(user->name), name);
	sb_copy(user->class_name, sizeof(user->class_name), class_name);
}

static int load_user(struct ctl_user *user, int run, struct sb_cgroup *cg)
{
	struct sb_user_dir dir;
	int r = sb_user_open(run, user->uid, &dir);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = load_sessions(user, dir.fd);
	if (r == 0)
		r = load_containers(user, dir.fd);
	sb_user_close(&dir);
	if (r == 0)
		r = load_cgroup(user, cg);
	find_processes(user);
	name_user(user);
	return r;
}

static uint64_t end_of_limits(const struct sb_config *config, uid_t uid)
{
	uint64_t now = (uint64_t)time(NULL);
	uid_t of;
	for (size_t i = 0; config && i < config->n; i++) {
		uint64_t until = sb_class_until(&config->classes[i]);
		if (sb_class_is_for(&config->classes[i], &of) && of == uid && until > now)
			return until;
	}
	return 0;
}

static int load_all(struct ctl_users *users, struct sb_err *err)
{
	cleanup_free uid_t *uids = NULL;
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	cleanup_config struct sb_config *config = NULL;
	cleanup_fd int run = sb_run_open(err);
	if (run < 0)
		return run;
	/* Without the base nobody is in. */
	sb_cgroup_open(NULL, &cg, NULL);
	sb_config_load(NULL, NULL, &config, NULL);
	ssize_t n = sb_user_list(run, &uids);
	int r = n < 0 ? (int)n : 0;
	for (ssize_t i = 0; r == 0 && i < n; i++) {
		struct ctl_user *user = ctl_users_add(users, uids[i]);
		r = user ? load_user(user, run, cg) : -ENOMEM;
		if (r == 0)
			user->until = end_of_limits(config, uids[i]);
	}
	return r < 0 ? sb_fail(err, r, "read the records") : 0;
}

int ctl_users_load(struct ctl_users *ret, struct sb_err *err)
{
	struct ctl_users users = { .self = geteuid() != 0 };
	int r = users.self ? ctl_self_load(&users, err) : load_all(&users, err);
	if (r < 0)
		ctl_users_clear(&users);
	else
		*ret = users;
	return r;
}
