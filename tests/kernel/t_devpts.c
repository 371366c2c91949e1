// SPDX-License-Identifier: MIT
/* Terminals: the container's devpts seen by the caller on the host, and a tty brought along. */
#include "kernel.h"

#include <sys/ioctl.h>

static int new_devpts(const char *max)
{
	int fs = MUST(fsopen("devpts", FSOPEN_CLOEXEC));

	MUST(fsconfig(fs, FSCONFIG_SET_FLAG, "newinstance", NULL, 0));
	MUST(fsconfig(fs, FSCONFIG_SET_STRING, "ptmxmode", "0666", 0));
	MUST(fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0620", 0));
	MUST(fsconfig(fs, FSCONFIG_SET_STRING, "gid", "5", 0));
	MUST(fsconfig(fs, FSCONFIG_SET_STRING, "max", max, 0));
	MUST(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	return MUST(fsmount(fs, FSMOUNT_CLOEXEC, 0));
}

/* Opens a pty through this ptmx; the slave's number is returned in number. */
static int open_pty(const char *ptmx, int *number)
{
	int master = open(ptmx, O_RDWR | O_NOCTTY | O_CLOEXEC);
	int zero = 0;

	if (master < 0)
		return -1;
	MUST(ioctl(master, TIOCSPTLCK, &zero));
	MUST(ioctl(master, TIOCGPTN, number));
	return master;
}

static int open_slave(int master)
{
	return MUST(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

/* The container: its /dev is /tmp/dev, which becomes the root's by chroot. */
static void be_container(void *arg)
{
	struct line *line = arg;

	MUST(mkdir("/tmp/root", 0755));
	attach(new_fs("tmpfs"), "/tmp/root");
	MUST(mkdir("/tmp/root/dev", 0755));
	MUST(mkdir("/tmp/root/dev/pts", 0755));
	attach(new_devpts("8"), "/tmp/root/dev/pts");
	MUST(symlink("pts/ptmx", "/tmp/root/dev/ptmx"));
	MUST(mkdir("/tmp/root/proc", 0755));
	attach(new_fs("proc"), "/tmp/root/proc");
	MUST(chdir("/tmp/root"));
	attach(MUST(open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)),
	       "/");
	MUST(chroot("/tmp/root"));
	say_on(line->fd[1]);
	idle(NULL);
}

static struct child container_new(void)
{
	struct line line = line_new();
	struct child child = start(CLONE_NEWNS | CLONE_NEWPID, -1, be_container, &line);

	wait_on(line.fd[0]);
	return child;
}

struct clone_pts {
	struct child container;
	int pts;
	struct line line;
};

/* Goes in to clone, comes back to use: a detached mount can cross namespaces. */
static int clone_container_pts(struct child container)
{
	int home = open_ns(0, "mnt");
	int pts;

	MUST(setns(container.pidfd, CLONE_NEWNS));
	pts = MUST(open_tree(AT_FDCWD, "/dev/pts", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
	MUST(setns(home, CLONE_NEWNS));
	close(home);
	return pts;
}

static void tty_inside(void *arg)
{
	char *name;

	(void)arg;
	name = ttyname(0);
	CHECK(name, "ttyname inside: %s", strerror(errno));
	CHECK(!strcmp(name, "/dev/pts/0"), "ttyname inside is %s", name);
	CHECK(exists("/dev/pts/0") && !exists("/dev/pts/1"), "/dev/pts has something else");
	close(MUST(open("/dev/pts/0", O_RDWR | O_NOCTTY | O_CLOEXEC)));
}

static void caller(void *arg)
{
	struct clone_pts *clone = arg;
	int number, master;
	char *name;

	MUST(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
	attach(clone->pts, "/dev/pts");
	master = open_pty("/dev/ptmx", &number);
	CHECK(master >= 0, "open /dev/ptmx: %s", strerror(errno));
	CHECK(number == 0, "the first pty is %d", number);
	MUST(dup2(open_slave(master), 0));
	name = ttyname(0);
	CHECK(name && !strcmp(name, "/dev/pts/0"), "ttyname of the caller is %s", name);
	MUST(setns(clone->container.pidfd, CLONE_NEWNS));
	tty_inside(NULL);
	say_on(clone->line.fd[1]);
	wait_on(clone->line.fd[1]);
}

static void host_slave(void)
{
	struct clone_pts clone = { .container = container_new(), .line = line_new() };
	struct stat before, after;
	struct child child;

	if (!exists("/dev/ptmx") || !exists("/dev/pts/ptmx"))
		skip("no devpts on /dev/pts here");
	clone.pts = clone_container_pts(clone.container);
	MUST(stat("/dev/pts", &before));
	child = start(CLONE_NEWNS, -1, caller, &clone);
	wait_on(clone.line.fd[0]);
	MUST(stat("/dev/pts", &after));
	CHECK(before.st_dev == after.st_dev, "the host's /dev/pts changed");
	say_on(clone.line.fd[0]);
	finish(child);
	end(clone.container);
}

static void max_ptys(void)
{
	int number;

	MUST(mkdir("/tmp/pts", 0755));
	attach(new_devpts("2"), "/tmp/pts");
	MUST(open_pty("/tmp/pts/ptmx", &number));
	MUST(open_pty("/tmp/pts/ptmx", &number));
	REFUSED(ENOSPC, open_pty("/tmp/pts/ptmx", &number));
}

static void brought_tty(void *arg)
{
	struct clone_pts *clone = arg;
	char *name;
	int fd;

	MUST(setns(clone->container.pidfd, CLONE_NEWNS));
	fd = MUST(open("/dev/pts7", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	close(fd);
	attach(clone->pts, "/dev/pts7");
	name = ttyname(0);
	CHECK(name, "ttyname: %s", strerror(errno));
	CHECK(!strcmp(name, "/dev/pts7"), "ttyname is %s", name);
	close(MUST(open("/dev/pts7", O_RDWR | O_NOCTTY | O_CLOEXEC)));
}

/* A tty of another instance, by fd alone: its path need not exist for the container. */
static void tty_by_fd(void)
{
	struct clone_pts clone = { .container = container_new() };
	int number, master = -1, slave;

	MUST(mkdir("/tmp/pts", 0755));
	attach(new_devpts("9"), "/tmp/pts");
	for (number = -1; number < 7;)
		master = MUST(open_pty("/tmp/pts/ptmx", &number));
	slave = open_slave(master);
	clone.pts = open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	CHECK(clone.pts >= 0, "open_tree of a tty's fd: %s", strerror(errno));
	MUST(dup2(slave, 0));
	apart(brought_tty, &clone);
	end(clone.container);
}

const struct test tests[] = {
	{ "devpts-host-slave",
	  "the container's devpts in a private host tree: ptmx follows, ttyname is /dev/pts/0",
	  host_slave },
	{ "devpts-max", "max= bounds the ptys of an instance (ENOSPC)", max_ptys },
	{ "devpts-tty-by-fd", "a tty cloned by fd and put into /dev is found by ttyname",
	  tty_by_fd },
	{},
};
