/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define KILL_POLL_US 2000

static int compare(const void *a, const void *b)
{
	uid_t x = *(const uid_t *)a, y = *(const uid_t *)b;
	return x < y ? -1 : x > y;
}

/* The uid of a name that sb_cgroup_tenant() would make, or one of the two for what is beside. */
static bool parse_tenant(const char *name, uid_t *ret)
{
	uint64_t uid;
	if (!name[0] || !strchr("uro", name[0]) || sb_parse_u64(name + 1, &uid) < 0 ||
	    uid >= UINT32_MAX)
		return false;
	*ret = (uid_t)uid;
	return true;
}

#define CLASS_PREFIX "c-"

static DIR *open_dir(int dfd, const char *name)
{
	int fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static bool is_class(const char *name)
{
	return strncmp(name, CLASS_PREFIX, strlen(CLASS_PREFIX)) == 0;
}

static int add_uid(uid_t **uids, size_t *n, const char *name)
{
	uid_t uid;
	if (!parse_tenant(name, &uid))
		return 0;
	uid_t *more = reallocarray(*uids, *n + 1, sizeof(**uids));
	if (!more)
		return -ENOMEM;
	*uids = more;
	more[(*n)++] = uid;
	return 0;
}

/* A class' group; one that goes away meanwhile has nobody in it. */
static int add_class(int base, const char *class, uid_t **uids, size_t *n)
{
	cleanup_dir DIR *dir = open_dir(base, class);
	int r = 0;
	for (struct dirent *e; dir && r == 0 && (e = readdir(dir));)
		r = add_uid(uids, n, e->d_name);
	return r;
}

static int add_all(const struct sb_hierarchy *h, uid_t **uids, size_t *n)
{
	cleanup_dir DIR *dir = open_dir(h->base, ".");
	int r = dir ? 0 : -errno;
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		r = is_class(e->d_name) ? add_class(h->base, e->d_name, uids, n)
					: add_uid(uids, n, e->d_name);
	return r;
}

ssize_t sb_cgroup_tenants(const struct sb_cgroup *cg, uid_t **ret)
{
	cleanup_free uid_t *uids = NULL;
	size_t n = 0, kept = 0;
	for (size_t i = 0; i < cg->n; i++) {
		int r = add_all(&cg->list[i], &uids, &n);
		if (r < 0)
			return r;
	}
	if (n > 1)
		qsort(uids, n, sizeof(*uids), compare);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || uids[i] != uids[i - 1])
			uids[kept++] = uids[i];
	*ret = sb_steal_ptr(&uids);
	return (ssize_t)kept;
}

ssize_t sb_cgroup_members(const struct sb_cgroup *cg, const char *class, uid_t **ret)
{
	cleanup_free uid_t *uids = NULL;
	size_t n = 0;
	/* Every group is in each hierarchy. */
	int r = cg->n ? add_class(cg->list[0].base, class, &uids, &n) : 0;
	if (r < 0)
		return r;
	if (n > 1)
		qsort(uids, n, sizeof(*uids), compare);
	*ret = sb_steal_ptr(&uids);
	return (ssize_t)n;
}

/* Names of classes' groups in the first n hierarchies, each once. */
static int list_classes(const struct sb_cgroup *cg, size_t n, struct sb_strv *ret)
{
	int r = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		cleanup_dir DIR *dir = open_dir(cg->list[i].base, ".");
		for (struct dirent *e; dir && r == 0 && (e = readdir(dir));)
			if (is_class(e->d_name) && !sb_strv_has(ret, e->d_name))
				r = sb_strv_add(ret, e->d_name);
	}
	return r;
}

/* Is it better than what has been found? One with processes is. */
static bool is_better(struct sb_cgroup *cg, const char *group, bool found)
{
	cleanup_free pid_t *pids = NULL;
	return sb_cgroup_exists(cg, group) && (!found || sb_cgroup_pids(cg, group, &pids) > 0);
}

