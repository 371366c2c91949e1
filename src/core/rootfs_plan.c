/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a tree consists of, and in which order. */
#include "rootfs_internal.h"

#include <errno.h>
#include <string.h>

#include "sessbox/str.h"

/* The nodes are the host's own, cloned: no mknod, whatever the host itself runs in. */
static const struct sb_row devices[] = {
	{ SB_MOUNT_BIND, "/dev/null", NULL, NOSUID | NOEXEC, SB_OP_NO_RECURSE, 0 },
	{ SB_MOUNT_BIND, "/dev/zero", NULL, NOSUID | NOEXEC, SB_OP_NO_RECURSE, 0 },
	{ SB_MOUNT_BIND, "/dev/full", NULL, NOSUID | NOEXEC, SB_OP_NO_RECURSE, 0 },
	{ SB_MOUNT_BIND, "/dev/random", NULL, NOSUID | NOEXEC, SB_OP_NO_RECURSE, 0 },
	{ SB_MOUNT_BIND, "/dev/urandom", NULL, NOSUID | NOEXEC, SB_OP_NO_RECURSE, 0 },
	{ SB_MOUNT_BIND, "/dev/tty", NULL, NOSUID | NOEXEC, SB_OP_NO_RECURSE, 0 },
	{ SB_MOUNT_BIND, "/dev/log", NULL, NOSUID | NODEV | NOEXEC, OPTIONAL | SB_OP_NO_RECURSE,
	  0 },
	{ SB_MOUNT_LINK, "/dev/ptmx", "pts/ptmx", 0, 0, 0 },
	{ SB_MOUNT_LINK, "/dev/fd", "/proc/self/fd", 0, 0, 0 },
	{ SB_MOUNT_LINK, "/dev/stdin", "/proc/self/fd/0", 0, 0, 0 },
	{ SB_MOUNT_LINK, "/dev/stdout", "/proc/self/fd/1", 0, 0, 0 },
	{ SB_MOUNT_LINK, "/dev/stderr", "/proc/self/fd/2", 0, 0, 0 },
};

static const struct sb_row run_dirs[] = {
	{ SB_MOUNT_DIR, SB_PARTS_DIR, NULL, 0, 0, 0700 },
	{ SB_MOUNT_DIR, "/run/lock", NULL, 0, 0, 01777 },
	/* As Debian's screen(1) wants it. */
	{ SB_MOUNT_DIR, "/run/screen", NULL, 0, 0, 01777 },
	{ SB_MOUNT_DIR, "/run/user", NULL, 0, 0, 0755 },
	{ SB_MOUNT_DIR, "/run/sessbox/self", NULL, 0, 0, 0755 },
	/* What SB_MOUNT_MASK shows in place of a directory. */
	{ SB_MOUNT_DIR, SB_MASK_DIR, NULL, 0, 0, 0555 },
};

/* What /proc and /sys offer to root that uid 0 without capabilities could still use, or that tells
 * about the host and its other users. Lists: OCI runtimes, systemd-nspawn. */
static const struct sb_row guards[] = {
	{ SB_MOUNT_RDONLY, "/proc/bus", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_RDONLY, "/proc/fs", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_RDONLY, "/proc/irq", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_RDONLY, "/proc/sys", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_RDONLY, "/proc/sysrq-trigger", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_RDONLY, "/proc/asound", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_RDONLY, "/proc/acpi", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_RDONLY, "/proc/scsi", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_RDONLY, "/proc/mtrr", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/proc/kcore", NULL, RO | NOSUID | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/proc/keys", NULL, RO | NOSUID | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/proc/kmsg", NULL, RO | NOSUID | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/proc/kallsyms", NULL, RO | NOSUID | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/proc/latency_stats", NULL, RO | NOSUID | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/proc/timer_list", NULL, RO | NOSUID | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/proc/timer_stats", NULL, RO | NOSUID | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/proc/sched_debug", NULL, RO | NOSUID | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/proc/interrupts", NULL, RO | NOSUID | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/sys/firmware", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/sys/kernel/debug", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/sys/kernel/tracing", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/sys/kernel/security", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/sys/fs/bpf", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/sys/fs/pstore", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/sys/fs/selinux", NULL, RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 },
	{ SB_MOUNT_MASK, "/sys/devices/virtual/powercap", NULL, RO | NOSUID | NODEV | NOEXEC,
	  OPTIONAL, 0 },
};

static void plan_cgroup(struct sb_maker *m)
{
	const uint64_t attr = RO | NOSUID | NODEV | NOEXEC;
	const char *const *v1 = m->spec->v1;
	if (!v1) {
		sb_maker_add(m, &(struct sb_row){ SB_MOUNT_FS, "/sys/fs/cgroup", "cgroup2", attr,
						  SB_OP_CGROUP, 0 });
		return;
	}
	sb_maker_part(m, "/sys/fs/cgroup", "cgroup", 0755, NOSUID | NODEV | NOEXEC);
	for (; *v1; v1++) {
		char target[64];
		snprintf(target, sizeof(target), "/sys/fs/cgroup/%s", *v1);
		struct sb_mount_op *op =
			sb_maker_add(m, &(struct sb_row){ SB_MOUNT_FS, target, "cgroup", attr,
							  SB_OP_CGROUP, 0 });
		/* A hierarchy is named by all of its controllers: "cpu,cpuacct". They are flags,
		 * and the plan keeps their names alive in the option's value. */
		if (strlen(*v1) >= sizeof(op->opts[0].value))
			m->r = m->r < 0 ? m->r : -ENAMETOOLONG;
		sb_maker_option(op, "controllers", *v1);
	}
	sb_maker_add(m, &(struct sb_row){ SB_MOUNT_SEAL, "/sys/fs/cgroup", NULL, attr, 0, 0 });
}

