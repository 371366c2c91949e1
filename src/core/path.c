/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "sessbox/str.h"

#define LINKS_MAX 16

/* A walk in progress: the directory reached, and what is still to be walked. */
struct walk {
	int fd;
	int root; /* where absolute links lead; -1 = / */
	unsigned int flags;
	bool trusted; /* every directory so far was root's alone to write */
	int links;
	char rest[PATH_MAX];
};

bool sb_path_is_roots(const struct stat *st)
{
	/* The sticky bit keeps others from replacing entries, which is what matters here. */
	return st->st_uid == 0 && (!(st->st_mode & 022) || (st->st_mode & S_ISVTX));
}

/* Cuts the next component off rest. NULL at the end. */
static char *next_component(char **rest)
{
	char *s = *rest;
	while (*s == '/')
		s++;
	if (!*s)
		return NULL;
	char *end = strchrnul(s, '/');
	*rest = *end ? end + 1 : end;
	*end = '\0';
	return s;
}

static int open_root(int root)
{
	return root < 0 ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)
			: openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/*
 * Puts the target of a link in front of what is left of the walk. A stranger's link is none for us,
 * though he may make one in a sticky directory.
 */
static int expand_link(struct walk *w, const char *name, uid_t owner, const char *rest)
{
	char target[PATH_MAX], joined[PATH_MAX];
	if (!w->trusted || owner != 0 || ++w->links > LINKS_MAX)
		return -ELOOP;
	ssize_t n = readlinkat(w->fd, name, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (sb_format(joined, sizeof(joined), "%s/%s", target, rest) < 0)
		return -ENAMETOOLONG;
	if (target[0] == '/') {
		int root = open_root(w->root);
		if (root < 0)
			return -errno;
		sb_close(&w->fd);
		w->fd = root;
	}
	return sb_copy(w->rest, sizeof(w->rest), joined);
}

/* Walks into one component that is no link. */
static int enter(struct walk *w, const char *name, bool last)
{
	bool any = last && !(w->flags & SB_PATH_DIRECTORY);
	int fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | (any ? 0 : O_DIRECTORY));
	if (fd < 0)
		return -errno;
	struct stat st;
	if (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode)) {
		close(fd);
		return -ELOOP;
	}
	w->trusted = w->trusted && sb_path_is_roots(&st);
	sb_close(&w->fd);
	w->fd = fd;
	return last || w->trusted || !(w->flags & SB_PATH_ROOTS) ? 0 : -EPERM;
}

static int step(struct walk *w, bool *done)
{
	char *rest = w->rest;
	char *name = next_component(&rest);
	*done = !name;
	if (!name)
		return 0;
	/* It would lead above a root that is not the process'. */
	if (w->root >= 0 && strcmp(name, "..") == 0)
		return -ELOOP;
	struct stat st;
	if (fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return expand_link(w, name, st.st_uid, rest);
	bool last = rest[strspn(rest, "/")] == '\0';
	int r = enter(w, name, last);
	memmove(w->rest, rest, strlen(rest) + 1);
	return r;
}

/* The walk has stopped in a directory that is not root's alone: names it. */
static int fail_owner(const struct walk *w, const char *path, struct sb_err *err)
{
	char link[32], name[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", w->fd);
	ssize_t n = readlink(link, name, sizeof(name) - 1);
	name[n > 0 ? n : 0] = '\0';
	return sb_fail_plain(err, EPERM, "open '%s': '%s' is not root's alone", path,
			     n > 0 ? name : path);
}

int sb_path_open_in(int root_fd, const char *path, unsigned int flags, struct sb_err *err)
{
	struct walk w = {
		.fd = open_root(root_fd), .root = root_fd, .flags = flags, .trusted = true
	};
	int r = w.fd < 0 ? -errno : sb_copy(w.rest, sizeof(w.rest), path);
	bool done = false;
	while (r == 0 && !done)
		r = step(&w, &done);
	if (r == 0)
		return w.fd;
	if (r == -EPERM && (flags & SB_PATH_ROOTS))
		fail_owner(&w, path, err);
	else
		sb_fail(err, r, "open '%s'", path);
	sb_close(&w.fd);
	return r;
}

int sb_path_open(const char *path, unsigned int flags, struct sb_err *err)
{
	return sb_path_open_in(-1, path, flags, err);
}

static int open_one(int dir_fd, const char *name, int flags)
{
	struct stat st;
	int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | flags);
	int r = fd < 0 ? -errno : 0;
	if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISLNK(st.st_mode))
		return fd;
	sb_close(&fd);
	/* With O_DIRECTORY a link is "not a directory". */
	if (r == 0 || (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)))
		r = -ELOOP;
	return r;
}

/* Whoever makes the same at the same time may be faster. */
static int make_one(int dir_fd, const char *name, bool as_dir)
{
	struct stat st;
	int flags = as_dir ? O_DIRECTORY : 0;
	int fd = open_one(dir_fd, name, flags);
	if (fd != -ENOENT)
		return fd;
	if (fstat(dir_fd, &st) < 0)
		return -errno;
	if (!sb_path_is_roots(&st))
		return -EPERM;
	int made = as_dir ? mkdirat(dir_fd, name, 0755)
			  : openat(dir_fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
	if (made < 0 && errno != EEXIST)
		return -errno;
	if (!as_dir)
		sb_close(&made);
	return open_one(dir_fd, name, flags);
}

int sb_path_make(int root_fd, const char *path, bool as_dir, struct sb_err *err)
{
	char buf[PATH_MAX];
	int r = sb_copy(buf, sizeof(buf), path);
	cleanup_fd int fd = r < 0 ? -1 : openat(root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && fd < 0)
		r = -errno;
	char *rest = buf;
	for (char *name; r == 0 && (name = next_component(&rest));) {
		bool last = rest[strspn(rest, "/")] == '\0';
		int next = make_one(fd, name, as_dir || !last);
		r = next < 0 ? next : 0;
		if (next >= 0) {
			sb_close(&fd);
			fd = next;
		}
	}
	if (r < 0)
		return sb_fail(err, r, "make mount point '%s'", path);
	return sb_steal_fd(&fd);
}

void sb_path_squeeze(char *path)
{
	char *to = path;
	for (const char *from = path; *from; from++)
		if (*from != '/' || to == path || to[-1] != '/')
			*to++ = *from;
	if (to > path + 1 && to[-1] == '/')
		to--;
	*to = '\0';
}

bool sb_path_is_normal(const char *path)
{
	if (path[0] != '/')
		return false;
	for (const char *s = path; *s; s = strchrnul(s + 1, '/')) {
		const char *name = s + 1;
		size_t len = strcspn(name, "/");
		if (len == 0 && !(s == path && !*name))
			return false;
		if ((len == 1 && name[0] == '.') || (len == 2 && strncmp(name, "..", 2) == 0))
			return false;
	}
	return true;
}

void sb_path_as(uid_t uid, gid_t gid)
{
	setfsgid(gid);
	setfsuid(uid);
}
