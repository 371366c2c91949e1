/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prove.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sessbox/io.h"
#include "sessbox/mount.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"
#include "sessctl.h"
#include "signame.h"

#define SCRIPT SB_LIBEXECDIR "/sessbox-prove"
#define PROOF_MS 300000
#define END_MS 10000
#define LINE_MAX_BYTES 2048
#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* ---- in the copy ---- */

__attribute__((noreturn)) static void give_up(int out, const char *msg)
{
	sb_write_all(out, msg, strlen(msg));
	_exit(CTL_UNPROVABLE);
}

/* What its syslog would have, for the reasons. Ends with the copy. */
static void collect_log(int log)
{
	char line[LINE_MAX_BYTES];
	pid_t pid = fork();
	if (pid != 0)
		return;
	int file = open(CTL_COPY_DIR "/log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	for (;;) {
		ssize_t n = recv(log, line, sizeof(line) - 1, 0);
		if (n < 0 && errno != EINTR)
			_exit(0);
		if (n <= 0)
			continue;
		line[n] = '\n';
		sb_write_all(file, line, (size_t)n + 1);
	}
}

__attribute__((noreturn)) static void run_script(const struct ctl_copy *copy)
{
	char *argv[2 + CTL_COPY_TEXTS] = { (char *)SCRIPT };
	char *env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C",
			(char *)"HOME=/root", NULL };
	for (size_t i = 0; i < copy->n && i < CTL_COPY_TEXTS; i++)
		argv[1 + i] = (char *)copy->texts[i].name;
	int null = open("/dev/null", O_RDONLY);
	int noise = open(CTL_COPY_DIR "/noise", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (null < 0 || noise < 0 || dup2(null, 0) < 0 || dup2(copy->out, 1) < 0 ||
	    dup2(noise, 2) < 0)
		_exit(CTL_UNPROVABLE);
	sys_close_range(3, ~0U, 0);
	execve(SCRIPT, argv, env);
	give_up(1, "execute " SCRIPT);
}

static int wait_for_script(pid_t script)
{
	int status;
	for (;;) {
		pid_t pid = wait(&status);
		if (pid == script)
			return WIFEXITED(status) ? WEXITSTATUS(status) : CTL_UNPROVABLE;
		if (pid < 0 && errno != EINTR)
			return CTL_UNPROVABLE;
	}
}

/* Dies with sessctl, and everything in the copy with it. */
static int begin(struct ctl_copy *copy)
{
	sigset_t none;
	struct pollfd reader = { .fd = copy->out };
	sb_close(&copy->from);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setsid() < 0)
		return -errno;
	/* It may have died before that: then nobody reads any more. */
	if (poll(&reader, 1, 0) > 0 && reader.revents & POLLERR)
		return -ECHILD;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return sb_cgroup_entry_enter(&copy->cgroups->entry);
}

__attribute__((noreturn)) static void first_process(struct ctl_copy *copy)
{
	struct sb_err err = { 0 };
	int r = begin(copy);
	if (r < 0)
		give_up(copy->out, strerror(-r));
	if (ctl_copy_make(copy, &err) < 0)
		give_up(copy->out, err.msg);
	collect_log(copy->log);
	pid_t script = fork();
	if (script == 0)
		run_script(copy);
	_exit(script < 0 ? CTL_UNPROVABLE : wait_for_script(script));
}

/* ---- outside ---- */

/* Until the copy closes its end. -EINTR: a signal came, and waits to be let through. */
static int listen_to(const struct ctl_copy *copy, int signals, char *why, size_t size)
{
	int64_t deadline = sb_now_ms() + PROOF_MS;
	char spare[256];
	size_t len = 0;
	for (;;) {
		struct pollfd fds[] = { { .fd = copy->from, .events = POLLIN },
					{ .fd = signals, .events = POLLIN } };
		int r = poll(fds, 2, sb_left_ms(deadline));
		if (r == 0)
			return -ETIMEDOUT;
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r > 0 && fds[1].revents)
			return -EINTR;
		bool room = len + 1 < size;
		ssize_t n = r < 0 ? -1
				  : read(copy->from, room ? why + len : spare,
					 room ? size - 1 - len : sizeof(spare));
		if (n == 0)
			return 0;
		len += n > 0 && room ? (size_t)n : 0;
		why[len] = '\0';
	}
}

