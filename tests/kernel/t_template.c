// SPDX-License-Identifier: MIT
/* The template mount namespace that containers are built from, and what holds it. */
#include "kernel.h"

/* Becomes a namespace whose root is an empty read-only tmpfs, tells and stays. */
static void be_template(void *arg)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	struct line *line = arg;

	MUST(mkdir("/tmp/t", 0755));
	attach(new_fs("tmpfs"), "/tmp/t");
	MUST(chdir("/tmp/t"));
	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(umount2(".", MNT_DETACH));
	MUST(mount_setattr(AT_FDCWD, "/", 0, &ro, sizeof(ro)));
	say_on(line->fd[1]);
	idle(NULL);
}

/* Mounts that a process can reach. */
static int count_mounts(pid_t pid)
{
	char path[64], text[1024];
	int count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	file = fopen(path, "re");
	CHECK(file, "open %s: %s", path, strerror(errno));
	while (fgets(text, sizeof(text), file))
		count++;
	fclose(file);
	return count;
}

static struct child template_new(void)
{
	struct line line = line_new();
	struct child child = start(CLONE_NEWNS, -1, be_template, &line);

	wait_on(line.fd[0]);
	CHECK(count_mounts(child.pid) == 1, "the template has %d mounts", count_mounts(child.pid));
	return child;
}

struct build {
	int tree;
	int template;
	struct line line;
};

static void must_be_inside(void)
{
	CHECK(exists("/marker"), "the tree's file is not in /");
	CHECK(exists("/sub/inner"), "the tree's submount is not below /");
	CHECK(!exists("/proc") && !exists("/tmp"), "the host's directories show");
}

static void be_init(void *arg)
{
	struct build *build = arg;

	CHECK(getpid() == 1, "not the first process of its namespace");
	attach(build->tree, "/");
	MUST(fchdir(build->tree));
	MUST(chroot("."));
	must_be_inside();
	REFUSED(ENOENT, open("/../../etc/passwd", O_RDONLY | O_CLOEXEC));
	say_on(build->line.fd[1]);
	idle(NULL);
}

static void join_init(void *arg)
{
	MUST(setns(*(int *)arg, CLONE_NEWNS));
	must_be_inside();
}

static void make_tree(void)
{
	MUST(mkdir("/tmp/tree", 0755));
	touch("/tmp/tree/marker");
	MUST(mkdir("/tmp/tree/sub", 0755));
	MUST(mount("sub", "/tmp/tree/sub", "tmpfs", 0, NULL));
	touch("/tmp/tree/sub/inner");
}

static void build_in_template(void *arg)
{
	struct build *build = arg;
	int home = open_ns(0, "mnt");
	struct child init;

	MUST(setns(build->template, CLONE_NEWNS));
	init = start(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC, -1, be_init, build);
	wait_on(build->line.fd[0]);
	MUST(setns(home, CLONE_NEWNS));
	apart(join_init, &init.pidfd);
	CHECK(count_mounts(init.pid) == 2, "it has %d mounts", count_mounts(init.pid));
	end(init);
}

