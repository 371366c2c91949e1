/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Words of the keys that are about paths. */
#include "sessbox/parse.h"

#include <errno.h>
#include <string.h>

/* Copies up to the next ":" or the end; *text moves behind it. */
static int take_field(const char **text, char *buf, size_t size)
{
	size_t len = strcspn(*text, ":");
	if (len >= size)
		return -ERANGE;
	memcpy(buf, *text, len);
	buf[len] = '\0';
	*text += len;
	if (**text == ':')
		++*text;
	return 0;
}

int sb_parse_bind(const char *text, struct sb_bind *ret)
{
	struct sb_bind b = { .optional = text[0] == '-' };
	char last[sizeof("norbind")] = "rbind";
	size_t len = strlen(text);
	if (len == 0 || text[len - 1] == ':')
		return -EINVAL;
	text += b.optional;
	int r = take_field(&text, b.source, sizeof(b.source));
	bool has_dest = text[0] == '/';
	if (r == 0)
		r = has_dest ? take_field(&text, b.dest, sizeof(b.dest))
			     : sb_copy(b.dest, sizeof(b.dest), b.source);
	if (r == 0 && *text && (take_field(&text, last, sizeof(last)) < 0 || *text))
		r = -EINVAL;
	if (r < 0)
		return r;
	b.recursive = strcmp(last, "rbind") == 0;
	if ((!b.recursive && strcmp(last, "norbind") != 0) || !sb_parse_is_plain_path(b.source) ||
	    !sb_parse_is_plain_path(b.dest) || strcmp(b.dest, "/") == 0)
		return -EINVAL;
	*ret = b;
	return 0;
}

int sb_parse_inside(const char *text, const char **ret_path, bool *ret_optional)
{
	bool optional = text[0] == '-';
	const char *path = text + optional;
	if (!sb_parse_is_plain_path(path) || strcmp(path, "/") == 0 ||
	    strlen(path) >= SB_BIND_PATH_MAX)
		return -EINVAL;
	*ret_path = path;
	*ret_optional = optional;
	return 0;
}

/* Octal, with or without a leading 0. */
static int parse_mode(const char *text, uint64_t *ret)
{
	uint64_t mode = 0;
	if (!*text || strlen(text) > 5)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '7')
			return -EINVAL;
		mode = mode * 8 + (uint64_t)(*text - '0');
	}
	if (mode > 01777)
		return -ERANGE;
	*ret = mode;
	return 0;
}

static int parse_bytes(const char *text, uint64_t *ret)
{
	uint64_t v;
	int r = sb_parse_size(text, 0, &v);
	if (r == 0 && (v == 0 || v == SB_INFINITY))
		r = -ERANGE;
	if (r == 0)
		*ret = v;
	return r;
}

static int parse_inodes(const char *text, uint64_t *ret)
{
	uint64_t v;
	int r = sb_parse_u64(text, &v);
	if (r == 0 && (v == 0 || v > UINT32_MAX))
		r = -ERANGE;
	if (r == 0)
		*ret = v;
	return r;
}

static int parse_id(const char *text, uint64_t *ret)
{
	uint64_t v;
	int r = sb_parse_u64(text, &v);
	if (r == 0 && v >= UINT32_MAX)
		r = -ERANGE;
	if (r == 0)
		*ret = v;
	return r;
}

static const struct {
	const char *name;
	int (*parse)(const char *text, uint64_t *ret); /* NULL = a flag */
	size_t offset;				       /* in struct sb_tmpfs */
	bool value;				       /* of a flag */
} tmpfs_options[] = {
	{ "size", parse_bytes, offsetof(struct sb_tmpfs, size), false },
	{ "nr_inodes", parse_inodes, offsetof(struct sb_tmpfs, inodes), false },
	{ "mode", parse_mode, offsetof(struct sb_tmpfs, mode), false },
	{ "uid", parse_id, offsetof(struct sb_tmpfs, uid), false },
	{ "gid", parse_id, offsetof(struct sb_tmpfs, gid), false },
	{ "ro", NULL, offsetof(struct sb_tmpfs, ro), true },
	{ "rw", NULL, offsetof(struct sb_tmpfs, ro), false },
	{ "noexec", NULL, offsetof(struct sb_tmpfs, noexec), true },
	{ "exec", NULL, offsetof(struct sb_tmpfs, noexec), false },
	/* These always hold. */
	{ "nosuid", NULL, offsetof(struct sb_tmpfs, hardened), true },
	{ "nodev", NULL, offsetof(struct sb_tmpfs, hardened), true },
};

static int parse_tmpfs_option(char *text, struct sb_tmpfs *ret)
{
	char *value = strchr(text, '=');
	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < SB_ARRAY_SIZE(tmpfs_options); i++) {
		void *field = (char *)ret + tmpfs_options[i].offset;
		if (strcmp(tmpfs_options[i].name, text) != 0 || !tmpfs_options[i].parse != !value)
			continue;
		if (value)
			return tmpfs_options[i].parse(value, field);
		*(bool *)field = tmpfs_options[i].value;
		return 0;
	}
	return -EINVAL;
}

int sb_parse_tmpfs(const char *text, struct sb_tmpfs *ret)
{
	struct sb_tmpfs t = { .size = SB_INFINITY, .inodes = SB_INFINITY, .mode = 0755 };
	char options[256], *next = options;
	int r = take_field(&text, t.path, sizeof(t.path));
	if (r == 0 && (!sb_parse_is_plain_path(t.path) || strcmp(t.path, "/") == 0))
		r = -EINVAL;
	if (r == 0 && text[-1] == ':' && !*text)
		r = -EINVAL;
	if (r == 0)
		r = sb_copy(options, sizeof(options), text);
	while (r == 0 && *text && next)
		r = parse_tmpfs_option(strsep(&next, ","), &t);
	if (r == 0)
		*ret = t;
	return r == -ENAMETOOLONG ? -ERANGE : r;
}
