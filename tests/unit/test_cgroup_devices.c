/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which devices a group's processes may open: v1's files, and v2's program. */
#include "cgroup_tree.h"

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cgroup_internal.h"

#define V1 "cgroup/devices/sessbox/u7/"
#define V2 "cgroup/sessbox/u7/"
#define RW (SB_DEVICE_READ | SB_DEVICE_WRITE)
#define RWM SB_DEVICE_ACCESS_ALL

#define STANDARD                                                                                   \
	"c 1:3 rw\nc 1:5 rw\nc 1:7 rw\nc 1:8 rw\nc 1:9 rw\nc 5:0 rw\nc 5:1 rw\nc 5:2 rw\n"         \
	"c 136:* rw\nc 137:* rw\nc 138:* rw\nc 139:* rw\nc 140:* rw\nc 141:* rw\nc 142:* rw\n"     \
	"c 143:* rw\nc 4:* rw\nc 166:* rw\nc 188:* rw\nc 204:* rw\nc 229:* rw\n"

static void tree_devices(const struct tree *t, const char *list)
{
	tree_put(t, "self", "1:devices:/\n");
	tree_put(t, V1 "devices.list", list);
	tree_put(t, V1 "devices.allow", "");
	tree_put(t, V1 "devices.deny", "");
}

static int apply(const struct tree *t, const struct sb_devices *devices, unsigned int *unsupported)
{
	cleanup_cgroup struct sb_cgroup *cg = tree_open(t);
	struct sb_limits limits;
	sb_limits_init(&limits);
	limits.devices = *devices;
	return sb_cgroup_apply(cg, "u7", &limits, unsupported, NULL);
}

static struct sb_limits read_back(const struct tree *t, unsigned int *unsupported)
{
	cleanup_cgroup struct sb_cgroup *cg = tree_open(t);
	struct sb_limits limits;
	assert_int_equal(sb_cgroup_limits(cg, "u7", &limits, unsupported, NULL), 0);
	return limits;
}

/* ---- v1 ---- */

static const struct {
	const char *held;
	struct sb_device device; /* null and zero are everywhere */
	const char *allow, *deny;
} v1_rows[] = {
	/* A new group, below one without a filter and below one with. */
	{ "a *:* rwm\n", { 0 }, STANDARD, "a" },
	{ "c *:* rwm\nb *:* m\n", { 0 }, STANDARD, "c *:* rwm\nb *:* m\n" },
	{ "", { 0 }, STANDARD, "" },
	/* Nothing to do. */
	{ STANDARD, { 0 }, "", "" },
	{ STANDARD, { (char[]){ "/dev/null" }, SB_DEVICE_READ, false }, "", "" },
	/* Somebody else's, or an earlier policy's. */
	{ STANDARD "b 8:0 rw\nc 10:229 r\n", { 0 }, "", "b 8:0 rw\nc 10:229 r\n" },
	{ "c 1:3 rwm\n" STANDARD, { 0 }, "", "c 1:3 m\n" },
	/* Only what is missing. */
	{ STANDARD, { (char[]){ "/dev/null" }, RWM, false }, "c 1:3 m\n", "" },
	{ "c 1:3 m\n" STANDARD, { (char[]){ "/dev/null" }, RWM, false }, "", "" },
	{ "c 1:3 r\n" STANDARD,
	  { (char[]){ "/dev/zero" }, SB_DEVICE_MKNOD, false },
	  "c 1:5 m\n",
	  "" },
	/* One that is gone, and what is none, keep nobody out. */
	{ STANDARD, { (char[]){ "/dev/none" }, RW, false }, "", "" },
	{ STANDARD, { (char[]){ "/dev" }, RW, false }, "", "" },
};

static void writes_v1(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(v1_rows); i++) {
		struct sb_device device = v1_rows[i].device;
		const struct sb_devices devices = { &device, device.path != NULL, true };
		unsigned int unsupported = ~0U;
		struct tree t = tree_make();
		tree_devices(&t, v1_rows[i].held);
		assert_int_equal(apply(&t, &devices, &unsupported), 0);
		assert_int_equal(unsupported, 0);
		tree_expect(&t, V1 "devices.allow", v1_rows[i].allow);
		tree_expect(&t, V1 "devices.deny", v1_rows[i].deny);
		tree_remove(&t);
	}
}

/* A class' own group: it is not a tenant's. */
static void leaves_alone_what_has_no_filter(void **state)
{
	(void)state;
	struct tree t = tree_make();
	unsigned int unsupported = ~0U;
	tree_devices(&t, STANDARD);
	assert_int_equal(apply(&t, &(struct sb_devices){ 0 }, &unsupported), 0);
	assert_int_equal(unsupported, 0);
	tree_expect(&t, V1 "devices.allow", "");
	tree_expect(&t, V1 "devices.deny", "");
	tree_remove(&t);
}

