/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * v2's filter on devices: a program of the group's that the kernel runs at each opening of one. It
 * is asked with the programs of the groups above, and each has to allow. The program is written out
 * here; it is short, since the kernel checks and compiles it while a login waits: 33 instructions
 * take it 50 us, one block for each rule took 500.
 *
 *	r2 = access << 16 | type, r4 = major, r5 = minor
 *	for each type and access that rules have in common:
 *		r3 = r2 without the access that is allowed; if it is not the type, go on
 *		if r4 is a major of which all minors are allowed, allow
 *		for each other major: if r4 is not this, go on; if r5 is a minor of it, allow
 *	deny
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_internal.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

/* No offset of a jump gets too long. */
#define RULES_MAX 1000
#define PROGRAMS_MAX 64

#define INSN(code, dst, src, off, imm)                                                             \
	((struct bpf_insn){ (code), (dst), (src), (off), (int32_t)(imm) })
#define LOAD(reg, field)                                                                           \
	INSN(BPF_LDX | BPF_MEM | BPF_W, reg, BPF_REG_1,                                            \
	     offsetof(struct bpf_cgroup_dev_ctx, field), 0)
#define COPY(dst, src) INSN(BPF_ALU | BPF_MOV | BPF_X, dst, src, 0, 0)
#define MASK(reg, imm) INSN(BPF_ALU | BPF_AND | BPF_K, reg, 0, 0, imm)
#define IF_IS(reg, imm) INSN(BPF_JMP32 | BPF_JEQ | BPF_K, reg, 0, 0, imm)
#define UNLESS(reg, imm) INSN(BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, 0, imm)
#define RESULT(imm) INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, imm)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

#define TYPE_MASK 0xffff
#define ACCESS_SHIFT 16

static const struct {
	char letter;
	int number;
} types[] = { { 'c', BPF_DEVCG_DEV_CHAR }, { 'b', BPF_DEVCG_DEV_BLOCK } };

static int type_number(char letter)
{
	return letter == types[0].letter ? types[0].number : types[1].number;
}

/* ---- the program ---- */

struct program {
	struct bpf_insn *v;
	size_t n;
};

static void emit(struct program *p, struct bpf_insn insn)
{
	p->v[p->n++] = insn;
}

/* The jump at `from` leads to what comes next. */
static void land(struct program *p, size_t from)
{
	p->v[from].off = (int16_t)(p->n - from - 1);
}

static bool same_group(const struct sb_device_rule *a, const struct sb_device_rule *b)
{
	return a->type == b->type && a->access == b->access;
}

static bool same_major(const struct sb_device_rule *a, const struct sb_device_rule *b)
{
	return same_group(a, b) && a->major == b->major && a->minor != SB_DEVICE_ANY &&
	       b->minor != SB_DEVICE_ANY;
}

/* Is it the first of those that are the same in this? */
static bool is_first(const struct sb_device_rules *rules, size_t i,
		     bool (*same)(const struct sb_device_rule *a, const struct sb_device_rule *b))
{
	for (size_t k = 0; k < i; k++)
		if (same(&rules->v[k], &rules->v[i]))
			return false;
	return true;
}

static void emit_minors(struct program *p, const struct sb_device_rules *rules, size_t first)
{
	size_t skip = p->n;
	emit(p, UNLESS(BPF_REG_4, rules->v[first].major));
	for (size_t i = first; i < rules->n; i++)
		if (same_major(&rules->v[first], &rules->v[i]))
			emit(p, IF_IS(BPF_REG_5, rules->v[i].minor));
	land(p, skip);
}

static void emit_group(struct program *p, const struct sb_device_rules *rules, size_t first)
{
	const struct sb_device_rule *group = &rules->v[first];
	unsigned int others = SB_DEVICE_ACCESS_ALL & ~group->access;
	emit(p, COPY(BPF_REG_3, BPF_REG_2));
	emit(p, MASK(BPF_REG_3, others << ACCESS_SHIFT | TYPE_MASK));
	size_t skip = p->n;
	emit(p, UNLESS(BPF_REG_3, type_number(group->type)));
	for (size_t i = first; i < rules->n; i++)
		if (same_group(group, &rules->v[i]) && rules->v[i].minor == SB_DEVICE_ANY)
			emit(p, IF_IS(BPF_REG_4, rules->v[i].major));
	for (size_t i = first; i < rules->n; i++)
		if (same_group(group, &rules->v[i]) && rules->v[i].minor != SB_DEVICE_ANY &&
		    is_first(rules, i, same_major))
			emit_minors(p, rules, i);
	land(p, skip);
}

