/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What an ordinary user sees of himself: inside, from the directory that his container shows him
 * and his own cgroup; outside (a service that contains nobody), from his directory on the host.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "sessbox/parse.h"
#include "sessbox/str.h"
#include "view.h"

/* The directory above "self", and whether it is the container's. */
static int open_records(uid_t uid, bool *ret_inside)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	char path[64];
	*ret_inside = access(SB_RUN_DIR "/self", F_OK) == 0;
	snprintf(path, sizeof(path), "%s/u%u", SB_RUN_DIR, uid);
	/* Outside it is root's and may only be walked through. */
	int fd = open(*ret_inside ? SB_RUN_DIR : path, *ret_inside ? flags : O_PATH | flags);
	return fd < 0 ? -errno : fd;
}

static int compare_sessions(const void *a, const void *b)
{
	uint32_t x = ((const struct ctl_session *)a)->rec.id;
	uint32_t y = ((const struct ctl_session *)b)->rec.id;
	return x < y ? -1 : x > y;
}

static int load_sessions(struct ctl_user *user, int records)
{
	int fd = openat(records, "self", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	cleanup_dir DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		struct sb_session_record rec;
		uint64_t id;
		if (sb_parse_u64(e->d_name, &id) < 0 || id > UINT32_MAX ||
		    sb_session_load(records, "self", (uint32_t)id, &rec) < 0)
			continue;
		if (!ctl_user_add_session(user, &rec))
			return -ENOMEM;
	}
	if (user->n_sessions > 1)
		qsort(user->sessions, user->n_sessions, sizeof(*user->sessions), compare_sessions);
	return 0;
}

/* Of the containers he sees what his sessions say. */
static int derive_containers(struct ctl_user *user)
{
	user->containers = calloc(user->n_sessions + 1, sizeof(*user->containers));
	if (!user->containers)
		return -ENOMEM;
	for (size_t i = 0; i < user->n_sessions; i++) {
		const struct sb_session_record *rec = &user->sessions[i].rec;
		size_t k = 0;
		while (k < user->n_containers && user->containers[k].rec.number != rec->container)
			k++;
		struct ctl_container *c = &user->containers[k];
		if (k == user->n_containers) {
			user->n_containers++;
			c->rec = (struct sb_container_record){ .number = rec->container,
							       .uid = rec->uid };
			c->state = SB_CONTAINER_RUNNING;
			sb_copy(c->rec.user, sizeof(c->rec.user), rec->user);
			sb_copy(c->rec.class_name, sizeof(c->rec.class_name), rec->class_name);
		}
		c->sessions++;
	}
	return 0;
}

static void look_at_cgroup(struct ctl_user *user, bool inside)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	char group[SB_CGROUP_NAME_MAX];
	if (inside) {
		user->has_cgroup = sb_cgroup_own(&user->limits, &user->unsupported, &user->unseen,
						 &user->usage, NULL) == 0;
		return;
	}
	if (sb_cgroup_open(NULL, &cg, NULL) < 0)
		return;
	sb_cgroup_find(cg, user->uid, group);
	user->unseen = SB_LIMIT_BIT(SB_DEVICE_ALLOW); /* programs are shown to root alone */
	user->has_cgroup =
		sb_cgroup_usage(cg, group, &user->usage, NULL) == 0 &&
		sb_cgroup_limits(cg, group, &user->limits, &user->unsupported, NULL) == 0;
}

/* A caller on the host shows as the parent 0. With several of them audit ids have to tell. */
static void find_processes(struct ctl_user *user)
{
	for (size_t i = 0; i < user->n_sessions; i++) {
		struct ctl_session *s = &user->sessions[i];
		struct ctl_membership m = ctl_session_membership(user, s);
		if (user->n_sessions > 1 && m.audit == UINT32_MAX)
			continue;
		const struct ctl_process *leader = ctl_process_child(&user->processes, 0, m.audit);
		s->processes = user->n_sessions == 1 ? user->processes.n : 0;
		for (size_t k = 0; user->n_sessions > 1 && k < user->processes.n; k++)
			s->processes +=
				ctl_process_is_member(&user->processes, &user->processes.v[k], &m);
		if (leader)
			ctl_process_tty(&user->processes, leader->proc.pid, s->tty, sizeof(s->tty));
	}
}

static int load(struct ctl_user *user, int records, bool inside)
{
	int r = load_sessions(user, records);
	if (r == 0)
		r = derive_containers(user);
	if (r == 0 && inside) {
		r = ctl_processes_read_all(&user->processes);
		find_processes(user);
	}
	look_at_cgroup(user, inside);
	return r;
}

int ctl_self_load(struct ctl_users *ret, struct sb_err *err)
{
	uid_t uid = getuid();
	const struct passwd *pw = getpwuid(uid);
	bool inside;
	cleanup_fd int records = open_records(uid, &inside);
	if (records == -ENOENT)
		return 0;
	if (records < 0)
		return sb_fail(err, records, "open your records");
	struct ctl_user *user = ctl_users_add(ret, uid);
	if (!user)
		return sb_fail(err, ENOMEM, "read your records");
	int r = load(user, records, inside);
	if (r < 0)
		return sb_fail(err, r, "read your records");
	if (user->n_sessions == 0 && !inside) {
		ctl_users_clear(ret);
		ret->self = true;
		return 0;
	}
	const struct sb_session_record *last =
		user->n_sessions ? &user->sessions[user->n_sessions - 1].rec : NULL;
	sb_copy(user->name, sizeof(user->name), last ? last->user : pw ? pw->pw_name : "");
	sb_copy(user->class_name, sizeof(user->class_name), last ? last->class_name : "");
	return 0;
}
