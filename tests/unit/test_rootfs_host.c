/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The halves of rootfs that look at the host: sources that are not there, and the /etc link tree.
 */
#include "plan.h"

#include "sessbox/err.h"

/* ---- sb_plan_open, as far as it gets without mounting ---- */

static struct sb_plan one_op(struct sb_mount_op *op, enum sb_mount_op_kind kind, const char *source,
			     unsigned int flags)
{
	*op = (struct sb_mount_op){ .kind = kind,
				    .target = (char *)(uintptr_t) "/inside",
				    .source = (char *)(uintptr_t)source,
				    .flags = flags,
				    .fd = -1 };
	return (struct sb_plan){ .ops = op, .n = 1, .tree = -1 };
}

static void missing_sources(void **state)
{
	static const struct {
		const char *name;
		unsigned int flags;
		int result;
		bool skipped;
	} rows[] = {
		/* Whatever the reason: in a tenant's tree it may be his doing. */
		{ "none", 0, -ELOOP, false },
		{ "none", SB_OP_OPTIONAL, 0, true },
		{ "none", SB_OP_OPTIONAL | SB_OP_DIRECTORY, 0, true },
		{ "file/none", SB_OP_OPTIONAL, 0, true },
		{ "file", SB_OP_DIRECTORY, -ELOOP, false },
		{ "fifo", SB_OP_DIRECTORY, -ELOOP, false },
		{ "loop", 0, -ELOOP, false },
		{ "loop", SB_OP_OPTIONAL, 0, true },
		{ "loop", SB_OP_OPTIONAL | SB_OP_DIRECTORY, -ELOOP, false },
	};
	static const enum sb_mount_op_kind kinds[] = { SB_MOUNT_BIND, SB_MOUNT_LIKE };
	(void)state;
	struct scratch s = make_scratch();
	put_text(s.fd, "file", "x");
	assert_int_equal(mkfifoat(s.fd, "fifo", 0600), 0);
	assert_int_equal(symlinkat("loop", s.fd, "loop"), 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		for (size_t k = 0; k < SB_ARRAY_SIZE(kinds); k++) {
			char source[64];
			struct sb_mount_op op;
			struct sb_err err = { 0 };
			if (kinds[k] == SB_MOUNT_LIKE && strcmp(rows[i].name, "loop") == 0)
				continue; /* a link is copied as it is */
			sb_format(source, sizeof(source), "%s/%s", s.path, rows[i].name);
			struct sb_plan plan =
				one_op(&op, kinds[k], source, rows[i].flags | SB_OP_GUARDED);
			assert_int_equal(sb_plan_open(&plan, 0, &err), rows[i].result);
			assert_int_equal(op.skipped, rows[i].skipped);
			assert_true(op.fd < 0);
			if (rows[i].result < 0)
				assert_non_null(strstr(err.msg, source));
		}
	}
	drop_scratch(&s);
}

/* The host's own link is copied, whatever it leads to. */
static void links_like_the_hosts(void **state)
{
	static const char *const texts[] = { "usr/bin", "/", "none", "like" };
	(void)state;
	struct scratch s = make_scratch();
	char source[64];
	sb_format(source, sizeof(source), "%s/like", s.path);
	for (size_t i = 0; i < SB_ARRAY_SIZE(texts); i++) {
		struct sb_mount_op op;
		struct sb_plan plan = one_op(&op, SB_MOUNT_LIKE, source, SB_OP_OPTIONAL);
		assert_int_equal(symlinkat(texts[i], s.fd, "like"), 0);
		assert_int_equal(sb_plan_open(&plan, 0, NULL), 0);
		assert_non_null(op.link_text);
		assert_string_equal(op.link_text, texts[i]);
		assert_int_equal(op.fd, -1);
		free(op.link_text);
		assert_int_equal(unlinkat(s.fd, "like", 0), 0);
	}
	drop_scratch(&s);
}

/* ---- the /etc link tree ---- */

static void assert_link(int dfd, const char *name, const char *want)
{
	char path[512], text[512];
	sb_format(path, sizeof(path), "etc/%s", name);
	ssize_t n = readlinkat(dfd, path, text, sizeof(text) - 1);
	if (n < 0)
		fail_msg("no link '%s': %s", name, strerror(errno));
	text[n] = '\0';
	assert_string_equal(text, want);
}

static const char *const generated[] = { "passwd", "group", "hostname", "resolv.conf" };
static const char *const hidden[] = {
	"shadow", "shadow-", "gshadow", "gshadow-", "passwd-", "group-", ".pwd.lock",
};

