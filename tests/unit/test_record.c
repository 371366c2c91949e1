/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include <stdio.h>

#include "sessbox/record.h"

/* A record as bytes: what of it is text, and how it is written and read. */
struct kind {
	const char *name;
	size_t size;
	size_t end; /* of the last member; what follows is padding */
	struct text {
		size_t offset, size;
	} texts[8];
	int (*save)(int dir, const void *rec);
	int (*load)(int dir, void *rec);
	const char *file; /* where save puts it */
};

static int save_container(int dir, const void *rec)
{
	cleanup_fd int sub = sb_open_dir(dir, "c3", 0711);
	return sub < 0 ? sub : sb_container_save(sub, rec);
}

static int load_container(int dir, void *rec)
{
	return sb_container_load(dir, 3, rec);
}

#define SESSION_ID 0x61616161U /* "aaaa", the pattern's first member */

static int save_session(int dir, const void *rec)
{
	struct sb_session_record copy;
	memcpy(&copy, rec, sizeof(copy));
	copy.id = SESSION_ID;
	return sb_session_save(dir, &copy, getegid());
}

static int load_session(int dir, void *rec)
{
	return sb_session_load(dir, "sessions", SESSION_ID, rec);
}

static int save_told(int dir, const void *rec)
{
	return sb_told_save(dir, rec);
}

static int load_told(int dir, void *rec)
{
	return sb_told_load(dir, rec);
}

static int save_quota(int dir, const void *rec)
{
	return sb_quota_save(dir, rec);
}

static int load_quota(int dir, void *rec)
{
	return sb_quota_load(dir, rec);
}

static int save_notice(int dir, const void *rec)
{
	return sb_notice_save(dir, 7, rec);
}

static int load_notice(int dir, void *rec)
{
	return sb_notice_load(dir, 7, rec);
}

#define TEXT(type, member)                                                                         \
	{                                                                                          \
		offsetof(struct type, member), sizeof(((struct type *)0)->member)                  \
	}
#define END(type, member) (offsetof(struct type, member) + sizeof(((struct type *)0)->member))

static const struct kind kinds[] = {
	{ "container",
	  sizeof(struct sb_container_record),
	  END(sb_container_record, groups),
	  { TEXT(sb_container_record, user), TEXT(sb_container_record, class_name),
	    TEXT(sb_container_record, hostname), TEXT(sb_container_record, container_hash),
	    TEXT(sb_container_record, limits_hash), TEXT(sb_container_record, groups) },
	  save_container,
	  load_container,
	  "c3/record" },
	{ "session",
	  sizeof(struct sb_session_record),
	  END(sb_session_record, terminal),
	  { TEXT(sb_session_record, user), TEXT(sb_session_record, class_name),
	    TEXT(sb_session_record, service), TEXT(sb_session_record, from),
	    TEXT(sb_session_record, terminal) },
	  save_session,
	  load_session,
	  "sessions/1633771873" },
	{ "told",
	  sizeof(struct sb_told_record),
	  END(sb_told_record, class_refusals),
	  { { 0 } },
	  save_told,
	  load_told,
	  "told" },
	{ "quota",
	  sizeof(struct sb_quota_record),
	  END(sb_quota_record, cpu_quota),
	  { { 0 } },
	  save_quota,
	  load_quota,
	  "quota" },
	{ "notice",
	  sizeof(struct sb_notice_record),
	  END(sb_notice_record, text),
	  { TEXT(sb_notice_record, text) },
	  save_notice,
	  load_notice,
	  "notices/7" },
};

union any_record {
	struct sb_container_record container;
	struct sb_session_record session;
	struct sb_told_record told;
	struct sb_quota_record quota;
	struct sb_notice_record notice;
	char bytes[sizeof(struct sb_container_record)];
};

/*
 * Fills all of a record with letters and then ends the texts: a member that the record's table does
 * not know comes back as zeroes, and a text this file does not know runs into the next.
 */