static const struct {
	const char *list;
	int error;
	bool filtered;
	const char *path; /* the only one that is not standard */
	unsigned int access;
} v1_lists[] = {
	{ "a *:* rwm\n", 0, false, NULL, 0 },
	{ STANDARD, 0, true, NULL, 0 },
	{ "", 0, true, NULL, 0 },
	{ STANDARD "c 4294967294:7 rw\n", 0, true, "c 4294967294:7", RW },
	{ STANDARD "b 8:* m\n", 0, true, "b 8:*", SB_DEVICE_MKNOD },
	{ "c 1:3 rwm\n", 0, true, "/dev/null", RWM },
	{ "c 1:3\n", -EBADMSG, false, NULL, 0 },
	{ "c 1:3 x\n", -EBADMSG, false, NULL, 0 },
	{ "d 1:3 r\n", -EBADMSG, false, NULL, 0 },
	{ "c 1:99999999999 r\n", -EBADMSG, false, NULL, 0 },
	{ "c 1 3 r\n", -EBADMSG, false, NULL, 0 },
};

/* The kernel's name is in sysfs, which a chroot where packages are built may lack. */
static const char *or_number(const char *path)
{
	return strcmp(path, "/dev/null") == 0 && access("/sys/dev/char/1:3", F_OK) < 0 ? "c 1:3"
										       : path;
}

static void reads_v1(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(v1_lists); i++) {
		struct tree t = tree_make();
		tree_devices(&t, v1_lists[i].list);
		cleanup_cgroup struct sb_cgroup *cg = tree_open(&t);
		cleanup_limits struct sb_limits found;
		unsigned int unsupported = 0;
		sb_limits_init(&found);
		assert_int_equal(sb_cgroup_limits(cg, "u7", &found, &unsupported, NULL),
				 v1_lists[i].error);
		assert_false(unsupported & SB_LIMIT_BIT(SB_DEVICE_ALLOW));
		assert_int_equal(found.devices.filtered, v1_lists[i].filtered);
		assert_int_equal(found.devices.n, v1_lists[i].path != NULL);
		if (v1_lists[i].path) {
			assert_string_equal(found.devices.v[0].path, or_number(v1_lists[i].path));
			assert_int_equal(found.devices.v[0].access, v1_lists[i].access);
		}
		tree_remove(&t);
	}
}

/* ---- the program ---- */

static struct sb_device_rules rules_of(const struct sb_device_rule *v, size_t n)
{
	struct sb_device_rules rules = { 0 };
	for (size_t i = 0; i < n; i++)
		assert_int_equal(sb_device_rules_add(&rules, &v[i]), 0);
	return rules;
}

/* What the kernel gets, byte by byte: code, registers, offset, constant. */
static void program_in_bytes(void **state)
{
	static const struct sb_device_rule v[] = {
		{ 'c', 1, 3, RW },
		{ 'b', 7, 300, SB_DEVICE_READ },
		{ 'c', 136, SB_DEVICE_ANY, RW },
		{ 'c', 1, 5, RW },
	};
	static const unsigned char want[] = {
		0x61, 0x12, 0,	0, 0,	 0,    0, 0, /* r2 = access and type */
		0x61, 0x14, 4,	0, 0,	 0,    0, 0, /* r4 = major */
		0x61, 0x15, 8,	0, 0,	 0,    0, 0, /* r5 = minor */
		0xbc, 0x23, 0,	0, 0,	 0,    0, 0, /* r3 = r2 */
		0x54, 0x03, 0,	0, 0xff, 0xff, 1, 0, /* & mknod and type */
		0x56, 0x03, 4,	0, 2,	 0,    0, 0, /* no character device, or mknod: 4 on */
		0x16, 0x04, 10, 0, 136,	 0,    0, 0, /* allow */
		0x56, 0x04, 2,	0, 1,	 0,    0, 0, 0x16, 0x05, 8, 0, 3, 0, 0, 0,
		0x16, 0x05, 7,	0, 5,	 0,    0, 0, 0xbc, 0x23, 0, 0, 0, 0, 0, 0,
		0x54, 0x03, 0,	0, 0xff, 0xff, 5, 0, /* & mknod, write and type */
		0x56, 0x03, 2,	0, 1,	 0,    0, 0, 0x56, 0x04, 1, 0, 7, 0, 0, 0,
		0x16, 0x05, 2,	0, 0x2c, 1,    0, 0, 0xb7, 0x00, 0, 0, 0, 0, 0, 0, /* deny */
		0x95, 0x00, 0,	0, 0,	 0,    0, 0, 0xb7, 0x00, 0, 0, 1, 0, 0, 0, /* allow */
		0x95, 0x00, 0,	0, 0,	 0,    0, 0,
	};
	(void)state;
	cleanup_device_rules struct sb_device_rules rules = rules_of(v, SB_ARRAY_SIZE(v));
	cleanup_free struct bpf_insn *program = NULL;
	ssize_t n = sb_device_program_make(&rules, &program);
	assert_int_equal(n * (ssize_t)sizeof(*program), sizeof(want));
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		assert_memory_equal(program, want, sizeof(want));
}

