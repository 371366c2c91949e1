/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which devices a tenant's processes may open. What is allowed to everybody is one list for v1 and
 * v2. In v1 it stands in devices.list, "c 1:3 rw" a line, and is changed through two more files,
 * line by line.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"
#include "sessbox/path.h"
#include "sessbox/str.h"

#define RW (SB_DEVICE_READ | SB_DEVICE_WRITE)
#define LIST_MAX 65536

/*
 * Numbers are the kernel's (Documentation/admin-guide/devices.txt). Nobody may make a node: no
 * tenant can, and no mount of his would honour it. The terminals are all that a login may come in
 * on (container_tty.c), since who reopens his own is asked as well; he sees no other's node.
 */
const struct sb_device_rule sb_device_standard[] = {
	{ 'c', 1, 3, RW }, /* null */
	{ 'c', 1, 5, RW }, /* zero */
	{ 'c', 1, 7, RW }, /* full */
	{ 'c', 1, 8, RW }, /* random */
	{ 'c', 1, 9, RW }, /* urandom */
	{ 'c', 5, 0, RW }, /* tty */
	{ 'c', 5, 1, RW }, /* console */
	{ 'c', 5, 2, RW }, /* ptmx */
	/* pts */
	{ 'c', 136, SB_DEVICE_ANY, RW },
	{ 'c', 137, SB_DEVICE_ANY, RW },
	{ 'c', 138, SB_DEVICE_ANY, RW },
	{ 'c', 139, SB_DEVICE_ANY, RW },
	{ 'c', 140, SB_DEVICE_ANY, RW },
	{ 'c', 141, SB_DEVICE_ANY, RW },
	{ 'c', 142, SB_DEVICE_ANY, RW },
	{ 'c', 143, SB_DEVICE_ANY, RW },
	{ 'c', 4, SB_DEVICE_ANY, RW },	 /* tty1, ttyS0 */
	{ 'c', 166, SB_DEVICE_ANY, RW }, /* ttyACM0 */
	{ 'c', 188, SB_DEVICE_ANY, RW }, /* ttyUSB0 */
	{ 'c', 204, SB_DEVICE_ANY, RW }, /* ttyAMA0, xvc0 */
	{ 'c', 229, SB_DEVICE_ANY, RW }, /* hvc0 */
};
const size_t sb_device_standard_n = SB_ARRAY_SIZE(sb_device_standard);

/* ---- rules ---- */

void sb_device_rules_clear(struct sb_device_rules *rules)
{
	free(rules->v);
	*rules = (struct sb_device_rules){ 0 };
}

/* What rules that name exactly this device allow. */
static unsigned int access_to(const struct sb_device_rule *rules, size_t n,
			      const struct sb_device_rule *device)
{
	unsigned int access = 0;
	for (size_t i = 0; i < n; i++)
		if (rules[i].type == device->type && rules[i].major == device->major &&
		    rules[i].minor == device->minor)
			access |= rules[i].access;
	return access;
}

int sb_device_rules_add(struct sb_device_rules *rules, const struct sb_device_rule *rule)
{
	for (size_t i = 0; i < rules->n; i++)
		if (access_to(&rules->v[i], 1, rule)) {
			rules->v[i].access |= rule->access;
			return 0;
		}
	struct sb_device_rule *v = reallocarray(rules->v, rules->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	rules->v = v;
	v[rules->n++] = *rule;
	return 0;
}

/* One that is not there is nobody's to open: 0 as well. What is no device made the container fail.
 */
static int add_device(struct sb_device_rules *rules, const struct sb_device *device)
{
	struct stat st;
	cleanup_fd int fd = sb_path_open(device->path, 0, NULL);
	if (fd < 0 || fstat(fd, &st) < 0 || (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)))
		return fd == -ENOMEM ? fd : 0;
	const struct sb_device_rule rule = { S_ISCHR(st.st_mode) ? 'c' : 'b', major(st.st_rdev),
					     minor(st.st_rdev), device->access };
	return sb_device_rules_add(rules, &rule);
}

