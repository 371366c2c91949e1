/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where the system's files come from: a view of the host, or a tree of its own. */
#include "rootfs_internal.h"

#include <errno.h>
#include <string.h>

#include "sessbox/str.h"

static const struct sb_row host_view[] = {
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

/* State of the host's daemons below /var/lib: their sockets are the way to them, and a read-only
 * mount does not keep anybody from connecting. */
static const char *const daemons[] = {
	"/var/lib/sss",	       "/var/lib/gssproxy",   "/var/lib/lxd",	     "/var/lib/incus",
	"/var/lib/docker",     "/var/lib/containers", "/var/lib/containerd", "/var/lib/mysql",
	"/var/lib/postgresql", "/var/lib/libvirt",    "/var/lib/systemd",    "/var/lib/sessbox",
};

static const struct sb_row home_and_dev[] = {
	{ SB_MOUNT_SEAL, "/home", NULL, RO | NOSUID | NODEV, 0, 0 },
	{ SB_MOUNT_SEAL, "/dev", NULL, RO | NOSUID | NOEXEC, 0, 0 },
};

bool sb_root_is_tree(const struct sb_policy *policy)
{
	const char *root = policy->set.root_directory;
	return root && strcmp(root, "/") != 0;
}

static void add_mailbox(struct sb_maker *m)
{
	char path[300];
	if (sb_format(path, sizeof(path), "/var/mail/%s", m->spec->policy->user) == 0)
		sb_maker_add(m,
			     &(struct sb_row){ SB_MOUNT_BIND, path, NULL, NOSUID | NODEV | NOEXEC,
					       OPTIONAL | SB_OP_NO_RECURSE | SB_OP_GUARDED, 0 });
}

static void add_root(struct sb_maker *m)
{
	static const char *const overlays[] = {
		[SB_OVERLAY_TMPFS] = "tmpfs", [SB_OVERLAY_PERSISTENT] = "persistent"
	};
	const struct sb_settings *set = &m->spec->policy->set;
	/* Inside a tree of its own no name is taken on trust: links may lie anywhere in it. */
	m->always = SB_OP_GUARDED;
	struct sb_mount_op *op =
		sb_maker_add(m, &(struct sb_row){ SB_MOUNT_ROOT, "/", set->root_directory,
						  NOSUID | NODEV, 0, 0 });
	if (set->root_overlay == SB_OVERLAY_NO)
		return;
	sb_maker_option(op, "overlay", overlays[set->root_overlay]);
	sb_maker_number(op, "size", set->root_overlay_size);
	op->uid = m->spec->policy->uid;
}

void sb_maker_system(struct sb_maker *m)
{
	if (sb_root_is_tree(m->spec->policy)) {
		add_root(m);
		return;
	}
	sb_maker_shared(m, SB_MOUNT_ROOT, "/");
	sb_maker_rows(m, host_view, SB_ARRAY_SIZE(host_view));
	add_mailbox(m);
}

/* The tree's own, under what is generated: here nobody but its administrator renames anything. */
static void add_tree_etc(struct sb_maker *m)
{
	char source[PATH_MAX];
	if (sb_format(source, sizeof(source), "%s/etc", m->spec->policy->set.root_directory) < 0) {
		m->r = -ENAMETOOLONG;
		return;
	}
	sb_maker_add(m,
		     &(struct sb_row){ SB_MOUNT_BIND, "/run/host/etc", source, RO | NOSUID | NODEV,
				       SB_OP_NO_RECURSE | SB_OP_IN_TREE, 0 });
	struct sb_mount_op *op = sb_maker_add(
		m, &(struct sb_row){ SB_MOUNT_FS, "/etc", "overlay", RO | NOSUID | NODEV, 0, 0 });
	sb_maker_option(op, "lowerdir", "/run/etc:/run/host/etc");
}

void sb_maker_etc(struct sb_maker *m)
{
	if (sb_root_is_tree(m->spec->policy)) {
		add_tree_etc(m);
		return;
	}
	sb_maker_add(m, &(struct sb_row){ SB_MOUNT_BIND, "/run/host/etc", "/etc",
					  RO | NOSUID | NODEV, SLAVE, 0 });
	sb_maker_add(m, &(struct sb_row){ SB_MOUNT_BIND, "/etc", m->spec->etc_tree,
					  RO | NOSUID | NODEV | NOEXEC, SB_OP_NO_RECURSE, 0 });
}

static void add_mask(struct sb_maker *m, const char *target)
{
	sb_maker_add(m, &(struct sb_row){ SB_MOUNT_MASK, target, NULL, RO | NOSUID | NODEV | NOEXEC,
					  OPTIONAL, 0 });
}

void sb_maker_masks(struct sb_maker *m)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(daemons) && !sb_root_is_tree(m->spec->policy); i++)
		add_mask(m, daemons[i]);
}

void sb_maker_masks_below(struct sb_maker *m, const char *source, const char *dest)
{
	size_t len = strcmp(source, "/") == 0 ? 0 : strlen(source);
	for (size_t i = 0; i < SB_ARRAY_SIZE(daemons); i++) {
		char target[PATH_MAX];
		if (strncmp(daemons[i], source, len) != 0 || daemons[i][len] != '/')
			continue;
		if (sb_format(target, sizeof(target), "%s%s", strcmp(dest, "/") == 0 ? "" : dest,
			      daemons[i] + len) < 0)
			m->r = m->r < 0 ? m->r : -ENAMETOOLONG;
		else
			add_mask(m, target);
	}
}

void sb_maker_seals(struct sb_maker *m)
{
	sb_maker_rows(m, home_and_dev, SB_ARRAY_SIZE(home_and_dev));
	if (!sb_root_is_tree(m->spec->policy) || m->spec->policy->set.root_overlay == SB_OVERLAY_NO)
		sb_maker_add(
			m, &(struct sb_row){ SB_MOUNT_SEAL, "/", NULL, RO | NOSUID | NODEV, 0, 0 });
}
