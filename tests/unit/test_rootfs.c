/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"

/* ---- the host's view ---- */

struct expected {
	enum sb_mount_op_kind kind;
	const char *target;
	const char *source;
	uint64_t attr;
	unsigned int flags;
};

static const struct expected always[] = {
	{ SB_MOUNT_ROOT, "/", SB_ROOT_TMPFS, NOSUID | NODEV, 0 },
	{ SB_MOUNT_BIND, "/usr", "/usr", RO | NOSUID | NODEV, SB_OP_SLAVE },
	{ SB_MOUNT_LIKE, "/bin", "/bin", RO | NOSUID | NODEV, SB_OP_SLAVE | SB_OP_OPTIONAL },
	{ SB_MOUNT_LIKE, "/lib64", "/lib64", RO | NOSUID | NODEV, SB_OP_SLAVE | SB_OP_OPTIONAL },
	{ SB_MOUNT_BIND, "/opt", "/opt", RO | NOSUID | NODEV, SB_OP_SLAVE | SB_OP_OPTIONAL },
	{ SB_MOUNT_BIND, "/srv", "/srv", RO | NOSUID | NODEV, SB_OP_SLAVE | SB_OP_OPTIONAL },
	{ SB_MOUNT_BIND, "/var/lib", "/var/lib", RO | NOSUID | NODEV,
	  SB_OP_SLAVE | SB_OP_OPTIONAL },
	{ SB_MOUNT_BIND, "/var/cache", "/var/cache", RO | NOSUID | NODEV,
	  SB_OP_SLAVE | SB_OP_OPTIONAL },
	{ SB_MOUNT_BIND, "/var/mail/ann", "/var/mail/ann", NOSUID | NODEV | NOEXEC,
	  SB_OP_OPTIONAL | SB_OP_NO_RECURSE | SB_OP_GUARDED },
	{ SB_MOUNT_FS, "/proc", "proc", NOSUID | NODEV | NOEXEC, 0 },
	{ SB_MOUNT_FS, "/sys", "sysfs", RO | NOSUID | NODEV | NOEXEC, 0 },
	{ SB_MOUNT_PART, "/dev", SB_PARTS_DIR "/dev", NOSUID | NOEXEC, 0 },
	{ SB_MOUNT_FS, "/dev/pts", "devpts", NOSUID | NOEXEC, 0 },
	{ SB_MOUNT_PART, "/dev/shm", SB_PARTS_DIR "/shm", NOSUID | NODEV | NOEXEC, 0 },
	{ SB_MOUNT_FS, "/dev/mqueue", "mqueue", NOSUID | NODEV | NOEXEC, 0 },
	{ SB_MOUNT_BIND, "/dev/null", "/dev/null", NOSUID | NOEXEC, SB_OP_NO_RECURSE },
	{ SB_MOUNT_LINK, "/dev/ptmx", "pts/ptmx", 0, 0 },
	{ SB_MOUNT_BIND, "/dev/log", "/dev/log", NOSUID | NODEV | NOEXEC,
	  SB_OP_OPTIONAL | SB_OP_NO_RECURSE },
	{ SB_MOUNT_PART, "/run", "/run", NOSUID | NODEV, 0 },
	{ SB_MOUNT_DIR, SB_PARTS_DIR, SB_PARTS_DIR, 0, 0 },
	{ SB_MOUNT_DIR, "/run/user/2500", "/run/user/2500", 0, 0 },
	{ SB_MOUNT_BIND, "/run/etc", "/run/sessbox/u2500/c1/etc", RO | NOSUID | NODEV | NOEXEC,
	  SB_OP_NO_RECURSE },
	{ SB_MOUNT_BIND, "/run/host/etc", "/etc", RO | NOSUID | NODEV, SB_OP_SLAVE },
	{ SB_MOUNT_BIND, "/etc", "/run/sessbox/etc", RO | NOSUID | NODEV | NOEXEC,
	  SB_OP_NO_RECURSE },
	{ SB_MOUNT_BIND, "/run/sessbox/self", "/run/sessbox/u2500/self",
	  RO | NOSUID | NODEV | NOEXEC, SB_OP_NO_RECURSE },
	{ SB_MOUNT_PART, "/home", SB_PARTS_DIR "/home", NOSUID | NODEV, 0 },
	{ SB_MOUNT_BIND, "/home/ann", "/home/ann", NOSUID | NODEV,
	  SB_OP_SLAVE | SB_OP_OPTIONAL | SB_OP_DIRECTORY | SB_OP_GUARDED },
	{ SB_MOUNT_SEAL, "/home", "/home", RO | NOSUID | NODEV, 0 },
	{ SB_MOUNT_SEAL, "/dev", "/dev", RO | NOSUID | NOEXEC, 0 },
	{ SB_MOUNT_SEAL, "/", "/", RO | NOSUID | NODEV, 0 },
};

