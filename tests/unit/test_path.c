/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include "sessbox/err.h"
#include "sessbox/path.h"

#define STRANGER 65534

/*
 * Run by root, the scratch directory is one of root's, and a stranger's directory and a sticky one
 * lie in it. Run by anybody else, everything in it is a stranger's: no link is followed any more.
 */
static bool is_root(void)
{
	return geteuid() == 0;
}

static void make_dir(int dfd, const char *name, mode_t mode)
{
	assert_int_equal(mkdirat(dfd, name, 0700), 0);
	assert_int_equal(fchmodat(dfd, name, mode, 0), 0);
}

static void make_link(int dfd, const char *text, const char *name)
{
	assert_int_equal(symlinkat(text, dfd, name), 0);
}

static void give_away(int dfd, const char *name)
{
	if (is_root())
		assert_int_equal(fchownat(dfd, name, STRANGER, STRANGER, AT_SYMLINK_NOFOLLOW), 0);
}

static void make_tree(const struct scratch *s)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = {
		{ "dir", 0755 },     { "dir/sub", 0755 },    { "open", 0777 },
		{ "sticky", 01777 }, { "stranger", 0755 },   { "stranger/sub", 0755 },
		{ "group", 0775 },   { "stranger/t", 0755 },
	};
	char absolute[64];
	assert_int_equal(fchmod(s->fd, 0755), 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++)
		make_dir(s->fd, dirs[i].name, dirs[i].mode);
	put_text(s->fd, "dir/file", "x");
	assert_int_equal(mkfifoat(s->fd, "dir/fifo", 0600), 0);
	static const struct {
		const char *text, *name;
	} links[] = {
		{ "dir", "link" },
		{ "dir/file", "to-file" },
		{ "..", "dir/up" },
		{ "loop", "loop" },
		{ "nowhere", "dangling" },
		{ "stranger", "to-stranger" },
		{ "../dir", "stranger/link" },
		{ "../dir", "open/link" },
		{ "../dir", "group/link" },
		{ "../dir", "sticky/strangers" },
		{ "dir//", "slashes" },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(links); i++)
		make_link(s->fd, links[i].text, links[i].name);
	sb_format(absolute, sizeof(absolute), "%s/dir", s->path);
	make_link(s->fd, absolute, "absolute");
	give_away(s->fd, "stranger");
	give_away(s->fd, "sticky/strangers");
}

enum what { DIRECTORY = 1, ANYTHING = 2, BOTH = 3 };

/* `same`: what the result is a descriptor of, in the scratch directory. */
struct row {
	const char *path;
	enum what what;
	int result; /* of root; another user's is other, where it differs */
	int other;
	const char *same;
};

static const struct row rows[] = {
	{ "", BOTH, 0, 0, "." },
	{ "/", BOTH, 0, 0, "." },
	{ "/dir", BOTH, 0, 0, "dir" },
	{ "//dir///sub//", BOTH, 0, 0, "dir/sub" },
	{ "/dir/.", BOTH, 0, 0, "dir" },
	{ "/dir/../dir", BOTH, 0, 0, "dir" },
	{ "/none", BOTH, -ENOENT, -ENOENT, NULL },
	{ "/dir/none/sub", BOTH, -ENOENT, -ENOENT, NULL },
	{ "/dir/file", ANYTHING, 0, 0, "dir/file" },
	{ "/dir/file", DIRECTORY, -ENOTDIR, -ENOTDIR, NULL },
	{ "/dir/file/sub", BOTH, -ENOTDIR, -ENOTDIR, NULL },
	/* O_PATH: a FIFO does not hang, whoever asks for it. */
	{ "/dir/fifo", ANYTHING, 0, 0, "dir/fifo" },
	{ "/dir/fifo", DIRECTORY, -ENOTDIR, -ENOTDIR, NULL },
	{ "/link", BOTH, 0, -ELOOP, "dir" },
	{ "/link/sub", BOTH, 0, -ELOOP, "dir/sub" },
	{ "/slashes/sub", BOTH, 0, -ELOOP, "dir/sub" },
	{ "/absolute/sub", BOTH, 0, -ELOOP, "dir/sub" },
	{ "/dir/up/dir", BOTH, 0, -ELOOP, "dir" },
	{ "/to-file", ANYTHING, 0, -ELOOP, "dir/file" },
	{ "/to-file", DIRECTORY, -ENOTDIR, -ELOOP, NULL },
	{ "/to-file/sub", BOTH, -ENOTDIR, -ELOOP, NULL },
	{ "/loop", BOTH, -ELOOP, -ELOOP, NULL },
	{ "/dangling", BOTH, -ENOENT, -ELOOP, NULL },
	/* A stranger's directory may be walked through, but not by its links. */
	{ "/stranger/sub", BOTH, 0, 0, "stranger/sub" },
	{ "/to-stranger/sub", BOTH, 0, -ELOOP, "stranger/sub" },
	{ "/stranger/link", BOTH, -ELOOP, -ELOOP, NULL },
	{ "/stranger/link/sub", BOTH, -ELOOP, -ELOOP, NULL },
	{ "/to-stranger/link", BOTH, -ELOOP, -ELOOP, NULL },
	/* Nor does ".." bring trust back. */
	{ "/stranger/../link", BOTH, -ELOOP, -ELOOP, NULL },
	{ "/stranger/../dir", BOTH, 0, 0, "dir" },
	/* Root's, but anybody may have put the link there. */
	{ "/open/link", BOTH, -ELOOP, -ELOOP, NULL },
	{ "/group/link", BOTH, -ELOOP, -ELOOP, NULL },
	{ "/sticky/strangers", BOTH, -ELOOP, -ELOOP, NULL },
	{ "/sticky/strangers/sub", BOTH, -ELOOP, -ELOOP, NULL },
};

