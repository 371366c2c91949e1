/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/rootfs.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sessbox/parse.h"
#include "sessbox/path.h"
#include "sessbox/sys.h"

#define RO MOUNT_ATTR_RDONLY
#define NOSUID MOUNT_ATTR_NOSUID
#define NODEV MOUNT_ATTR_NODEV
#define NOEXEC MOUNT_ATTR_NOEXEC
#define OPTIONAL SB_OP_OPTIONAL
#define SLAVE SB_OP_SLAVE

/* A row of a table below; source NULL = the target's own name on the host. */
struct row {
	enum sb_mount_op_kind kind;
	const char *target;
	const char *source;
	uint64_t attr;
	unsigned int flags;
	mode_t mode;
};

static const struct row host_view[] = {
	{ SB_MOUNT_BIND, "/usr", NULL, RO | NOSUID | NODEV, SLAVE, 0 },
	{ SB_MOUNT_LIKE, "/bin", NULL, RO | NOSUID | NODEV, SLAVE | OPTIONAL, 0 },
	{ SB_MOUNT_LIKE, "/sbin", NULL, RO | NOSUID | NODEV, SLAVE | OPTIONAL, 0 },
	{ SB_MOUNT_LIKE, "/lib", NULL, RO | NOSUID | NODEV, SLAVE | OPTIONAL, 0 },
	{ SB_MOUNT_LIKE, "/lib32", NULL, RO | NOSUID | NODEV, SLAVE | OPTIONAL, 0 },
	{ SB_MOUNT_LIKE, "/lib64", NULL, RO | NOSUID | NODEV, SLAVE | OPTIONAL, 0 },
	{ SB_MOUNT_LIKE, "/libx32", NULL, RO | NOSUID | NODEV, SLAVE | OPTIONAL, 0 },
	{ SB_MOUNT_BIND, "/opt", NULL, RO | NOSUID | NODEV, SLAVE | OPTIONAL, 0 },
	{ SB_MOUNT_BIND, "/srv", NULL, RO | NOSUID | NODEV, SLAVE | OPTIONAL, 0 },
	{ SB_MOUNT_BIND, "/var/lib", NULL, RO | NOSUID | NODEV, SLAVE | OPTIONAL, 0 },
	{ SB_MOUNT_BIND, "/var/cache", NULL, RO | NOSUID | NODEV, SLAVE | OPTIONAL, 0 },
	{ SB_MOUNT_DIR, "/var/log", NULL, 0, 0, 0755 },
	{ SB_MOUNT_DIR, "/var/mail", NULL, 0, 0, 0755 },
	{ SB_MOUNT_DIR, "/var/spool", NULL, 0, 0, 0755 },
	{ SB_MOUNT_LINK, "/var/spool/mail", "../mail", 0, 0, 0 },
	{ SB_MOUNT_LINK, "/var/run", "/run", 0, 0, 0 },
	{ SB_MOUNT_LINK, "/var/lock", "/run/lock", 0, 0, 0 },
};

static const struct row kernel_view[] = {
	{ SB_MOUNT_FS, "/proc", "proc", NOSUID | NODEV | NOEXEC, 0, 0 },
	{ SB_MOUNT_FS, "/sys", "sysfs", RO | NOSUID | NODEV | NOEXEC, 0, 0 },
};

