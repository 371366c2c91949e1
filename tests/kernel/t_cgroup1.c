// SPDX-License-Identifier: MIT
/* cgroup v1: joining every hierarchy, what a frozen one does, and the devices one. */
#include "kernel.h"

static const char *const hierarchies[] = {
	"cpuset",  "cpu",     "cpuacct",    "memory",	    "pids",    "blkio", "devices",
	"freezer", "net_cls", "perf_event", "name=systemd", "hugetlb", NULL,
};

#define MAX_DIRS (sizeof(hierarchies) / sizeof(hierarchies[0]))

struct dirs {
	int fd[MAX_DIRS];
	int count;
	int cpuset; /* index, or -1 */
};

static void copy_up(int dir, const char *name)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "../%s", name);
	get(dir, path, text, sizeof(text));
	MUST(put(dir, name, text));
}

static void dirs_make(struct dirs *dirs)
{
	char path[256];
	int i;

	memset(dirs, 0, sizeof(*dirs));
	dirs->cpuset = -1;
	for (i = 0; hierarchies[i]; i++) {
		if (!cgroup_mount(hierarchies[i], path))
			continue;
		if (!strcmp(hierarchies[i], "cpuset"))
			dirs->cpuset = dirs->count;
		dirs->fd[dirs->count++] = cgroup_dir(hierarchies[i]);
	}
	if (!dirs->count)
		skip("no cgroup v1 here");
}

/* In each v1 line (number not 0) the path has to end so. */
static void must_all_end(const char *tail)
{
	char text[4096];
	char *line, *save = NULL;
	size_t len, want = strlen(tail);

	get(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		len = strlen(line);
		if (line[0] == '0')
			continue;
		CHECK(len >= want && !strcmp(line + len - want, tail), "'%s' does not end in %s",
		      line, tail);
	}
}

static void enter_all(void *arg)
{
	struct dirs *dirs = arg;
	int i;

	for (i = 0; i < dirs->count; i++)
		MUST(put(dirs->fd[i], "tasks", "0"));
	MUST(unshare(CLONE_NEWCGROUP));
	must_all_end(":/");
}

static void tasks_zero(void)
{
	struct dirs dirs;

	dirs_make(&dirs);
	if (dirs.cpuset >= 0) {
		copy_up(dirs.fd[dirs.cpuset], "cpuset.cpus");
		copy_up(dirs.fd[dirs.cpuset], "cpuset.mems");
	}
	apart(enter_all, &dirs);
	note("%d hierarchies", dirs.count);
}

static void enter_empty_cpuset(void *arg)
{
	REFUSED(ENOSPC, put(*(int *)arg, "tasks", "0"));
}

static void cpuset_empty(void)
{
	int dir = cgroup_dir("cpuset");

	apart(enter_empty_cpuset, &dir);
}

static void born_outside(void)
{
	int dir = cgroup_dir("freezer");
	struct child child;

	REFUSED(EBADF, try_start(&child, 0, dir, idle, NULL));
}

struct joiner {
	int cgroup;
	struct line line;
};

static void joins(void *arg)
{
	struct joiner *joiner = arg;

	say_on(joiner->line.fd[1]);
	MUST(put(joiner->cgroup, "tasks", "0"));
	/* Frozen on the way back from the write, so only a thaw gets it here. */
	_exit(0);
}

static void frozen(void)
{
	struct joiner joiner = { .cgroup = cgroup_dir("freezer"), .line = line_new() };
	struct child child;
	char text[64];
	bool killed;

	MUST(put(joiner.cgroup, "freezer.state", "FROZEN"));
	child = start(0, -1, joins, &joiner);
	wait_on(joiner.line.fd[0]);
	CHECK(!ends_within(child.pidfd, 500), "a process in a frozen cgroup goes on");
	get(joiner.cgroup, "freezer.state", text, sizeof(text));
	CHECK(!strncmp(text, "FR", 2), "freezer.state reads '%s'", text);
	MUST(kill(child.pid, SIGKILL));
	killed = ends_within(child.pidfd, 500);
	MUST(put(joiner.cgroup, "freezer.state", "THAWED"));
	CHECK(!killed, "SIGKILL ends it before it is thawed");
	CHECK(ends_within(child.pidfd, 2000), "SIGKILL does not end it when thawed");
}

/* ---- devices ---- */

static void list_must_be(int dir, const char *want)
{
	char text[4096];

	get(dir, "devices.list", text, sizeof(text));
	CHECK(!strcmp(text, want), "devices.list reads '%s', expected '%s'", text, want);
}

struct opener {
	int cgroup;
	struct line line;
};

static void opens(void *arg)
{
	struct opener *opener = arg;
	char byte;
	int zero;

	MUST(put(opener->cgroup, "tasks", "0"));
	zero = MUST(open("/dev/zero", O_RDONLY));
	MUST(open("/dev/null", O_WRONLY));
	say_on(opener->line.fd[1]);
	wait_on(opener->line.fd[1]);
	REFUSED(EPERM, open("/dev/zero", O_RDONLY));
	REFUSED(EPERM, open("/dev/null", O_RDWR));
	MUST(open("/dev/null", O_WRONLY));
	CHECK(read(zero, &byte, 1) == 1, "what was open is cut off: %s", strerror(errno));
}

static void devices(void)
{
	struct opener opener = { .cgroup = cgroup_dir("devices"), .line = line_new() };
	struct child child = start(0, -1, opens, &opener);

	wait_on(opener.line.fd[0]);
	MUST(put(opener.cgroup, "devices.deny", "a"));
	list_must_be(opener.cgroup, "");
	MUST(put(opener.cgroup, "devices.allow", "c 1:3 rm\n"));
	MUST(put(opener.cgroup, "devices.allow", "c 1:3 w\n"));
	MUST(put(opener.cgroup, "devices.deny", "c 1:3 rm\n"));
	list_must_be(opener.cgroup, "c 1:3 w\n");
	say_on(opener.line.fd[0]);
	finish(child);
}

static void devices_below(void)
{
	int above = cgroup_dir("devices");
	int first = sub_dir(above, "first"), second;

	MUST(put(above, "devices.deny", "c 1:7 w"));
	REFUSED(EINVAL, put(above, "devices.deny", "a"));
	MUST(put(first, "devices.deny", "a"));
	REFUSED(EPERM, put(first, "devices.allow", "c 1:7 rw"));
	MUST(put(first, "devices.allow", "c 1:7 r"));
	MUST(put(first, "devices.allow", "c 1:3 rw"));
	second = sub_dir(first, "second");
	list_must_be(second, "c 1:7 r\nc 1:3 rw\n");
}

const struct test tests[] = {
	{ "cgroup1-tasks-zero",
	  "a process writes 0 to tasks of every v1 hierarchy; its namespace then shows /",
	  tasks_zero },
	{ "cgroup1-cpuset-empty", "cpuset without cpus and mems refuses members (ENOSPC)",
	  cpuset_empty },
	{ "cgroup1-clone-into", "CLONE_INTO_CGROUP does not reach v1 (EBADF)", born_outside },
	{ "cgroup1-frozen", "a joiner of a FROZEN cgroup ignores SIGKILL until it is thawed",
	  frozen },
	{ "cgroup1-devices",
	  "what devices.allow does not have cannot be opened (EPERM); what is open goes on",
	  devices },
	{ "cgroup1-devices-below",
	  "a group gets no device that the one above lacks (EPERM), and begins with what it has",
	  devices_below },
	{},
};
