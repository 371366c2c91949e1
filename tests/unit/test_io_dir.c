/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

/* ---- replacement ---- */

static const struct sb_file_attr plain = { .mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1 };

static void replace_modes(void **state)
{
	static const mode_t modes[] = { 0600, 0640, 0644, 0666, 0777, 0400, 0 };
	static const mode_t umasks[] = { 0, 022, 077, 0777 };
	(void)state;
	struct scratch s = make_scratch();
	for (size_t i = 0; i < SB_ARRAY_SIZE(modes); i++) {
		const struct sb_file_attr attr = { modes[i], geteuid(), getegid() };
		for (size_t k = 0; k < SB_ARRAY_SIZE(umasks); k++) {
			mode_t old = umask(umasks[k]);
			int r = sb_replace_file(s.fd, "file", "new", &attr);
			umask(old);
			assert_int_equal(r, 0);
			assert_int_equal(mode_of(s.fd, "file"), modes[i]);
		}
	}
	drop_scratch(&s);
}

static void replace_owner(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	struct stat st;
	const struct sb_file_attr theirs = { .mode = 0640, .uid = 65534, .gid = 65533 };
	const struct sb_file_attr group = { .mode = 02640, .uid = (uid_t)-1, .gid = 65533 };
	if (geteuid() == 0) {
		assert_int_equal(sb_replace_file(s.fd, "file", "x", &theirs), 0);
		assert_int_equal(fstatat(s.fd, "file", &st, 0), 0);
		assert_int_equal(st.st_uid, 65534);
		assert_int_equal(st.st_gid, 65533);
		assert_int_equal(sb_replace_file(s.fd, "file", "x", &group), 0);
		assert_int_equal(fstatat(s.fd, "file", &st, 0), 0);
		assert_int_equal(st.st_uid, 0);
		assert_int_equal(st.st_gid, 65533);
		assert_int_equal(st.st_mode & 07777, 02640);
	} else {
		put_text(s.fd, "file", "old");
		assert_int_equal(sb_replace_file(s.fd, "file", "x", &theirs), -EPERM);
		assert_text(s.fd, "file", "old");
		assert_false(is_there(s.fd, "file.new"));
	}
	drop_scratch(&s);
}

/* The writer's, which replaces the file until it is killed. */
static void keep_replacing(int dfd)
{
	char text[2][4096];
	for (size_t i = 0; i < 2; i++) {
		memset(text[i], 'a' + (int)i, sizeof(text[i]));
		text[i][sizeof(text[i]) - 1] = '\0';
	}
	for (unsigned int i = 0;; i++)
		if (sb_replace_file(dfd, "file", text[i % 2], &plain) < 0)
			_exit(1);
}