static void container(void)
{
	struct child template = template_new();
	struct build build = { .line = line_new() };

	build.template = open_ns(template.pid, "mnt");
	end(template);
	make_tree();
	build.tree = MUST(open_tree(AT_FDCWD, "/tmp/tree",
				    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
	apart(build_in_template, &build);
	CHECK(exists("/tmp/tree/sub/inner"), "the host lost its tree");
}

static void enter_bind(void *arg)
{
	int fd = MUST(open(arg, O_RDONLY | O_CLOEXEC));

	MUST(setns(fd, CLONE_NEWNS));
	CHECK(!exists("/tmp"), "not in the template");
	REFUSED(EROFS, mkdir("/x", 0755));
}

static int bind_ns(pid_t pid, const char *path)
{
	char from[64];

	snprintf(from, sizeof(from), "/proc/%d/ns/mnt", pid);
	return mount(from, path, NULL, MS_BIND, NULL);
}

static void nsfs_bind(void)
{
	struct child template;

	MUST(mkdir("/tmp/ns", 0700));
	MUST(mount("/tmp/ns", "/tmp/ns", NULL, MS_BIND, NULL));
	MUST(mount(NULL, "/tmp/ns", NULL, MS_PRIVATE, NULL));
	touch("/tmp/ns/template");
	template = template_new();
	MUST(bind_ns(template.pid, "/tmp/ns/template"));
	end(template);
	apart(enter_bind, "/tmp/ns/template");
	MUST(umount2("/tmp/ns/template", MNT_DETACH));
	MUST(umount2("/tmp/ns", MNT_DETACH));
}

static void shared_refuses(void)
{
	struct child template;

	MUST(mkdir("/tmp/a", 0755));
	MUST(mkdir("/tmp/b", 0755));
	MUST(mount("a", "/tmp/a", "tmpfs", 0, NULL));
	MUST(mount(NULL, "/tmp/a", NULL, MS_SHARED, NULL));
	MUST(mount("/tmp/a", "/tmp/b", NULL, MS_BIND, NULL));
	touch("/tmp/a/ns");
	template = template_new();
	REFUSED(EINVAL, bind_ns(template.pid, "/tmp/a/ns"));
	MUST(mount(NULL, "/tmp/a", NULL, MS_PRIVATE, NULL));
	MUST(bind_ns(template.pid, "/tmp/a/ns"));
}

static void own_refused(void)
{
	touch("/tmp/ns");
	REFUSED(EINVAL, bind_ns(getpid(), "/tmp/ns"));
}

/* What an old kernel refuses may work on a newer one: then the line says so. */
static void detached(void)
{
	int top = new_fs("tmpfs");
	int other = new_fs("tmpfs");
	int clone, into;

	MUST(mkdirat(top, "sub", 0755));
	clone = open_tree(top, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	CHECK(clone >= 0 || errno == EINVAL, "clone of a detached mount: %s", strerror(errno));
	into = move_mount(other, "", top, "sub", MOVE_MOUNT_F_EMPTY_PATH);
	CHECK(into == 0 || errno == EINVAL, "mount on a detached mount: %s", strerror(errno));
	note("clone %s, mount on it %s", clone < 0 ? "refused" : "works",
	     into < 0 ? "refused" : "works");
}

static void slave_copy_loses(void *arg)
{
	struct line *line = arg;

	MUST(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
	CHECK(exists("/tmp/disk/file"), "the copy does not have the mount");
	say_on(line->fd[1]);
	wait_on(line->fd[1]);
	CHECK(!exists("/tmp/disk/file"), "the host's umount did not arrive");
}

static void umount_arrives(void)
{
	struct line line = line_new();
	struct child child;

	MUST(mount(NULL, "/tmp", NULL, MS_SHARED, NULL));
	MUST(mkdir("/tmp/disk", 0755));
	MUST(mount("disk", "/tmp/disk", "tmpfs", 0, NULL));
	touch("/tmp/disk/file");
	child = start(CLONE_NEWNS, -1, slave_copy_loses, &line);
	wait_on(line.fd[0]);
	MUST(umount2("/tmp/disk", 0));
	say_on(line.fd[0]);
	finish(child);
}

const struct test tests[] = {
	{ "template-container",
	  "open_tree on the host, setns(template), clone3, move_mount on /, chroot; a join lands "
	  "in it",
	  container },
	{ "template-nsfs-bind",
	  "a bind on a private self-bind keeps the template when its process is gone", nsfs_bind },
	{ "template-shared-refused", "a shared parent refuses the bind of a mount namespace",
	  shared_refuses },
	{ "template-own-refused", "a namespace cannot hold a bind of itself (EINVAL)",
	  own_refused },
	{ "template-detached", "a detached mount as source and target", detached },
	{ "template-slave-umount", "a host's umount reaches a slave copy", umount_arrives },
	{},
};
