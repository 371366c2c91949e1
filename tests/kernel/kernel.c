// SPDX-License-Identifier: MIT
#include "kernel.h"

#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

enum { PASSED, FAILED = 1, SKIPPED = 77 };

#define SECONDS 20

/* Shared with every process of the test. */
struct report {
	int result;
	char why[400];
	char note[200];
};

static struct report *report;
static volatile pid_t running; /* the test, for the signal handler */
static volatile sig_atomic_t stopped;

static void set_why(int result, const char *fmt, va_list ap)
{
	if (report->result != PASSED)
		return;
	report->result = result;
	vsnprintf(report->why, sizeof(report->why), fmt, ap);
}

void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_why(FAILED, fmt, ap);
	va_end(ap);
	_exit(FAILED);
}

void skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_why(SKIPPED, fmt, ap);
	va_end(ap);
	_exit(SKIPPED);
}

void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(report->note, sizeof(report->note), fmt, ap);
	va_end(ap);
}

/* Processes. */

int try_start(struct child *child, uint64_t flags, int cgroup, void (*fn)(void *), void *arg)
{
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD,
		.pidfd = (uintptr_t)&child->pidfd,
		.exit_signal = SIGCHLD,
	};

	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = cgroup;
	}
	child->pid = syscall(SYS_clone3, &args, sizeof(args));
	if (child->pid < 0)
		return -1;
	if (child->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(arg);
		_exit(PASSED);
	}
	return 0;
}

struct child start(uint64_t flags, int cgroup, void (*fn)(void *), void *arg)
{
	struct child child;

	if (try_start(&child, flags, cgroup, fn, arg) < 0)
		fail("clone3 with flags %#llx: %s", (unsigned long long)flags, strerror(errno));
	return child;
}

void finish(struct child child)
{
	int status;

	MUST(waitpid(child.pid, &status, 0));
	close(child.pidfd);
	if (report->result != PASSED)
		_exit(report->result);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child ended with status %#x",
	      status);
}

void apart(void (*fn)(void *), void *arg)
{
	finish(start(0, -1, fn, arg));
}

void end(struct child child)
{
	kill(child.pid, SIGKILL);
	MUST(waitpid(child.pid, NULL, 0));
	close(child.pidfd);
}

bool ends_within(int pidfd, int ms)
{
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

	return poll(&poll_fd, 1, ms) == 1 && poll_fd.revents & POLLIN;
}

void idle(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

struct line line_new(void)
{
	struct line line;

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line.fd));
	return line;
}

void say_on(int fd)
{
	if (write(fd, "", 1) != 1)
		fail("the other process is gone");
}

void wait_on(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char byte;

	if (poll(&poll_fd, 1, SECONDS * 1000) == 1 && read(fd, &byte, 1) == 1)
		return;
	fail("no word from the other process");
}

/* The runner. */

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

/* All that a test started is ours by now: its processes are killed with their parents. */
static bool clean_up(void)
{
	int i;

	cgroups_thaw();
	for (i = 0; i < 250; i++) {
		if (waitpid(-1, NULL, WNOHANG) < 0)
			break;
		nap();
	}
	for (i = 0; i < 150; i++) {
		if (cgroups_remove())
			return waitpid(-1, NULL, WNOHANG) < 0;
		nap();
	}
	return false;
}

static void on_signal(int sig)
{
	stopped = sig;
	if (running > 0)
		kill(running, SIGKILL);
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static void set_up(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	alarm(SECONDS);
	umask(022);
	MUST(unshare(CLONE_NEWNS));
	MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mount("tmp", "/tmp", "tmpfs", 0, "mode=0755"));
	MUST(chdir("/tmp"));
}

static void run_one(const struct test *test)
{
	int status = 0;
	pid_t pid;

	memset(report, 0, sizeof(*report));
	pid = fork();
	if (pid == 0) {
		set_up();
		test->run();
		_exit(PASSED);
	}
	running = pid;
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		report->result = FAILED;
		snprintf(report->why, sizeof(report->why), "fork: %s", strerror(errno));
	} else if (report->result == PASSED && status != 0) {
		report->result = FAILED;
		snprintf(report->why, sizeof(report->why), "%s (status %#x)",
			 WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "time-out" : "died",
			 status);
	}
	running = 0;
	if (!clean_up() && report->result != FAILED) {
		report->result = FAILED;
		snprintf(report->why, sizeof(report->why), "a process or a cgroup is left");
	}
}

static void print_one(const struct test *test)
{
	if (report->result == SKIPPED)
		printf("skip %s: %s\n", test->name, report->why);
	else if (report->result == FAILED)
		printf("FAIL %s: %s\n", test->name, report->why);
	else if (report->note[0])
		printf("ok %s: %s (%s)\n", test->name, test->what, report->note);
	else
		printf("ok %s: %s\n", test->name, test->what);
	fflush(stdout);
}

__attribute__((weak)) int exec_part(const char *word)
{
	(void)word;
	return FAILED;
}

int main(int argc, char **argv)
{
	const struct test *test;
	int rc = PASSED;

	if (argc == 3 && !strcmp(argv[1], "exec"))
		return exec_part(argv[2]);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (report == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || geteuid() != 0) {
		fprintf(stderr, "%s: must be root\n", argv[0]);
		return FAILED;
	}
	catch_signals();
	cgroups_stale();
	cgroups_own(getpid());
	for (test = tests; test->name && !stopped; test++) {
		if (argc == 2 && strcmp(argv[1], test->name) != 0)
			continue;
		run_one(test);
		print_one(test);
		if (report->result == FAILED)
			rc = FAILED;
	}
	return stopped ? 128 + stopped : rc;
}