/* What a tenant finds there, whatever his policy. */
static void host_view(void **state)
{
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ 0 });
	for (size_t i = 0; i < SB_ARRAY_SIZE(always); i++) {
		const struct expected *e = &always[i];
		const struct sb_mount_op *op = get(plan, e->kind, e->target);
		if (strcmp(op->source, e->source) != 0 || op->attr != e->attr ||
		    op->flags != e->flags)
			fail_msg("%s: from '%s', %" PRIx64 ", %x", e->target, op->source, op->attr,
				 op->flags);
		assert_int_equal(op->fd, -1);
		assert_false(op->skipped);
	}
	const struct sb_mount_op *run = get(plan, SB_MOUNT_DIR, "/run/user/2500");
	assert_int_equal(run->mode, 0700);
	assert_int_equal(run->uid, 2500);
	assert_int_equal(run->gid, 2600);
	sb_plan_free(plan);
	sb_plan_free(NULL);
}

/* Design 5, "masked" and "ro". */
static void guards(void **state)
{
	static const char *const rdonly[] = {
		"bus", "fs", "irq", "sys", "sysrq-trigger", "asound", "acpi", "scsi", "mtrr",
	};
	static const char *const masked[] = {
		"/proc/kcore",
		"/proc/keys",
		"/proc/kmsg",
		"/proc/kallsyms",
		"/proc/latency_stats",
		"/proc/timer_list",
		"/proc/timer_stats",
		"/proc/sched_debug",
		"/proc/interrupts",
		"/sys/firmware",
		"/sys/kernel/debug",
		"/sys/kernel/tracing",
		"/sys/kernel/security",
		"/sys/fs/bpf",
		"/sys/fs/pstore",
		"/sys/fs/selinux",
		"/sys/devices/virtual/powercap",
		"/var/lib/docker",
		"/var/lib/sss",
		"/var/lib/mysql",
		"/var/lib/systemd",
		"/var/lib/sessbox",
	};
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ 0 });
	size_t proc = find(plan, SB_MOUNT_FS, "/proc"), sys = find(plan, SB_MOUNT_FS, "/sys");
	size_t empty = find(plan, SB_MOUNT_DIR, SB_MASK_DIR);
	assert_true(empty != NONE);
	for (size_t i = 0; i < SB_ARRAY_SIZE(rdonly); i++) {
		char path[64];
		sb_format(path, sizeof(path), "/proc/%s", rdonly[i]);
		const struct sb_mount_op *op = get(plan, SB_MOUNT_RDONLY, path);
		assert_int_equal(op->attr, RO | NOSUID | NODEV | NOEXEC);
		assert_int_equal(op->flags, SB_OP_OPTIONAL);
		assert_true(find(plan, SB_MOUNT_RDONLY, path) > proc);
	}
	for (size_t i = 0; i < SB_ARRAY_SIZE(masked); i++) {
		const struct sb_mount_op *op = get(plan, SB_MOUNT_MASK, masked[i]);
		size_t at = find(plan, SB_MOUNT_MASK, masked[i]);
		assert_int_equal(op->attr & (RO | NOSUID | NOEXEC), RO | NOSUID | NOEXEC);
		assert_int_equal(op->flags, SB_OP_OPTIONAL);
		/* The empty directory it shows has to be there before. */
		assert_true(at > proc && at > sys && at > empty);
	}
	sb_plan_free(plan);
}

/* An operation whose flags a seal replaces is not looked for when the flags are verified. */
static void superseded(void **state)
{
	static const char *const v1[] = { "memory", NULL };
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ .v1 = v1 });
	for (size_t i = 0; i < plan->n; i++) {
		const struct sb_mount_op *op = &plan->ops[i];
		size_t seal = find(plan, SB_MOUNT_SEAL, op->target);
		assert_int_equal(op->superseded, seal != NONE && seal > i);
		assert_int_equal(op->hash, sb_mount_target_hash(op->target));
	}
	assert_true(get(plan, SB_MOUNT_PART, "/dev")->superseded);
	assert_true(get(plan, SB_MOUNT_PART, "/sys/fs/cgroup")->superseded);
	assert_false(get(plan, SB_MOUNT_FS, "/proc")->superseded);
	sb_plan_free(plan);
}

/* No set-uid program and no device node, wherever it comes from; devices in /dev alone. */
static void every_mount_is_harmless(void **state)
{
	static const char *const v1[] = { "memory", "cpu,cpuacct", NULL };
	static const struct wish wishes[] = {
		{ 0 },
		{ .host_tmp = true, .v1 = v1 },
		{ .binds = { "/data" }, .ro_binds = { "-/more:/less:norbind" } },
	};
	(void)state;
	for (size_t k = 0; k < SB_ARRAY_SIZE(wishes); k++) {
		struct sb_plan *plan = make_plan(&wishes[k]);
		for (size_t i = 0; i < plan->n; i++) {
			const struct sb_mount_op *op = &plan->ops[i];
			if (op->kind == SB_MOUNT_DIR || op->kind == SB_MOUNT_LINK)
				continue;
			uint64_t need = NOSUID;
			/* /dev/null stands in for masked files. */
			if (!is_below(op->target, "/dev") &&
			    !(op->kind == SB_MOUNT_MASK && is_below(op->target, "/proc")))
				need |= NODEV;
			if ((op->attr & need) != need)
				fail_msg("'%s' has %" PRIx64, op->target, op->attr);
		}
		sb_plan_free(plan);
	}
}

