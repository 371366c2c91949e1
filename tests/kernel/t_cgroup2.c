// SPDX-License-Identifier: MIT
/* cgroup v2: how a container's processes get in, and what they see. */
#include "kernel.h"

#include <linux/bpf.h>
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

/* ---- a program on devices ---- */

#define INSN(code, dst, src, off, imm) ((struct bpf_insn){ code, dst, src, off, imm })

static int bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* Allows the devices of this major number and no others. */
#define LENGTH 6
static void write_program(int major, struct bpf_insn *v)
{
	const struct bpf_insn program[LENGTH] = {
		INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 1, offsetof(struct bpf_cgroup_dev_ctx, major),
		     0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1),
		INSN(BPF_JMP32 | BPF_JEQ | BPF_K, 2, 0, 1, major),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
		INSN(BPF_ALU | BPF_MOV | BPF_X, 3, 2, 0, 0),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};

	memcpy(v, program, sizeof(program));
}

static int load_program(int major)
{
	struct bpf_insn v[LENGTH];
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
				.insn_cnt = LENGTH,
				.insns = (uintptr_t)v,
				.license = (uintptr_t) "LGPL",
				.prog_name = "fifteen_letters" };

	write_program(major, v);
	return MUST(bpf(BPF_PROG_LOAD, &attr));
}

/* Through a descriptor that is only a place, as ours are. */
static int attach_program(int cgroup, int program, int old)
{
	char path[64];
	union bpf_attr attr = { .attach_bpf_fd = program,
				.attach_type = BPF_CGROUP_DEVICE,
				.attach_flags = BPF_F_ALLOW_MULTI | (old < 0 ? 0 : BPF_F_REPLACE),
				.replace_bpf_fd = old < 0 ? 0 : old };
	int rc;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", cgroup);
	attr.target_fd = MUST(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
	rc = bpf(BPF_PROG_ATTACH, &attr);
	close(attr.target_fd);
	return rc;
}

/* The programs of a group's own: their number, and the id of the first. */
static unsigned int count_programs(int cgroup, uint32_t *id)
{
	uint32_t ids[8] = { 0 };
	union bpf_attr attr = { .query = { .target_fd = cgroup,
					   .attach_type = BPF_CGROUP_DEVICE,
					   .prog_ids = (uintptr_t)ids,
					   .prog_cnt = 8 } };

	MUST(bpf(BPF_PROG_QUERY, &attr));
	*id = ids[0];
	return attr.query.prog_cnt;
}

#define MEMORY_MAJOR 1 /* null, zero */
#define OTHER_MAJOR 5

static void opens_devices(void *arg)
{
	struct line *line = arg;
	int zero = MUST(open("/dev/zero", O_RDONLY));
	char byte;

	say_on(line->fd[1]);
	wait_on(line->fd[1]);
	REFUSED(EPERM, open("/dev/null", O_RDWR));
	CHECK(read(zero, &byte, 1) == 1, "what was open is cut off: %s", strerror(errno));
	say_on(line->fd[1]);
	wait_on(line->fd[1]);
	MUST(open("/dev/null", O_RDWR));
}

static void devices(void)
{
	int cgroup = cgroup_dir(NULL), other = load_program(OTHER_MAJOR);
	struct line line = line_new();
	struct child child = start(0, cgroup, opens_devices, &line);
	uint32_t id;

	wait_on(line.fd[0]);
	MUST(attach_program(cgroup, other, -1));
	say_on(line.fd[0]);
	wait_on(line.fd[0]);
	MUST(attach_program(cgroup, load_program(MEMORY_MAJOR), other));
	CHECK(count_programs(cgroup, &id) == 1, "BPF_F_REPLACE leaves the old program");
	say_on(line.fd[0]);
	finish(child);
}

static void opens_null(void *arg)
{
	(void)arg;
	MUST(open("/dev/null", O_RDWR));
}

static void cannot_open_null(void *arg)
{
	(void)arg;
	REFUSED(EPERM, open("/dev/null", O_RDWR));
}

static void devices_below(void)
{
	int above = cgroup_dir(NULL), below = sub_dir(above, "below");
	int other = load_program(OTHER_MAJOR), memory = load_program(MEMORY_MAJOR);

	MUST(attach_program(below, memory, -1));
	finish(start(0, below, opens_null, NULL));
	MUST(attach_program(above, other, -1));
	finish(start(0, below, cannot_open_null, NULL));
	MUST(attach_program(above, memory, other));
	finish(start(0, below, opens_null, NULL));
}

static void devices_told(void)
{
	int cgroup = cgroup_dir(NULL);
	struct bpf_insn v[LENGTH], found[LENGTH] = { 0 };
	struct bpf_prog_info info = { .xlated_prog_len = sizeof(found),
				      .xlated_prog_insns = (uintptr_t)found };
	union bpf_attr one = { 0 },
		       attr = { .info = { .info_len = sizeof(info), .info = (uintptr_t)&info } };
	char harden[16];

	MUST(attach_program(cgroup, load_program(MEMORY_MAJOR), -1));
	CHECK(count_programs(cgroup, &one.prog_id) == 1, "not one program");
	attr.info.bpf_fd = MUST(bpf(BPF_PROG_GET_FD_BY_ID, &one));
	MUST(bpf(BPF_OBJ_GET_INFO_BY_FD, &attr));
	CHECK(!strcmp(info.name, "fifteen_letters"), "its name is '%s'", info.name);
	get(AT_FDCWD, "/proc/sys/net/core/bpf_jit_harden", harden, sizeof(harden));
	if (harden[0] != '0' && !info.xlated_prog_insns)
		skip("bpf_jit_harden hides them");
	write_program(MEMORY_MAJOR, v);
	CHECK(info.xlated_prog_len == sizeof(v) && !memcmp(v, found, sizeof(v)), "they differ");
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
	{ "cgroup2-devices",
	  "a program attached by an O_PATH descriptor stops opening (EPERM); what is open goes on",
	  devices },
	{ "cgroup2-devices-below", "the programs of the groups above are asked as well",
	  devices_below },
	{ "cgroup2-devices-told", "name and instructions can be read back, and are the same",
	  devices_told },
	{},
};
