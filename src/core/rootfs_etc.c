/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The link tree that containers see as /etc. A bind of the host's /etc itself would show the host's
 * passwd; an overlay shows a file that was replaced by rename as it was; a mount over a single file
 * is dropped by the host's next rename of it. Links into the bound directory have none of this.
 */
#include "sessbox/rootfs.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "sessbox/io.h"
#include "sessbox/sys.h"

#define HOST_ETC "/etc"
#define STAMP "etc.stamp"

enum etc_kind { ETC_GENERATED, ETC_HIDDEN };

static const struct {
	const char *name;
	enum etc_kind kind;
} special[] = {
	{ "passwd", ETC_GENERATED },   { "group", ETC_GENERATED },
	{ "hostname", ETC_GENERATED }, { "resolv.conf", ETC_GENERATED },
	{ "shadow", ETC_HIDDEN },      { "shadow-", ETC_HIDDEN },
	{ "gshadow", ETC_HIDDEN },     { "gshadow-", ETC_HIDDEN },
	{ "passwd-", ETC_HIDDEN },     { "group-", ETC_HIDDEN },
	{ ".pwd.lock", ETC_HIDDEN },   { "shadow.lock", ETC_HIDDEN },
};

static void print_stamp(char *buf, size_t size, const struct stat *st)
{
	snprintf(buf, size, "%lld.%09ld %llu", (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
		 (unsigned long long)st->st_ino);
}

bool sb_etc_is_fresh(int run_fd)
{
	struct stat st;
	char now[96], was[96];
	if (stat(HOST_ETC, &st) < 0 || sb_read_file(run_fd, STAMP, was, sizeof(was)) < 0)
		return false;
	print_stamp(now, sizeof(now), &st);
	return strcmp(now, was) == 0;
}

/* The text of the link for a name, or "" for none. */
static int link_text(int host_fd, const char *name, char *buf, size_t size)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(special); i++) {
		if (strcmp(special[i].name, name) != 0)
			continue;
		if (special[i].kind == ETC_GENERATED)
			return sb_format(buf, size, "/run/etc/%s", name);
		buf[0] = '\0';
		return 0;
	}
	struct stat st;
	if (fstatat(host_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st.st_mode))
		return sb_format(buf, size, "/run/host/etc/%s", name);
	ssize_t n = readlinkat(host_fd, name, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

/* Puts a link in place of whatever has the name; a reader never misses it. */
static int put_link(int tree_fd, const char *name, const char *text)
{
	char old[PATH_MAX];
	ssize_t n = readlinkat(tree_fd, name, old, sizeof(old) - 1);
	if (n >= 0) {
		old[n] = '\0';
		if (strcmp(old, text) == 0)
			return 0;
	}
	if (symlinkat(text, tree_fd, ".new") < 0 &&
	    (errno != EEXIST || unlinkat(tree_fd, ".new", 0) < 0 ||
	     symlinkat(text, tree_fd, ".new") < 0))
		return -errno;
	return renameat(tree_fd, ".new", tree_fd, name) < 0 ? -errno : 0;
}

static int each_name(int dir_fd, int host_fd, int tree_fd,
		     int (*visit)(int host_fd, int tree_fd, const char *name))
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return -errno;
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = visit(host_fd, tree_fd, e->d_name);
	return r;
}

static int add_link(int host_fd, int tree_fd, const char *name)
{
	char text[PATH_MAX];
	int r = link_text(host_fd, name, text, sizeof(text));
	if (r == 0 && text[0])
		r = put_link(tree_fd, name, text);
	return r == -ENOENT ? 0 : r; /* gone meanwhile */
}

static int drop_link(int host_fd, int tree_fd, const char *name)
{
	char text[PATH_MAX];
	int r = link_text(host_fd, name, text, sizeof(text));
	bool gone = r == -ENOENT || (r == 0 && !text[0]);
	return gone && unlinkat(tree_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int add_links(int host_fd, int tree_fd)
{
	int r = each_name(host_fd, host_fd, tree_fd, add_link);
	/* The generated ones are there even if the host has none. */
	for (size_t i = 0; r == 0 && i < SB_ARRAY_SIZE(special); i++)
		if (special[i].kind == ETC_GENERATED)
			r = add_link(host_fd, tree_fd, special[i].name);
	return r;
}

static int drop_links(int host_fd, int tree_fd)
{
	return each_name(tree_fd, host_fd, tree_fd, drop_link);
}

/* A directory changed twice within one clock tick has one time for both: look again next time. */
static bool is_settled(const struct stat *st)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec > st->st_mtim.tv_sec + 1 || now.tv_sec < st->st_mtim.tv_sec ||
	       (now.tv_sec - st->st_mtim.tv_sec) * 1000000000LL + now.tv_nsec -
			       st->st_mtim.tv_nsec >
		       100000000LL;
}

int sb_etc_refresh(int run_fd, struct sb_err *err)
{
	struct stat st;
	char stamp[96];
	if (sb_etc_is_fresh(run_fd))
		return 0;
	cleanup_fd int host = open(HOST_ETC, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* The time is taken before the names are read: a change in between is found next time. */
	if (host < 0 || fstat(host, &st) < 0)
		return sb_fail(err, errno, "open '%s'", HOST_ETC);
	cleanup_fd int tree = sb_open_dir(run_fd, "etc", 0755);
	if (tree < 0)
		return sb_fail(err, tree, "open the /etc link tree");
	int r = add_links(host, tree);
	if (r == 0)
		r = drop_links(host, tree);
	const struct sb_file_attr attr = { .mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	print_stamp(stamp, sizeof(stamp), &st);
	if (r == 0 && is_settled(&st))
		r = sb_replace_file(run_fd, STAMP, stamp, &attr);
	return r < 0 ? sb_fail(err, r, "refresh the /etc link tree") : 0;
}
