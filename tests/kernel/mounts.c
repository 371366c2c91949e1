// SPDX-License-Identifier: MIT
/* Namespaces, mounts and files. */
#include "kernel.h"

static void ns_path(char *path, size_t size, pid_t pid, const char *name)
{
	if (pid)
		snprintf(path, size, "/proc/%d/ns/%s", pid, name);
	else
		snprintf(path, size, "/proc/self/ns/%s", name);
}

int open_ns(pid_t pid, const char *name)
{
	char path[64];

	ns_path(path, sizeof(path), pid, name);
	return MUST(open(path, O_RDONLY | O_CLOEXEC));
}

bool same_ns(pid_t a, pid_t b, const char *name)
{
	struct stat st[2];
	char path[64];

	ns_path(path, sizeof(path), a, name);
	MUST(stat(path, &st[0]));
	ns_path(path, sizeof(path), b, name);
	MUST(stat(path, &st[1]));
	return st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino;
}

int new_fs(const char *type)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0 && errno == ENODEV)
		skip("this kernel has no %s", type);
	CHECK(fs >= 0, "fsopen %s: %s", type, strerror(errno));
	CHECK(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0, "create %s: %s", type,
	      strerror(errno));
	fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	CHECK(fd >= 0, "fsmount %s: %s", type, strerror(errno));
	close(fs);
	return fd;
}

void attach(int fd, const char *path)
{
	CHECK(move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0,
	      "move_mount to %s: %s", path, strerror(errno));
}

void each_mount(void (*fn)(const struct mount_line *, void *), void *arg)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	struct mount_line m;
	char text[2048];
	char *tail;

	if (!file)
		fail("open mountinfo: %s", strerror(errno));
	while (fgets(text, sizeof(text), file)) {
		tail = strstr(text, " - ");
		if (!tail || sscanf(text, "%*s %*s %*s %*s %255s %255s", m.path, m.options) != 2 ||
		    sscanf(tail, " - %63s %*s %511s", m.type, m.super) != 2)
			continue;
		fn(&m, arg);
	}
	fclose(file);
}

struct find_mount {
	const char *path;
	struct mount_line found;
};

static void match_path(const struct mount_line *m, void *arg)
{
	struct find_mount *find = arg;

	if (!strcmp(m->path, find->path))
		find->found = *m;
}

static struct mount_line mount_at(const char *path)
{
	struct find_mount find = { .path = path };

	each_mount(match_path, &find);
	CHECK(find.found.path[0], "nothing is mounted on %s", path);
	return find.found;
}

void super_options(const char *path, char *buf, size_t size)
{
	snprintf(buf, size, "%s", mount_at(path).super);
}

void mount_options(const char *path, char *buf, size_t size)
{
	snprintf(buf, size, "%s", mount_at(path).options);
}

bool has_option(const char *list, const char *word)
{
	size_t len = strlen(word);
	const char *at = list;

	while ((at = strstr(at, word))) {
		if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
			return true;
		at += len;
	}
	return false;
}

bool throwaway(void)
{
	return exists("/etc/sessbox-kernel-throwaway");
}

/* Files. */

int put(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	int saved;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	saved = errno;
	close(fd);
	errno = saved;
	return n < 0 ? -1 : 0;
}

void get(int dir, const char *name, char *buf, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	CHECK(fd >= 0, "open %s: %s", name, strerror(errno));
	n = MUST(read(fd, buf, size - 1));
	buf[n] = '\0';
	close(fd);
}

void touch(const char *path)
{
	close(MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
}

bool exists(const char *path)
{
	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}