static bool is_jump(const struct bpf_insn *insn, unsigned int kind)
{
	return insn->code == (BPF_JMP32 | kind | BPF_K);
}

ssize_t sb_device_program_make(const struct sb_device_rules *rules, struct bpf_insn **ret)
{
	/* A rule has five at most, if it is alone in its group and with its major. */
	struct program p = { calloc(rules->n * 5 + 7, sizeof(*p.v)), 0 };
	if (!p.v)
		return -ENOMEM;
	if (rules->n > RULES_MAX) {
		free(p.v);
		return -E2BIG;
	}
	emit(&p, LOAD(BPF_REG_2, access_type));
	emit(&p, LOAD(BPF_REG_4, major));
	emit(&p, LOAD(BPF_REG_5, minor));
	for (size_t i = 0; i < rules->n; i++)
		if (is_first(rules, i, same_group))
			emit_group(&p, rules, i);
	emit(&p, RESULT(0));
	emit(&p, EXIT);
	for (size_t i = 0; i < p.n; i++)
		if (is_jump(&p.v[i], BPF_JEQ))
			land(&p, i);
	emit(&p, RESULT(1));
	emit(&p, EXIT);
	*ret = p.v;
	return (ssize_t)p.n;
}

/* ---- and back ---- */

static int parse_group(const struct bpf_insn *v, struct sb_device_rule *ret)
{
	unsigned int mask = (unsigned int)v[1].imm;
	bool fits = v[0].code == COPY(0, 0).code && v[1].code == MASK(0, 0).code &&
		    is_jump(&v[2], BPF_JNE) && v[2].dst_reg == BPF_REG_3 &&
		    (mask & TYPE_MASK) == TYPE_MASK;
	ret->access = SB_DEVICE_ACCESS_ALL & ~(mask >> ACCESS_SHIFT);
	for (size_t i = 0; i < SB_ARRAY_SIZE(types) && fits; i++)
		if (types[i].number == v[2].imm) {
			ret->type = types[i].letter;
			return 0;
		}
	return -EBADMSG;
}

/* Where one of these is, it says the same again: only these three kinds of instruction tell. */
int sb_device_program_parse(const struct bpf_insn *v, size_t n, struct sb_device_rules *ret)
{
	cleanup_device_rules struct sb_device_rules rules = { 0 };
	struct sb_device_rule at = { 0 };
	int r = n < 7 ? -EBADMSG : 0;
	for (size_t i = 3; r == 0 && i + 4 < n; i++) {
		unsigned int value = (unsigned int)v[i].imm;
		if (v[i].code == COPY(0, 0).code) {
			r = i + 6 < n ? parse_group(&v[i], &at) : -EBADMSG;
			i += 2;
			continue;
		}
		if (is_jump(&v[i], BPF_JNE) && v[i].dst_reg == BPF_REG_4) {
			at.major = value;
			continue;
		}
		bool any = v[i].dst_reg == BPF_REG_4;
		const struct sb_device_rule rule = { at.type, any ? value : at.major,
						     any ? SB_DEVICE_ANY : value, at.access };
		r = is_jump(&v[i], BPF_JEQ) && at.type ? sb_device_rules_add(&rules, &rule)
						       : -EBADMSG;
	}
	if (r < 0)
		return r;
	*ret = rules;
	rules = (struct sb_device_rules){ 0 };
	return 0;
}

/* ---- in the kernel ---- */

/* It has none, or gives it to somebody else than us: 524 is its ENOTSUPP, of a missing compiler. */
static int cannot(int r)
{
	static const int errors[] = { EPERM, EACCES, ENOSYS, EINVAL, EBADF, 524 };
	for (size_t i = 0; i < SB_ARRAY_SIZE(errors); i++)
		if (r == -errors[i])
			return -EOPNOTSUPP;
	return r;
}

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static int call(int cmd, union bpf_attr *attr)
{
	int r = sys_bpf(cmd, attr);
	return r < 0 ? -errno : r;
}

/* Returns a descriptor. */
static int load(const struct bpf_insn *v, size_t n)
{
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
				.insn_cnt = (uint32_t)n,
				.insns = address(v),
				.license = address("LGPL"),
				.prog_name = SB_DEVICE_PROGRAM,
				.expected_attach_type = BPF_CGROUP_DEVICE };
	return call(BPF_PROG_LOAD, &attr);
}

/* What the group has beside it, from systemd or from somebody's hand, is left alone. */
static int attach(int dir, int program, int old)
{
	union bpf_attr attr = { .target_fd = (uint32_t)dir,
				.attach_bpf_fd = (uint32_t)program,
				.attach_type = BPF_CGROUP_DEVICE,
				.attach_flags = BPF_F_ALLOW_MULTI };
	if (old >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)old;
	}
	return call(BPF_PROG_ATTACH, &attr);
}

