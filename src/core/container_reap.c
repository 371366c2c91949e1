/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who waits for the end of a container, cleans up after it, and warns those in it before. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/ns.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

/* How long before its end a container's terminals are told; of a short life, the second half. */
#define WARN_MS (5 * 60 * 1000)

static void warn_terminal(int pts, const char *name, const char *text)
{
	struct stat st;
	cleanup_fd int tty =
		openat(pts, name, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (tty >= 0 && fstat(tty, &st) == 0 && S_ISCHR(st.st_mode))
		(void)!write(tty, text, strlen(text)); /* one that is full has no reader either */
}

/* The devpts is of our making, and its names are the kernel's; links are refused all the same. */
static void warn_terminals(const char *text)
{
	const struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				      .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int fd = sys_openat2(AT_FDCWD, "/dev/pts", &how);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; dir && (e = readdir(dir));)
		if (isdigit((unsigned char)e->d_name[0]))
			warn_terminal(dirfd(dir), e->d_name, text);
}

static void warn(int init, uint64_t left_ms)
{
	char text[128];
	bool minutes = left_ms >= 120000;
	uint64_t n = minutes ? (left_ms + 59999) / 60000 : (left_ms + 999) / 1000;
	snprintf(text, sizeof(text),
		 "\a\r\nThis session ends in %u %s, with everything that runs in it.\r\n",
		 (unsigned int)n,
		 minutes  ? "minutes"
		 : n == 1 ? "second"
			  : "seconds");
	cleanup_fd int host = sb_ns_open(getpid(), "mnt");
	if (host < 0 || setns(init, CLONE_NEWNS) < 0)
		return;
	warn_terminals(text);
	if (setns(host, CLONE_NEWNS) < 0)
		_exit(1);
}

/* A poll takes 24 days at most. */
static bool ends_before(int init, int64_t deadline)
{
	int r;
	while ((r = sb_wait_readable(init, deadline)) == -ETIMEDOUT && sb_left_ms(deadline) > 0)
		;
	return r == 0;
}

static void reap(const void *ctx)
{
	const struct sb_reaping *r = ctx;
	prctl(PR_SET_NAME, "sessbox-reaper");
	int init = sb_keep_aside(r->init);
	sb_keep_aside(r->claim);
	sys_close_range(3, SB_ASIDE_FD - 1, 0);
	if (init >= 0 && r->end && !ends_before(init, r->warn_at))
		warn(init, (uint64_t)sb_left_ms(r->end));
	if (init >= 0)
		ends_before(init, r->deadline);
	sb_close(&init);
	sb_user_collect(r->uid, sb_now_ms() + SB_CGROUP_BUSY_MS, NULL);
}

/* One reaper is enough; the lock goes with it. -EWOULDBLOCK = there is one. */
static int claim_container(int user_fd, uint32_t number)
{
	char name[32];
	snprintf(name, sizeof(name), "c%u/reaper", number);
	cleanup_fd int fd = openat(user_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return sb_steal_fd(&fd);
}

int sb_reaper_start(int user_fd, uint32_t number, const struct sb_reaping *reaping)
{
	struct sb_reaping r = *reaping;
	cleanup_fd int claim = claim_container(user_fd, number);
	if (claim < 0)
		return claim == -EWOULDBLOCK || claim == -ENOENT ? 0 : claim;
	r.claim = claim;
	return sb_spawn_aside(reap, &r);
}

int sb_keeper_start(int user_fd, uint32_t number, uid_t uid, int init, uint64_t runtime_ms)
{
	uint64_t warning = runtime_ms / 2 < WARN_MS ? runtime_ms / 2 : WARN_MS;
	int64_t end = sb_now_ms() + (int64_t)runtime_ms;
	const struct sb_reaping r = { .uid = uid,
				      .init = init,
				      .end = end,
				      .warn_at = end - (int64_t)warning,
				      .deadline = INT64_MAX };
	return sb_reaper_start(user_fd, number, &r);
}
