// SPDX-License-Identifier: MIT
/* Joining namespaces, and the life of a container's init. */
#include "kernel.h"

#include <pthread.h>

#define ALL_NEW                                                                                    \
	(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP)

static void second_inside(void *arg)
{
	(void)arg;
	CHECK(getpid() == 2, "the child has the number %d, not 2", getpid());
	CHECK(getppid() == 0, "the child sees its parent");
}

static void join_all(void *arg)
{
	static const char *const names[] = { "mnt", "ipc",    "uts",
					     "net", "cgroup", "pid_for_children" };
	struct child *init = arg;
	struct stat mine, its;
	char path[64];
	size_t i;
	int dir;

	/* /proc is the same mount in the copy of the tree that init has. */
	snprintf(path, sizeof(path), "/proc/%d/ns", init->pid);
	dir = MUST(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	MUST(setns(init->pidfd, ALL_NEW));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		MUST(stat(path, &mine));
		MUST(fstatat(dir, names[i], &its, 0));
		CHECK(mine.st_ino == its.st_ino, "not in its %s namespace", names[i]);
	}
	apart(second_inside, NULL);
}

static void many(void)
{
	struct child init = start(ALL_NEW, -1, idle, NULL);

	apart(join_all, &init);
	end(init);
}

static void sees_parent(void *arg)
{
	(void)arg;
	CHECK(getppid() > 0, "the child is still born inside");
}

static void stay_out(void *arg)
{
	struct child *init = arg;
	int home = open_ns(0, "pid");
	pid_t before = getpid();

	MUST(setns(init->pidfd, CLONE_NEWPID));
	CHECK(getpid() == before, "the caller's own number changed");
	apart(second_inside, NULL);
	MUST(setns(home, CLONE_NEWPID));
	apart(sees_parent, NULL);
}

static void pid_children(void)
{
	struct child init = start(CLONE_NEWPID, -1, idle, NULL);

	apart(stay_out, &init);
	end(init);
}

static void dead_init(void *arg)
{
	struct child *init = arg;
	int home = open_ns(0, "pid");
	struct child child;

	MUST(setns(init->pidfd, CLONE_NEWPID));
	MUST(kill(init->pid, SIGKILL));
	CHECK(ends_within(init->pidfd, 2000), "init does not end");
	REFUSED(ENOMEM, try_start(&child, 0, -1, idle, NULL));
	MUST(setns(home, CLONE_NEWPID));
	end(start(0, -1, idle, NULL));
}

static void dead_fork(void)
{
	struct child init = start(CLONE_NEWPID, -1, idle, NULL);

	apart(dead_init, &init);
}

static void dead_join(void)
{
	struct child init = start(CLONE_NEWPID | CLONE_NEWNS, -1, idle, NULL);

	MUST(kill(init.pid, SIGKILL));
	CHECK(ends_within(init.pidfd, 2000), "a zombie's pidfd is not readable");
	REFUSED(ESRCH, setns(init.pidfd, CLONE_NEWNS));
	REFUSED(ESRCH, setns(init.pidfd, CLONE_NEWPID));
}

static void *thread(void *arg)
{
	return arg;
}

static void no_thread(void *arg)
{
	struct child *init = arg;
	pthread_t id;
	int rc;

	MUST(setns(init->pidfd, CLONE_NEWPID));
	rc = pthread_create(&id, NULL, thread, NULL);
	CHECK(rc == EINVAL, "pthread_create gives %s", strerror(rc));
}

static void threads(void)
{
	struct child init = start(CLONE_NEWPID, -1, idle, NULL);

	apart(no_thread, &init);
	end(init);
}

struct empty {
	struct child init;
	struct line init_line;
	struct line line;
};

static void init_counts(void *arg)
{
	struct empty *empty = arg;

	REFUSED(ESRCH, kill(-1, 0));
	say_on(empty->init_line.fd[1]);
	wait_on(empty->init_line.fd[1]);
	REFUSED(ECHILD, waitpid(-1, NULL, WNOHANG));
	CHECK(kill(-1, 0) == 0, "the joined process is not counted: %s", strerror(errno));
	say_on(empty->init_line.fd[1]);
	wait_on(empty->init_line.fd[1]);
	REFUSED(ESRCH, kill(-1, 0));
}

