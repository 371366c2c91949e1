/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_CGROUP_TREE_H
#define TESTS_CGROUP_TREE_H

/*
 * Imitations of /sys/fs/cgroup in a temporary directory. Regular files stand in for the kernel's,
 * so a test makes those the kernel would have made, and short ones: nobody truncates them.
 */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>

#include "sessbox/cgroup.h"

/* Those that every test of limits has; the others limit nothing. */
#define LIMITS(memory, swap, tasks, quota, weight)                                                 \
	{                                                                                          \
		.memory_max = memory, .memory_swap_max = swap, .tasks_max = tasks,                 \
		.cpu_quota = quota, .cpu_weight = weight, .memory_high = UINT64_MAX,               \
		.io_weight = 100                                                                   \
	}
#define FIVE                                                                                       \
	(SB_LIMIT_BIT(SB_MEMORY_MAX) | SB_LIMIT_BIT(SB_MEMORY_SWAP_MAX) |                          \
	 SB_LIMIT_BIT(SB_TASKS_MAX) | SB_LIMIT_BIT(SB_CPU_QUOTA) | SB_LIMIT_BIT(SB_CPU_WEIGHT))

#define ALL_ON "cpuset cpu io memory pids\n"

struct tree {
	char root[64];
	int fd;
};

static inline struct tree tree_make(void)
{
	struct tree t = { "/tmp/sessbox-cgroup-XXXXXX", -1 };
	assert_non_null(mkdtemp(t.root));
	t.fd = open(t.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(t.fd >= 0);
	return t;
}

static inline void tree_remove(struct tree *t)
{
	close(t->fd);
	assert_int_equal(sb_remove_tree(AT_FDCWD, t->root), 0);
}

/* The directories of path up to the last slash. */
static inline void tree_parents(const struct tree *t, const char *path)
{
	char part[512];
	assert_int_equal(sb_copy(part, sizeof(part), path), 0);
	for (char *p = part; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		assert_true(mkdirat(t->fd, part, 0755) == 0 || errno == EEXIST);
	}
}

static inline void tree_put(const struct tree *t, const char *path, const char *text)
{
	tree_parents(t, path);
	int fd = openat(t->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(sb_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static inline bool tree_has(const struct tree *t, const char *path)
{
	return faccessat(t->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void tree_expect(const struct tree *t, const char *path, const char *text)
{
	char found[4096];
	assert_true(sb_read_file(t->fd, path, found, sizeof(found)) >= 0);
	assert_string_equal(found, text);
}

static inline void tree_v2(const struct tree *t)
{
	tree_put(t, "self", "0::/user.slice\n");
	tree_put(t, "cgroup/cgroup.controllers", ALL_ON);
	tree_put(t, "cgroup/cgroup.subtree_control", ALL_ON);
	tree_put(t, "cgroup/sessbox/cgroup.controllers", ALL_ON);
	tree_put(t, "cgroup/sessbox/cgroup.subtree_control", ALL_ON);
}

/* One hierarchy has two controllers and the customary links; net_cls is not mounted. */
static inline void tree_v1(const struct tree *t)
{
	tree_put(t, "self",
		 "7:net_cls:/\n6:name=systemd:/x\n5:freezer:/\n4:pids:/x\n3:memory:/\n"
		 "2:cpuset:/\n1:cpu,cpuacct:/x\n0::/\n");
	tree_parents(t, "cgroup/systemd/");
	tree_parents(t, "cgroup/freezer/");
	tree_parents(t, "cgroup/pids/");
	tree_parents(t, "cgroup/memory/");
	tree_parents(t, "cgroup/cpu,cpuacct/");
	tree_put(t, "cgroup/cpuset/cpuset.cpus", "0-3\n");
	tree_put(t, "cgroup/cpuset/cpuset.mems", "0\n");
	tree_put(t, "cgroup/cpuset/sessbox/cpuset.cpus", "0-1\n");
	tree_put(t, "cgroup/cpuset/sessbox/cpuset.mems", "0\n");
	tree_put(t, "cgroup/cpuset/sessbox/u7/cpuset.cpus", "\n");
	tree_put(t, "cgroup/cpuset/sessbox/u7/cpuset.mems", "\n");
	assert_int_equal(symlinkat("cpu,cpuacct", t->fd, "cgroup/cpu"), 0);
	assert_int_equal(symlinkat("cpu,cpuacct", t->fd, "cgroup/cpuacct"), 0);
}

static inline void tree_hybrid(const struct tree *t)
{
	tree_v1(t);
	tree_put(t, "cgroup/unified/cgroup.controllers", "\n");
	tree_put(t, "cgroup/unified/sessbox/cgroup.controllers", "\n");
}

static inline struct sb_cgroup *tree_open(const struct tree *t)
{
	struct sb_cgroup *cg = NULL;
	struct sb_err err = { 0 };
	if (sb_cgroup_open(t->root, &cg, &err) < 0)
		fail_msg("%s", err.msg);
	return cg;
}

#endif
