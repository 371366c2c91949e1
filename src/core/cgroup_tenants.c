/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "cgroup_internal.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"

static int compare(const void *a, const void *b)
{
	uid_t x = *(const uid_t *)a, y = *(const uid_t *)b;
	return x < y ? -1 : x > y;
}

/* The uid of a name that sb_cgroup_tenant() would make. */
static bool parse_tenant(const char *name, uid_t *ret)
{
	uint64_t uid;
	if (name[0] != 'u' || sb_parse_u64(name + 1, &uid) < 0 || uid >= UINT32_MAX)
		return false;
	*ret = (uid_t)uid;
	return true;
}

static int add_all(const struct sb_hierarchy *h, uid_t **uids, size_t *n)
{
	int fd = openat(h->base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return -errno;
	for (struct dirent *e; (e = readdir(dir));) {
		uid_t uid;
		if (!parse_tenant(e->d_name, &uid))
			continue;
		uid_t *more = reallocarray(*uids, *n + 1, sizeof(**uids));
		if (!more)
			return -ENOMEM;
		*uids = more;
		more[(*n)++] = uid;
	}
	return 0;
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
