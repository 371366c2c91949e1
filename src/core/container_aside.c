/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Processes that outlive the one that starts them: the reaper of a container, a timer. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

static void detach(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL); /* the helper holds TERM and others */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	setsid();
	alarm(0); /* it has its own deadline */
}

int sb_spawn_aside(void (*work)(const void *ctx), const void *ctx)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	struct sb_cgroup_entry entry;
	int r = sb_cgroup_open(NULL, &cg, NULL);
	if (r == 0)
		r = sb_cgroup_entry_open(cg, SB_CGROUP_INIT, false, &entry, NULL);
	if (r < 0)
		return r;
	struct clone_args args = { .exit_signal = SIGCHLD };
	if (entry.clone_fd >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)entry.clone_fd;
	}
	pid_t pid = sys_clone3(&args);
	if (pid == 0) {
		sb_cgroup_entry_enter(&entry);
		detach();
		work(ctx);
		_exit(0);
	}
	r = pid < 0 ? -errno : 0;
	sb_cgroup_entry_close(&entry);
	return r;
}

int sb_keep_aside(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, SB_ASIDE_FD);
}

/* ---- timers ---- */

struct timer {
	time_t at;
	int claim;
};

/* Looking more often than that, a timer whose limits have been taken back ends some time. */
#define TIMER_MAX_SEC 3600

/* By the clock on the wall: a clock that is set wakes it, to look again. */
static void wait_for(time_t at)
{
	time_t soon = time(NULL) + TIMER_MAX_SEC;
	const struct itimerspec when = { .it_value = { .tv_sec = at < soon ? at : soon } };
	uint64_t times;
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC);
	do
		timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
	while (read(fd, &times, sizeof(times)) < 0 && (errno == ECANCELED || errno == EINTR));
}

static void run_timer(const void *ctx)
{
	const struct timer *timer = ctx;
	char *argv[] = { (char *)"sessbox-helper", (char *)"expire", NULL }, *envp[] = { NULL };
	prctl(PR_SET_NAME, "sessbox-timer");
	sb_keep_aside(timer->claim);
	sys_close_range(3, SB_ASIDE_FD - 1, 0);
	wait_for(timer->at);
	execve(SB_HELPER, argv, envp);
}

/* One process for each moment, whoever's: the lock of one byte goes with it. A monitor looks at all
 * the moments there are. */
int sb_timer_ensure(int run_fd, uint64_t at)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)at, .l_len = 1
	};
	if (sb_monitor_runs(run_fd))
		return 0;
	cleanup_fd int fd =
		openat(run_fd, "timers", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
		return errno == EAGAIN || errno == EACCES ? 0 : -errno;
	const struct timer timer = { (time_t)at, fd };
	return sb_spawn_aside(run_timer, &timer);
}
