// SPDX-License-Identifier: MIT
/* The new mount API: the kernel's own file systems, flags, and binds over files. */
#include "kernel.h"

#include <mqueue.h>

/* Runs as the first process of all the namespaces a container has. */
#define ALL_NEW (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET)

static void in_new_namespaces(void (*fn)(void *))
{
	finish(start(ALL_NEW, -1, fn, NULL));
}

static void proc_inside(void *arg)
{
	char text[64] = "";

	(void)arg;
	MUST(mkdir("/tmp/proc", 0755));
	attach(new_fs("proc"), "/tmp/proc");
	MUST(readlink("/tmp/proc/self", text, sizeof(text) - 1));
	CHECK(!strcmp(text, "1"), "/proc/self is '%s', not 1", text);
	CHECK(!exists("/tmp/proc/2"), "another process shows in /proc");
	CHECK(exists("/tmp/proc/sys/kernel/pid_max"), "no /proc/sys");
}

static void proc(void)
{
	in_new_namespaces(proc_inside);
}

static void hidepid_inside(void *arg)
{
	int fs = MUST(fsopen("proc", FSOPEN_CLOEXEC));
	char text[512];

	(void)arg;
	MUST(fsconfig(fs, FSCONFIG_SET_STRING, "hidepid", "invisible", 0));
	MUST(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	MUST(mkdir("/tmp/proc", 0755));
	attach(MUST(fsmount(fs, FSMOUNT_CLOEXEC, 0)), "/tmp/proc");
	super_options("/tmp/proc", text, sizeof(text));
	CHECK(has_option(text, "hidepid=invisible"), "the options are '%s'", text);
	super_options("/proc", text, sizeof(text));
	CHECK(!strstr(text, "hidepid"), "the host's /proc has got '%s'", text);
}

static void hidepid(void)
{
	in_new_namespaces(hidepid_inside);
}

static void sysfs_inside(void *arg)
{
	(void)arg;
	MUST(mkdir("/tmp/sys", 0755));
	attach(new_fs("sysfs"), "/tmp/sys");
	CHECK(exists("/tmp/sys/class/net/lo"), "no lo in the own /sys/class/net");
	CHECK(!exists("/tmp/sys/class/net/eth0"), "the host's eth0 shows");
}

static void sysfs(void)
{
	in_new_namespaces(sysfs_inside);
}

static void mqueue_inside(void *arg)
{
	(void)arg;
	MUST(mkdir("/tmp/mq", 0755));
	attach(new_fs("mqueue"), "/tmp/mq");
	if (mq_open("/sessbox-kernel", O_RDWR | O_CREAT, 0600, NULL) < 0)
		fail("mq_open: %s", strerror(errno));
	CHECK(exists("/tmp/mq/sessbox-kernel"), "the own queue does not show");
}

static void mqueue(void)
{
	in_new_namespaces(mqueue_inside);
	if (mq_open("/sessbox-kernel", O_RDWR) >= 0)
		fail("the queue is there outside");
}

/* A directory with a submount, cloned but attached nowhere. */
static int clone_tree(const char *path)
{
	char inner[64];

	snprintf(inner, sizeof(inner), "%s/sub", path);
	MUST(mkdir(path, 0755));
	MUST(mkdir(inner, 0755));
	MUST(mount("sub", inner, "tmpfs", 0, NULL));
	return MUST(open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
}

static void must_have_flags(const char *path)
{
	static const char *const flags[] = { "ro", "nosuid", "nodev" };
	char options[256];
	size_t i;

	mount_options(path, options, sizeof(options));
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		CHECK(has_option(options, flags[i]), "%s lacks %s: '%s'", path, flags[i], options);
}

static void attr_detached(void)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
	};
	int tree = clone_tree("/tmp/from");
	char options[256];

	MUST(mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)));
	MUST(mkdir("/tmp/to", 0755));
	attach(tree, "/tmp/to");
	must_have_flags("/tmp/to");
	must_have_flags("/tmp/to/sub");
	REFUSED(EROFS, mkdir("/tmp/to/x", 0755));
	REFUSED(EROFS, mkdir("/tmp/to/sub/x", 0755));
	mount_options("/tmp/from/sub", options, sizeof(options));
	CHECK(!has_option(options, "ro"), "the source became '%s'", options);
	MUST(mkdir("/tmp/from/sub/x", 0755));
}

static void later_mount_inside(void *arg)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID,
		.propagation = MS_SLAVE,
	};
	struct line *line = arg;
	char options[256];
	int tree;

	MUST(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
	tree = MUST(open_tree(AT_FDCWD, "/tmp/srv",
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
	MUST(mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)));
	MUST(mkdir("/tmp/inside", 0755));
	attach(tree, "/tmp/inside");
	say_on(line->fd[1]);
	wait_on(line->fd[1]);
	mount_options("/tmp/inside/later", options, sizeof(options));
	CHECK(has_option(options, "rw") && !has_option(options, "nosuid"), "it has '%s'", options);
}

