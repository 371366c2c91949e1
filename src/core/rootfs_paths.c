/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the policy shows, hides and closes by path. */
#include "rootfs_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sessbox/parse.h"
#include "sessbox/path.h"
#include "sessbox/proxy.h"

static void add_home(struct sb_maker *m, const char *home)
{
	const struct sb_policy *policy = m->spec->policy;
	char store[64];
	const struct sb_row bind = { SB_MOUNT_BIND,
				     home,
				     NULL,
				     NOSUID | NODEV,
				     SLAVE | OPTIONAL | SB_OP_DIRECTORY | SB_OP_GUARDED,
				     0 };
	const struct sb_row private = { SB_MOUNT_BIND,
					home,
					store,
					NOSUID | NODEV,
					SB_OP_NO_RECURSE | SB_OP_DIRECTORY | SB_OP_GUARDED |
						SB_OP_MADE,
					0 };
	snprintf(store, sizeof(store), SB_HOMES_DIR "/u%u", policy->uid);
	struct sb_mount_op *op =
		sb_maker_add(m, policy->set.home == SB_HOME_BIND ? &bind : &private);
	op->uid = policy->uid;
	op->gid = policy->gid;
}

static void set_owner(struct sb_mount_op *op, uint64_t uid, uint64_t gid)
{
	sb_maker_number(op, "uid", uid);
	sb_maker_number(op, "gid", gid);
}

/*
 * Would it bring back what the plan hides, or has made private? /tmp would, /var/lib with the state
 * of daemons below it, and /home with everybody's. What is shown as it is, like /srv, may be a
 * home, and so may what is masked: of the daemon whose account it is.
 */
static bool uncovers(const struct sb_plan *plan, const char *home)
{
	size_t len = strlen(home);
	for (size_t i = 0; i < plan->n; i++) {
		const struct sb_mount_op *op = &plan->ops[i];
		bool shown = op->kind == SB_MOUNT_MASK ||
			     (op->kind == SB_MOUNT_BIND && strcmp(op->source, op->target) == 0);
		if (strncmp(op->target, home, len) == 0 &&
		    (op->target[len] == '/' || (op->target[len] == '\0' && !shown)))
			return true;
	}
	return false;
}

void sb_maker_home(struct sb_maker *m)
{
	const struct sb_policy *policy = m->spec->policy;
	const char *home = m->spec->home;
	sb_maker_part(m, "/home", "home", 0755, NOSUID | NODEV);
	if (strcmp(home, "/") == 0)
		return;
	m->plan->homeless = !sb_path_is_normal(home) || uncovers(m->plan, home);
	if (m->plan->homeless)
		return;
	if (policy->set.home != SB_HOME_TMPFS) {
		add_home(m, home);
		return;
	}
	struct sb_mount_op *op = sb_maker_tmpfs(m, home, m->spec->tmp_size, "700", NOSUID | NODEV);
	op->flags |= SB_OP_GUARDED;
	set_owner(op, policy->uid, policy->gid);
}

static void add_tmpfs(struct sb_maker *m, const char *text)
{
	struct sb_tmpfs t;
	char mode[8];
	int r = sb_parse_tmpfs(text, &t);
	if (r < 0) {
		m->r = r;
		return;
	}
	snprintf(mode, sizeof(mode), "%" PRIo64, t.mode);
	uint64_t size = t.size == SB_INFINITY ? m->spec->tmp_size : t.size;
	struct sb_mount_op *op =
		sb_maker_tmpfs(m, t.path, size, mode, NOSUID | NODEV | (t.noexec ? NOEXEC : 0));
	op->flags |= SB_OP_GUARDED;
	if (t.inodes != SB_INFINITY)
		sb_maker_number(op, "nr_inodes", t.inodes);
	set_owner(op, t.uid, t.gid);
}

void sb_maker_tmpfs_paths(struct sb_maker *m)
{
	const struct sb_strv *list = &m->spec->policy->set.temporary_file_system;
	for (size_t i = 0; i < list->n; i++)
		add_tmpfs(m, list->v[i]);
}

/* Read-only from the time on when nothing more is put into it. */
static void seal_tmpfs(struct sb_maker *m, const char *text)
{
	struct sb_tmpfs t;
	if (sb_parse_tmpfs(text, &t) == 0 && t.ro)
		sb_maker_add(m, &(struct sb_row){ SB_MOUNT_SEAL, t.path, NULL,
						  RO | NOSUID | NODEV | (t.noexec ? NOEXEC : 0),
						  SB_OP_GUARDED, 0 });
}

static void close_paths(struct sb_maker *m, const struct sb_strv *list, enum sb_mount_op_kind kind,
			uint64_t attr)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *path;
		bool optional;
		int r = sb_parse_inside(list->v[i], &path, &optional);
		if (r < 0)
			m->r = r;
		else
			sb_maker_add(m, &(struct sb_row){ kind, path, NULL, attr,
							  SB_OP_GUARDED | (optional ? OPTIONAL : 0),
							  0 });
	}
}

void sb_maker_closed_paths(struct sb_maker *m)
{
	const struct sb_settings *set = &m->spec->policy->set;
	for (size_t i = 0; i < set->temporary_file_system.n; i++)
		seal_tmpfs(m, set->temporary_file_system.v[i]);
	close_paths(m, &set->read_only_paths, SB_MOUNT_RDONLY, RO | NOSUID);
	close_paths(m, &set->inaccessible_paths, SB_MOUNT_MASK, RO | NOSUID | NOEXEC);
}

void sb_maker_nodes(struct sb_maker *m)
{
	const struct sb_devices *list = &m->spec->policy->set.limits.devices;
	for (size_t i = 0; i < list->n; i++) {
		const struct sb_device *device = &list->v[i];
		unsigned int flags = SB_OP_NO_RECURSE | SB_OP_GUARDED | SB_OP_NODE |
				     (device->optional ? OPTIONAL : 0);
		sb_maker_add(m, &(struct sb_row){ SB_MOUNT_BIND, device->path, NULL,
						  NOSUID | NOEXEC, flags, 0 });
	}
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
	sb_maker_masks_below(m, bind.source, bind.dest);
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

/*
 * The client over each program that is run on the host instead. The one mount over single files of
 * a host's directory: a rename on the host (an upgrade of the program) drops it, as it drops any.
 * Here nothing comes to light by that: what reappears is the program itself, which no_new_privs
 * stops as if the key were not set, until the next container is made.
 */
void sb_maker_proxies(struct sb_maker *m)
{
	const struct sb_strv *list = &m->spec->policy->set.proxy_commands;
	if (list->n == 0)
		return;
	sb_maker_add(m, &(struct sb_row){ SB_MOUNT_BIND, SB_PROXY_DIR, NULL,
					  RO | NOSUID | NODEV | NOEXEC, SB_OP_NO_RECURSE, 0 });
	for (size_t i = 0; i < sb_proxy_commands_n; i++)
		if (sb_strv_has(list, sb_proxy_commands[i].key))
			sb_maker_add(m, &(struct sb_row){ SB_MOUNT_OVER, sb_proxy_commands[i].path,
							  SB_PROXY, RO | NOSUID | NODEV,
							  SB_OP_NO_RECURSE | OPTIONAL, 0 });
}
