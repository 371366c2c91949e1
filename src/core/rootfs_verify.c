/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The finished tree is read back: a flag that got lost on the way is an error. */
#include "rootfs_internal.h"

#include <errno.h>
#include <string.h>

#include "sessbox/mount.h"
#include "sessbox/parse.h"

static const struct {
	const char *word;
	uint64_t attr;
} flag_words[] = {
	{ "ro", MOUNT_ATTR_RDONLY },
	{ "nosuid", MOUNT_ATTR_NOSUID },
	{ "nodev", MOUNT_ATTR_NODEV },
	{ "noexec", MOUNT_ATTR_NOEXEC },
};

static uint64_t parse_flags(char *words)
{
	uint64_t attr = 0;
	char *save = NULL;
	for (char *w = strtok_r(words, ",", &save); w; w = strtok_r(NULL, ",", &save))
		for (size_t i = 0; i < SB_ARRAY_SIZE(flag_words); i++)
			if (strcmp(w, flag_words[i].word) == 0)
				attr |= flag_words[i].attr;
	return attr;
}

/* Does it decide the flags of the mount on its target? One over a file of the host's may be dropped
 * by a rename there at any time. */
static bool decides(const struct sb_mount_op *op)
{
	return op->kind != SB_MOUNT_OVER && op->kind != SB_MOUNT_DIR && op->kind != SB_MOUNT_LINK &&
	       !op->link_text && !op->skipped && !op->superseded;
}

static const struct sb_mount_op *find_mount(const struct sb_plan *plan, const char *target)
{
	uint32_t hash = sb_mount_target_hash(target);
	for (size_t i = plan->n; i-- > 0;)
		if (plan->ops[i].hash == hash && decides(&plan->ops[i]) &&
		    strcmp(plan->ops[i].target, target) == 0)
			return &plan->ops[i];
	return NULL;
}

/* mountinfo writes blank, tab, newline and backslash as \\NNN (octal). In place. */
static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from; to++) {
		bool octal = from[0] == '\\' && from[1] >= '0' && from[1] <= '3' &&
			     from[2] >= '0' && from[2] <= '7' && from[3] >= '0' && from[3] <= '7';
		*to = octal ? (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + from[3] - '0')
			    : *from;
		from += octal ? 4 : 1;
	}
	*to = '\0';
}

/* A line of mountinfo. */
struct seen {
	uint64_t id, parent;
	char *target;
	uint64_t attr;
	bool covered; /* another mount is on top of it */
};

struct table {
	struct seen *v;
	size_t n;
};

static void clear_table(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].target);
	free(t->v);
}

static int add_line(struct table *t, char *line)
{
	char *save = NULL, *field[6] = { 0 };
	for (size_t i = 0; i < SB_ARRAY_SIZE(field); i++)
		field[i] = strtok_r(i ? NULL : line, " ", &save);
	struct seen seen = { 0 };
	if (!field[5] || sb_parse_u64(field[0], &seen.id) < 0 ||
	    sb_parse_u64(field[1], &seen.parent) < 0)
		return -EBADMSG;
	struct seen *more = reallocarray(t->v, t->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	t->v = more;
	unescape(field[4]);
	seen.target = strdup(field[4]);
	seen.attr = parse_flags(field[5]);
	t->v[t->n++] = seen;
	return seen.target ? 0 : -ENOMEM;
}

static int read_table(struct table *t)
{
	cleanup_file FILE *f = fopen("/proc/self/mountinfo", "re");
	cleanup_free char *line = NULL;
	size_t size = 0;
	int r = f ? 0 : -errno;
	while (r == 0 && getline(&line, &size, f) > 0)
		r = add_line(t, line);
	for (size_t i = 0; i < t->n && r == 0; i++)
		for (size_t k = 0; k < t->n && !t->v[i].covered; k++)
			t->v[i].covered = t->v[k].parent == t->v[i].id && k != i &&
					  strcmp(t->v[k].target, t->v[i].target) == 0;
	return r;
}

/* A tenant may have moved what is in his tree, from a container of before or from another host. */
static int blame(const struct sb_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		if (plan->ops[i].flags & SB_OP_GUARDED)
			return ELOOP;
	return EPERM;
}

/*
 * What the host has mounted below our targets since they were attached comes with the host's flags:
 * from here on with ours. One that a mask hides cannot be reached by its name; and where
 * there is no mount any more (EINVAL) it has gone.
 */
static int adopt(const struct seen *seen)
{
	int r = sb_mount_set(AT_FDCWD, seen->target, NOSUID | NODEV, 0);
	return r == -ENOENT || r == -ENOTDIR || r == -EINVAL ? 0 : r;
}

static int verify(const struct sb_plan *plan, const struct table *t, struct sb_err *err)
{
	size_t found = 0, planned = 0;
	for (size_t i = 0; i < t->n; i++) {
		const struct seen *seen = &t->v[i];
		const struct sb_mount_op *op =
			seen->covered ? NULL : find_mount(plan, seen->target);
		found += op != NULL;
		if (op && (seen->attr & op->attr) != op->attr)
			return sb_fail_plain(err, blame(plan), "'%s' is mounted without its flags",
					     op->target);
		/* Below our targets lie the host's own submounts, cloned with the same flags. */
		if (!(seen->attr & NOSUID) && (op || adopt(seen) < 0))
			return sb_fail_plain(err, blame(plan), "'%s' is mounted without nosuid",
					     seen->target);
	}
	for (size_t i = 0; i < plan->n; i++)
		planned += decides(&plan->ops[i]) &&
			   find_mount(plan, plan->ops[i].target) == &plan->ops[i];
	if (found < planned)
		return sb_fail_plain(err, blame(plan), "%zu of %zu planned mounts are there", found,
				     planned);
	return 0;
}

int sb_plan_verify(const struct sb_plan *plan, struct sb_err *err)
{
	struct table t = { 0 };
	int r = read_table(&t);
	r = r < 0 ? sb_fail(err, r, "read '/proc/self/mountinfo'") : verify(plan, &t, err);
	clear_table(&t);
	return r;
}
