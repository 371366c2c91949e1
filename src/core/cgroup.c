/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define BUSY_SLEEP_MAX_MS 20
#define CREATE_TRIES 20

size_t sb_cgroup_shown(const struct sb_cgroup *cg, const char **names, size_t max)
{
	const unsigned int shown = SB_CONTROLLER_MEMORY | SB_CONTROLLER_PIDS | SB_CONTROLLER_CPU |
				   SB_CONTROLLER_CPUACCT;
	size_t n = 0;
	for (size_t i = 0; i < cg->n && n < max; i++)
		if (cg->list[i].ops == &sb_cgroup_v1 && cg->list[i].controllers & shown)
			names[n++] = cg->list[i].name;
	return n;
}

static int check_group(const char *group, struct sb_err *err)
{
	return sb_cgroup_is_group(group)
		       ? 0
		       : sb_fail_plain(err, EINVAL, "'%s' is no cgroup name", group);
}

/* One system call: a login opens such a file in each hierarchy. */
static int open_file(const struct sb_hierarchy *h, const char *group, const char *file, int flags)
{
	char path[SB_CGROUP_NAME_MAX + 32];
	struct open_how how = { .flags = (uint64_t)flags | O_CLOEXEC,
				.resolve =
					RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	if (!sb_cgroup_is_group(group))
		return -EINVAL;
	int r = sb_format(path, sizeof(path), "%s/%s", group, file);
	if (r < 0)
		return r;
	int fd = sys_openat2(h->base, path, &how);
	return fd < 0 ? -errno : fd;
}

static int create_in(const struct sb_hierarchy *h, const char *group, bool *ret_made,
		     struct sb_err *err)
{
	*ret_made = mkdirat(h->base, group, 0755) == 0;
	if (!*ret_made && errno != EEXIST)
		return sb_fail(err, errno, "make cgroup %s (%s)", group, h->name);
	return h->ops->prepare_group ? h->ops->prepare_group(h, group, err) : 0;
}

static int create_class(const struct sb_cgroup *cg, const struct sb_hierarchy *h, const char *class,
			struct sb_err *err)
{
	bool made;
	int r = create_in(h, class, &made, err);
	if (r < 0 || !h->ops->prepare_class)
		return r;
	return h->ops->prepare_class(cg, h, class, err);
}

/* A class' that has no tenant is nobody's. */
static void remove_class(const struct sb_cgroup *cg, const char *group)
{
	char class[SB_CGROUP_NAME_MAX];
	for (size_t i = 0; i < cg->n && sb_cgroup_above(group, class); i++)
		unlinkat(cg->list[i].base, class, AT_REMOVEDIR);
}

static int create_once(struct sb_cgroup *cg, const char *group, struct sb_err *err)
{
	bool made[SB_CGROUP_FDS_MAX] = { false };
	char class[SB_CGROUP_NAME_MAX];
	bool in_class = sb_cgroup_above(group, class);
	int r = 0;
	size_t i = 0;
	for (; i < cg->n && r >= 0; i++) {
		const struct sb_hierarchy *h = &cg->list[i];
		if (h->ops->prepare_base)
			r = h->ops->prepare_base(cg, h, err);
		if (r >= 0 && in_class)
			r = create_class(cg, h, class, err);
		if (r >= 0)
			r = create_in(h, group, &made[i], err);
	}
	while (r < 0 && i-- > 0)
		if (made[i])
			unlinkat(cg->list[i].base, group, AT_REMOVEDIR);
	if (r < 0)
		remove_class(cg, group);
	return r < 0 ? r : 0;
}

int sb_cgroup_create(struct sb_cgroup *cg, const char *group, struct sb_err *err)
{
	int r = check_group(group, err);
	/* The class' last tenant may leave, and take its group along, in the midst of this. */
	for (int try = 0; r == 0 && try < CREATE_TRIES; try++) {
		r = create_once(cg, group, err);
		if (r != -ENOENT && r != -ENODEV)
			return r;
		r = try + 1 < CREATE_TRIES ? 0 : r;
	}
	return r;
}

/* One attempt. An imitation's directory with files in it is "not empty"; cgroupfs says "busy". */
static int remove_all(const struct sb_cgroup *cg, const char *group, const char **ret_where)
{
	int r = 0;
	for (size_t i = 0; i < cg->n; i++) {
		if (unlinkat(cg->list[i].base, group, AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		r = errno == ENOTEMPTY ? -EBUSY : -errno;
		*ret_where = cg->list[i].name;
		if (r != -EBUSY)
			break;
	}
	return r;
}

int sb_cgroup_destroy(struct sb_cgroup *cg, const char *group, int64_t deadline, struct sb_err *err)
{
	const char *where = NULL;
	int r = check_group(group, err);
	if (r < 0)
		return r;
	for (int ms = 1;; ms = ms * 2 < BUSY_SLEEP_MAX_MS ? ms * 2 : BUSY_SLEEP_MAX_MS) {
		r = remove_all(cg, group, &where);
		int left = sb_left_ms(deadline);
		if (r != -EBUSY || left == 0)
			break;
		struct timespec ts = { .tv_nsec = (ms < left ? ms : left) * 1000000L };
		nanosleep(&ts, NULL);
	}
	if (r == -EBUSY)
		return sb_fail(err, r, "remove cgroup %s (%s): processes or groups are in it",
			       group, where);
	if (r < 0)
		return sb_fail(err, r, "remove cgroup %s (%s)", group, where);
	remove_class(cg, group);
	return 0;
}

bool sb_cgroup_exists(const struct sb_cgroup *cg, const char *group)
{
	for (size_t i = 0; i < cg->n && sb_cgroup_is_group(group); i++)
		if (faccessat(cg->list[i].base, group, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

int sb_cgroup_frozen(struct sb_cgroup *cg, const char *group)
{
	int r = 0;
	for (size_t i = 0; i < cg->n && r == 0; i++) {
		r = cg->list[i].ops->frozen(&cg->list[i], group);
		/* Gone, or going: nobody can be stopped in it. */
		if (r == -ENOENT || r == -ENODEV)
			r = 0;
	}
	return r;
}

static ssize_t read_pids(FILE *file, pid_t **ret)
{
	cleanup_free pid_t *pids = NULL;
	cleanup_free char *line = NULL;
	size_t n = 0, room = 0, size = 0;
	while (getline(&line, &size, file) > 0) {
		uint64_t pid;
		if (sb_cgroup_number(line, &pid) < 0 || pid > INT32_MAX)
			return -EBADMSG;
		/* 0 is a process that this pid namespace cannot see. */
		if (pid == 0)
			continue;
		if (n == room) {
			room = room ? room * 2 : 64;
			pid_t *more = reallocarray(pids, room, sizeof(*pids));
			if (!more)
				return -ENOMEM;
			pids = more;
		}
		pids[n++] = (pid_t)pid;
	}
	/* ENODEV: the group went away. */
	if (ferror(file) && errno != ENODEV)
		return -errno;
	*ret = sb_steal_ptr(&pids);
	return (ssize_t)n;
}

/* The first hierarchy is enough: who enters enters it first. */
ssize_t sb_cgroup_pids(struct sb_cgroup *cg, const char *group, pid_t **ret)
{
	int fd = open_file(&cg->list[0], group, "cgroup.procs", O_RDONLY);
	if (fd == -ENOENT || fd == -ENODEV) {
		*ret = NULL;
		return 0;
	}
	if (fd < 0)
		return fd;
	cleanup_file FILE *file = fdopen(fd, "re");
	if (file)
		return read_pids(file, ret);
	close(fd);
	return -ENOMEM;
}

static int entry_add(const struct sb_hierarchy *h, const char *group, bool migrate,
		     struct sb_cgroup_entry *entry)
{
	bool clone = h->ops == &sb_cgroup_v2 && !migrate;
	int fd =
		clone ? sb_hierarchy_group(h, group) : open_file(h, group, h->ops->enter, O_WRONLY);
	if (fd < 0)
		return fd;
	if (clone)
		entry->clone_fd = fd;
	else
		entry->fds[entry->n++] = fd;
	return 0;
}

int sb_cgroup_entry_open(struct sb_cgroup *cg, const char *group, bool migrate,
			 struct sb_cgroup_entry *ret, struct sb_err *err)
{
	struct sb_cgroup_entry entry = { .clone_fd = -1 };
	for (size_t i = 0; i < cg->n; i++) {
		int r = entry_add(&cg->list[i], group, migrate, &entry);
		if (r >= 0)
			continue;
		sb_cgroup_entry_close(&entry);
		return sb_fail(err, r, "open cgroup %s (%s) to enter it", group, cg->list[i].name);
	}
	*ret = entry;
	return 0;
}

void sb_cgroup_entry_close(struct sb_cgroup_entry *entry)
{
	sb_close(&entry->clone_fd);
	while (entry->n > 0)
		sb_close(&entry->fds[--entry->n]);
}

int sb_cgroup_entry_enter(const struct sb_cgroup_entry *entry)
{
	for (size_t i = 0; i < entry->n; i++) {
		int r = sb_write_all(entry->fds[i], "0", 1);
		if (r < 0)
			return r;
	}
	return 0;
}
