/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A file of /etc/pam.d is replaced whole, or not at all. */
#include "pam_tree.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/xattr.h>

#include "pam_file.h"

#define OLD "auth required pam_a.so\n"
#define NEW "auth required pam_a.so\nauth required pam_b.so\n"

static struct scratch make_file(void)
{
	struct scratch s = make_pam_tree();
	put_text(s.fd, "etc/pam.d/x", OLD);
	return s;
}

static int open_dir(const struct scratch *s)
{
	struct sb_err err = { 0 };
	int dir = ctl_pam_dir_open(s->fd, geteuid(), &err);
	if (dir < 0)
		fail_msg("%s", err.msg);
	return dir;
}

static int open_file(int dir, struct ctl_pam_file *file, struct sb_err *err)
{
	return ctl_pam_file_open(dir, "x", geteuid(), file, err);
}

/* The file, its copy and nothing else. */
static void assert_entries(const struct scratch *s, size_t n)
{
	size_t found = 0;
	int fd = openat(s->fd, "etc/pam.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));)
		found += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	assert_int_equal(found, n);
}

static void test_a_file_is_replaced_as_it_is(void **state)
{
	struct scratch s = make_file();
	struct ctl_pam_file file;
	struct sb_err err = { 0 };
	char label[16];
	(void)state;
	assert_int_equal(fchmodat(s.fd, "etc/pam.d/x", 0640, 0), 0);
	int fd = openat(s.fd, "etc/pam.d/x", O_RDONLY | O_CLOEXEC);
	bool labelled = fsetxattr(fd, "user.test", "label", 5, 0) == 0;
	close(fd);
	int dir = open_dir(&s);
	assert_int_equal(open_file(dir, &file, &err), 0);
	assert_string_equal(file.text, OLD);
	assert_int_equal(ctl_pam_file_copy(&file, dir, "kept", &err), 0);
	assert_int_equal(ctl_pam_file_replace(&file, NEW, &err), 0);
	assert_text(s.fd, "etc/pam.d/x", NEW);
	assert_text(s.fd, "etc/pam.d/kept", OLD);
	assert_int_equal(mode_of(s.fd, "etc/pam.d/x"), 0640);
	assert_int_equal(mode_of(s.fd, "etc/pam.d/kept"), 0640);
	fd = openat(s.fd, "etc/pam.d/x", O_RDONLY | O_CLOEXEC);
	if (labelled)
		assert_int_equal(fgetxattr(fd, "user.test", label, sizeof(label)), 5);
	close(fd);
	assert_entries(&s, 2);
	ctl_pam_file_clear(&file);
	close(dir);
	drop_scratch(&s);
}

/* ---- refused ---- */

static void make_link(int root)
{
	assert_int_equal(renameat(root, "etc/pam.d/x", root, "etc/pam.d/y"), 0);
	assert_int_equal(symlinkat("y", root, "etc/pam.d/x"), 0);
}

static void make_second_name(int root)
{
	assert_int_equal(linkat(root, "etc/pam.d/x", root, "etc/y", 0), 0);
}

static void make_group_writable(int root)
{
	assert_int_equal(fchmodat(root, "etc/pam.d/x", 0664, 0), 0);
}

static void make_world_writable(int root)
{
	assert_int_equal(fchmodat(root, "etc/pam.d/x", 0646, 0), 0);
}

static void make_fifo(int root)
{
	assert_int_equal(unlinkat(root, "etc/pam.d/x", 0), 0);
	assert_int_equal(mkfifoat(root, "etc/pam.d/x", 0600), 0);
}

static void make_directory(int root)
{
	assert_int_equal(unlinkat(root, "etc/pam.d/x", 0), 0);
	assert_int_equal(mkdirat(root, "etc/pam.d/x", 0755), 0);
}

static void make_binary(int root)
{
	put_bytes(root, "etc/pam.d/x", "a\0b", 3);
}

static void make_large(int root)
{
	int fd = openat(root, "etc/pam.d/x", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 70000), 0);
	close(fd);
}

