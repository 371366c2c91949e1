/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

/* Sleeps for ever, and keeps nothing of its parent: no session, descriptor, directory or signal. */
__attribute__((noreturn)) static void holder(const struct sb_cgroup_entry *entry, int answer)
{
	sigset_t none;
	int r = sb_cgroup_entry_enter(entry);
	if (r == 0 && (setsid() < 0 || chdir("/") < 0))
		r = -errno;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NAME, "sessbox-hold");
	sb_write_all(answer, &r, sizeof(r));
	if (r < 0)
		_exit(1);
	sys_close_range(0, ~0U, 0);
	for (;;)
		pause();
}

/* What the holder says, or that it died before it said anything. */
static int receive(int fd)
{
	int r;
	ssize_t n;
	do
		n = read(fd, &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	return n == sizeof(r) ? r : -EPROTO;
}

static int start(const struct sb_cgroup_entry *entry, struct sb_err *err)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	int answer[2];
	if (entry->clone_fd >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)entry->clone_fd;
	}
	if (pipe2(answer, O_CLOEXEC) < 0)
		return sb_fail(err, errno, "make a pipe");
	pid_t pid = sys_clone3(&args);
	if (pid == 0)
		holder(entry, answer[1]);
	int r = pid < 0 ? -errno : 0;
	close(answer[1]);
	if (r == 0)
		r = receive(answer[0]);
	close(answer[0]);
	if (r == 0)
		return 0;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return sb_fail(err, r, "start a process in cgroup " SB_CGROUP_INIT);
}

int sb_cgroup_hold(struct sb_cgroup *cg, struct sb_err *err)
{
	struct sb_cgroup_entry entry;
	cleanup_free pid_t *pids = NULL;
	int r = sb_cgroup_create(cg, SB_CGROUP_INIT, err);
	if (r < 0)
		return r;
	ssize_t n = sb_cgroup_pids(cg, SB_CGROUP_INIT, &pids);
	if (n != 0)
		return n < 0 ? sb_fail(err, (int)n, "look into cgroup " SB_CGROUP_INIT) : 0;
	r = sb_cgroup_entry_open(cg, SB_CGROUP_INIT, false, &entry, err);
	if (r < 0)
		return r;
	r = start(&entry, err);
	sb_cgroup_entry_close(&entry);
	return r;
}