static void fill(const struct kind *kind, union any_record *rec, unsigned int seed)
{
	memset(rec, 0, sizeof(*rec));
	for (size_t i = 0; i < kind->end; i++)
		rec->bytes[i] = i < sizeof(uint32_t) ? 'a' : (char)('a' + (i * seed + seed) % 26);
	for (size_t i = 0; i < SB_ARRAY_SIZE(kind->texts) && kind->texts[i].size; i++)
		rec->bytes[kind->texts[i].offset + kind->texts[i].size - 1] = '\0';
}

static void round_trips(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	for (size_t k = 0; k < SB_ARRAY_SIZE(kinds); k++) {
		for (unsigned int seed = 1; seed < 26; seed += 2) {
			union any_record in, out;
			memset(&out, 0xff, sizeof(out));
			fill(&kinds[k], &in, seed);
			assert_int_equal(kinds[k].save(s.fd, &in), 0);
			assert_int_equal(kinds[k].load(s.fd, &out), 0);
			assert_memory_equal(&in, &out, kinds[k].size);
		}
	}
	drop_scratch(&s);
}

/* The shortest and the largest a record can be. */
static void extremes(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	for (size_t k = 0; k < SB_ARRAY_SIZE(kinds); k++) {
		for (int byte = 0; byte >= -1; byte--) {
			union any_record in, out;
			memset(&in, 0, sizeof(in));
			memset(in.bytes, byte, kinds[k].texts[0].offset);
			memset(&in, k == 1 ? 'a' : byte, sizeof(uint32_t));
			assert_int_equal(kinds[k].save(s.fd, &in), 0);
			assert_int_equal(kinds[k].load(s.fd, &out), 0);
			for (size_t i = 0; i < kinds[k].texts[0].offset; i++)
				assert_int_equal(in.bytes[i], out.bytes[i]);
		}
	}
	drop_scratch(&s);
}

/* A name from far away stays one line, and in its own field. */
static void hostile_values(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "host\nCaller=1", "host?Caller=1" },
		{ "\r\n\t\x1b[2J\x7f", "????[2J?" },
		{ "a=b=c", "a=b=c" },
		{ "=", "=" },
		{ " x ", " x " },
		{ "\xc3\xa4", "\xc3\xa4" },
		{ "%n%s", "%n%s" },
	};
	(void)state;
	struct scratch s = make_scratch();
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct sb_session_record in = { .id = 7, .caller = 5 }, out;
		sb_copy(in.from, sizeof(in.from), rows[i].in);
		sb_copy(in.user, sizeof(in.user), rows[i].in);
		assert_int_equal(sb_session_save(s.fd, &in, getegid()), 0);
		assert_int_equal(sb_session_load(s.fd, "sessions", 7, &out), 0);
		assert_string_equal(out.from, rows[i].out);
		assert_string_equal(out.user, rows[i].out);
		assert_int_equal(out.caller, 5);
	}
	drop_scratch(&s);
}

#define ZEROES_64 "0000000000000000000000000000000000000000000000000000000000000000"

/* A file as somebody else left it; `init` is what comes of it if result is 0. */
static const struct file {
	const char *text;
	int result;
	uint32_t init;
} files[] = {
	{ "", 0, 0 },
	{ "\n\n", 0, 0 },
	{ "Init=5\n", 0, 5 },
	{ "Init=5", 0, 5 },
	{ "Later=thing\nInit=5\nMuchLater=\n", 0, 5 },
	{ "=5\nInit=5\n", 0, 5 },
	{ "init=6\nInit=5\nINIT=6\nInit2=6\nIni=6\n", 0, 5 },
	{ "Init=4294967295\n", 0, UINT32_MAX },
	{ "Init=0005\n", 0, 5 },
	{ "Init=4294967296\n", -EBADMSG, 0 },
	{ "Init=99999999999999999999999\n", -EBADMSG, 0 },
	{ "Init=\n", -EBADMSG, 0 },
	{ "Init= 5\n", -EBADMSG, 0 },
	{ "Init=5 \n", -EBADMSG, 0 },
	{ "Init=+5\n", -EBADMSG, 0 },
	{ "Init=-5\n", -EBADMSG, 0 },
	{ "Init=0x5\n", -EBADMSG, 0 },
	{ "Init=5x\n", -EBADMSG, 0 },
	{ "Init=5\r\n", -EBADMSG, 0 },
	{ "InitStart=18446744073709551615\nInit=5\n", 0, 5 },
	{ "InitStart=18446744073709551616\n", -EBADMSG, 0 },
	{ "Init\n", -EBADMSG, 0 },
	{ "Init=5\nrest of a line\n", -EBADMSG, 0 },
	{ "Hostname=" ZEROES_64 "\nInit=5\n", 0, 5 },
	{ "Hostname=" ZEROES_64 "0\n", -EBADMSG, 0 },
};