static int inspect(int program, struct bpf_prog_info *info)
{
	union bpf_attr attr = { .info = { .bpf_fd = (uint32_t)program,
					  .info_len = sizeof(*info),
					  .info = address(info) } };
	return call(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

/* Ours among the group's: a descriptor, -ENOENT if it has none, or another negative errno. */
static int find(int dir)
{
	uint32_t ids[PROGRAMS_MAX];
	union bpf_attr attr = { .query = { .target_fd = (uint32_t)dir,
					   .attach_type = BPF_CGROUP_DEVICE,
					   .prog_ids = address(ids),
					   .prog_cnt = PROGRAMS_MAX } };
	int r = call(BPF_PROG_QUERY, &attr);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < attr.query.prog_cnt && i < PROGRAMS_MAX; i++) {
		struct bpf_prog_info info = { 0 };
		union bpf_attr one = { .prog_id = ids[i] };
		int fd = call(BPF_PROG_GET_FD_BY_ID, &one);
		if (fd >= 0 && inspect(fd, &info) == 0 && strcmp(info.name, SB_DEVICE_PROGRAM) == 0)
			return fd;
		sb_close(&fd);
	}
	return -ENOENT;
}

/* Its instructions, malloc'ed; 0 where the kernel hides them (bpf_jit_harden). */
static ssize_t read_program(int program, struct bpf_insn **ret)
{
	struct bpf_prog_info info = { 0 };
	int r = inspect(program, &info);
	cleanup_free struct bpf_insn *v = r < 0 ? NULL : malloc(info.xlated_prog_len + 1);
	if (!v)
		return r < 0 ? r : -ENOMEM;
	info = (struct bpf_prog_info){ .xlated_prog_len = info.xlated_prog_len,
				       .xlated_prog_insns = address(v) };
	r = inspect(program, &info);
	if (r < 0)
		return r;
	size_t n = info.xlated_prog_insns ? info.xlated_prog_len / sizeof(*v) : 0;
	*ret = sb_steal_ptr(&v);
	return (ssize_t)n;
}

static bool is_in_force(int program, const struct bpf_insn *v, size_t n)
{
	cleanup_free struct bpf_insn *there = NULL;
	return program >= 0 && read_program(program, &there) == (ssize_t)n &&
	       memcmp(there, v, n * sizeof(*v)) == 0;
}

int sb_limit_write_program(int dir, const struct sb_cgroup_limit *row, const void *value,
			   const struct sb_limits *limits)
{
	const struct sb_devices *devices = value;
	cleanup_device_rules struct sb_device_rules rules = { 0 };
	cleanup_free struct bpf_insn *v = NULL;
	(void)row;
	(void)limits;
	if (!devices->filtered)
		return 0; /* as it was made */
	int r = sb_device_rules_make(devices, &rules);
	ssize_t n = r < 0 ? r : sb_device_program_make(&rules, &v);
	if (n < 0)
		return (int)n;
	cleanup_fd int old = find(dir);
	if (old < 0 && old != -ENOENT)
		return cannot(old);
	if (is_in_force(old, v, (size_t)n))
		return 0;
	cleanup_fd int program = load(v, (size_t)n);
	return cannot(program < 0 ? program : attach(dir, program, old));
}

/* Could there be one? */
static int try_standard(void)
{
	cleanup_device_rules struct sb_device_rules rules = { 0 };
	cleanup_free struct bpf_insn *v = NULL;
	int r = sb_device_rules_make(&(struct sb_devices){ 0 }, &rules);
	ssize_t n = r < 0 ? r : sb_device_program_make(&rules, &v);
	cleanup_fd int program = n < 0 ? (int)n : load(v, (size_t)n);
	return program < 0 ? program : 0;
}

int sb_limit_read_program(int dir, const struct sb_cgroup_limit *row, void *ret)
{
	cleanup_device_rules struct sb_device_rules rules = { 0 };
	cleanup_free struct bpf_insn *v = NULL;
	cleanup_fd int program = find(dir);
	(void)row;
	int r = program == -ENOENT ? try_standard() : program;
	if (r < 0)
		return cannot(r);
	rules.all = program < 0;
	ssize_t n = program < 0 ? 0 : read_program(program, &v);
	/* In force, but nobody can say what it is. */
	if (n > 0 && sb_device_program_parse(v, (size_t)n, &rules) < 0)
		n = 0;
	return n < 0 ? cannot((int)n) : sb_device_rules_name(&rules, ret);
}