/* What must not be seen at all, and that nothing else of the host is. */
static void absent(void **state)
{
	static const char *const hidden[] = {
		"/boot",     "/root",	     "/mnt",	  "/media",	      "/lost+found",
		"/var/log/", "/run/systemd", "/run/dbus", "/run/docker.sock", "/var/spool/cron",
		"/run/utmp",
	};
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){ 0 });
	for (size_t i = 0; i < plan->n; i++) {
		for (size_t k = 0; k < SB_ARRAY_SIZE(hidden); k++)
			if (is_below(plan->ops[i].target, hidden[k]) ||
			    is_below(plan->ops[i].source, hidden[k]))
				fail_msg("'%s' is planned", plan->ops[i].target);
		if (plan->ops[i].kind == SB_MOUNT_BIND)
			assert_string_not_equal(plan->ops[i].source, "/");
	}
	sb_plan_free(plan);
}

/* ---- order ---- */

/* Each comes after the one before it. */
static void assert_order(const struct sb_plan *plan, const struct expected *rows, size_t n)
{
	size_t last = 0;
	for (size_t i = 0; i < n; i++) {
		size_t at = find(plan, rows[i].kind, rows[i].target);
		if (at == NONE || at < last)
			fail_msg("'%s' is at %zd, behind %zd", rows[i].target, (ssize_t)at,
				 (ssize_t)last);
		last = at;
	}
}

static void order(void **state)
{
	static const struct expected rows[] = {
		{ .kind = SB_MOUNT_BIND, .target = "/usr" },
		{ .kind = SB_MOUNT_PART, .target = "/run" },
		{ .kind = SB_MOUNT_DIR, .target = SB_PARTS_DIR },
		{ .kind = SB_MOUNT_FS, .target = "/proc" },
		{ .kind = SB_MOUNT_FS, .target = "/sys" },
		{ .kind = SB_MOUNT_PART, .target = "/dev" },
		{ .kind = SB_MOUNT_FS, .target = "/dev/pts" },
		{ .kind = SB_MOUNT_PART, .target = "/tmp" },
		{ .kind = SB_MOUNT_BIND, .target = "/etc" },
		{ .kind = SB_MOUNT_RDONLY, .target = "/proc/sys" },
		{ .kind = SB_MOUNT_MASK, .target = "/sys/firmware" },
		{ .kind = SB_MOUNT_PART, .target = "/home" },
		{ .kind = SB_MOUNT_BIND, .target = "/home/ann" },
		{ .kind = SB_MOUNT_FS, .target = "/sys/fs/cgroup" },
		{ .kind = SB_MOUNT_BIND, .target = "/ro" },
		{ .kind = SB_MOUNT_BIND, .target = "/ro/rw" },
		{ .kind = SB_MOUNT_BIND, .target = "/home/ann/data" },
		{ .kind = SB_MOUNT_SEAL, .target = "/home" },
		{ .kind = SB_MOUNT_SEAL, .target = "/dev" },
		{ .kind = SB_MOUNT_SEAL, .target = "/" },
	};
	(void)state;
	struct sb_plan *plan = make_plan(&(struct wish){
		.binds = { "/ro/rw", "/data:/home/ann/data" }, .ro_binds = { "/ro" } });
	assert_order(plan, rows, SB_ARRAY_SIZE(rows));
	/* Whatever is sealed, nothing more is put on it; and the root is the last of all. */
	size_t first_seal = find(plan, SB_MOUNT_SEAL, "/home");
	for (size_t i = first_seal; i < plan->n; i++)
		assert_int_equal(plan->ops[i].kind, SB_MOUNT_SEAL);
	assert_int_equal(find(plan, SB_MOUNT_SEAL, "/"), plan->n - 1);
	sb_plan_free(plan);
}

/* A mount point lies in a file system of ours that is there already: its parent is in the plan. */
static void targets_have_parents(void **state)
{
	(void)state;
	static const char *const fs[] = { "/sys", "/proc", "/dev", "/run", "/home" };
	struct sb_plan *plan = make_plan(&(struct wish){ 0 });
	for (size_t i = 0; i < plan->n; i++)
		for (size_t k = 0; k < SB_ARRAY_SIZE(fs); k++)
			if (is_below(plan->ops[i].target, fs[k]) &&
			    strcmp(plan->ops[i].target, fs[k]) != 0 &&
			    find(plan, k < 2 ? SB_MOUNT_FS : SB_MOUNT_PART, fs[k]) > i)
				fail_msg("'%s' is before '%s'", plan->ops[i].target, fs[k]);
	sb_plan_free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_view),
		cmocka_unit_test(guards),
		cmocka_unit_test(absent),
		cmocka_unit_test(every_mount_is_harmless),
		cmocka_unit_test(superseded),
		cmocka_unit_test(order),
		cmocka_unit_test(targets_have_parents),
	};
	return cmocka_run_group_tests_name("rootfs", tests, NULL, NULL);
}
