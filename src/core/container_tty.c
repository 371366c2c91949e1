/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The terminal that a caller was started on, shown in the container: there ttyname(3) looks for its
 * inode in /dev, and finds none in a devpts of the container's own. It is cloned on the host and
 * attached directly in the container's /dev, a pts as /dev/ptsN, another one under its own name.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "container_internal.h"
#include "sessbox/mount.h"
#include "sessbox/ns.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define PTS_MAJOR 136
#define PTS_MAJORS 8

/* What names of virtual terminals, serial lines and consoles begin with. "tty" alone is none. */
static const char *const kinds[] = { "tty", "hvc", "xvc", "console" };

static bool is_terminal_name(const char *name)
{
	for (const char *s = name; *s; s++)
		if (!isalnum((unsigned char)*s))
			return false;
	for (size_t i = 0; i < SB_ARRAY_SIZE(kinds); i++)
		if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
			return strcmp(name, "tty") != 0;
	return false;
}

/* Its name below the host's /dev; what the descriptor's link says is believed later, by the inode.
 */
static int name_terminal(int tty, const struct stat *st, char *line, size_t size)
{
	char link[32], path[64];
	unsigned int maj = major(st->st_rdev);
	if (!S_ISCHR(st->st_mode))
		return -ENOTTY;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", tty);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (strncmp(path, "/dev/", 5) == 0 && is_terminal_name(path + 5))
		return sb_copy(line, size, path + 5);
	if (maj < PTS_MAJOR || maj >= PTS_MAJOR + PTS_MAJORS)
		return -ENOTTY;
	snprintf(line, size, "pts/%u", (maj - PTS_MAJOR) * 256 + minor(st->st_rdev));
	return 0;
}

int sb_terminal_find(int tty, struct sb_terminal *ret)
{
	const struct sb_clone how = { .attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC };
	struct stat st, host;
	char path[64];
	*ret = (struct sb_terminal){ .mount = -1 };
	if (tty < 0 || fstat(tty, &st) < 0)
		return -ENOTTY;
	int r = name_terminal(tty, &st, ret->line, sizeof(ret->line));
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/dev/%s", ret->line);
	/* Not by the descriptor itself: that may have been opened through another's mounts. */
	cleanup_fd int node = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (node < 0 || fstat(node, &host) < 0 || host.st_dev != st.st_dev ||
	    host.st_ino != st.st_ino) {
		ret->line[0] = '\0'; /* a terminal of somebody else's instance */
		return -ENOTTY;
	}
	ret->mount = sb_mount_clone(node, "", &how);
	return ret->mount < 0 ? ret->mount : 0;
}

bool sb_terminal_is_pts(const char *line)
{
	return strncmp(line, "pts/", 4) == 0;
}

/* "pts/3" is pts3 inside: nothing can be made in a devpts. */
static void name_inside(const char *line, char *name, size_t size)
{
	snprintf(name, size, "%s%s", sb_terminal_is_pts(line) ? "pts" : line,
		 sb_terminal_is_pts(line) ? line + 4 : "");
}

/* ---- in the container's mount namespace; /dev is root's there, and links are refused ---- */

static int open_dev(void)
{
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				      .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int fd = sys_openat2(AT_FDCWD, "/dev", &how);
	return fd < 0 ? -errno : fd;
}

/* /dev is sealed: the same file system through a mount of our own that is not. */
static int open_writable(int dev)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };
	cleanup_fd int fd =
		sys_open_tree(dev, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	return sb_steal_fd(&fd);
}

/* Tells a place made here from the mount point of a node that DeviceAllow= names. */
#define PLACE_MODE 0600

static int make_place(int dev, const char *name)
{
	cleanup_fd int writable = open_writable(dev);
	if (writable < 0)
		return writable;
	cleanup_fd int fd =
		openat(writable, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, PLACE_MODE);
	return fd < 0 ? -errno : 0;
}

/* writable is /dev without what is mounted in it. */
static bool is_place(int writable, const char *name)
{
	struct stat st;
	return fstatat(writable, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (st.st_mode & 07777) == PLACE_MODE;
}

static void take_off(int dev, const char *name)
{
	if (fchdir(dev) == 0)
		umount2(name, SB_MNT_DETACH | SB_UMOUNT_NOFOLLOW);
}

int sb_terminal_attach(const struct sb_terminal *terminal)
{
	struct stat ours, there;
	char name[SB_TERMINAL_MAX];
	cleanup_fd int dev = open_dev();
	if (dev < 0 || fstat(terminal->mount, &ours) < 0)
		return dev < 0 ? dev : -errno;
	name_inside(terminal->line, name, sizeof(name));
	if (fstatat(dev, name, &there, AT_SYMLINK_NOFOLLOW) == 0) {
		/* Another session's; or what one that nobody closed has left, perhaps of a
		 * terminal that is gone and whose number has come again. */
		if (there.st_dev == ours.st_dev && there.st_ino == ours.st_ino &&
		    there.st_nlink > 0)
			return 0;
		take_off(dev, name);
	} else {
		int r = make_place(dev, name);
		if (r < 0)
			return r;
	}
	return sb_mount_attach(terminal->mount, dev, name);
}

static void detach(const char *line)
{
	char name[SB_TERMINAL_MAX];
	cleanup_fd int dev = open_dev();
	cleanup_fd int writable = dev < 0 ? -1 : open_writable(dev);
	name_inside(line, name, sizeof(name));
	if (writable < 0 || !is_place(writable, name))
		return;
	take_off(dev, name);
	unlinkat(writable, name, 0);
}

int sb_terminal_detach(int init, const char *line)
{
	cleanup_fd int host = sb_ns_open(getpid(), "mnt");
	cleanup_fd int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (host < 0 || setns(init, CLONE_NEWNS) < 0)
		return host < 0 ? host : -errno;
	detach(line);
	/* Not a step further in the tenant's tree. */
	if (setns(host, CLONE_NEWNS) < 0)
		_exit(1);
	if (cwd >= 0 && fchdir(cwd) < 0)
		return 0; /* it had been removed: "/" then */
	return 0;
}
