// SPDX-License-Identifier: MIT
/* openat2: how a path is followed, and what refuses to be followed. */
#include "kernel.h"

#include <linux/openat2.h>
#include <time.h>

static int resolve(int dir, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = flags };

	return syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/* A tree with its own /etc/name and links in it. */
static int make_root(void)
{
	MUST(mkdir("/tmp/root", 0755));
	MUST(mkdir("/tmp/root/etc", 0755));
	touch("/tmp/root/etc/name");
	touch("/tmp/outside");
	MUST(symlink("/etc/name", "/tmp/root/absolute"));
	MUST(symlink("../../../../../etc/name", "/tmp/root/upward"));
	MUST(symlink("/proc/self/fd/0", "/tmp/root/magic"));
	return MUST(open("/tmp/root", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static void must_be(int fd, const char *path)
{
	struct stat got, want;

	CHECK(fd >= 0, "%s is not found: %s", path, strerror(errno));
	MUST(fstat(fd, &got));
	MUST(stat(path, &want));
	CHECK(got.st_ino == want.st_ino && got.st_dev == want.st_dev, "it is not %s", path);
	close(fd);
}

static void in_root(void)
{
	uint64_t flags = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
	int root = make_root();

	must_be(resolve(root, "/etc/name", flags), "/tmp/root/etc/name");
	must_be(resolve(root, "absolute", flags), "/tmp/root/etc/name");
	must_be(resolve(root, "upward", flags), "/tmp/root/etc/name");
	must_be(resolve(root, "../..", flags), "/tmp/root");
	REFUSED(ENOENT, resolve(root, "../outside", flags));
	REFUSED(ENOENT, resolve(root, "magic", flags));
}

static void no_symlinks(void)
{
	int root = make_root();

	must_be(resolve(root, "etc/name", RESOLVE_NO_SYMLINKS), "/tmp/root/etc/name");
	MUST(symlink("etc", "/tmp/root/link"));
	REFUSED(ELOOP, resolve(root, "link/name", RESOLVE_NO_SYMLINKS));
	REFUSED(ELOOP, resolve(root, "absolute", RESOLVE_NO_SYMLINKS));
}

static void beneath(void)
{
	int root = make_root();

	must_be(resolve(root, "etc/../etc/name", RESOLVE_BENEATH), "/tmp/root/etc/name");
	REFUSED(EXDEV, resolve(root, "../outside", RESOLVE_BENEATH));
	REFUSED(EXDEV, resolve(root, "absolute", RESOLVE_BENEATH));
	REFUSED(EXDEV, resolve(root, "/etc/name", RESOLVE_BENEATH));
}

static void no_magiclinks(void)
{
	char path[64];
	int fd;

	touch("/tmp/file");
	fd = MUST(open("/tmp/file", O_RDONLY | O_CLOEXEC));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must_be(resolve(AT_FDCWD, path, 0), "/tmp/file");
	REFUSED(ELOOP, resolve(AT_FDCWD, path, RESOLVE_NO_MAGICLINKS));
	must_be(resolve(AT_FDCWD, "/proc/self", RESOLVE_NO_MAGICLINKS), "/proc/self");
}

static void no_xdev(void)
{
	int root = make_root();

	MUST(mkdir("/tmp/root/mnt", 0755));
	MUST(mount("mnt", "/tmp/root/mnt", "tmpfs", 0, NULL));
	must_be(resolve(root, "mnt", 0), "/tmp/root/mnt");
	REFUSED(EXDEV, resolve(root, "mnt", RESOLVE_NO_XDEV));
}

static void fifo(void)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

	MUST(mkfifo("/tmp/home", 0666));
	REFUSED(ENOTDIR, syscall(SYS_openat2, AT_FDCWD, "/tmp/home", &how, sizeof(how)));
	MUST(symlink("/tmp", "/tmp/link"));
	REFUSED(ENOTDIR, syscall(SYS_openat2, AT_FDCWD, "/tmp/link", &how, sizeof(how)));
}

static void renames(void *arg)
{
	(void)arg;
	for (;;) {
		MUST(rename("/tmp/a", "/tmp/b"));
		MUST(rename("/tmp/b", "/tmp/a"));
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* A ".." is what makes it look whether something was renamed meanwhile. */
static void rename_race(void)
{
	int root = make_root();
	long again = 0, good = 0;
	struct child child;
	double stop;
	int fd;

	MUST(mkdir("/tmp/a", 0755));
	child = start(0, -1, renames, NULL);
	for (stop = now() + 1; now() < stop;) {
		fd = resolve(root, "etc/../etc/../etc/name", RESOLVE_IN_ROOT);
		if (fd < 0 && errno == EAGAIN) {
			again++;
			continue;
		}
		must_be(fd, "/tmp/root/etc/name");
		good++;
	}
	end(child);
	CHECK(good, "all %ld tries give EAGAIN", again);
	note("EAGAIN %.2f %%", 100.0 * again / (again + good));
}

const struct test tests[] = {
	{ "path-in-root", "RESOLVE_IN_ROOT keeps absolute links and .. inside", in_root },
	{ "path-no-symlinks", "RESOLVE_NO_SYMLINKS refuses a link anywhere (ELOOP)", no_symlinks },
	{ "path-beneath", "RESOLVE_BENEATH refuses to leave (EXDEV)", beneath },
	{ "path-no-magiclinks", "RESOLVE_NO_MAGICLINKS refuses /proc/self/fd/N (ELOOP)",
	  no_magiclinks },
	{ "path-no-xdev", "RESOLVE_NO_XDEV refuses a mount point (EXDEV)", no_xdev },
	{ "path-fifo", "O_DIRECTORY does not hang on a FIFO, O_NOFOLLOW not follow a link", fifo },
	{ "path-rename-race", "under renames openat2 is right or says EAGAIN; a retry works",
	  rename_race },
	{},
};