int sb_device_rules_make(const struct sb_devices *devices, struct sb_device_rules *ret)
{
	cleanup_device_rules struct sb_device_rules rules = { 0 };
	int r = 0;
	for (size_t i = 0; i < sb_device_standard_n && r == 0; i++)
		r = sb_device_rules_add(&rules, &sb_device_standard[i]);
	for (size_t i = 0; i < devices->n && r == 0; i++)
		r = add_device(&rules, &devices->v[i]);
	if (r < 0)
		return r;
	*ret = rules;
	rules = (struct sb_device_rules){ 0 };
	return 0;
}

/* ---- names ---- */

bool sb_device_name(char type, unsigned int major, unsigned int minor, char *buf, size_t size)
{
	char path[80], text[1024];
	snprintf(path, sizeof(path), "/sys/dev/%s/%u:%u/uevent", type == 'b' ? "block" : "char",
		 major, minor);
	if (sb_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return false;
	const char *name = strstr(text, "DEVNAME=");
	if (!name)
		return false;
	name += strlen("DEVNAME=");
	snprintf(buf, size, "/dev/%.*s", (int)strcspn(name, "\n"), name);
	return true;
}

static void print_number(unsigned int number, char buf[16])
{
	snprintf(buf, 16, number == SB_DEVICE_ANY ? "*" : "%u", number);
}

/* As in devices.list, without the access. */
static void print_rule(const struct sb_device_rule *rule, char *buf, size_t size)
{
	char first[16], second[16];
	print_number(rule->major, first);
	print_number(rule->minor, second);
	snprintf(buf, size, "%c %s:%s", rule->type, first, second);
}

int sb_device_rules_name(const struct sb_device_rules *rules, struct sb_devices *ret)
{
	struct sb_devices devices = { .filtered = !rules->all };
	int r = 0;
	for (size_t i = 0; i < rules->n && r == 0; i++) {
		const struct sb_device_rule *rule = &rules->v[i];
		char name[128];
		const struct sb_device device = { .path = name, .access = rule->access };
		if (!(rule->access & ~access_to(sb_device_standard, sb_device_standard_n, rule)))
			continue;
		if (rule->major == SB_DEVICE_ANY || rule->minor == SB_DEVICE_ANY ||
		    !sb_device_name(rule->type, rule->major, rule->minor, name, sizeof(name)))
			print_rule(rule, name, sizeof(name));
		r = sb_devices_set(&devices, &device);
	}
	if (r < 0)
		sb_devices_clear(&devices);
	else
		*ret = devices;
	return r;
}

/* ---- v1 ---- */

static int parse_number(const char *text, unsigned int *ret)
{
	uint64_t value = SB_DEVICE_ANY;
	if (strcmp(text, "*") != 0 && (sb_parse_u64(text, &value) < 0 || value >= SB_DEVICE_ANY))
		return -EBADMSG;
	*ret = (unsigned int)value;
	return 0;
}

static int parse_line(const char *line, struct sb_device_rule *ret)
{
	char first[16], second[16], access[8];
	if (sscanf(line, "%c %15[0-9*]:%15[0-9*] %7s", &ret->type, first, second, access) != 4 ||
	    parse_number(first, &ret->major) < 0 || parse_number(second, &ret->minor) < 0 ||
	    sb_parse_access(access, &ret->access) < 0 || !strchr("abc", ret->type))
		return -EBADMSG;
	return 0;
}

/* "a *:* rwm" stands for all. */
static int read_list(int dir, const char *file, struct sb_device_rules *ret)
{
	cleanup_device_rules struct sb_device_rules rules = { 0 };
	cleanup_free char *text = malloc(LIST_MAX);
	char *save = NULL;
	ssize_t n = text ? sb_read_file(dir, file, text, LIST_MAX) : -ENOMEM;
	int r = n < 0 ? (int)n : 0;
	for (char *line = r == 0 ? strtok_r(text, "\n", &save) : NULL; r == 0 && line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct sb_device_rule rule;
		r = parse_line(line, &rule);
		if (r == 0 && rule.type == 'a')
			rules.all = true;
		else if (r == 0)
			r = sb_device_rules_add(&rules, &rule);
	}
	if (r < 0)
		return r;
	*ret = rules;
	rules = (struct sb_device_rules){ 0 };
	return 0;
}

static int write_rule(int fd, const struct sb_device_rule *rule, unsigned int access)
{
	char text[48], letters[SB_ACCESS_MAX], line[64];
	print_rule(rule, text, sizeof(text));
	sb_print_access(letters, access);
	snprintf(line, sizeof(line), "%s %s\n", text, letters);
	return sb_write_all(fd, line, strlen(line));
}

/* What the group above does not have (EPERM) is left out, letter by letter. *ret_out gets it. */
static int allow(int fd, const struct sb_device_rule *rule, unsigned int access,
		 unsigned int *ret_out)
{
	int r = write_rule(fd, rule, access);
	*ret_out = 0;
	if (r != -EPERM)
		return r;
	r = 0;
	for (unsigned int one = 1; one <= SB_DEVICE_WRITE && r == 0; one <<= 1) {
		r = access & one ? write_rule(fd, rule, one) : 0;
		*ret_out |= r == -EPERM ? one : 0;
		r = r == -EPERM ? 0 : r;
	}
	return r;
}

/* -EOPNOTSUPP: one of those that somebody asked for is not to be had, the others are. */
static int allow_missing(int dir, const struct sb_device_rules *wanted,
			 const struct sb_device_rules *held)
{
	cleanup_fd int fd = -1;
	bool refused = false;
	int r = 0;
	for (size_t i = 0; i < wanted->n && r == 0; i++) {
		const struct sb_device_rule *rule = &wanted->v[i];
		unsigned int access = rule->access & ~access_to(held->v, held->n, rule), out = 0;
		if (!access)
			continue;
		if (fd < 0)
			fd = openat(dir, "devices.allow", O_WRONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : allow(fd, rule, access, &out);
		if (r == 0 && out & ~access_to(sb_device_standard, sb_device_standard_n, rule))
			refused = true;
	}
	return r == 0 && refused ? -EOPNOTSUPP : r;
}

static int deny_surplus(int dir, const struct sb_device_rules *wanted,
			const struct sb_device_rules *held)
{
	cleanup_fd int fd = -1;
	int r = 0;
	for (size_t i = 0; i < held->n && r == 0; i++) {
		const struct sb_device_rule *rule = &held->v[i];
		unsigned int access = rule->access & ~access_to(wanted->v, wanted->n, rule);
		if (!access)
			continue;
		if (fd < 0)
			fd = openat(dir, "devices.deny", O_WRONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : write_rule(fd, rule, access);
	}
	return r;
}

/*
 * Only what differs is written, and what is denied last: who is in the group finds what he may have
 * at any time. A new group has all that the one above has, and nobody in it.
 */
int sb_limit_write_devices(int dir, const struct sb_cgroup_limit *row, const void *value,
			   const struct sb_limits *limits)
{
	const struct sb_devices *devices = value;
	cleanup_device_rules struct sb_device_rules wanted = { 0 }, held = { 0 };
	(void)limits;
	if (!devices->filtered)
		return 0; /* as it was made */
	int r = sb_device_rules_make(devices, &wanted);
	if (r == 0)
		r = read_list(dir, row->file, &held);
	if (r == 0 && held.all)
		r = sb_write_file(dir, "devices.deny", "a");
	int allowed = r < 0 ? 0 : allow_missing(dir, &wanted, &held);
	if (r == 0)
		r = allowed == 0 || allowed == -EOPNOTSUPP ? deny_surplus(dir, &wanted, &held)
							   : allowed;
	/* Without the right to change any. */
	if (r == -EPERM)
		r = -EOPNOTSUPP;
	return r < 0 ? r : allowed;
}

int sb_limit_read_devices(int dir, const struct sb_cgroup_limit *row, void *ret)
{
	cleanup_device_rules struct sb_device_rules rules = { 0 };
	int r = read_list(dir, row->file, &rules);
	return r < 0 ? r : sb_device_rules_name(&rules, ret);
}
