/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The trees that the configuration names: whose they are, and whether a container can be made. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "sessbox/rootfs.h"

/* Where a container mounts something in a tree. */
static const char *const mount_points[] = { "proc", "sys", "dev",  "run",
					    "tmp",  "etc", "home", "var/tmp" };

static void check_mount_points(int tree, const char *where, const char *path,
			       struct ctl_findings *findings)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(mount_points); i++) {
		struct stat st;
		int r = fstatat(tree, mount_points[i], &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
		if (r == 0 && !S_ISDIR(st.st_mode))
			ctl_find(findings, CTL_ERROR, "put a directory in its place",
				 "%s: '%s/%s' is no directory: tenants are refused", where, path,
				 mount_points[i]);
		else if (r == -ENOENT && strcmp(mount_points[i], "etc") == 0)
			ctl_find(findings, CTL_ERROR, "make it",
				 "%s: '%s/etc' is missing: tenants are refused", where, path);
		else if (r == -ENOENT)
			ctl_find(findings, CTL_NOTE, NULL,
				 "%s: '%s/%s' is missing and will be made by a login", where, path,
				 mount_points[i]);
	}
}

static void check_store(const struct ctl_host *host, const char *where,
			struct ctl_findings *findings)
{
	static const struct {
		const char *path, *fix;
	} needed[] = {
		{ "sbin/mke2fs", "install e2fsprogs" },
		{ "dev/loop-control", "load the kernel's module 'loop'" },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(needed); i++)
		if (!ctl_host_has(host, needed[i].path))
			ctl_find(findings, CTL_ERROR, needed[i].fix,
				 "%s: a persistent overlay needs '/%s': tenants are refused", where,
				 needed[i].path);
}

static void check_root(const struct ctl_host *host, const char *where, const char *path,
		       struct ctl_findings *findings)
{
	struct sb_err err = { 0 };
	cleanup_fd int tree = sb_root_open(host->root, path, &err);
	if (tree < 0)
		ctl_find(findings, CTL_ERROR,
			 tree == -EPERM ? "chown root, chmod go-w" : "make it, or correct the key",
			 "%s: %s: tenants are refused", where, err.msg);
	else
		check_mount_points(tree, where, path, findings);
}

static void check_class(const struct ctl_host *host, const struct sb_class *class,
			struct ctl_findings *findings)
{
	static const char *const keys[] = { "RootDirectory", "RootOverlay" };
	struct sb_settings set = { 0 };
	char where[512] = "";
	for (size_t i = 0; i < SB_ARRAY_SIZE(keys); i++) {
		const struct sb_entry *e = ctl_class_entry(class, keys[i]);
		if (!e || sb_config_parse_value(e->key, e->text, &set, NULL) < 0)
			continue;
		snprintf(where, sizeof(where), "%s:%u: [%s]", host->config->files.v[e->file],
			 e->line, class->name);
		if (i == 0 && strcmp(set.root_directory, "/") != 0)
			check_root(host, where, set.root_directory, findings);
	}
	if (set.root_overlay == SB_OVERLAY_PERSISTENT)
		check_store(host, where, findings);
	sb_settings_clear(&set);
}

void ctl_check_roots(const struct ctl_host *host, struct ctl_findings *findings)
{
	for (size_t i = 0; host->config && i < host->config->n; i++)
		check_class(host, &host->config->classes[i], findings);
}
