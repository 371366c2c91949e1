/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_TESTS_PLAN_H
#define SESSBOX_TESTS_PLAN_H

/* Plans of a tenant's tree for the tests of rootfs: ann, uid 2500. */
#include "scratch.h"

#include <inttypes.h>
#include <stdio.h>

#include "sessbox/rootfs.h"
#include "sessbox/sys.h"

#define RO MOUNT_ATTR_RDONLY
#define NOSUID MOUNT_ATTR_NOSUID
#define NODEV MOUNT_ATTR_NODEV
#define NOEXEC MOUNT_ATTR_NOEXEC
#define MIB (UINT64_C(1) << 20)

struct wish {
	const char *home;
	const char *binds[4], *ro_binds[4];
	bool host_tmp; /* PrivateTmp=no */
	uint64_t tmp_size;
	const char *const *v1;
	const char *root; /* RootDirectory= */
	enum sb_root_overlay overlay;
	enum sb_home home_from;
	const char *tmpfs[4], *read_only[4], *inaccessible[4];
	struct sb_device devices[4];
	bool invisible; /* ProtectProc= */
	const char *proxies[4];
};

static inline void fill_list(struct sb_strv *list, const char *const *words)
{
	for (size_t i = 0; i < 4 && words[i]; i++)
		assert_int_equal(sb_strv_add(list, words[i]), 0);
}

static inline struct sb_plan *make_plan(const struct wish *w)
{
	struct sb_policy policy = { .user = (char[]){ "ann" }, .uid = 2500, .gid = 2600 };
	const struct sb_plan_spec spec = { .policy = &policy,
					   .home = w->home ? w->home : "/home/ann",
					   .account_dir = "/run/sessbox/u2500/c1/etc",
					   .self_dir = "/run/sessbox/u2500/self",
					   .etc_tree = "/run/sessbox/etc",
					   .tmp_size = w->tmp_size ? w->tmp_size : 100 * MIB,
					   .v1 = w->v1 };
	struct sb_plan *plan = NULL;
	policy.set.private_tmp = !w->host_tmp;
	policy.set.root_directory = (char *)(uintptr_t)(w->root ? w->root : "/");
	policy.set.root_overlay = w->overlay;
	policy.set.root_overlay_size = 64 * MIB;
	policy.set.home = w->home_from;
	policy.set.protect_proc = w->invisible ? SB_PROTECT_PROC_INVISIBLE : 0;
	fill_list(&policy.set.temporary_file_system, w->tmpfs);
	for (size_t i = 0; i < 4 && w->devices[i].path; i++)
		assert_int_equal(sb_devices_set(&policy.set.limits.devices, &w->devices[i]), 0);
	fill_list(&policy.set.read_only_paths, w->read_only);
	fill_list(&policy.set.inaccessible_paths, w->inaccessible);
	fill_list(&policy.set.proxy_commands, w->proxies);
	fill_list(&policy.set.bind_paths, w->binds);
	fill_list(&policy.set.bind_read_only_paths, w->ro_binds);
	assert_int_equal(sb_plan_make(&spec, &plan, NULL), 0);
	sb_strv_clear(&policy.set.temporary_file_system);
	sb_devices_clear(&policy.set.limits.devices);
	sb_strv_clear(&policy.set.read_only_paths);
	sb_strv_clear(&policy.set.inaccessible_paths);
	sb_strv_clear(&policy.set.proxy_commands);
	sb_strv_clear(&policy.set.bind_paths);
	sb_strv_clear(&policy.set.bind_read_only_paths);
	return plan;
}

#define NONE SIZE_MAX

/* The operation's place, from the end: what comes later hides what was before. */
static inline size_t find(const struct sb_plan *plan, enum sb_mount_op_kind kind,
			  const char *target)
{
	for (size_t i = plan->n; i-- > 0;)
		if (plan->ops[i].kind == kind && strcmp(plan->ops[i].target, target) == 0)
			return i;
	return NONE;
}

static inline const struct sb_mount_op *get(const struct sb_plan *plan, enum sb_mount_op_kind kind,
					    const char *target)
{
	size_t i = find(plan, kind, target);
	if (i == NONE)
		fail_msg("no operation %d on '%s'", kind, target);
	return &plan->ops[i];
}

static inline const char *option_of(const struct sb_mount_op *op, const char *key)
{
	for (size_t i = 0; i < SB_MOUNT_OPTS_MAX && op->opts[i].key; i++)
		if (strcmp(op->opts[i].key, key) == 0)
			return op->opts[i].value;
	return NULL;
}

static inline bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

#endif