static bool is_in(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

/* Every name of the host's /etc, and what stands for it in the tree. */
static size_t check_names(int dfd)
{
	size_t n = 0;
	DIR *dir = opendir("/etc");
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		char want[512], text[512] = "";
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    is_in(e->d_name, hidden, SB_ARRAY_SIZE(hidden)))
			continue;
		n++;
		bool ours = is_in(e->d_name, generated, SB_ARRAY_SIZE(generated));
		sb_format(want, sizeof(want), "%s/%s", ours ? "/run/etc" : "/run/host/etc",
			  e->d_name);
		if (!ours && readlinkat(dirfd(dir), e->d_name, text, sizeof(text) - 1) > 0)
			sb_copy(want, sizeof(want), text);
		assert_link(dfd, e->d_name, want);
	}
	closedir(dir);
	return n;
}

static size_t count_names(int dfd)
{
	size_t n = 0;
	DIR *dir = fdopendir(openat(dfd, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return n;
}

static size_t count_missing_generated(void)
{
	size_t n = 0;
	for (size_t i = 0; i < SB_ARRAY_SIZE(generated); i++) {
		char path[64];
		sb_format(path, sizeof(path), "/etc/%s", generated[i]);
		n += !is_there(AT_FDCWD, path);
	}
	return n;
}

static void etc_tree(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	size_t fds = count_fds();
	assert_false(sb_etc_is_fresh(s.fd));
	assert_int_equal(sb_etc_refresh(s.fd, NULL), 0);
	assert_int_equal(mode_of(s.fd, "etc"), 0755);
	size_t n = check_names(s.fd);
	for (size_t i = 0; i < SB_ARRAY_SIZE(generated); i++) {
		char want[64];
		sb_format(want, sizeof(want), "/run/etc/%s", generated[i]);
		assert_link(s.fd, generated[i], want);
	}
	for (size_t i = 0; i < SB_ARRAY_SIZE(hidden); i++) {
		char path[64];
		sb_format(path, sizeof(path), "etc/%s", hidden[i]);
		assert_false(is_there(s.fd, path));
	}
	assert_int_equal(count_names(s.fd), n + count_missing_generated());
	assert_int_equal(count_fds(), fds);
	drop_scratch(&s);
}

/* What an older /etc left, and what does not belong there. */
static void etc_changes(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	assert_int_equal(sb_etc_refresh(s.fd, NULL), 0);
	size_t n = count_names(s.fd);
	put_text(s.fd, "etc.stamp", "another time");
	assert_false(sb_etc_is_fresh(s.fd));
	assert_int_equal(symlinkat("/run/host/etc/sessbox-gone", s.fd, "etc/sessbox-gone"), 0);
	assert_int_equal(symlinkat("/run/host/etc/shadow", s.fd, "etc/shadow"), 0);
	assert_int_equal(symlinkat("half", s.fd, "etc/.new"), 0);
	assert_int_equal(unlinkat(s.fd, "etc/passwd", 0), 0);
	assert_int_equal(symlinkat("/run/host/etc/passwd", s.fd, "etc/passwd"), 0);
	assert_int_equal(unlinkat(s.fd, "etc/group", 0), 0);
	assert_int_equal(sb_etc_refresh(s.fd, NULL), 0);
	assert_int_equal(count_names(s.fd), n);
	assert_link(s.fd, "passwd", "/run/etc/passwd");
	assert_link(s.fd, "group", "/run/etc/group");
	assert_false(is_there(s.fd, "etc/shadow"));
	assert_false(is_there(s.fd, "etc/sessbox-gone"));
	drop_scratch(&s);
}

/* When nothing has changed, nothing is looked at; the stamp says so. */
static void etc_is_fresh(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	struct stat st;
	char stamp[96];
	assert_int_equal(sb_etc_refresh(s.fd, NULL), 0);
	assert_true(sb_etc_is_fresh(s.fd));
	assert_int_equal(stat("/etc", &st), 0);
	sb_format(stamp, sizeof(stamp), "%lld.%09ld %llu", (long long)st.st_mtim.tv_sec,
		  st.st_mtim.tv_nsec, (unsigned long long)st.st_ino);
	assert_text(s.fd, "etc.stamp", stamp);
	assert_int_equal(unlinkat(s.fd, "etc/passwd", 0), 0);
	assert_int_equal(sb_etc_refresh(s.fd, NULL), 0);
	assert_false(is_there(s.fd, "etc/passwd"));
	drop_scratch(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_sources), cmocka_unit_test(links_like_the_hosts),
		cmocka_unit_test(etc_tree),	   cmocka_unit_test(etc_changes),
		cmocka_unit_test(etc_is_fresh),
	};
	return cmocka_run_group_tests_name("rootfs on the host", tests, NULL, NULL);
}