/* The nodes are the host's own, cloned: no mknod, whatever the host itself runs in. */
static const struct row devices[] = {
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

static const struct row run_dirs[] = {
	{ SB_MOUNT_DIR, "/run/lock", NULL, 0, 0, 01777 },
	{ SB_MOUNT_DIR, "/run/user", NULL, 0, 0, 0755 },
	{ SB_MOUNT_DIR, "/run/host/etc", NULL, 0, 0, 0755 },
	{ SB_MOUNT_DIR, "/run/sessbox/self", NULL, 0, 0, 0755 },
	/* What SB_MOUNT_MASK shows in place of a directory. */
	{ SB_MOUNT_DIR, SB_MASK_DIR, NULL, 0, 0, 0555 },
	{ SB_MOUNT_BIND, "/run/host/etc", "/etc", RO | NOSUID | NODEV, SLAVE, 0 },
};

/* What /proc and /sys offer to root that uid 0 without capabilities could still use, or that tells
 * about the host and its other users. Lists: OCI runtimes, systemd-nspawn. */
static const struct row guards[] = {
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

/* State of the host's daemons below /var/lib: their sockets are the way to them, and a read-only
 * mount does not keep anybody from connecting. */
static const char *const daemons[] = {
	"/var/lib/sss",	       "/var/lib/gssproxy",   "/var/lib/lxd",	     "/var/lib/incus",
	"/var/lib/docker",     "/var/lib/containers", "/var/lib/containerd", "/var/lib/mysql",
	"/var/lib/postgresql", "/var/lib/libvirt",    "/var/lib/systemd",    "/var/lib/sessbox",
};

static const struct row seals[] = {
	{ SB_MOUNT_SEAL, "/home", NULL, RO | NOSUID | NODEV, 0, 0 },
	{ SB_MOUNT_SEAL, "/dev", NULL, RO | NOSUID | NOEXEC, 0, 0 },
	{ SB_MOUNT_SEAL, "/", NULL, RO | NOSUID | NODEV, 0, 0 },
};

uint32_t sb_mount_target_hash(const char *target)
{
	uint32_t hash = 2166136261U; /* FNV-1a */
	for (; *target; target++)
		hash = (hash ^ (unsigned char)*target) * 16777619U;
	return hash;
}

/* A plan being made; the first error sticks, so that rows need no checks of their own. */
struct maker {
	const struct sb_plan_spec *spec;
	struct sb_plan *plan;
	int r;
};

static struct sb_mount_op *add(struct maker *m, const struct row *row)
{
	static struct sb_mount_op dummy;
	struct sb_plan *plan = m->plan;
	if (m->r == 0) {
		struct sb_mount_op *ops = reallocarray(plan->ops, plan->n + 1, sizeof(*ops));
		if (!ops)
			m->r = -ENOMEM;
		else
			plan->ops = ops;
	}
	if (m->r < 0)
		return &dummy;
	struct sb_mount_op *op = &plan->ops[plan->n++];
	*op = (struct sb_mount_op){ .kind = row->kind,
				    .attr = row->attr,
				    .flags = row->flags,
				    .mode = row->mode,
				    .fd = -1 };
	op->hash = sb_mount_target_hash(row->target);
	op->target = strdup(row->target);
	op->source = strdup(row->source ? row->source : row->target);
	if (!op->target || !op->source)
		m->r = -ENOMEM;
	return op;
}

static void add_rows(struct maker *m, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(m, &rows[i]);
}

/* Sets the next option of a new file system; value NULL = a flag. */
static void option(struct sb_mount_op *op, const char *key, const char *value)
{
	for (size_t i = 0; i < SB_MOUNT_OPTS_MAX; i++) {
		if (op->opts[i].key)
			continue;
		op->opts[i].key = key;
		snprintf(op->opts[i].value, sizeof(op->opts[i].value), "%s", value ? value : "");
		return;
	}
}

static void tmpfs(struct maker *m, const char *target, uint64_t size, const char *mode,
		  uint64_t attr)
{
	char text[32], inodes[32];
	struct sb_mount_op *op = add(m, &(struct row){ SB_MOUNT_FS, target, "tmpfs", attr, 0, 0 });
	snprintf(text, sizeof(text), "%" PRIu64, size);
	/* An inode costs the kernel about a kilobyte that `size` does not count. */
	snprintf(inodes, sizeof(inodes), "%" PRIu64, size / 1024 > 256 ? size / 1024 : 256);
	option(op, "size", text);
	option(op, "nr_inodes", inodes);
	option(op, "mode", mode);
}

static void plan_cgroup(struct maker *m)
{
	const uint64_t attr = RO | NOSUID | NODEV | NOEXEC;
	const char *const *v1 = m->spec->v1;
	if (!v1) {
		add(m, &(struct row){ SB_MOUNT_FS, "/sys/fs/cgroup", "cgroup2", attr, SB_OP_CGROUP,
				      0 });
		return;
	}
	tmpfs(m, "/sys/fs/cgroup", 16384, "755", NOSUID | NODEV | NOEXEC);
	for (; *v1; v1++) {
		char target[64];
		snprintf(target, sizeof(target), "/sys/fs/cgroup/%s", *v1);
		struct sb_mount_op *op = add(
			m, &(struct row){ SB_MOUNT_FS, target, "cgroup", attr, SB_OP_CGROUP, 0 });
		/* A hierarchy is named by all of its controllers: "cpu,cpuacct". They are flags,
		 * and the plan keeps their names alive in the option's value. */
		option(op, "controllers", *v1);
	}
	add(m, &(struct row){ SB_MOUNT_SEAL, "/sys/fs/cgroup", NULL, attr, 0, 0 });
}

static void plan_dev(struct maker *m)
{
	tmpfs(m, "/dev", 65536, "755", NOSUID | NOEXEC);
	struct sb_mount_op *pts =
		add(m, &(struct row){ SB_MOUNT_FS, "/dev/pts", "devpts", NOSUID | NOEXEC, 0, 0 });
	option(pts, "newinstance", NULL);
	option(pts, "ptmxmode", "0666");
	option(pts, "mode", "0620");
	option(pts, "gid", "5");
	option(pts, "max", "256");
	tmpfs(m, "/dev/shm", m->spec->tmp_size, "1777", NOSUID | NODEV | NOEXEC);
	add(m,
	    &(struct row){ SB_MOUNT_FS, "/dev/mqueue", "mqueue", NOSUID | NODEV | NOEXEC, 0, 0 });
	add_rows(m, devices, SB_ARRAY_SIZE(devices));
}

static void plan_tmp(struct maker *m)
{
	static const char *const dirs[] = { "/tmp", "/var/tmp" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++) {
		if (m->spec->policy->set.private_tmp)
			tmpfs(m, dirs[i], m->spec->tmp_size, "1777", NOSUID | NODEV);
		else
			add(m, &(struct row){ SB_MOUNT_BIND, dirs[i], NULL, NOSUID | NODEV, SLAVE,
					      0 });
	}
}

static void plan_run(struct maker *m)
{
	const struct sb_plan_spec *spec = m->spec;
	uint64_t size = spec->tmp_size / 4 > (16U << 20) ? spec->tmp_size / 4 : 16U << 20;
	char path[64];
	tmpfs(m, "/run", size, "755", NOSUID | NODEV);
	add_rows(m, run_dirs, SB_ARRAY_SIZE(run_dirs));

	snprintf(path, sizeof(path), "/run/user/%u", spec->policy->uid);
	struct sb_mount_op *op = add(m, &(struct row){ SB_MOUNT_DIR, path, NULL, 0, 0, 0700 });
	op->uid = spec->policy->uid;
	op->gid = spec->policy->gid;

	add(m, &(struct row){ SB_MOUNT_BIND, "/run/etc", spec->account_dir,
			      RO | NOSUID | NODEV | NOEXEC, SB_OP_NO_RECURSE, 0 });
	add(m, &(struct row){ SB_MOUNT_BIND, "/run/sessbox/self", spec->self_dir,
			      RO | NOSUID | NODEV | NOEXEC, SB_OP_NO_RECURSE, 0 });
	add(m, &(struct row){ SB_MOUNT_BIND, "/etc", spec->etc_tree, RO | NOSUID | NODEV | NOEXEC,
			      SB_OP_NO_RECURSE, 0 });
}

static void plan_home(struct maker *m)
{
	const char *home = m->spec->home;
	tmpfs(m, "/home", 16384, "755", NOSUID | NODEV);
	if (!sb_path_is_normal(home) || strcmp(home, "/") == 0)
		return;
	add(m, &(struct row){ SB_MOUNT_BIND, home, NULL, NOSUID | NODEV,
			      SLAVE | OPTIONAL | SB_OP_DIRECTORY | SB_OP_GUARDED, 0 });
}

static void plan_bind(struct maker *m, const char *text, uint64_t attr)
{
	struct sb_bind bind;
	int r = sb_parse_bind(text, &bind);
	if (r < 0) {
		m->r = r;
		return;
	}
	unsigned int flags = SLAVE | SB_OP_GUARDED | (bind.optional ? OPTIONAL : 0) |
			     (bind.recursive ? 0 : SB_OP_NO_RECURSE);
	add(m, &(struct row){ SB_MOUNT_BIND, bind.dest, bind.source, attr, flags, 0 });
}

static void plan_binds(struct maker *m, const struct sb_strv *list, uint64_t attr)
{
	for (size_t i = 0; i < list->n; i++)
		plan_bind(m, list->v[i], attr);
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
	struct maker m = { .spec = spec, .plan = plan };
	char mailbox[300];
	add_rows(&m, host_view, SB_ARRAY_SIZE(host_view));
	if (sb_format(mailbox, sizeof(mailbox), "/var/mail/%s", spec->policy->user) == 0)
		add(&m, &(struct row){ SB_MOUNT_BIND, mailbox, NULL, NOSUID | NODEV | NOEXEC,
				       OPTIONAL | SB_OP_NO_RECURSE | SB_OP_GUARDED, 0 });
	add_rows(&m, kernel_view, SB_ARRAY_SIZE(kernel_view));
	plan_dev(&m);
	plan_tmp(&m);
	plan_run(&m);
	add_rows(&m, guards, SB_ARRAY_SIZE(guards));
	for (size_t i = 0; i < SB_ARRAY_SIZE(daemons); i++)
		add(&m, &(struct row){ SB_MOUNT_MASK, daemons[i], NULL,
				       RO | NOSUID | NODEV | NOEXEC, OPTIONAL, 0 });
	plan_home(&m);
	plan_cgroup(&m);
	plan_binds(&m, &spec->policy->set.bind_read_only_paths, RO | NOSUID | NODEV);
	plan_binds(&m, &spec->policy->set.bind_paths, NOSUID | NODEV);
	add_rows(&m, seals, SB_ARRAY_SIZE(seals));
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
	}
	free(plan->ops);
	free(plan);
}

static const struct {
	uint64_t attr;
	const char *name;
} attr_names[] = {
	{ RO, "ro" },
	{ NOSUID, "nosuid" },
	{ NODEV, "nodev" },
	{ NOEXEC, "noexec" },
};

static const char *const kind_names[] = {
	[SB_MOUNT_DIR] = "dir",	  [SB_MOUNT_LINK] = "link", [SB_MOUNT_FS] = "mount",
	[SB_MOUNT_BIND] = "bind", [SB_MOUNT_LIKE] = "like", [SB_MOUNT_RDONLY] = "rdonly",
	[SB_MOUNT_MASK] = "mask", [SB_MOUNT_SEAL] = "seal",
};

void sb_plan_print(const struct sb_plan *plan, FILE *out)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct sb_mount_op *op = &plan->ops[i];
		fprintf(out, "%-6s %s", kind_names[op->kind], op->target);
		if (op->kind == SB_MOUNT_LINK || op->kind == SB_MOUNT_FS ||
		    op->kind == SB_MOUNT_BIND || op->kind == SB_MOUNT_LIKE)
			fprintf(out, " %s %s", op->kind == SB_MOUNT_LINK ? "->" : "from",
				op->source);
		const char *sep = " (";
		for (size_t k = 0; k < SB_ARRAY_SIZE(attr_names); k++) {
			if (!(op->attr & attr_names[k].attr))
				continue;
			fprintf(out, "%s%s", sep, attr_names[k].name);
			sep = ",";
		}
		for (size_t k = 0; k < SB_MOUNT_OPTS_MAX && op->opts[k].key; k++) {
			fprintf(out, "%s%s%s%s", sep, op->opts[k].key,
				*op->opts[k].value ? "=" : "", op->opts[k].value);
			sep = ",";
		}
		fprintf(out, "%s\n", *sep == ',' ? ")" : "");
	}
}
