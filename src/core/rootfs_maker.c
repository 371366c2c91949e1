/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How an operation comes into a plan. */
#include "rootfs_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Room for what is ours in the file system the tenant writes to: directories and mount points. */
#define OWN_INODES 1024

uint32_t sb_mount_target_hash(const char *target)
{
	uint32_t hash = 2166136261U; /* FNV-1a */
	for (; *target; target++)
		hash = (hash ^ (unsigned char)*target) * 16777619U;
	return hash;
}

struct sb_mount_op *sb_maker_add(struct sb_maker *m, const struct sb_row *row)
{
	static struct sb_mount_op dummy;
	struct sb_plan *plan = m->plan;
	if (m->r == 0) {
		struct sb_mount_op *ops = reallocarray(plan->ops, plan->n + 1, sizeof(*ops));
		if (!ops)
			m->r = -ENOMEM;
		else
			plan->ops = ops;
	}
	if (m->r < 0)
		return &dummy;
	struct sb_mount_op *op = &plan->ops[plan->n++];
	*op = (struct sb_mount_op){ .kind = row->kind,
				    .attr = row->attr,
				    .flags = row->flags | m->always,
				    .mode = row->mode,
				    .fd = -1,
				    .store = -1 };
	op->hash = sb_mount_target_hash(row->target);
	op->target = strdup(row->target);
	op->source = strdup(row->source ? row->source : row->target);
	if (!op->target || !op->source)
		m->r = -ENOMEM;
	return op;
}

void sb_maker_rows(struct sb_maker *m, const struct sb_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sb_maker_add(m, &rows[i]);
}

void sb_maker_option(struct sb_mount_op *op, const char *key, const char *value)
{
	for (size_t i = 0; i < SB_MOUNT_OPTS_MAX; i++) {
		if (op->opts[i].key && strcmp(op->opts[i].key, key) != 0)
			continue;
		op->opts[i].key = key;
		snprintf(op->opts[i].value, sizeof(op->opts[i].value), "%s", value ? value : "");
		return;
	}
}

void sb_maker_number(struct sb_mount_op *op, const char *key, uint64_t value)
{
	char text[32];
	snprintf(text, sizeof(text), "%" PRIu64, value);
	sb_maker_option(op, key, text);
}

static void set_bounds(struct sb_mount_op *op, uint64_t size, uint64_t inodes)
{
	sb_maker_number(op, "size", size);
	sb_maker_number(op, "nr_inodes", inodes);
}

struct sb_mount_op *sb_maker_tmpfs(struct sb_maker *m, const char *target, uint64_t size,
				   const char *mode, uint64_t attr)
{
	struct sb_mount_op *op =
		sb_maker_add(m, &(struct sb_row){ SB_MOUNT_FS, target, "tmpfs", attr, 0, 0 });
	set_bounds(op, size, sb_tmpfs_inodes(size));
	sb_maker_option(op, "mode", mode);
	return op;
}

void sb_maker_shared(struct sb_maker *m, enum sb_mount_op_kind kind, const char *target)
{
	uint64_t size = m->spec->tmp_size;
	struct sb_mount_op *op = sb_maker_add(
		m, &(struct sb_row){ kind, target, SB_ROOT_TMPFS, NOSUID | NODEV, 0, 0 });
	set_bounds(op, size, sb_tmpfs_inodes(size) + OWN_INODES);
	sb_maker_option(op, "mode", "755");
}

struct sb_mount_op *sb_maker_part(struct sb_maker *m, const char *target, const char *name,
				  mode_t mode, uint64_t attr)
{
	char source[64];
	snprintf(source, sizeof(source), "%s/%s", SB_PARTS_DIR, name);
	return sb_maker_add(m, &(struct sb_row){ SB_MOUNT_PART, target, source, attr, 0, mode });
}