static void odd_files(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	assert_int_equal(mkdirat(s.fd, "c3", 0700), 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(files); i++) {
		struct sb_container_record rec;
		memset(&rec, 0xff, sizeof(rec)); /* what is not in the file is zero */
		put_text(s.fd, "c3/record", files[i].text);
		int r = sb_container_load(s.fd, 3, &rec);
		if (r != files[i].result || (r == 0 && rec.init != files[i].init))
			fail_msg("'%s': %d, %u", files[i].text, r, rec.init);
		if (r == 0)
			assert_int_equal(rec.uid, 0);
	}
	drop_scratch(&s);
}

static void no_files(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	struct sb_container_record rec;
	char large[9000];
	assert_int_equal(sb_container_load(s.fd, 3, &rec), -ENOENT);
	assert_int_equal(mkdirat(s.fd, "c3", 0700), 0);
	assert_int_equal(sb_container_load(s.fd, 3, &rec), -ENOENT);
	put_text(s.fd, "elsewhere", "Init=5\n");
	assert_int_equal(symlinkat("../elsewhere", s.fd, "c3/record"), 0);
	assert_int_equal(sb_container_load(s.fd, 3, &rec), -ELOOP);
	assert_int_equal(unlinkat(s.fd, "c3/record", 0), 0);
	assert_int_equal(mkdirat(s.fd, "c3/record", 0700), 0);
	assert_int_equal(sb_container_load(s.fd, 3, &rec), -EISDIR);
	assert_int_equal(unlinkat(s.fd, "c3/record", AT_REMOVEDIR), 0);
	memset(large, '\n', sizeof(large));
	put_bytes(s.fd, "c3/record", large, sizeof(large));
	assert_int_equal(sb_container_load(s.fd, 3, &rec), -EFBIG);
	assert_int_equal(sb_session_load(s.fd, "sessions", 1, (struct sb_session_record[1]){ 0 }),
			 -ENOENT);
	drop_scratch(&s);
}

/* Root's, and the session's to read for the user's group; whatever the umask. */
static void modes(void **state)
{
	static const struct {
		const char *name;
		mode_t mode;
		bool shared;
	} rows[] = {
		{ "c3/record", 0600, false }, { "sessions", 0700, false },
		{ "sessions/7", 0640, true }, { "self", 0750, true },
		{ "self/7", 0640, true },
	};
	static const mode_t umasks[] = { 0, 077, 0777 };
	(void)state;
	gid_t gid = geteuid() == 0 ? 65533 : getegid();
	for (size_t i = 0; i < SB_ARRAY_SIZE(umasks); i++) {
		struct scratch s = make_scratch();
		const struct sb_session_record rec = { .id = 7 };
		const struct sb_container_record container = { .number = 3 };
		mode_t old = umask(umasks[i]);
		int r = sb_session_save(s.fd, &rec, gid);
		int c = save_container(s.fd, &container);
		umask(old);
		assert_int_equal(r, 0);
		assert_int_equal(c, 0);
		for (size_t k = 0; k < SB_ARRAY_SIZE(rows); k++) {
			struct stat st;
			assert_int_equal(fstatat(s.fd, rows[k].name, &st, AT_SYMLINK_NOFOLLOW), 0);
			assert_int_equal(st.st_mode & 07777, rows[k].mode);
			assert_int_equal(st.st_uid, geteuid());
			assert_int_equal(st.st_gid, rows[k].shared ? gid : getegid());
		}
		drop_scratch(&s);
	}
}