static void test_what_is_refused(void **state)
{
	static const struct {
		void (*make)(int root);
		const char *why;
	} cases[] = {
		{ make_link, "is a symbolic link" },
		{ make_second_name, "has a second name" },
		{ make_group_writable, "can be written by others" },
		{ make_world_writable, "can be written by others" },
		{ make_fifo, "is no plain file" },
		{ make_directory, "is no plain file" },
		{ make_binary, "is not a text" },
		{ make_large, "is too large" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct scratch s = make_file();
		struct ctl_pam_file file;
		struct sb_err err = { 0 };
		cases[i].make(s.fd);
		int dir = open_dir(&s);
		assert_true(open_file(dir, &file, &err) < 0);
		if (!strstr(err.msg, cases[i].why))
			fail_msg("no '%s' in '%s'", cases[i].why, err.msg);
		ctl_pam_file_clear(&file);
		close(dir);
		drop_scratch(&s);
	}
}

static void test_a_strangers_file_is_refused(void **state)
{
	struct scratch s = make_file();
	struct ctl_pam_file file;
	struct sb_err err = { 0 };
	(void)state;
	int dir = open_dir(&s);
	assert_int_equal(ctl_pam_file_open(dir, "x", geteuid() + 1, &file, &err), -EPERM);
	assert_non_null(strstr(err.msg, "by others than root"));
	ctl_pam_file_clear(&file);
	assert_int_equal(open_file(dir, &file, &err), 0);
	ctl_pam_file_clear(&file);
	assert_int_equal(ctl_pam_file_open(dir, "nothing", geteuid(), &file, &err), -ENOENT);
	ctl_pam_file_clear(&file);
	close(dir);
	assert_int_equal(ctl_pam_dir_open(s.fd, geteuid() + 1, &err), -EPERM);
	assert_int_equal(fchmodat(s.fd, "etc/pam.d", 0777, 0), 0);
	assert_int_equal(ctl_pam_dir_open(s.fd, geteuid(), &err), -EPERM);
	drop_scratch(&s);
}

static void test_one_at_a_time(void **state)
{
	struct scratch s = make_file();
	struct sb_err err = { 0 };
	(void)state;
	assert_int_equal(ctl_pam_lock(s.fd, &err), -ENOENT);
	assert_int_equal(mkdirat(s.fd, "run", 0755), 0);
	int lock = ctl_pam_lock(s.fd, &err);
	assert_true(lock >= 0);
	assert_int_equal(ctl_pam_lock(s.fd, &err), -EBUSY);
	close(lock);
	/* Who reads the directory keeps nobody from it. */
	int dir = open_dir(&s);
	assert_int_equal(flock(dir, LOCK_EX | LOCK_NB), 0);
	lock = ctl_pam_lock(s.fd, &err);
	assert_true(lock >= 0);
	close(lock);
	close(dir);
	drop_scratch(&s);
}

/* Whoever edits it while the proof runs wins. */
static void test_a_file_that_was_changed_stays(void **state)
{
	(void)state;
	for (int rename = 0; rename < 2; rename++) {
		struct scratch s = make_file();
		struct ctl_pam_file file;
		struct sb_err err = { 0 };
		int dir = open_dir(&s);
		assert_int_equal(open_file(dir, &file, &err), 0);
		put_text(s.fd, rename ? "etc/pam.d/y" : "etc/pam.d/x", "edited\n");
		if (rename)
			assert_int_equal(renameat(s.fd, "etc/pam.d/y", s.fd, "etc/pam.d/x"), 0);
		assert_int_equal(ctl_pam_file_replace(&file, NEW, &err), -EAGAIN);
		assert_non_null(strstr(err.msg, "was changed meanwhile"));
		assert_text(s.fd, "etc/pam.d/x", "edited\n");
		assert_entries(&s, 1);
		ctl_pam_file_clear(&file);
		close(dir);
		drop_scratch(&s);
	}
}

/* ---- killed ---- */

static void replace_once(const struct scratch *s)
{
	struct ctl_pam_file file;
	int dir = ctl_pam_dir_open(s->fd, geteuid(), NULL);
	if (dir < 0 || ctl_pam_file_open(dir, "x", geteuid(), &file, NULL) < 0 ||
	    ctl_pam_file_replace(&file, NEW, NULL) < 0)
		_exit(1);
}

/* Dies at the n-th entry to a system call or return from one; false: it has come to its end. */
static bool dies_at(const struct scratch *s, int n)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		replace_once(s);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	for (; n > 0; n--) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFSTOPPED(status))
			continue;
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		return false;
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return true;
}

static void test_killed_anywhere(void **state)
{
	int kept = 0, replaced = 0, left = 0;
	(void)state;
	for (int n = 1;; n++) {
		struct scratch s = make_file();
		char text[256];
		bool dead = dies_at(&s, n);
		ssize_t size = sb_read_file(s.fd, "etc/pam.d/x", text, sizeof(text));
		assert_true(size > 0);
		if (strcmp(text, OLD) != 0)
			assert_string_equal(text, NEW);
		kept += strcmp(text, OLD) == 0;
		replaced += strcmp(text, NEW) == 0;
		left += is_there(s.fd, "etc/pam.d/.x.sessctl");
		assert_int_equal(fchmodat(s.fd, "etc/pam.d/x", 0644, 0), 0);
		/* What it left is in nobody's way. */
		if (dead)
			assert_false(dies_at(&s, 10000));
		assert_text(s.fd, "etc/pam.d/x", NEW);
		assert_entries(&s, 1);
		drop_scratch(&s);
		if (!dead)
			break;
	}
	print_message("killed: %d before, %d after, %d with the new file beside\n", kept, replaced,
		      left);
	assert_true(kept > 10 && replaced > 1 && left > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_is_replaced_as_it_is),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_a_strangers_file_is_refused),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_a_file_that_was_changed_stays),
		cmocka_unit_test(test_killed_anywhere),
	};
	return cmocka_run_group_tests_name("sessctl file", tests, NULL, NULL);
}