/* Runs it as the kernel would; what it should not do ends the test. */
static unsigned int run(const struct bpf_insn *v, size_t n, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t r[11] = { 0 };
	for (size_t at = 0, steps = 0; at < n && steps < n; at++, steps++) {
		const struct bpf_insn *i = &v[at];
		uint32_t constant = (uint32_t)i->imm;
		bool jumps = false;
		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			assert_int_equal(i->src_reg, 1);
			assert_in_range(i->off, 0, 8);
			r[i->dst_reg] = *(const uint32_t *)((const char *)ctx + i->off);
			break;
		case BPF_ALU | BPF_MOV | BPF_X:
			r[i->dst_reg] = (uint32_t)r[i->src_reg];
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			r[i->dst_reg] = (uint32_t)r[i->dst_reg] & constant;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			r[i->dst_reg] = (uint64_t)(int64_t)i->imm;
			break;
		case BPF_JMP32 | BPF_JEQ | BPF_K:
			jumps = (uint32_t)r[i->dst_reg] == constant;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			jumps = (uint32_t)r[i->dst_reg] != constant;
			break;
		case BPF_JMP | BPF_EXIT:
			return (unsigned int)r[0];
		default:
			fail_msg("instruction %zu has the code %x", at, i->code);
		}
		assert_true(i->off >= 0); /* a program that always ends */
		at += jumps ? (size_t)i->off : 0;
	}
	fail_msg("it does not end");
	return 0;
}

static const struct sb_device_rule odd[] = {
	{ 'c', 10, 229, RW },
	{ 'b', 7, 0, SB_DEVICE_READ },
	{ 'b', 7, 1, RWM },
	{ 'c', 1, 11, SB_DEVICE_WRITE },
	{ 'b', 136, SB_DEVICE_ANY, SB_DEVICE_MKNOD },
	{ 'c', 4095, 1048575, RW },
};

static bool covers(const struct sb_device_rule *rule, char type, unsigned int major,
		   unsigned int minor, unsigned int access)
{
	return rule->type == type && rule->major == major &&
	       (rule->minor == SB_DEVICE_ANY || rule->minor == minor) && !(access & ~rule->access);
}

/* Each device near one of the rules, and each kind of access. */
static void program_decides(void **state)
{
	static const unsigned int majors[] = { 0, 1, 4, 5, 7, 10, 135, 136, 143, 144, 229, 4095 };
	static const unsigned int minors[] = { 0, 1, 3, 4, 9, 11, 63, 229, 1048575 };
	struct sb_devices none = { .filtered = true };
	cleanup_device_rules struct sb_device_rules rules = { 0 };
	cleanup_free struct bpf_insn *v = NULL;
	size_t allowed = 0;
	(void)state;
	assert_int_equal(sb_device_rules_make(&none, &rules), 0);
	assert_int_equal(rules.n, sb_device_standard_n);
	for (size_t i = 0; i < SB_ARRAY_SIZE(odd); i++)
		assert_int_equal(sb_device_rules_add(&rules, &odd[i]), 0);
	ssize_t n = sb_device_program_make(&rules, &v);
	assert_true(n > 0);
	for (size_t i = 0; i < SB_ARRAY_SIZE(majors) * SB_ARRAY_SIZE(minors) * 14; i++) {
		unsigned int major = majors[i / 14 % SB_ARRAY_SIZE(majors)];
		unsigned int minor = minors[i / 14 / SB_ARRAY_SIZE(majors)];
		unsigned int access = i % 7 + 1, type = i % 14 / 7 + 1;
		char letter = type == BPF_DEVCG_DEV_CHAR ? 'c' : 'b';
		bool want = false;
		const struct bpf_cgroup_dev_ctx ctx = { access << 16 | type, major, minor };
		for (size_t k = 0; k < rules.n && !want; k++)
			want = covers(&rules.v[k], letter, major, minor, access);
		if (run(v, (size_t)n, &ctx) != want)
			fail_msg("%c %u:%u, access %u: %d", letter, major, minor, access, !want);
		allowed += want;
	}
	assert_in_range(allowed, 50, 1000);
}

static bool same_rule(const struct sb_device_rule *a, const struct sb_device_rule *b)
{
	return a->type == b->type && a->major == b->major && a->minor == b->minor &&
	       a->access == b->access;
}