/* Not what we would like: it says why no_new_privs is needed as well. */
static void later_mount(void)
{
	struct line line = line_new();
	struct child child;

	MUST(mkdir("/tmp/srv", 0755));
	MUST(mkdir("/tmp/srv/later", 0755));
	MUST(mount("/tmp/srv", "/tmp/srv", NULL, MS_BIND, NULL));
	MUST(mount(NULL, "/tmp/srv", NULL, MS_SHARED, NULL));
	child = start(CLONE_NEWNS, -1, later_mount_inside, &line);
	wait_on(line.fd[0]);
	MUST(mount("later", "/tmp/srv/later", "tmpfs", 0, NULL));
	say_on(line.fd[0]);
	finish(child);
}

static void write_file(const char *path, const char *text)
{
	touch(path);
	MUST(put(AT_FDCWD, path, text));
}

static void must_read(const char *path, const char *want)
{
	char text[64];

	get(AT_FDCWD, path, text, sizeof(text));
	CHECK(!strcmp(text, want), "%s reads '%s', expected '%s'", path, text, want);
}

static void file_bind_inside(void *arg)
{
	struct line *line = arg;

	MUST(mount("/tmp/etc/generated", "/tmp/etc/passwd", NULL, MS_BIND, NULL));
	must_read("/tmp/etc/passwd", "generated");
	say_on(line->fd[1]);
	wait_on(line->fd[1]);
	must_read("/tmp/etc/passwd", "new");
}

static void file_bind(void)
{
	struct line line = line_new();
	struct child child;

	MUST(mkdir("/tmp/etc", 0755));
	write_file("/tmp/etc/passwd", "old");
	write_file("/tmp/etc/generated", "generated");
	child = start(CLONE_NEWNS, -1, file_bind_inside, &line);
	wait_on(line.fd[0]);
	write_file("/tmp/etc/passwd+", "new");
	MUST(rename("/tmp/etc/passwd+", "/tmp/etc/passwd"));
	say_on(line.fd[0]);
	finish(child);
}

static void dir_bind_inside(void *arg)
{
	struct line *line = arg;

	MUST(mkdir("/tmp/run", 0755));
	MUST(mkdir("/tmp/new", 0755));
	MUST(mount("/tmp/etc", "/tmp/run", NULL, MS_BIND, NULL));
	MUST(symlink("../run/passwd", "/tmp/new/passwd"));
	must_read("/tmp/new/passwd", "old");
	say_on(line->fd[1]);
	wait_on(line->fd[1]);
	must_read("/tmp/new/passwd", "new");
}

static void dir_bind(void)
{
	struct line line = line_new();
	struct child child;

	MUST(mkdir("/tmp/etc", 0755));
	write_file("/tmp/etc/passwd", "old");
	child = start(CLONE_NEWNS, -1, dir_bind_inside, &line);
	wait_on(line.fd[0]);
	write_file("/tmp/etc/passwd+", "new");
	MUST(rename("/tmp/etc/passwd+", "/tmp/etc/passwd"));
	say_on(line.fd[0]);
	finish(child);
}

static void shared_mask(void)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	int empty = new_fs("tmpfs");
	char path[32];
	int i;

	MUST(mount_setattr(empty, "", AT_EMPTY_PATH, &ro, sizeof(ro)));
	MUST(mkdir("/tmp/empty", 0755));
	attach(empty, "/tmp/empty");
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/tmp/dir%d", i);
		MUST(mkdir(path, 0755));
		attach(MUST(open_tree(AT_FDCWD, "/tmp/empty", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)),
		       path);
		strcat(path, "/x");
		REFUSED(EROFS, mkdir(path, 0755));
	}
}

const struct test tests[] = {
	{ "mount-proc", "proc made by init shows its pid namespace alone", proc },
	{ "mount-proc-hidepid", "hidepid as a word is this mount's own", hidepid },
	{ "mount-sysfs", "sysfs made inside shows the own network namespace", sysfs },
	{ "mount-mqueue", "mqueue made inside shows the own ipc namespace", mqueue },
	{ "mount-attr-detached",
	  "ro,nosuid,nodev set on a detached clone, submounts too, show in mountinfo",
	  attr_detached },
	{ "mount-later", "a mount the host makes later arrives with the host's flags",
	  later_mount },
	{ "mount-file-bind", "a rename on the host drops a bind over the file: the new one shows",
	  file_bind },
	{ "mount-dir-bind", "a link into a bound directory shows the new file after a rename",
	  dir_bind },
	{ "mount-shared-mask", "one read-only empty directory masks many", shared_mask },
	{},
};