static enum ctl_proof end_copy(pid_t pid, int r, char *why, size_t size)
{
	int status = 0;
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	why[strcspn(why, "\n")] = '\0';
	if (r == -ETIMEDOUT)
		snprintf(why, size, "it took more than %d s", PROOF_MS / 1000);
	else if (!*why)
		snprintf(why, size, SCRIPT " ended without a word");
	if (r < 0 || !WIFEXITED(status) || WEXITSTATUS(status) > CTL_UNPROVABLE)
		return CTL_UNPROVABLE;
	return (enum ctl_proof)WEXITSTATUS(status);
}

static pid_t start(struct ctl_copy *copy)
{
	const struct sb_cgroup_entry *entry = &copy->cgroups->entry;
	struct clone_args args = { .flags = NAMESPACES, .exit_signal = SIGCHLD };
	if (entry->clone_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)entry->clone_fd;
	}
	pid_t pid = sys_clone3(&args);
	if (pid == 0)
		first_process(copy);
	return pid < 0 ? -errno : pid;
}

static enum ctl_proof run(struct ctl_copy *copy, const sigset_t *held, char *why, size_t size)
{
	cleanup_fd int signals = signalfd(-1, held, SFD_CLOEXEC);
	pid_t pid = start(copy);
	sb_close(&copy->out);
	if (pid > 0)
		return end_copy(pid, listen_to(copy, signals, why, size), why, size);
	snprintf(why, size, "make namespaces: %s", strerror(-pid));
	return CTL_UNPROVABLE;
}

static int prepare(struct ctl_copy *copy, struct sb_err *err)
{
	const struct sb_clone how = { .slave = false };
	int out[2];
	for (size_t i = 0; i < copy->cgroups->n; i++) {
		copy->mounts[i] = sb_mount_clone(copy->cgroups->dirs[i], ".", &how);
		if (copy->mounts[i] < 0)
			return sb_fail(err, copy->mounts[i], "clone a cgroup");
	}
	copy->log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (copy->log < 0 || pipe2(out, O_CLOEXEC) < 0)
		return sb_fail(err, errno, "make a pipe");
	copy->from = out[0];
	copy->out = out[1];
	return 0;
}

static void clear(struct ctl_copy *copy)
{
	int *const fds[] = { &copy->from, &copy->out, &copy->log };
	for (size_t i = 0; i < SB_ARRAY_SIZE(fds); i++)
		sb_close(fds[i]);
	for (size_t i = 0; i < copy->cgroups->n; i++)
		sb_close(&copy->mounts[i]);
}

static enum ctl_proof prove(struct ctl_copy *copy, const sigset_t *held, char *why, size_t size)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	struct sb_cgroup_replica cgroups = { .entry.clone_fd = -1 };
	struct sb_err err = { 0 };
	enum ctl_proof proof = CTL_UNPROVABLE;
	memset(copy->mounts, 0xff, sizeof(copy->mounts));
	copy->cgroups = &cgroups;
	int r = sb_cgroup_open(NULL, &cg, &err);
	if (r == 0) {
		copy->v2 = sb_cgroup_mode(cg) == SB_CGROUP_V2;
		r = sb_cgroup_replica_make(cg, &cgroups, &err);
	}
	if (r == 0)
		r = prepare(copy, &err);
	if (r == 0)
		proof = run(copy, held, why, size);
	else
		snprintf(why, size, "%s", err.msg);
	clear(copy);
	sb_cgroup_replica_close(&cgroups);
	if (cg && sb_cgroup_replica_remove(cg, sb_now_ms() + END_MS, &err) < 0)
		ctl_warn("%s", err.msg);
	return proof;
}

enum ctl_proof ctl_prove(const struct sb_pam_text *texts, size_t n, char *why, size_t size)
{
	struct ctl_copy copy = { .texts = texts, .n = n, .from = -1, .out = -1, .log = -1 };
	sigset_t held, before;
	*why = '\0';
	ctl_hold_signals(&held, &before);
	enum ctl_proof proof = prove(&copy, &held, why, size);
	/* One that came ends us here, when nothing of the copy is left. */
	sigprocmask(SIG_SETMASK, &before, NULL);
	return proof;
}