/* A reader sees the old content or the new one, whole; one who has it open keeps the old. */
static void replace_is_atomic(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	assert_int_equal(sb_replace_file(s.fd, "file", "first", &plain), 0);
	int first = openat(s.fd, "file", O_RDONLY | O_CLOEXEC);
	pid_t pid = fork();
	if (pid == 0)
		keep_replacing(s.fd);
	bool seen[2] = { false, false };
	int64_t deadline = sb_now_ms() + 5000;
	for (unsigned int i = 0; i < 2000 || !(seen[0] && seen[1]); i++) {
		char buf[5000];
		ssize_t n = sb_read_file(s.fd, "file", buf, sizeof(buf));
		assert_true(sb_left_ms(deadline) > 0);
		if (n == 5)
			continue; /* still the first */
		assert_int_equal(n, 4095);
		assert_int_equal(strspn(buf, (char[]){ buf[0], '\0' }), 4095);
		seen[buf[0] == 'b'] = true;
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	char buf[16] = "";
	assert_int_equal(read(first, buf, sizeof(buf)), 5);
	assert_string_equal(buf, "first");
	close(first);
	drop_scratch(&s);
}

/* What a crash or somebody's malice left under the name of the new file. */
static void replace_leftovers(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	put_text(s.fd, "file", "old");
	put_text(s.fd, "victim", "victim");
	put_text(s.fd, "file.new", "a longer text of a helper that died");
	assert_int_equal(sb_replace_file(s.fd, "file", "one", &plain), 0);
	assert_text(s.fd, "file", "one");
	assert_int_equal(symlinkat("victim", s.fd, "file.new"), 0);
	assert_int_equal(sb_replace_file(s.fd, "file", "two", &plain), 0);
	assert_text(s.fd, "file", "two");
	assert_text(s.fd, "victim", "victim");
	assert_int_equal(linkat(s.fd, "victim", s.fd, "file.new", 0), 0);
	assert_int_equal(sb_replace_file(s.fd, "file", "three", &plain), 0);
	assert_text(s.fd, "victim", "victim");
	assert_int_equal(mkdirat(s.fd, "file.new", 0700), 0);
	assert_true(sb_replace_file(s.fd, "file", "four", &plain) < 0);
	assert_text(s.fd, "file", "three");
	/* The file itself may be a link: it is replaced, not followed. */
	assert_int_equal(symlinkat("victim", s.fd, "link"), 0);
	assert_int_equal(sb_replace_file(s.fd, "link", "five", &plain), 0);
	assert_text(s.fd, "link", "five");
	assert_text(s.fd, "victim", "victim");
	drop_scratch(&s);
}

static void replace_errors(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	char name[NAME_MAX + 1];
	size_t fds = count_fds();
	assert_int_equal(mkdirat(s.fd, "dir", 0700), 0);
	assert_int_equal(sb_replace_file(s.fd, "dir", "x", &plain), -EISDIR);
	assert_false(is_there(s.fd, "dir.new"));
	assert_int_equal(sb_replace_file(s.fd, "none/file", "x", &plain), -ENOENT);
	memset(name, 'n', sizeof(name));
	name[NAME_MAX - 3] = '\0'; /* with ".new" one too long */
	assert_int_equal(sb_replace_file(s.fd, name, "x", &plain), -ENAMETOOLONG);
	name[NAME_MAX - 4] = '\0';
	assert_int_equal(sb_replace_file(s.fd, name, "x", &plain), 0);
	assert_int_equal(count_fds(), fds);
	drop_scratch(&s);
}

/* ---- removal ---- */

/* A tree of every kind of entry in dfd/tree, and links out of it. */
static void plant(int dfd)
{
	char path[512] = "tree";
	for (int depth = 0; depth < 40; depth++) {
		char name[sizeof(path) + 8];
		assert_int_equal(mkdirat(dfd, path, 0700), 0);
		sb_format(name, sizeof(name), "%s/file", path);
		put_text(dfd, name, "x");
		sb_format(name, sizeof(name), "%s/d", path);
		assert_int_equal(sb_copy(path, sizeof(path), name), 0);
	}
	static const struct {
		const char *text, *name;
	} links[] = {
		{ "../outside", "tree/up" },
		{ "/", "tree/root" },
		{ "../outside/file", "tree/file-up" },
		{ "nowhere", "tree/dangling" },
		{ "up", "tree/d/link" },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(links); i++)
		assert_int_equal(symlinkat(links[i].text, dfd, links[i].name), 0);
	assert_int_equal(mkfifoat(dfd, "tree/fifo", 0600), 0);
	put_text(dfd, "tree/.hidden", "x");
	put_text(dfd, "tree/...", "x");
	assert_int_equal(fchmodat(dfd, "tree/file", 0, 0), 0);
}

static void removes_trees(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	assert_int_equal(mkdirat(s.fd, "outside", 0700), 0);
	put_text(s.fd, "outside/file", "x");
	plant(s.fd);
	size_t fds = count_fds();
	assert_int_equal(sb_remove_tree(s.fd, "tree"), 0);
	assert_false(is_there(s.fd, "tree"));
	assert_text(s.fd, "outside/file", "x");

	assert_int_equal(sb_remove_tree(s.fd, "tree"), 0); /* there is none */
	put_text(s.fd, "tree", "x");
	assert_int_equal(sb_remove_tree(s.fd, "tree"), 0);
	assert_false(is_there(s.fd, "tree"));
	assert_int_equal(symlinkat("outside", s.fd, "tree"), 0);
	assert_int_equal(sb_remove_tree(s.fd, "tree"), 0);
	assert_false(is_there(s.fd, "tree"));
	assert_text(s.fd, "outside/file", "x");
	assert_int_equal(count_fds(), fds);
	drop_scratch(&s);
}

/* More entries than one getdents(2) gives. */
static void removes_many(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	assert_int_equal(mkdirat(s.fd, "tree", 0700), 0);
	for (int i = 0; i < 3000; i++) {
		char name[64];
		sb_format(name, sizeof(name), "tree/%04d-with-a-rather-long-name", i);
		assert_int_equal(mkdirat(s.fd, name, 0700), 0);
	}
	assert_int_equal(sb_remove_tree(s.fd, "tree"), 0);
	assert_false(is_there(s.fd, "tree"));
	drop_scratch(&s);
}

/* In a mount namespace of its own. Exits 0 if the mount stopped the removal and kept its file, with
 * 2 if it cannot have one. */
static void remove_beside_mount(const char *path)
{
	struct stat st;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    chdir(path) < 0 || mount("none", "tree/mount", "tmpfs", 0, NULL) < 0)
		_exit(2);
	int fd = open("tree/mount/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		_exit(2);
	int r = sb_remove_tree(AT_FDCWD, "tree");
	bool kept = stat("tree/mount/file", &st) == 0;
	bool rest_gone = stat("tree/a", &st) < 0 && stat("tree/z", &st) < 0;
	_exit(!(r < 0 && kept && rest_gone));
}

static void keeps_mounts(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return; /* nobody else can mount */
	struct scratch s = make_scratch();
	static const char *const dirs[] = { "tree", "tree/a", "tree/mount", "tree/z" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdirat(s.fd, dirs[i], 0700), 0);
	pid_t pid = fork();
	if (pid == 0)
		remove_beside_mount(s.path);
	int status = wait_for(pid);
	drop_scratch(&s);
	if (status == 2)
		skip(); /* the root of a chroot may be no mount */
	assert_int_equal(status, 0);
}

/* ---- directories ---- */

static void opens_dirs(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	mode_t old = umask(0777);
	int fd = sb_open_dir(s.fd, "dir", 0711);
	umask(old);
	assert_true(fd >= 0);
	assert_int_equal(mode_of(s.fd, "dir"), 0711);
	assert_true(fcntl(fd, F_GETFL) & O_PATH);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	fd = sb_open_dir(s.fd, "dir", 0700); /* what is there stays */
	assert_true(fd >= 0);
	assert_int_equal(mode_of(s.fd, "dir"), 0711);
	close(fd);
	size_t fds = count_fds();
	put_text(s.fd, "file", "x");
	assert_int_equal(symlinkat("dir", s.fd, "link"), 0);
	assert_int_equal(symlinkat("none", s.fd, "dangling"), 0);
	assert_int_equal(sb_open_dir(s.fd, "file", 0700), -ENOTDIR);
	assert_true(sb_open_dir(s.fd, "link", 0700) < 0);
	assert_true(sb_open_dir(s.fd, "dangling", 0700) < 0);
	assert_false(is_there(s.fd, "none"));
	assert_int_equal(sb_open_dir(s.fd, "none/dir", 0700), -ENOENT);
	assert_int_equal(count_fds(), fds);
	drop_scratch(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replace_modes),     cmocka_unit_test(replace_owner),
		cmocka_unit_test(replace_is_atomic), cmocka_unit_test(replace_leftovers),
		cmocka_unit_test(replace_errors),    cmocka_unit_test(removes_trees),
		cmocka_unit_test(removes_many),	     cmocka_unit_test(keeps_mounts),
		cmocka_unit_test(opens_dirs),
	};
	return cmocka_run_group_tests_name("io directories", tests, NULL, NULL);
}
