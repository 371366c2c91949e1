/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the policy shows, hides and closes by path. */
#include "rootfs_internal.h"

#include <errno.h>
#include <string.h>

#include "sessbox/parse.h"
#include "sessbox/path.h"

void sb_maker_home(struct sb_maker *m)
{
	const char *home = m->spec->home;
	sb_maker_tmpfs(m, "/home", 16384, "755", NOSUID | NODEV);
	if (!sb_path_is_normal(home) || strcmp(home, "/") == 0)
		return;
	sb_maker_add(m, &(struct sb_row){ SB_MOUNT_BIND, home, NULL, NOSUID | NODEV,
					  SLAVE | OPTIONAL | SB_OP_DIRECTORY | SB_OP_GUARDED, 0 });
}

static void add_bind(struct sb_maker *m, const char *text, uint64_t attr)
{
	struct sb_bind bind;
	int r = sb_parse_bind(text, &bind);
	if (r < 0) {
		m->r = r;
		return;
	}
	unsigned int flags = SLAVE | SB_OP_GUARDED | (bind.optional ? OPTIONAL : 0) |
			     (bind.recursive ? 0 : SB_OP_NO_RECURSE);
	sb_maker_add(m, &(struct sb_row){ SB_MOUNT_BIND, bind.dest, bind.source, attr, flags, 0 });
}

static void add_binds(struct sb_maker *m, const struct sb_strv *list, uint64_t attr)
{
	for (size_t i = 0; i < list->n; i++)
		add_bind(m, list->v[i], attr);
}

void sb_maker_binds(struct sb_maker *m)
{
	add_binds(m, &m->spec->policy->set.bind_read_only_paths, RO | NOSUID | NODEV);
	add_binds(m, &m->spec->policy->set.bind_paths, NOSUID | NODEV);
}
