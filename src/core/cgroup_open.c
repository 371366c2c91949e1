/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

/* What is looked at: the machine's, or a test's imitation of it. */
struct site {
	int fs; /* /sys/fs/cgroup */
	FILE *self;
	bool real;
	bool systemd;
};

static void cleanup_sitep(struct site *site)
{
	sb_close(&site->fs);
	if (site->self)
		fclose(site->self);
}
#define cleanup_site __attribute__((cleanup(cleanup_sitep)))

static const struct {
	const char *name;
	enum sb_controller bit;
} controllers[] = {
	{ "cpu", SB_CONTROLLER_CPU },	    { "cpuacct", SB_CONTROLLER_CPUACCT },
	{ "cpuset", SB_CONTROLLER_CPUSET }, { "freezer", SB_CONTROLLER_FREEZER },
	{ "memory", SB_CONTROLLER_MEMORY }, { "pids", SB_CONTROLLER_PIDS },
	{ "blkio", SB_CONTROLLER_IO },	    { "devices", SB_CONTROLLER_DEVICES },
};

static unsigned int controller_bit(const char *name)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(controllers); i++)
		if (strcmp(controllers[i].name, name) == 0)
			return controllers[i].bit;
	return 0;
}

static bool exists(int dfd, const char *name)
{
	return faccessat(dfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int site_open(const char *root, struct site *site, struct sb_err *err)
{
	cleanup_fd int dfd = open(root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dfd < 0)
		return sb_fail(err, errno, "open %s", root ? root : "/");
	const char *fs = root ? "cgroup" : "sys/fs/cgroup";
	const char *self = root ? "self" : "proc/self/cgroup";
	site->real = !root;
	site->systemd = exists(dfd, root ? "systemd" : "run/systemd/system");
	site->fs = openat(dfd, fs, SB_DIR_FLAGS);
	if (site->fs < 0)
		return sb_fail(err, errno, "open %s/%s", root ? root : "", fs);
	int fd = openat(dfd, self, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return sb_fail(err, errno, "open %s/%s", root ? root : "", self);
	site->self = fdopen(fd, "re");
	if (site->self)
		return 0;
	close(fd);
	return sb_fail(err, ENOMEM, "read %s/%s", root ? root : "", self);
}

/* Is a cgroup file system of the kind of ops mounted here? An imitation cannot have the magic. */
static bool is_mounted(const struct site *site, int dir, const struct sb_cgroup_ops *ops)
{
	struct statfs st;
	if (site->real)
		return fstatfs(dir, &st) == 0 && (uint64_t)st.f_type == ops->magic;
	return exists(dir, "cgroup.controllers") == (ops == &sb_cgroup_v2);
}

/*
 * Co-mounted controllers have links beside the directory of their mount (cpu -> cpu,cpuacct),
 * which may be followed as long as they stay in there. Returns -ENODEV when this is no hierarchy.
 */
static int open_mounted(const struct site *site, const char *path, const struct sb_cgroup_ops *ops)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	int fd = sys_openat2(site->fs, path, &how);
	if (fd < 0)
		return -errno;
	if (is_mounted(site, fd, ops))
		return fd;
	close(fd);
	return -ENODEV;
}

static int make_base(int top, bool systemd)
{
	static const char *const own[] = { "sessbox", NULL };
	static const char *const unit[] = { "system.slice", SB_TENANTS_UNIT, NULL };
	cleanup_fd int dir = -1;
	int at = top;
	for (const char *const *name = systemd ? unit : own; *name; name++) {
		int next = sb_open_dir(at, *name, 0755);
		if (next < 0)
			return next;
		sb_close(&dir);
		dir = at = next;
	}
	return sb_steal_fd(&dir);
}

/*
 * The base in the hierarchy mounted at `mount`: -ENODEV when none is. Where systemd makes the
 * base (must), it has to be there, or it is -ENOENT; elsewhere we make it.
 */
static int open_base(const struct site *site, const char *mount, const struct sb_cgroup_ops *ops,
		     bool must)
{
	char path[256];
	const char *base = site->systemd ? "system.slice/" SB_TENANTS_UNIT : "sessbox";
	if (sb_format(path, sizeof(path), "%s/%s", mount, base) < 0)
		return -ENODEV;
	int fd = open_mounted(site, path, ops);
	if (fd != -ENOENT)
		return fd;
	cleanup_fd int top = open_mounted(site, mount, ops);
	if (top == -ENOENT || top == -ENODEV)
		return -ENODEV;
	if (top < 0 || must)
		return top < 0 ? top : -ENOENT;
	return make_base(top, site->systemd);
}

/* r: what open_base returned. A hierarchy that is not mounted is none to enter. */
static int add(struct sb_cgroup *cg, struct sb_hierarchy *h, int r, struct sb_err *err)
{
	if (r == -ENODEV)
		return 0;
	if (r == -ENOENT)
		return sb_fail_plain(err, ENOENT,
				     "no cgroup of " SB_TENANTS_UNIT
				     ": systemctl restart sessbox-tenants");
	if (r < 0)
		return sb_fail(err, r, "open the base of sessbox in cgroup hierarchy %s", h->name);
	h->base = r;
	if (cg->n == SB_ARRAY_SIZE(cg->list)) {
		close(h->base);
		return sb_fail(err, E2BIG, "open cgroup hierarchy %s", h->name);
	}
	cg->list[cg->n++] = *h;
	return 0;
}

static int add_v2(struct sb_cgroup *cg, const struct site *site, struct sb_err *err)
{
	struct sb_hierarchy h = { .ops = &sb_cgroup_v2, .name = "unified" };
	bool only = is_mounted(site, site->fs, &sb_cgroup_v2);
	int base = open_base(site, only ? "." : "unified", &sb_cgroup_v2, site->systemd);
	cg->mode = only ? SB_CGROUP_V2 : base == -ENODEV ? SB_CGROUP_V1 : SB_CGROUP_HYBRID;
	h.controllers = only ? SB_CONTROLLER_ALL : 0;
	return add(cg, &h, base, err);
}

/*
 * list: the second field of a line, "cpu,cpuacct" or "name=systemd". Of the v1 hierarchies systemd
 * surely has its units in its own; those it does not manage are ours to fill.
 */
static int add_v1(struct sb_cgroup *cg, const struct site *site, char *list, struct sb_err *err)
{
	struct sb_hierarchy h = { .ops = &sb_cgroup_v1 };
	bool named = strncmp(list, "name=", 5) == 0;
	const char *mount = list + (named ? 5 : 0);
	bool must = site->systemd && named && strcmp(mount, "systemd") == 0;
	snprintf(h.name, sizeof(h.name), "%.60s", mount);
	int base = open_base(site, mount, &sb_cgroup_v1, must);
	char *save = NULL;
	for (char *one = named ? NULL : strtok_r(list, ",", &save); one;
	     one = strtok_r(NULL, ",", &save)) {
		h.controllers |= controller_bit(one);
		if (base == -ENODEV)
			base = open_base(site, one, &sb_cgroup_v1, false);
	}
	return add(cg, &h, base, err);
}

/* Lines are "<id>:<controllers>:<path>"; v2's is "0::<path>". */
static int add_all_v1(struct sb_cgroup *cg, const struct site *site, struct sb_err *err)
{
	cleanup_free char *line = NULL;
	size_t size = 0;
	while (getline(&line, &size, site->self) > 0) {
		char *list = strchr(line, ':');
		char *end = list ? strchr(list + 1, ':') : NULL;
		if (!end)
			return sb_fail_plain(err, EBADMSG, "/proc/self/cgroup is malformed");
		*end = '\0';
		int r = list[1] ? add_v1(cg, site, list + 1, err) : 0;
		if (r < 0)
			return r;
	}
	return ferror(site->self) ? sb_fail(err, errno, "read /proc/self/cgroup") : 0;
}

/* A filter on devices is one of the two worlds' everywhere: v1's, or without that v2's. */
static void find_device_filter(struct sb_cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg->list[i].controllers & SB_CONTROLLER_DEVICES)
			return;
	if (cg->n > 0 && cg->list[0].ops == &sb_cgroup_v2)
		cg->list[0].controllers |= SB_CONTROLLER_DEVICES;
}

int sb_cgroup_open(const char *root, struct sb_cgroup **ret, struct sb_err *err)
{
	cleanup_site struct site site = { .fs = -1 };
	cleanup_cgroup struct sb_cgroup *cg = calloc(1, sizeof(*cg));
	if (!cg)
		return sb_fail(err, ENOMEM, "open the cgroups");
	int r = site_open(root, &site, err);
	if (r < 0)
		return r;
	cg->systemd = site.systemd;
	r = add_v2(cg, &site, err);
	if (r == 0 && cg->mode != SB_CGROUP_V2)
		r = add_all_v1(cg, &site, err);
	if (r == 0 && cg->n == 0)
		r = sb_fail_plain(err, ENOENT, "no cgroup file system below /sys/fs/cgroup");
	if (r < 0)
		return r;
	find_device_filter(cg);
	*ret = sb_steal_ptr(&cg);
	return 0;
}

void sb_cgroup_close(struct sb_cgroup *cg)
{
	for (size_t i = 0; cg && i < cg->n; i++)
		sb_close(&cg->list[i].base);
	free(cg);
}

enum sb_cgroup_mode sb_cgroup_mode(const struct sb_cgroup *cg)
{
	return cg->mode;
}

const char *sb_cgroup_mode_name(enum sb_cgroup_mode mode)
{
	static const char *const names[] = {
		[SB_CGROUP_V2] = "v2", [SB_CGROUP_V1] = "v1", [SB_CGROUP_HYBRID] = "hybrid"
	};
	return names[mode];
}
