/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rootfs_internal.h"

#include "sessbox/str.h"

static const struct {
	uint64_t attr;
	const char *name;
} attr_names[] = {
	{ RO, "ro" },
	{ NOSUID, "nosuid" },
	{ NODEV, "nodev" },
	{ NOEXEC, "noexec" },
};

static const char *const kind_names[] = {
	[SB_MOUNT_ROOT] = "root",     [SB_MOUNT_DIR] = "dir",	[SB_MOUNT_LINK] = "link",
	[SB_MOUNT_FS] = "mount",      [SB_MOUNT_BIND] = "bind", [SB_MOUNT_LIKE] = "like",
	[SB_MOUNT_RDONLY] = "rdonly", [SB_MOUNT_MASK] = "mask", [SB_MOUNT_SEAL] = "seal",
	[SB_MOUNT_PART] = "part",     [SB_MOUNT_OVER] = "over",
};

static const bool has_source[] = {
	[SB_MOUNT_ROOT] = true, [SB_MOUNT_LINK] = true,	 [SB_MOUNT_FS] = true,
	[SB_MOUNT_BIND] = true, [SB_MOUNT_PART] = true,	 [SB_MOUNT_LIKE] = true,
	[SB_MOUNT_OVER] = true, [SB_MOUNT_SEAL] = false,
};

void sb_plan_print(const struct sb_plan *plan, FILE *out)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct sb_mount_op *op = &plan->ops[i];
		fprintf(out, "%-6s %s", kind_names[op->kind], op->target);
		if (has_source[op->kind])
			fprintf(out, " %s %s", op->kind == SB_MOUNT_LINK ? "->" : "from",
				op->source);
		const char *sep = " (";
		for (size_t k = 0; k < SB_ARRAY_SIZE(attr_names); k++) {
			if (!(op->attr & attr_names[k].attr))
				continue;
			fprintf(out, "%s%s", sep, attr_names[k].name);
			sep = ",";
		}
		for (size_t k = 0; k < SB_MOUNT_OPTS_MAX && op->opts[k].key; k++) {
			fprintf(out, "%s%s%s%s", sep, op->opts[k].key,
				*op->opts[k].value ? "=" : "", op->opts[k].value);
			sep = ",";
		}
		fprintf(out, "%s\n", *sep == ',' ? ")" : "");
	}
}