static void check_row(const struct scratch *s, const struct row *row, bool want_dir)
{
	char path[128];
	struct sb_err err = { 0 };
	int want = is_root() ? row->result : row->other;
	sb_format(path, sizeof(path), "%s%s", s->path, row->path);
	int fd = sb_path_open(path, want_dir ? SB_PATH_DIRECTORY : 0, &err);
	if (want < 0 ? fd != want : fd < 0)
		fail_msg("%s, want_dir %d: %d, not %d", row->path, want_dir, fd, want);
	if (fd < 0) {
		assert_int_equal(err.num, -want);
		assert_non_null(strstr(err.msg, path));
		return;
	}
	struct stat st, same;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(fstatat(s->fd, row->same, &same, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_ino, same.st_ino);
	assert_true(fcntl(fd, F_GETFL) & O_PATH);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static void walks(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	make_tree(&s);
	size_t fds = count_fds();
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		if (rows[i].what & DIRECTORY)
			check_row(&s, &rows[i], true);
		if (rows[i].what & ANYTHING)
			check_row(&s, &rows[i], false);
	}
	assert_int_equal(count_fds(), fds);
	drop_scratch(&s);
}

/* Links of the system, which everybody may follow: all that leads there is root's. */
static void system_links(void **state)
{
	(void)state;
	struct stat st, same;
	int fd = sb_path_open("/proc/self/fd", SB_PATH_DIRECTORY, NULL);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(stat("/proc/self/fd", &same), 0);
	assert_int_equal(st.st_ino, same.st_ino);
	close(fd);
	/* A magic link is its text and nothing more. */
	int pipes[2];
	char path[64];
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	sb_format(path, sizeof(path), "/proc/self/fd/%d", pipes[0]);
	assert_int_equal(sb_path_open(path, 0, NULL), is_root() ? -ENOENT : -ELOOP);
	close(pipes[0]);
	close(pipes[1]);
}

/* What others put into a directory like /tmp: the sticky bit says who may remove it, no more. */
static void links_in_tmp(void **state)
{
	(void)state;
	char name[] = "/tmp/sbunit-linkXXXXXX";
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(symlink("/etc", name), 0);
	if (is_root())
		assert_int_equal(lchown(name, STRANGER, STRANGER), 0);
	fd = sb_path_open(name, SB_PATH_DIRECTORY, NULL);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(fd, -ELOOP);
}

static void too_long(void **state)
{
	(void)state;
	char path[PATH_MAX + 2];
	memset(path, '/', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(sb_path_open(path, 0, NULL), -ENAMETOOLONG);
	assert_int_equal(sb_path_make(AT_FDCWD, path, true, NULL), -ENAMETOOLONG);
	path[PATH_MAX - 1] = '\0';
	int fd = sb_path_open(path, SB_PATH_DIRECTORY, NULL);
	assert_true(fd >= 0);
	close(fd);
}

/* ---- targets ---- */

struct target {
	const char *path;
	bool as_dir;
	int result; /* as above */
	int other;
	const char *made; /* what is there after a failure although it was not before, or NULL */
};

static const struct target targets[] = {
	{ "/", true, 0, 0, NULL },
	{ "/dir", true, 0, 0, NULL },
	{ "/dir/file", false, 0, 0, NULL },
	{ "/dir/fifo", false, 0, 0, NULL },
	{ "/dir/file", true, -ENOTDIR, -ENOTDIR, NULL },
	{ "/dir/file/x", true, -ENOTDIR, -ENOTDIR, NULL },
	{ "/stranger/sub", true, 0, 0, NULL },
	{ "/new/one/more", true, 0, -EPERM, NULL },
	{ "/new-file/file", false, 0, -EPERM, NULL },
	{ "/dir/new", true, 0, -EPERM, NULL },
	{ "/dir/new-file", false, 0, -EPERM, NULL },
	{ "/stranger/new", true, -EPERM, -EPERM, NULL },
	{ "/stranger/new", false, -EPERM, -EPERM, NULL },
	{ "/stranger/new/sub", true, -EPERM, -EPERM, NULL },
	{ "/open/new", true, -EPERM, -EPERM, NULL },
	{ "/group/new", false, -EPERM, -EPERM, NULL },
	/* Never by a link, and none at the end, wherever it lies. */
	{ "/link", true, -ELOOP, -ELOOP, NULL },
	{ "/link", false, -ELOOP, -ELOOP, NULL },
	{ "/link/sub", true, -ELOOP, -ELOOP, NULL },
	{ "/link/new", true, -ELOOP, -ELOOP, "dir/new" },
	{ "/to-file", false, -ELOOP, -ELOOP, NULL },
	{ "/dangling", true, -ELOOP, -ELOOP, "nowhere" },
	{ "/dangling", false, -ELOOP, -ELOOP, "nowhere" },
	{ "/stranger/link", true, -ELOOP, -ELOOP, NULL },
	{ "/sticky/strangers/new", true, -ELOOP, -ELOOP, NULL },
};

static void check_made(const struct scratch *s, const struct target *t, int fd)
{
	struct stat st, same;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(fstatat(s->fd, t->path[1] ? t->path + 1 : ".", &same, AT_SYMLINK_NOFOLLOW),
			 0);
	assert_int_equal(st.st_ino, same.st_ino);
	assert_int_equal(S_ISDIR(st.st_mode), t->as_dir);
	assert_true(fcntl(fd, F_GETFL) & O_PATH);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void check_target(const struct target *t)
{
	struct scratch s = make_scratch();
	struct sb_err err = { 0 };
	make_tree(&s);
	if (t->made && is_there(s.fd, t->made))
		fail_msg("'%s' is part of the tree", t->made);
	size_t fds = count_fds();
	int want = is_root() ? t->result : t->other;
	int fd = sb_path_make(s.fd, t->path, t->as_dir, &err);
	if (want < 0 ? fd != want : fd < 0)
		fail_msg("%s, as_dir %d: %d, not %d", t->path, t->as_dir, fd, want);
	if (fd >= 0)
		check_made(&s, t, fd);
	else
		assert_non_null(strstr(err.msg, t->path));
	if (t->made)
		assert_false(is_there(s.fd, t->made));
	sb_close(&fd);
	assert_int_equal(count_fds(), fds);
	drop_scratch(&s);
}

static void makes(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(targets); i++)
		check_target(&targets[i]);
}

/* What is made is root's and closed to others, whatever the umask. */
static void modes(void **state)
{
	(void)state;
	if (!is_root())
		return;
	struct scratch s = make_scratch();
	mode_t mask = umask(0);
	int fd = sb_path_make(s.fd, "/a/b/file", false, NULL);
	umask(mask);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(mode_of(s.fd, "a"), 0755);
	assert_int_equal(mode_of(s.fd, "a/b"), 0755);
	assert_int_equal(mode_of(s.fd, "a/b/file"), 0444);
	assert_text(s.fd, "a/b/file", "");
	drop_scratch(&s);
}

static void normal_paths(void **state)
{
	static const struct {
		const char *path;
		bool normal;
	} table[] = {
		{ "/", true },	   { "/a", true },     { "/a/b", true },    { "/.a", true },
		{ "/..a", true },  { "/a.", true },    { "/a..", true },    { "/...", true },
		{ "/a b", true },  { "", false },      { "a", false },	    { "a/b", false },
		{ "//", false },   { "//a", false },   { "/a//b", false },  { "/a/", false },
		{ "/.", false },   { "/..", false },   { "/./a", false },   { "/../a", false },
		{ "/a/.", false }, { "/a/..", false }, { "/a/./b", false }, { "/a/../b", false },
		{ "./a", false },  { "../a", false },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(table); i++)
		if (sb_path_is_normal(table[i].path) != table[i].normal)
			fail_msg("'%s'", table[i].path);
}

static void squeezed(void **state)
{
	static const char *const paths[][2] = {
		{ "/home/ann", "/home/ann" },
		{ "/home//ann/", "/home/ann" },
		{ "//home///ann//", "/home/ann" },
		{ "/", "/" },
		{ "//", "/" },
		{ "", "" },
		{ "a//b/", "a/b" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(paths); i++) {
		char path[64];
		strcpy(path, paths[i][0]);
		sb_path_squeeze(path);
		assert_string_equal(path, paths[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks),	cmocka_unit_test(system_links),
		cmocka_unit_test(links_in_tmp), cmocka_unit_test(too_long),
		cmocka_unit_test(makes),	cmocka_unit_test(modes),
		cmocka_unit_test(normal_paths), cmocka_unit_test(squeezed),
	};
	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
