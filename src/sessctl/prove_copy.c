/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The copy of the machine in which a PAM file is tried, from the inside. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "prove.h"
#include "sessbox/io.h"
#include "sessbox/mount.h"
#include "sessbox/ns.h"
#include "sessbox/step.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define CGROUPS "/sys/fs/cgroup"

static int make_private(void *ctx, struct sb_err *err)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	(void)ctx;
	if (mount(NULL, "/", NULL, SB_MS_REC | SB_MS_PRIVATE, NULL) < 0)
		return sb_fail(err, errno, "make the mounts private");
	if (sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &ro, sizeof(ro)) < 0)
		return sb_fail(err, errno, "make the mounts read-only");
	return 0;
}

static int mount_kernels(void *ctx, struct sb_err *err)
{
	static const struct {
		const char *type, *target, *options;
	} rows[] = {
		{ "proc", "/proc", NULL },
		{ "devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5" },
	};
	(void)ctx;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++)
		if (mount(rows[i].type, rows[i].target, rows[i].type, 0, rows[i].options) < 0)
			return sb_fail(err, errno, "mount '%s'", rows[i].target);
	return 0;
}

/* An empty directory in a directory's place, with its owner and mode; a missing one is fine. */
static int cover(const char *path, struct sb_err *err)
{
	struct stat st;
	char options[64];
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : sb_fail(err, errno, "look at '%s'", path);
	snprintf(options, sizeof(options), "mode=%o,uid=%u,gid=%u", st.st_mode & 07777, st.st_uid,
		 st.st_gid);
	if (mount("sessbox", path, "tmpfs", SB_MS_NODEV, options) < 0)
		return sb_fail(err, errno, "cover '%s'", path);
	return 0;
}

static int cover_all(const char *const *paths, struct sb_err *err)
{
	int r = 0;
	for (; *paths && r == 0; paths++)
		r = cover(*paths, err);
	return r;
}

static int cover_first(void *ctx, struct sb_err *err)
{
	static const char *const paths[] = { "/run", "/tmp", "/home", "/root", "/dev/shm", NULL };
	int r = cover_all(paths, err);
	(void)ctx;
	if (r == 0 && mkdir(CTL_COPY_DIR, 0700) < 0)
		r = sb_fail(err, errno, "make " CTL_COPY_DIR);
	return r;
}

static int overlay(const char *path, struct sb_err *err)
{
	static const char *const parts[] = { "upper", "work" };
	char dirs[2][64], options[256];
	struct stat st;
	if (stat(path, &st) < 0)
		return sb_fail(err, errno, "look at '%s'", path);
	for (size_t i = 0; i < SB_ARRAY_SIZE(parts); i++) {
		snprintf(dirs[i], sizeof(dirs[i]), CTL_COPY_DIR "/%s-%s", parts[i], path + 1);
		if (mkdir(dirs[i], 0700) < 0 || chmod(dirs[i], st.st_mode & 07777) < 0)
			return sb_fail(err, errno, "make '%s'", dirs[i]);
	}
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", path, dirs[0],
		 dirs[1]);
	if (mount("sessbox", path, "overlay", 0, options) < 0)
		return sb_fail(err, errno, "mount an overlay on '%s'", path);
	return 0;
}

/* What is written goes nowhere; jobs of the host's that a cron or atd here would run are hidden. */
static int overlay_system(void *ctx, struct sb_err *err)
{
	static const char *const paths[] = { "/etc/cron.d",
					     "/var/tmp",
					     "/var/mail",
					     "/var/spool/cron/crontabs",
					     "/var/spool/cron/atjobs",
					     "/var/spool/cron/atspool",
					     NULL };
	(void)ctx;
	int r = overlay("/etc", err);
	if (r == 0)
		r = overlay("/var", err);
	return r == 0 ? cover_all(paths, err) : r;
}

static int attach_cgroups(void *ctx, struct sb_err *err)
{
	struct ctl_copy *copy = ctx;
	cleanup_fd int top = -1;
	int r = 0;
	if (copy->v2) {
		r = sb_mount_attach(copy->mounts[0], AT_FDCWD, CGROUPS);
		return r < 0 ? sb_fail(err, r, "mount " CGROUPS) : 0;
	}
	if (mount("sessbox", CGROUPS, "tmpfs", 0, "mode=755") < 0)
		return sb_fail(err, errno, "mount " CGROUPS);
	top = open(CGROUPS, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < copy->cgroups->n && r == 0; i++) {
		const char *name = copy->cgroups->names[i];
		r = mkdirat(top, name, 0755) < 0 ? -errno : 0;
		if (r == 0)
			r = sb_mount_attach(copy->mounts[i], top, name);
		if (r < 0)
			return sb_fail(err, r, "mount " CGROUPS "/%s", name);
	}
	return 0;
}

static int raise_loopback(void *ctx, struct sb_err *err)
{
	(void)ctx;
	int r = sb_ns_loopback_up();
	return r < 0 ? sb_fail(err, r, "start the loopback device") : 0;
}

static int make_parents(const char *path)
{
	char dir[PATH_MAX];
	if (sb_copy(dir, sizeof(dir), path) < 0)
		return -ENAMETOOLONG;
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

static int bind_socket(int sock, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r = sb_copy(address.sun_path, sizeof(address.sun_path), path);
	if (r == 0 &&
	    (bind(sock, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0666) < 0))
		r = -errno;
	return r;
}

/* /dev/log is a socket, or a link to one in /run. A machine without it has no log. */
static int begin_log(void *ctx, struct sb_err *err)
{
	const struct ctl_copy *copy = ctx;
	char target[PATH_MAX], path[PATH_MAX] = CTL_COPY_DIR "/log.socket";
	struct stat st;
	if (lstat("/dev/log", &st) < 0)
		return 0;
	ssize_t n = S_ISLNK(st.st_mode) ? readlink("/dev/log", target, sizeof(target) - 1) : 0;
	if (n > 0) {
		target[n] = '\0';
		snprintf(path, sizeof(path), "%s%s", *target == '/' ? "" : "/dev/", target);
	}
	int r = make_parents(path);
	if (r == 0)
		r = bind_socket(copy->log, path);
	if (r == 0 && n <= 0 && mount(path, "/dev/log", NULL, SB_MS_BIND, NULL) < 0)
		r = -errno;
	return r < 0 ? sb_fail(err, r, "make '%s'", path) : 0;
}

static int write_texts(void *ctx, struct sb_err *err)
{
	const struct ctl_copy *copy = ctx;
	const struct sb_file_attr attr = { .mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	cleanup_fd int dir = sb_open_dir(AT_FDCWD, CTL_COPY_DIR "/pam.d", 0700);
	int r = dir < 0 ? dir : 0;
	for (size_t i = 0; i < copy->n && r == 0; i++)
		r = sb_replace_file(dir, copy->texts[i].name, copy->texts[i].text, &attr);
	return r < 0 ? sb_fail(err, r, "write " CTL_COPY_DIR "/pam.d") : 0;
}

static const struct sb_step steps[] = {
	{ "mounts", make_private, NULL },     { "kernel", mount_kernels, NULL },
	{ "directories", cover_first, NULL }, { "system", overlay_system, NULL },
	{ "cgroups", attach_cgroups, NULL },  { "network", raise_loopback, NULL },
	{ "log", begin_log, NULL },	      { "files", write_texts, NULL },
};

int ctl_copy_make(struct ctl_copy *copy, struct sb_err *err)
{
	return sb_steps_run(steps, SB_ARRAY_SIZE(steps), copy, err);
}
