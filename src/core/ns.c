/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/ns.h"

#include <errno.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "sessbox/str.h"
#include "sessbox/sys.h"

const struct sb_ns sb_namespaces[] = {
	{ "mnt", CLONE_NEWNS },	 { "pid", CLONE_NEWPID },	{ "uts", CLONE_NEWUTS },
	{ "ipc", CLONE_NEWIPC }, { "cgroup", CLONE_NEWCGROUP }, { "net", CLONE_NEWNET },
};
const size_t sb_namespaces_n = SB_ARRAY_SIZE(sb_namespaces);

int sb_ns_open(pid_t pid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sb_ns_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

int sb_ns_enter_host(struct sb_err *err)
{
	struct stat self, init;
	if (stat("/proc/self/ns/mnt", &self) < 0 || stat("/proc/1/ns/mnt", &init) < 0)
		return sb_fail(err, errno, "look at the mount namespace of PID 1");
	if (self.st_ino == init.st_ino && self.st_dev == init.st_dev)
		return 0;
	cleanup_fd int fd = sb_ns_open(1, "mnt");
	if (fd < 0)
		return sb_fail(err, fd, "open the mount namespace of PID 1");
	if (setns(fd, CLONE_NEWNS) < 0)
		return sb_fail(err, errno, "enter the mount namespace of PID 1");
	return 0;
}

int sb_ns_template_find(int run_fd)
{
	cleanup_fd int fd = openat(run_fd, "ns/template", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNS)
		return -ESTALE; /* the plain file that is there before the bind */
	return sb_steal_fd(&fd);
}

/* <run>/ns as a private mount of its own; twice is harmless. */
static int bind_holder(int run_fd, struct sb_err *err)
{
	if (mkdirat(run_fd, "ns", 0700) < 0 && errno != EEXIST)
		return sb_fail(err, errno, "make the template's directory");
	struct stat run, ns;
	cleanup_fd int fd = openat(run_fd, "ns", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(run_fd, &run) < 0 || fstat(fd, &ns) < 0)
		return sb_fail(err, errno, "open the template's directory");

	struct mount_attr private = { .propagation = SB_MS_PRIVATE };
	/* Fails when the directory is no mount yet: then it is bound. */
	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH, &private, sizeof(private)) == 0)
		return 0;
	cleanup_fd int tree =
		sys_open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0 || sys_move_mount(tree, "", run_fd, "ns", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return sb_fail(err, errno, "bind the template's directory");
	/* Below a shared /run the new mount was born shared. */
	if (sys_mount_setattr(tree, "", AT_EMPTY_PATH, &private, sizeof(private)) < 0)
		return sb_fail(err, errno, "make the template's directory private");
	return 0;
}

static int pin(int cpu)
{
	cpu_set_t set;
	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

/* In the child: leaves the host's mounts for an empty read-only root. */
static int become_template(const char *run_path)
{
	char ns[PATH_MAX];
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, SB_MS_REC | SB_MS_PRIVATE, NULL) < 0 ||
	    sb_format(ns, sizeof(ns), "%s/ns", run_path) < 0 ||
	    mount("sessbox-template", ns, "tmpfs", 0, "size=4k,nr_inodes=2,mode=555") < 0 ||
	    chdir(ns) < 0 || sys_pivot_root(".", ".") < 0 || umount2(".", SB_MNT_DETACH) < 0)
		return -errno;
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					     MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	return sys_mount_setattr(AT_FDCWD, "/", 0, &ro, sizeof(ro)) < 0 ? -errno : 0;
}

/* A child in a fresh template namespace that stays until `hold` is closed; cpu -1 = any. */
static pid_t spawn_template(const char *run_path, int cpu, int *hold, int *ret_err)
{
	int ready[2], stay[2];
	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(stay, O_CLOEXEC) < 0) {
		close(ready[0]);
		close(ready[1]);
		return -errno;
	}
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		close(stay[1]);
		int r = pin(cpu);
		if (r == 0)
			r = become_template(run_path);
		if (write(ready[1], &r, sizeof(r)) == sizeof(r) && r == 0)
			r = (int)read(stay[0], &byte, 1);
		_exit(0);
	}
	int saved = -errno;
	close(ready[1]);
	close(stay[0]);
	if (pid > 0 && read(ready[0], ret_err, sizeof(*ret_err)) != sizeof(*ret_err))
		*ret_err = -EPIPE;
	close(ready[0]);
	*hold = stay[1];
	return pid < 0 ? saved : pid;
}

/* One template namespace, bound; -EINVAL also when the kernel takes it for an older one. */
static int bind_template(const char *run_path, int cpu)
{
	char source[64], target[PATH_MAX];
	cleanup_fd int hold = -1;
	int r = 0;
	pid_t pid = spawn_template(run_path, cpu, &hold, &r);
	if (pid < 0)
		return pid;
	snprintf(source, sizeof(source), "/proc/%d/ns/mnt", pid);
	if (r == 0)
		r = sb_format(target, sizeof(target), "%s/ns/template", run_path);
	if (r == 0 && mount(source, target, NULL, SB_MS_BIND, NULL) < 0)
		r = -errno;
	sb_close(&hold);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

/*
 * Against loops the kernel binds only a mount namespace that is younger than the caller's. Since
 * 6.18 it tells the age by an id that each CPU takes from a batch of its own, so that a new one may
 * count as older (seen; EINVAL): one made on the CPU where the caller's was made never does.
 */
static int make_template(int run_fd, const char *run_path, struct sb_err *err)
{
	cleanup_fd int file =
		openat(run_fd, "ns/template", O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0400);
	if (file < 0)
		return sb_fail(err, errno, "make the template's mount point");
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int r = -EINVAL;
	for (int cpu = -1; r == -EINVAL && cpu < cpus && cpu < CPU_SETSIZE; cpu++)
		r = bind_template(run_path, cpu);
	return r < 0 ? sb_fail(err, r, "make the template mount namespace") : 0;
}

int sb_ns_template_open(int run_fd, const char *run_path, struct sb_err *err)
{
	int fd = sb_ns_template_find(run_fd);
	if (fd >= 0)
		return fd;
	int r = bind_holder(run_fd, err);
	if (r < 0)
		return r;
	/* It may have been there, below a holder that had lost its mount. */
	fd = sb_ns_template_find(run_fd);
	if (fd >= 0)
		return fd;
	r = make_template(run_fd, run_path, err);
	if (r < 0)
		return r;
	fd = sb_ns_template_find(run_fd);
	return fd < 0 ? sb_fail(err, fd, "open the template mount namespace") : fd;
}

int sb_ns_template_remove(const char *run_path, struct sb_err *err)
{
	static const char *const mounts[] = { "ns/template", "ns" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(mounts); i++) {
		char path[PATH_MAX];
		int r = sb_format(path, sizeof(path), "%s/%s", run_path, mounts[i]);
		/* EINVAL: not a mount. */
		if (r == 0 && umount2(path, SB_MNT_DETACH) < 0 && errno != EINVAL &&
		    errno != ENOENT)
			r = -errno;
		if (r < 0)
			return sb_fail(err, r, "unmount '%s'", path);
	}
	return 0;
}
