// SPDX-License-Identifier: MIT
/* The cgroups of a test: found, made, thawed and removed. */
#include "kernel.h"

#include <dirent.h>

#define NAME_PREFIX "sessbox-kernel-"

static char own_name[64];

struct find_cgroup {
	const char *option;
	char *path;
};

static void match_cgroup(const struct mount_line *m, void *arg)
{
	struct find_cgroup *find = arg;

	if (find->path[0])
		return;
	if (find->option ? !strcmp(m->type, "cgroup") && has_option(m->super, find->option)
			 : !strcmp(m->type, "cgroup2"))
		strcpy(find->path, m->path);
}

bool cgroup_mount(const char *option, char *path)
{
	struct find_cgroup find = { .option = option, .path = path };

	path[0] = '\0';
	each_mount(match_cgroup, &find);
	return path[0] != '\0';
}

int sub_dir(int dir, const char *name)
{
	int fd;

	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		fail("mkdir %s: %s", name, strerror(errno));
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0, "open %s: %s", name, strerror(errno));
	return fd;
}

void cgroups_own(pid_t runner)
{
	snprintf(own_name, sizeof(own_name), NAME_PREFIX "%d", runner);
}

int cgroup_dir(const char *option)
{
	char path[256];
	int root, fd;

	if (!cgroup_mount(option, path))
		skip("no cgroup %s here", option ? option : "v2");
	root = MUST(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	fd = sub_dir(root, own_name);
	close(root);
	return fd;
}

/* Thaw (remove false) or remove a cgroup and what is below it; -1 when something stays. */
static int clean_tree(int parent, const char *name, bool remove)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	int rc = 0;
	DIR *dir;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (!remove) {
		put(fd, "cgroup.freeze", "0");
		put(fd, "freezer.state", "THAWED");
	}
	dir = fdopendir(fd);
	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			rc |= clean_tree(fd, entry->d_name, remove);
	closedir(dir);
	if (remove && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -1;
	return rc;
}

struct clean {
	bool remove;
	int rc;
};

static void clean_hierarchy(const struct mount_line *m, void *arg)
{
	struct clean *clean = arg;
	int root;

	if (strncmp(m->type, "cgroup", 6) != 0)
		return;
	root = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return;
	clean->rc |= clean_tree(root, own_name, clean->remove);
	close(root);
}

bool cgroups_thaw(void)
{
	struct clean clean = { .remove = false };

	each_mount(clean_hierarchy, &clean);
	return clean.rc == 0;
}

bool cgroups_remove(void)
{
	struct clean clean = { .remove = true };

	each_mount(clean_hierarchy, &clean);
	return clean.rc == 0;
}

/* What a killed runner left: the name tells whose it was. */
static void stale_hierarchy(const struct mount_line *m, void *arg)
{
	size_t len = strlen(NAME_PREFIX);
	struct dirent *entry;
	DIR *dir;

	(void)arg;
	if (strncmp(m->type, "cgroup", 6) != 0)
		return;
	dir = opendir(m->path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, NAME_PREFIX, len) != 0 ||
		    kill(atoi(entry->d_name + len), 0) == 0)
			continue;
		clean_tree(dirfd(dir), entry->d_name, false);
		clean_tree(dirfd(dir), entry->d_name, true);
	}
	closedir(dir);
}

void cgroups_stale(void)
{
	each_mount(stale_hierarchy, NULL);
}