void sb_cgroup_find(struct sb_cgroup *cg, uid_t uid, char *buf)
{
	struct sb_strv classes = { 0 };
	sb_cgroup_tenant(buf, uid, NULL);
	bool found = sb_cgroup_exists(cg, buf);
	/* `list` asks for each tenant; most are here, and every group is in the first hierarchy. */
	if (found && is_better(cg, buf, true))
		return;
	list_classes(cg, 1, &classes);
	for (size_t i = 0; i < classes.n; i++) {
		char group[SB_CGROUP_NAME_MAX];
		if (sb_format(group, sizeof(group), "%s/u%u", classes.v[i], (unsigned int)uid) <
			    0 ||
		    !is_better(cg, group, found))
			continue;
		sb_copy(buf, SB_CGROUP_NAME_MAX, group);
		found = true;
	}
	sb_strv_clear(&classes);
}

static bool has_pid(const pid_t *pids, ssize_t n, pid_t pid)
{
	for (ssize_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* One that is still in the group when its pidfd is there is the one that was. */
static void kill_one(struct sb_cgroup *cg, const char *group, pid_t pid)
{
	cleanup_free pid_t *pids = NULL;
	cleanup_fd int fd = sys_pidfd_open(pid, 0);
	ssize_t n = fd < 0 ? 0 : sb_cgroup_pids(cg, group, &pids);
	if (has_pid(pids, n, pid))
		sys_pidfd_send_signal(fd, SIGKILL);
}

/* Processes of a pid namespace go with it, these do not. Until there are none: they may fork. */
static void kill_outside(struct sb_cgroup *cg, const char *group, int64_t deadline)
{
	for (;;) {
		cleanup_free pid_t *pids = NULL;
		ssize_t n = sb_cgroup_pids(cg, group, &pids);
		for (ssize_t i = 0; i < n; i++)
			kill_one(cg, group, pids[i]);
		if (n <= 0 || sb_left_ms(deadline) == 0)
			return;
		usleep(KILL_POLL_US);
	}
}

int sb_cgroup_destroy_tenant(struct sb_cgroup *cg, uid_t uid, int64_t deadline, struct sb_err *err)
{
	struct sb_strv classes = { 0 };
	char group[SB_CGROUP_NAME_MAX];
	sb_cgroup_outside(group, uid);
	kill_outside(cg, group, deadline);
	int r = sb_cgroup_destroy(cg, group, deadline, err);
	sb_cgroup_rescue(group, uid);
	if (r == 0)
		r = sb_cgroup_destroy(cg, group, deadline, err);
	sb_cgroup_tenant(group, uid, NULL);
	if (r == 0)
		r = sb_cgroup_destroy(cg, group, deadline, err);
	int listed = list_classes(cg, cg->n, &classes);
	if (r == 0 && listed < 0)
		r = sb_fail(err, listed, "list the classes' cgroups");
	for (size_t i = 0; i < classes.n && r == 0; i++)
		if (sb_format(group, sizeof(group), "%s/u%u", classes.v[i], (unsigned int)uid) == 0)
			r = sb_cgroup_destroy(cg, group, deadline, err);
	sb_strv_clear(&classes);
	return r;
}

static ssize_t add_pids(struct sb_cgroup *cg, const char *group, pid_t **pids, ssize_t n)
{
	cleanup_free pid_t *more = NULL;
	ssize_t found = sb_cgroup_pids(cg, group, &more);
	if (found <= 0)
		return found < 0 ? found : n;
	pid_t *all = reallocarray(*pids, (size_t)(n + found), sizeof(*all));
	if (!all)
		return -ENOMEM;
	*pids = all;
	memcpy(all + n, more, (size_t)found * sizeof(*all));
	return n + found;
}

ssize_t sb_cgroup_tenant_pids(struct sb_cgroup *cg, uid_t uid, bool outside, pid_t **ret)
{
	char groups[3][SB_CGROUP_NAME_MAX];
	cleanup_free pid_t *pids = NULL;
	ssize_t n = 0;
	sb_cgroup_find(cg, uid, groups[0]);
	sb_cgroup_rescue(groups[1], uid);
	sb_cgroup_outside(groups[2], uid);
	for (size_t i = 0; i < (outside ? 3 : 2) && n >= 0; i++)
		n = add_pids(cg, groups[i], &pids, n);
	if (n >= 0)
		*ret = sb_steal_ptr(&pids);
	return n;
}