/* What is read back from the kernel. */
static void program_tells_its_rules(void **state)
{
	(void)state;
	cleanup_device_rules struct sb_device_rules rules = rules_of(odd, SB_ARRAY_SIZE(odd)),
						    found = { 0 };
	cleanup_free struct bpf_insn *v = NULL;
	ssize_t n = sb_device_program_make(&rules, &v);
	assert_int_equal(sb_device_program_parse(v, (size_t)n, &found), 0);
	assert_int_equal(found.n, rules.n);
	for (size_t i = 0; i < rules.n; i++) {
		size_t k = 0;
		while (k < found.n && !same_rule(&found.v[k], &rules.v[i]))
			k++;
		assert_true(k < found.n);
	}
	/* Cut, or not one of these. */
	for (size_t cut = 0; cut < 6; cut++)
		assert_int_equal(sb_device_program_parse(v, cut, &found), -EBADMSG);
	v[3].code = BPF_JMP | BPF_EXIT;
	assert_int_equal(sb_device_program_parse(v, (size_t)n, &found), -EBADMSG);
}

static void too_many_rules(void **state)
{
	struct sb_device_rules rules = { 0 };
	struct bpf_insn *v = NULL;
	(void)state;
	rules.v = calloc(1001, sizeof(*rules.v));
	rules.n = 1000;
	for (size_t i = 0; i < 1001; i++)
		rules.v[i] = (struct sb_device_rule){ 'c', (unsigned int)i, 1, i % 7 + 1 };
	assert_true(sb_device_program_make(&rules, &v) > 2000);
	for (size_t i = 0; v[i].code != (BPF_JMP | BPF_EXIT); i++)
		assert_true(v[i].off >= 0);
	free(v);
	rules.n++;
	assert_int_equal(sb_device_program_make(&rules, &v), -E2BIG);
	sb_device_rules_clear(&rules);
}

/* ---- a kernel that does not take it ---- */

/* bpf(2) fails with this from here on, in this process. */
static int forbid_bpf(int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { SB_ARRAY_SIZE(filter), filter };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void tells_what_bpf_says(void **state)
{
	static const struct {
		int error;
		int applied;
		bool unsupported;
	} rows[] = {
		{ EPERM, 0, true },  { ENOSYS, 0, true },	 { EINVAL, 0, true },
		{ EACCES, 0, true }, { ENOMEM, -ENOMEM, false }, { EIO, -EIO, false },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		struct tree t = tree_make();
		int status = 1;
		tree_v2(&t);
		tree_put(&t, V2 "x", "");
		pid_t pid = fork();
		if (pid == 0) {
			unsigned int unsupported = 0;
			if (forbid_bpf(rows[i].error) != 0)
				_exit(2);
			int r = apply(&t, &(struct sb_devices){ .filtered = true }, &unsupported);
			bool bit = unsupported & SB_LIMIT_BIT(SB_DEVICE_ALLOW);
			_exit(r != rows[i].applied ? 3 : bit != rows[i].unsupported ? 4 : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		tree_remove(&t);
	}
}

/* Nobody is without a filter unnoticed. */
static void tells_that_there_is_none(void **state)
{
	static void (*const make[])(const struct tree *t) = { tree_v2, tree_v1, tree_hybrid };
	static const char *const groups[] = { V2, "cgroup/memory/sessbox/u7/",
					      "cgroup/unified/sessbox/u7/" };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(make); i++) {
		struct tree t = tree_make();
		unsigned int written = 0, read = 0;
		make[i](&t);
		tree_parents(&t, groups[i]);
		tree_parents(&t, "cgroup/memory/sessbox/u7/");
		tree_parents(&t, "cgroup/pids/sessbox/u7/");
		tree_parents(&t, "cgroup/cpu,cpuacct/sessbox/u7/");
		assert_int_equal(apply(&t, &(struct sb_devices){ .filtered = true }, &written), 0);
		cleanup_limits struct sb_limits found = read_back(&t, &read);
		assert_true(written & SB_LIMIT_BIT(SB_DEVICE_ALLOW));
		assert_true(read & SB_LIMIT_BIT(SB_DEVICE_ALLOW));
		tree_remove(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_v1),
		cmocka_unit_test(leaves_alone_what_has_no_filter),
		cmocka_unit_test(reads_v1),
		cmocka_unit_test(program_in_bytes),
		cmocka_unit_test(program_decides),
		cmocka_unit_test(program_tells_its_rules),
		cmocka_unit_test(too_many_rules),
		cmocka_unit_test(tells_what_bpf_says),
		cmocka_unit_test(tells_that_there_is_none),
	};
	return cmocka_run_group_tests_name("cgroup_devices", tests, NULL, NULL);
}