static void joins_a_while(void *arg)
{
	struct empty *empty = arg;
	struct child leader;

	MUST(setns(empty->init.pidfd, CLONE_NEWPID));
	leader = start(0, -1, idle, NULL);
	say_on(empty->line.fd[1]);
	wait_on(empty->line.fd[1]);
	end(leader);
}

static void emptiness(void)
{
	struct empty empty = { .init_line = line_new(), .line = line_new() };
	struct child joiner;

	empty.init = start(CLONE_NEWPID, -1, init_counts, &empty);
	wait_on(empty.init_line.fd[0]);
	joiner = start(0, -1, joins_a_while, &empty);
	wait_on(empty.line.fd[0]);
	say_on(empty.init_line.fd[0]);
	wait_on(empty.init_line.fd[0]);
	say_on(empty.line.fd[0]);
	finish(joiner);
	say_on(empty.init_line.fd[0]);
	finish(empty.init);
}

struct last {
	struct child init;
	struct line line;
};

static void holds_leader(void *arg)
{
	struct last *last = arg;
	struct child leader;

	MUST(setns(last->init.pidfd, CLONE_NEWPID));
	leader = start(0, -1, idle, NULL);
	say_on(last->line.fd[1]);
	CHECK(ends_within(leader.pidfd, 5000), "the leader outlives its init");
	say_on(last->line.fd[1]);
	wait_on(last->line.fd[1]);
	MUST(waitpid(leader.pid, NULL, 0));
}

/* The leader's parent is outside: only that one can reap it, and init cannot end before. */
static void init_exits(void)
{
	struct last last = { .line = line_new() };
	struct child holder;

	last.init = start(CLONE_NEWPID, -1, idle, NULL);
	holder = start(0, -1, holds_leader, &last);
	wait_on(last.line.fd[0]);
	MUST(kill(last.init.pid, SIGKILL));
	wait_on(last.line.fd[0]);
	CHECK(!ends_within(last.init.pidfd, 300), "init ends before its leader is reaped");
	say_on(last.line.fd[0]);
	CHECK(ends_within(last.init.pidfd, 2000), "init does not end when its leader is reaped");
	finish(holder);
}

static void cannot_move(void *arg)
{
	struct child *init = arg;

	REFUSED(EINVAL, setns(init->pidfd, CLONE_NEWNS));
}

static void shared_fs(void)
{
	struct child init = start(CLONE_NEWNS, -1, idle, NULL);

	finish(start(CLONE_FS, -1, cannot_move, &init));
	end(init);
}

int exec_part(const char *word)
{
	(void)word;
	return exists("/tmp/private");
}

static void vfork_back(void *arg)
{
	int host = *(int *)arg;
	int status;
	pid_t pid;

	MUST(mount("tmp", "/tmp", "tmpfs", 0, NULL));
	touch("/tmp/private");
	pid = vfork();
	if (pid == 0) {
		if (setns(host, CLONE_NEWNS) == 0)
			execl("/proc/self/exe", "t_setns", "exec", "look", NULL);
		_exit(2);
	}
	MUST(pid);
	MUST(waitpid(pid, &status, 0));
	CHECK(status == 0, "the program ended with status %#x", status);
	CHECK(exists("/tmp/private"), "the caller moved, too");
}

static void vfork_moves(void)
{
	int host = open_ns(0, "mnt");

	finish(start(CLONE_NEWNS, -1, vfork_back, &host));
}

const struct test tests[] = {
	{ "setns-many", "one setns(pidfd) joins mnt, ipc, uts, net, cgroup and pid", many },
	{ "setns-pid-children", "setns(pidfd, NEWPID) moves later children only, and back again",
	  pid_children },
	{ "setns-dead-fork", "with that init dead fork fails with ENOMEM; setns back cures it",
	  dead_fork },
	{ "setns-dead-join", "setns to an unreaped dead init fails with ESRCH", dead_join },
	{ "setns-threads", "after setns(NEWPID) no thread can be made (EINVAL)", threads },
	{ "setns-empty", "kill(-1, 0) is ESRCH in an init exactly when nobody else is in",
	  emptiness },
	{ "setns-init-exits",
	  "a killed init takes those who joined along, and ends when they are reaped", init_exits },
	{ "setns-shared-fs", "who shares his root and directory cannot change mount namespace",
	  shared_fs },
	{ "setns-vfork", "a vfork child changes mount namespace before exec, its parent stays",
	  vfork_moves },
	{},
};