static void saves_the_same_twice(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	struct sb_session_record rec = { .id = 7, .from = "one" }, out;
	assert_int_equal(sb_session_save(s.fd, &rec, getegid()), 0);
	sb_copy(rec.from, sizeof(rec.from), "two");
	assert_int_equal(sb_session_save(s.fd, &rec, getegid()), 0);
	static const char *const dirs[] = { "sessions", "self" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++) {
		assert_int_equal(sb_session_load(s.fd, dirs[i], 7, &out), 0);
		assert_string_equal(out.from, "two");
	}
	drop_scratch(&s);
}

static void removes_sessions(void **state)
{
	static const char *const others[] = {
		"sessions/1", "sessions/77", "sessions/7-other", "sessions/77-utmp", "self/77",
	};
	static const char *const own[] = {
		"sessions/7", "sessions/7.new", "sessions/7-utmp", "self/7", "self/7.new",
	};
	(void)state;
	struct scratch s = make_scratch();
	const struct sb_session_record rec = { .id = 7 };
	assert_int_equal(sb_session_save(s.fd, &rec, getegid()), 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(others); i++)
		put_text(s.fd, others[i], "x");
	for (size_t i = 0; i < SB_ARRAY_SIZE(own); i++)
		put_text(s.fd, own[i], "x");
	sb_session_remove(s.fd, 7);
	for (size_t i = 0; i < SB_ARRAY_SIZE(own); i++)
		assert_false(is_there(s.fd, own[i]));
	for (size_t i = 0; i < SB_ARRAY_SIZE(others); i++)
		assert_true(is_there(s.fd, others[i]));
	sb_session_remove(s.fd, 7);
	drop_scratch(&s);
}

/* ---- lists ---- */

struct list {
	const char *names[12]; /* of directories or files made for it */
	size_t n;
	uint32_t want[8];
};

static void check_list(const struct scratch *s, const char *sub, const struct list *list,
		       ssize_t (*get)(int dir, uint32_t **ret))
{
	uint32_t *got = (uint32_t *)(uintptr_t)s;
	assert_int_equal(get(s->fd, &got), 0); /* nothing yet, and no directory either */
	assert_null(got);
	if (*sub)
		assert_int_equal(mkdirat(s->fd, sub, 0700), 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(list->names) && list->names[i]; i++) {
		char path[64];
		sb_format(path, sizeof(path), "%s%s%s", sub, *sub ? "/" : "", list->names[i]);
		assert_int_equal(mkdirat(s->fd, path, 0700), 0);
	}
	size_t fds = count_fds();
	assert_int_equal(get(s->fd, &got), list->n);
	for (size_t i = 0; i < list->n; i++)
		assert_int_equal(got[i], list->want[i]);
	free(got);
	assert_int_equal(count_fds(), fds);
}

static void lists(void **state)
{
	static const struct {
		const char *sub;
		ssize_t (*get)(int dir, uint32_t **ret);
		struct list list;
	} rows[] = {
		{ "",
		  sb_container_list,
		  { { "c10", "c9", "c4294967295", "c1", "c", "c1x", "cc1", "lock", "u5", "c-1",
		      "c4294967296", "C7" },
		    4,
		    { 1, 9, 10, UINT32_MAX } } },
		{ "",
		  sb_user_list,
		  { { "u1000", "u0", "u65534", "ns", "etc", "u", "u1.new", "next" },
		    3,
		    { 0, 1000, 65534 } } },
		{ "sessions",
		  sb_session_list,
		  { { "3", "12", "1", "12-utmp", "5.new", "x", "7-" }, 3, { 1, 3, 12 } } },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct scratch s = make_scratch();
		check_list(&s, rows[i].sub, &rows[i].list, rows[i].get);
		drop_scratch(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(extremes),
		cmocka_unit_test(hostile_values),
		cmocka_unit_test(odd_files),
		cmocka_unit_test(no_files),
		cmocka_unit_test(modes),
		cmocka_unit_test(removes_sessions),
		cmocka_unit_test(lists),
		cmocka_unit_test(saves_the_same_twice),
	};
	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
