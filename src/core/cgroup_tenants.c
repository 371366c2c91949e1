/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_internal.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"

static int compare(const void *a, const void *b)
{
	uid_t x = *(const uid_t *)a, y = *(const uid_t *)b;
	return x < y ? -1 : x > y;
}

/* The uid of a name that sb_cgroup_tenant() or sb_cgroup_rescue() would make. */
static bool parse_tenant(const char *name, uid_t *ret)
{
	uint64_t uid;
	if ((name[0] != 'u' && name[0] != 'r') || sb_parse_u64(name + 1, &uid) < 0 ||
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

int sb_cgroup_destroy_tenant(struct sb_cgroup *cg, uid_t uid, int64_t deadline, struct sb_err *err)
{
	struct sb_strv classes = { 0 };
	char group[SB_CGROUP_NAME_MAX];
	sb_cgroup_rescue(group, uid);
	int r = sb_cgroup_destroy(cg, group, deadline, err);
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

ssize_t sb_cgroup_tenant_pids(struct sb_cgroup *cg, uid_t uid, pid_t **ret)
{
	cleanup_free pid_t *own = NULL, *beside = NULL;
	char group[SB_CGROUP_NAME_MAX], lane[SB_CGROUP_NAME_MAX];
	sb_cgroup_find(cg, uid, group);
	sb_cgroup_rescue(lane, uid);
	ssize_t n = sb_cgroup_pids(cg, group, &own);
	ssize_t more = n < 0 ? n : sb_cgroup_pids(cg, lane, &beside);
	if (more > 0) {
		pid_t *all = reallocarray(own, (size_t)(n + more), sizeof(*all));
		if (!all)
			return -ENOMEM;
		own = all;
		memcpy(own + n, beside, (size_t)more * sizeof(*all));
	}
	if (more < 0)
		return more;
	*ret = sb_steal_ptr(&own);
	return n + more;
}