static void plan_kernel(struct sb_maker *m)
{
	struct sb_mount_op *proc = sb_maker_add(
		m, &(struct sb_row){ SB_MOUNT_FS, "/proc", "proc", NOSUID | NODEV | NOEXEC, 0, 0 });
	if (m->spec->policy->set.protect_proc == SB_PROTECT_PROC_INVISIBLE)
		sb_maker_option(proc, "hidepid", "invisible");
	sb_maker_add(m, &(struct sb_row){ SB_MOUNT_FS, "/sys", "sysfs",
					  RO | NOSUID | NODEV | NOEXEC, 0, 0 });
}

static void plan_dev(struct sb_maker *m)
{
	sb_maker_part(m, "/dev", "dev", 0755, NOSUID | NOEXEC);
	struct sb_mount_op *pts = sb_maker_add(
		m, &(struct sb_row){ SB_MOUNT_FS, "/dev/pts", "devpts", NOSUID | NOEXEC, 0, 0 });
	sb_maker_option(pts, "newinstance", NULL);
	sb_maker_option(pts, "ptmxmode", "0666");
	sb_maker_option(pts, "mode", "0620");
	sb_maker_option(pts, "gid", "5");
	sb_maker_option(pts, "max", "256");
	sb_maker_part(m, "/dev/shm", "shm", 01777, NOSUID | NODEV | NOEXEC);
	sb_maker_add(m, &(struct sb_row){ SB_MOUNT_FS, "/dev/mqueue", "mqueue",
					  NOSUID | NODEV | NOEXEC, 0, 0 });
	sb_maker_rows(m, devices, SB_ARRAY_SIZE(devices));
	sb_maker_nodes(m);
}

static void plan_tmp(struct sb_maker *m)
{
	static const struct {
		const char *target, *name;
	} dirs[] = { { "/tmp", "tmp" }, { "/var/tmp", "var-tmp" } };
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++) {
		if (m->spec->policy->set.private_tmp)
			sb_maker_part(m, dirs[i].target, dirs[i].name, 01777, NOSUID | NODEV);
		else
			sb_maker_add(m, &(struct sb_row){ SB_MOUNT_BIND, dirs[i].target, NULL,
							  NOSUID | NODEV, SLAVE, 0 });
	}
}

/* All that the tenant may write in memory shares one file system: the root's own, or /run's where
 * the root is a tree. */
static void plan_run(struct sb_maker *m)
{
	const struct sb_plan_spec *spec = m->spec;
	char path[64];
	if (sb_root_is_tree(spec->policy))
		sb_maker_shared(m, SB_MOUNT_FS, "/run");
	else
		sb_maker_add(m, &(struct sb_row){ SB_MOUNT_PART, "/run", NULL, NOSUID | NODEV, 0,
						  0755 });
	sb_maker_rows(m, run_dirs, SB_ARRAY_SIZE(run_dirs));

	snprintf(path, sizeof(path), "/run/user/%u", spec->policy->uid);
	struct sb_mount_op *op =
		sb_maker_add(m, &(struct sb_row){ SB_MOUNT_DIR, path, NULL, 0, 0, 0700 });
	op->uid = spec->policy->uid;
	op->gid = spec->policy->gid;

	sb_maker_add(m, &(struct sb_row){ SB_MOUNT_BIND, "/run/etc", spec->account_dir,
					  RO | NOSUID | NODEV | NOEXEC, SB_OP_NO_RECURSE, 0 });
	sb_maker_add(m, &(struct sb_row){ SB_MOUNT_BIND, "/run/sessbox/self", spec->self_dir,
					  RO | NOSUID | NODEV | NOEXEC, SB_OP_NO_RECURSE, 0 });
}

/* Of two operations on one target the later decides its flags. */
static void mark_superseded(struct sb_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		for (size_t k = 0; plan->ops[i].kind == SB_MOUNT_SEAL && k < i; k++)
			if (plan->ops[k].hash == plan->ops[i].hash &&
			    strcmp(plan->ops[k].target, plan->ops[i].target) == 0)
				plan->ops[k].superseded = true;
}

int sb_plan_make(const struct sb_plan_spec *spec, struct sb_plan **ret, struct sb_err *err)
{
	cleanup_plan struct sb_plan *plan = calloc(1, sizeof(*plan));
	if (!plan)
		return sb_fail(err, ENOMEM, "plan the tree");
	struct sb_maker m = { .spec = spec, .plan = plan };
	plan->tree = -1;
	sb_maker_system(&m);
	plan_run(&m);
	plan_kernel(&m);
	plan_dev(&m);
	plan_tmp(&m);
	sb_maker_etc(&m);
	sb_maker_rows(&m, guards, SB_ARRAY_SIZE(guards));
	sb_maker_masks(&m);
	sb_maker_home(&m);
	plan_cgroup(&m);
	sb_maker_tmpfs_paths(&m);
	sb_maker_binds(&m);
	sb_maker_proxies(&m);
	sb_maker_closed_paths(&m);
	sb_maker_seals(&m);
	if (m.r < 0)
		return sb_fail(err, m.r, "plan the tree");
	mark_superseded(plan);
	*ret = sb_steal_ptr(&plan);
	return 0;
}

void sb_plan_free(struct sb_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->n; i++) {
		struct sb_mount_op *op = &plan->ops[i];
		free(op->target);
		free(op->source);
		free(op->link_text);
		sb_close(&op->fd);
		sb_close(&op->store);
	}
	sb_close(&plan->tree);
	free(plan->ops);
	free(plan);
}
