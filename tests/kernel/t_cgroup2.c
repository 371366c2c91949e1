// SPDX-License-Identifier: MIT
/* cgroup v2: how a container's processes get in, and what they see. */
#include "kernel.h"

#include <poll.h>

/* The v2 line of /proc/self/cgroup, without its 0::. */
static void own_cgroup(char *buf, size_t size)
{
	char text[4096];
	char *at, *line_end;

	get(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text));
	at = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	CHECK(at, "no v2 line in /proc/self/cgroup");
	at = strstr(at, "0::") + 3;
	line_end = strchr(at, '\n');
	if (line_end)
		*line_end = '\0';
	snprintf(buf, size, "%s", at);
}

static void must_be_in(const char *want)
{
	char at[512];

	own_cgroup(at, sizeof(at));
	CHECK(!strcmp(at, want), "/proc/self/cgroup reads 0::%s, expected 0::%s", at, want);
}

static void clone_into(void)
{
	int cgroup = cgroup_dir(NULL);
	struct child child = start(0, cgroup, idle, NULL);
	char text[64];

	get(cgroup, "cgroup.procs", text, sizeof(text));
	CHECK(atoi(text) == child.pid, "cgroup.procs has '%s', not the child", text);
	get(cgroup, "cgroup.events", text, sizeof(text));
	CHECK(strstr(text, "populated 1"), "cgroup.events reads '%s'", text);
	end(child);
}

/* A container's cgroups, and the cgroup namespace whose root is u. */
struct box {
	int u;
	int init;
	int ns;
};

static void unshare_and_wait(void *arg)
{
	struct line *line = arg;

	MUST(unshare(CLONE_NEWCGROUP));
	say_on(line->fd[1]);
	idle(NULL);
}

static struct box box_new(void)
{
	int base = cgroup_dir(NULL);
	struct line line = line_new();
	struct box box = {
		.u = sub_dir(base, "u"),
		.init = sub_dir(base, "init"),
	};
	struct child first = start(0, box.u, unshare_and_wait, &line);

	wait_on(line.fd[0]);
	box.ns = open_ns(first.pid, "cgroup");
	end(first);
	return box;
}

static void init_enters(void *arg)
{
	struct box *box = arg;

	MUST(setns(box->ns, CLONE_NEWCGROUP));
	must_be_in("/../init");
}

static void tenant_enters(void *arg)
{
	struct box *box = arg;

	MUST(setns(box->ns, CLONE_NEWCGROUP));
	must_be_in("/");
}

static void migrates_and_enters(void *arg)
{
	struct box *box = arg;

	MUST(put(box->u, "cgroup.procs", "0"));
	tenant_enters(box);
}

static void ns_of_sibling(void)
{
	struct box box = box_new();

	finish(start(0, box.init, init_enters, &box));
	finish(start(0, box.u, tenant_enters, &box));
	finish(start(0, -1, migrates_and_enters, &box));
}

static void clones_out(void *arg)
{
	struct box *box = arg;
	struct child child;

	MUST(setns(box->ns, CLONE_NEWCGROUP));
	REFUSED(ENOENT, try_start(&child, 0, box->init, idle, NULL));
	REFUSED(ENOENT, put(box->init, "cgroup.procs", "0"));
}

static void need_nsdelegate(char *path)
{
	char options[512];

	if (!cgroup_mount(NULL, path))
		skip("no cgroup v2 here");
	super_options(path, options, sizeof(options));
	if (!has_option(options, "nsdelegate"))
		skip("cgroup v2 is mounted without nsdelegate here");
}

static void nsdelegate_stops(void)
{
	char path[256];
	struct box box;

	need_nsdelegate(path);
	box = box_new();
	finish(start(0, box.u, clones_out, &box));
}

static void mounts_inside(void *arg)
{
	struct box *box = arg;
	char text[64];

	MUST(setns(box->ns, CLONE_NEWCGROUP));
	CHECK(!same_ns(0, getppid(), "cgroup"), "still in the host's cgroup namespace");
	MUST(mkdir("/tmp/cg", 0755));
	attach(new_fs("cgroup2"), "/tmp/cg");
	CHECK(exists("/tmp/cg/cgroup.events"), "the root of the mount is not the own cgroup");
	get(AT_FDCWD, "/tmp/cg/cgroup.procs", text, sizeof(text));
	CHECK(atoi(text) == getpid(), "the mount's cgroup.procs reads '%s'", text);
	CHECK(!exists("/tmp/cg/init"), "the sibling shows in the mount");
}

static void options_stay(void)
{
	char path[256], before[512], after[512];
	struct box box = box_new();

	cgroup_mount(NULL, path);
	super_options(path, before, sizeof(before));
	finish(start(CLONE_NEWNS, box.u, mounts_inside, &box));
	super_options(path, after, sizeof(after));
	CHECK(!strcmp(before, after), "the host's options were '%s', are '%s'", before, after);
	note("%s", after);
}

