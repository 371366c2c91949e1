/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a persistent overlay is kept in: a file system of its own in an image, so that its size is a
 * bound whatever the host's file system can do, and the space is taken when it is made.
 */
#include "rootfs_internal.h"

#include <errno.h>
#include <linux/loop.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sessbox/io.h"
#include "sessbox/mount.h"

#define MKE2FS "/sbin/mke2fs"
#define LOOP_TRIES 64

static int run_mke2fs(int image)
{
	char target[32];
	int status;
	snprintf(target, sizeof(target), "/proc/self/fd/%d", image);
	/* No blocks are kept back for root, whom an overlay writes as. */
	char *argv[] = { (char *)MKE2FS,   (char *)"-qF",
			 (char *)"-text4", (char *)"-m0",
			 (char *)"-E",	   (char *)"nodiscard,lazy_itable_init=0,root_owner=0:0",
			 (char *)target,   NULL };
	char *envp[] = { NULL };
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fcntl(image, F_SETFD, 0);
		execve(MKE2FS, argv, envp);
		_exit(127);
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* Not promised but taken: or the images of all would fill the host up one day. */
static int take_space(int image, uint64_t size)
{
	return fallocate(image, 0, 0, (off_t)size) < 0 ? -errno : 0;
}

/* Under another name until it is complete. The user's lock is held. */
static int make_image(int dir, const char *name, uint64_t size, struct sb_err *err)
{
	char fresh[32];
	snprintf(fresh, sizeof(fresh), "%s.new", name);
	unlinkat(dir, fresh, 0);
	cleanup_fd int image =
		openat(dir, fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = image < 0 ? -errno : take_space(image, size);
	if (r < 0)
		sb_fail(err, r, "take %llu bytes for '" SB_STORE_DIR "/overlay/%s'",
			(unsigned long long)size, name);
	else if ((r = run_mke2fs(image)) < 0)
		sb_fail(err, r, "run " MKE2FS " for '" SB_STORE_DIR "/overlay/%s'", name);
	else if ((r = take_space(image, size)) < 0) /* mke2fs has punched holes for its zeroes */
		sb_fail(err, r, "fill '" SB_STORE_DIR "/overlay/%s'", name);
	else if (renameat(dir, fresh, dir, name) < 0)
		r = sb_fail(err, errno, "name the image '%s'", name);
	if (r < 0)
		unlinkat(dir, fresh, 0);
	return r;
}

/* The lock is the open file's, which the loop device keeps: it lasts as long as the mount. */
static int lock_image(int image, int64_t deadline)
{
	while (flock(image, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (sb_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		usleep(5000);
	}
	return 0;
}

static int open_image(uid_t uid, uint64_t size, int64_t deadline, struct sb_err *err)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
	char name[24];
	cleanup_fd int store = sb_open_dir(AT_FDCWD, SB_STORE_DIR, 0700);
	cleanup_fd int dir = store < 0 ? store : sb_open_dir(store, "overlay", 0700);
	if (dir < 0)
		return sb_fail(err, dir, "open '" SB_STORE_DIR "/overlay'");
	snprintf(name, sizeof(name), "u%u.img", uid);
	cleanup_fd int image = openat(dir, name, flags);
	if (image < 0 && errno == ENOENT) {
		int r = make_image(dir, name, size, err);
		if (r < 0)
			return r;
		image = openat(dir, name, flags);
	}
	if (image < 0)
		return sb_fail(err, errno, "open '" SB_STORE_DIR "/overlay/%s'", name);
	int r = lock_image(image, deadline);
	/* ELOOP: the tenant can bring it about. */
	if (r == -ETIMEDOUT)
		return sb_fail_plain(err, ELOOP,
				     "the overlay of uid %u is in use by a container "
				     "that has not ended yet",
				     uid);
	return r < 0 ? sb_fail(err, r, "lock '" SB_STORE_DIR "/overlay/%s'", name)
		     : sb_steal_fd(&image);
}

/* A free loop device may be somebody else's before it is ours. */
static int attach_loop(int image, char *path, size_t size)
{
	const struct loop_config config = { .fd = (uint32_t)image,
					    .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
	cleanup_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	for (int i = 0; control >= 0 && i < LOOP_TRIES; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0)
			break;
		snprintf(path, size, "/dev/loop%d", number);
		cleanup_fd int loop = open(path, O_RDWR | O_CLOEXEC);
		if (loop < 0)
			break;
		if (ioctl(loop, LOOP_CONFIGURE, &config) == 0)
			return sb_steal_fd(&loop);
		if (errno != EBUSY)
			break;
	}
	return -errno;
}

int sb_store_open(uid_t uid, uint64_t size, int64_t deadline, struct sb_err *err)
{
	char path[32];
	/* Half of what is left: the refusal must come in time, too. */
	int64_t now = sb_now_ms(), patience = now + (deadline - now) / 2;
	cleanup_fd int image = open_image(uid, size, patience, err);
	if (image < 0)
		return image;
	cleanup_fd int loop = attach_loop(image, path, sizeof(path));
	if (loop < 0)
		return sb_fail(err, loop, "attach the overlay of uid %u to a loop device", uid);
	const struct sb_fsopt opts[] = { { "source", path }, { NULL, NULL } };
	int fd = sb_mount_new("ext4", NOSUID | NODEV, opts);
	return fd < 0 ? sb_fail(err, fd, "mount the overlay of uid %u", uid) : fd;
}
