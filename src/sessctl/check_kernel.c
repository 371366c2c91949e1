/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Does this kernel do what a login needs? Each thing is tried; only the release is read. */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include "check.h"
#include "sessbox/mount.h"
#include "sessbox/ns.h"
#include "sessbox/sys.h"

#define FIX_KERNEL "Linux 5.14 or later"

static int try_clone_mount(void)
{
	/* Of a small tree: the flags have to be set on the clone, too. */
	const struct sb_clone how = { .attr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };
	int fd = sb_mount_clone(AT_FDCWD, "/proc", &how);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int try_new_mount(void)
{
	int fd = sb_mount_new("tmpfs", MOUNT_ATTR_NOSUID, NULL);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int try_openat2(void)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				      .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int fd = sys_openat2(AT_FDCWD, "/proc", &how);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -errno : 0;
}

static int try_wipe_on_fork(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -errno;
	int r = madvise(page, size, MADV_WIPEONFORK) < 0 ? -errno : 0;
	munmap(page, size);
	return r;
}

static int try_close_range(void)
{
	return sys_close_range(~0U, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

static int try_keyctl(void)
{
	long r = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
	return r < 0 && errno == ENOSYS ? -ENOSYS : 0;
}

static int try_namespaces(void)
{
	for (size_t i = 0; i < sb_namespaces_n; i++) {
		int fd = sb_ns_open(getpid(), sb_namespaces[i].name);
		if (fd < 0)
			return fd;
		close(fd);
	}
	return 0;
}

static int try_pidfd(void)
{
	int fd = sys_pidfd_open(getpid(), 0), r = fd < 0 ? -errno : 0;
	if (fd >= 0 && sys_pidfd_send_signal(fd, 0) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

static const struct {
	const char *name;
	int (*run)(void);
} features[] = {
	{ "clones of mounts with new flags (open_tree, mount_setattr)", try_clone_mount },
	{ "detached file systems (fsopen, fsmount)", try_new_mount },
	{ "openat2", try_openat2 },
	{ "MADV_WIPEONFORK", try_wipe_on_fork },
	{ "close_range with CLOSE_RANGE_CLOEXEC", try_close_range },
	{ "keyrings (keyctl)", try_keyctl },
	{ "all six namespaces (mnt, pid, cgroup, ipc, uts, net)", try_namespaces },
	{ "pidfd_open and pidfd_send_signal", try_pidfd },
};

static void check_release(struct ctl_findings *findings)
{
	struct utsname name;
	int major = 0, minor = 0;
	if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2)
		return;
	if (major < 5 || (major == 5 && minor < 14))
		ctl_find(findings, CTL_ERROR, FIX_KERNEL, "this is Linux %s", name.release);
}

void ctl_check_kernel(const struct ctl_host *host, struct ctl_findings *findings)
{
	(void)host;
	check_release(findings);
	for (size_t i = 0; i < SB_ARRAY_SIZE(features); i++) {
		int r = features[i].run();
		if (r < 0)
			ctl_find(findings, CTL_ERROR, FIX_KERNEL, "%s: %s", features[i].name,
				 strerror(-r));
	}
}