/* This one changes the machine, so it runs only where that does not matter. */
static void options_go(void)
{
	char path[256], options[512];

	if (!throwaway())
		skip("it would change this machine's mount options");
	need_nsdelegate(path);
	close(new_fs("cgroup2"));
	super_options(path, options, sizeof(options));
	MUST(mount(NULL, path, NULL, MS_REMOUNT, "nsdelegate"));
	CHECK(!has_option(options, "nsdelegate"), "the options are still '%s'", options);
	super_options(path, options, sizeof(options));
	CHECK(has_option(options, "nsdelegate"), "not restored: '%s'", options);
}

struct joiner {
	int cgroup;
	struct line line;
};

static void joins(void *arg)
{
	struct joiner *joiner = arg;

	say_on(joiner->line.fd[1]);
	MUST(put(joiner->cgroup, "cgroup.procs", "0"));
	say_on(joiner->line.fd[1]);
	idle(NULL);
}

static bool has_word(int fd, int ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, ms) == 1;
}

static struct child join_frozen(struct joiner *joiner)
{
	char text[64];
	struct child child;

	joiner->cgroup = cgroup_dir(NULL);
	joiner->line = line_new();
	MUST(put(joiner->cgroup, "cgroup.freeze", "1"));
	get(joiner->cgroup, "cgroup.events", text, sizeof(text));
	CHECK(strstr(text, "frozen 1"), "cgroup.events does not say so: '%s'", text);
	child = start(0, -1, joins, joiner);
	wait_on(joiner->line.fd[0]);
	CHECK(!has_word(joiner->line.fd[0], 500), "a process in a frozen cgroup goes on");
	return child;
}

static void frozen_kill(void)
{
	struct joiner joiner;
	struct child child = join_frozen(&joiner);

	MUST(kill(child.pid, SIGKILL));
	CHECK(ends_within(child.pidfd, 2000), "SIGKILL does not end it");
}

static void frozen_thaw(void)
{
	struct joiner joiner;
	struct child child = join_frozen(&joiner);

	MUST(put(joiner.cgroup, "cgroup.freeze", "0"));
	CHECK(has_word(joiner.line.fd[0], 2000), "it does not go on when thawed");
	end(child);
}

static void kill_all(void)
{
	int cgroup = cgroup_dir(NULL);
	struct child old = start(0, cgroup, idle, NULL);
	struct child newcomer = start(0, cgroup, idle, NULL);

	if (put(cgroup, "cgroup.kill", "1") < 0 && errno == ENOENT)
		skip("no cgroup.kill before 5.14");
	CHECK(ends_within(old.pidfd, 2000) && ends_within(newcomer.pidfd, 2000), "one lives on");
}

static void remove_with_ns(void)
{
	struct box box = box_new();
	int base = cgroup_dir(NULL);
	struct child child;

	MUST(unlinkat(base, "u", AT_REMOVEDIR));
	MUST(mkdirat(base, "u", 0755));
	MUST(unlinkat(base, "u", AT_REMOVEDIR));
	/* clone3(2) says ENODEV; seen is ENOENT. */
	CHECK(try_start(&child, 0, box.u, idle, NULL) < 0, "a removed cgroup takes a child");
	CHECK(errno == ENODEV || errno == ENOENT, "a removed cgroup: %s", strerror(errno));
}

const struct test tests[] = {
	{ "cgroup2-clone-into", "CLONE_INTO_CGROUP: a child is born in a v2 cgroup", clone_into },
	{ "cgroup2-ns-of-sibling",
	  "init born in a sibling enters u's cgroup namespace; a tenant in u reads 0::/",
	  ns_of_sibling },
	{ "cgroup2-nsdelegate",
	  "nsdelegate: no clone or write out of an own cgroup namespace (ENOENT)",
	  nsdelegate_stops },
	{ "cgroup2-options-stay",
	  "cgroup2 mounted in an own cgroup namespace leaves the host's options", options_stay },
	{ "cgroup2-options-go",
	  "cgroup2 created in the host's cgroup namespace takes nsdelegate off the host",
	  options_go },
	{ "cgroup2-frozen-kill", "a joiner hangs in a frozen cgroup; SIGKILL ends it",
	  frozen_kill },
	{ "cgroup2-frozen-thaw", "a joiner goes on when the cgroup is thawed", frozen_thaw },
	{ "cgroup2-kill", "cgroup.kill ends newcomers too", kill_all },
	{ "cgroup2-rmdir",
	  "an open cgroup namespace does not keep its directory; a removed one takes nobody",
	  remove_with_ns },
	{},
};
