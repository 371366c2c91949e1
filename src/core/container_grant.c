/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a login gets once it has its container: the steps that fill its grant. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "container_opening.h"
#include "sessbox/io.h"
#include "sessbox/mount.h"
#include "sessbox/ns.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"
#include "sessbox/utmp.h"

/*
 * What stands in for the host's login records in the caller's private tree: for utmp a file, whose
 * records sshd uses again for each terminal; for wtmp, which would grow at the tenant's will on the
 * host's memory, nothing: the host's pair is made from our own record. Likewise for wtmp.db, where
 * sshd would end the last login of whoever has a terminal of the same name; a file that cannot be
 * written, since a journal beside one that can would be taken for the host's.
 */
static int stand_in_for_db(struct sb_opening *o, struct sb_err *err)
{
	const struct sb_clone how = { .attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY };
	if (access(SB_WTMPDB_FILE, F_OK) < 0)
		return 0;
	cleanup_fd int fd = openat(o->creation.run_fd, "empty",
				   O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0400);
	o->grant.wtmpdb = fd < 0 ? -errno : sb_mount_clone(fd, "", &how);
	return o->grant.wtmpdb < 0 ? sb_fail(err, o->grant.wtmpdb, "make an empty wtmp.db") : 0;
}

int sb_grant_scratch(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	const struct sb_clone how = { .attr = MOUNT_ATTR_NOSUID };
	char name[48];
	if (!sb_service_has(o->service, SB_SERVICE_SCRATCH))
		return 0;
	if (access(SB_WTMP_FILE, F_OK) == 0) {
		o->grant.wtmp = sb_mount_clone(AT_FDCWD, "/dev/null", &how);
		if (o->grant.wtmp < 0)
			return sb_fail(err, o->grant.wtmp, "clone /dev/null");
	}
	int r = stand_in_for_db(o, err);
	if (r < 0)
		return r;
	if (access(SB_UTMP_FILE, F_OK) < 0)
		return 0;
	snprintf(name, sizeof(name), "sessions/%u-utmp", o->session.id);
	cleanup_fd int fd =
		openat(o->user.fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	o->grant.utmp = fd < 0 ? -errno : sb_mount_clone(fd, "", &how);
	return o->grant.utmp < 0 ? sb_fail(err, o->grant.utmp, "make the scratch utmp") : 0;
}

/*
 * The one look into a container's tree that root takes by name: /dev and /dev/pts are root's and
 * were mounted by us; links are refused all the same.
 */
static int clone_devpts(void)
{
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				      .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	const struct sb_clone clone = { .attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC };
	cleanup_fd int pts = sys_openat2(AT_FDCWD, "/dev/pts", &how);
	return pts < 0 ? -errno : sb_mount_clone(pts, "", &clone);
}

/* Without his tickets the login goes on, and the log says why. */
int sb_grant_find_tickets(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	int file = o->creation.request->ticket;
	(void)err;
	if (file >= 0)
		o->grant.ticketless = -sb_ticket_open(file, sb_opening_policy(o)->uid, &o->tickets);
	return 0;
}

static void put_tickets(struct sb_opening *o)
{
	const struct sb_policy *policy = sb_opening_policy(o);
	o->grant.ticket = sb_ticket_put(&o->tickets, policy->uid, policy->gid);
	if (o->grant.ticket < 0 && o->grant.ticket != -EALREADY)
		o->grant.ticketless = -o->grant.ticket;
}

/* Both ways: the caller sees the container's terminals, the container what the caller brings. */
int sb_grant_inside(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	bool makes = sb_service_has(o->service, SB_SERVICE_MAKES_PTS);
	if (!makes && o->terminal.mount < 0 && o->tickets.file < 0)
		return 0;
	cleanup_fd int host = sb_ns_open(getpid(), "mnt");
	if (host < 0 || setns(o->grant.init, CLONE_NEWNS) < 0)
		return sb_fail(err, host < 0 ? host : errno, "look into the container");
	if (makes)
		o->grant.devpts = clone_devpts();
	/* Without it the login goes on. */
	if (o->terminal.mount >= 0)
		sb_terminal_attach(&o->terminal);
	if (o->tickets.file >= 0)
		put_tickets(o);
	/* Not a step further in the tenant's tree, nor back. */
	if (setns(host, CLONE_NEWNS) < 0)
		_exit(1);
	return makes && o->grant.devpts < 0
		       ? sb_fail(err, o->grant.devpts, "clone the container's devpts")
		       : 0;
}

size_t sb_container_groups(const struct sb_container_record *rec, uint32_t *groups)
{
	size_t n = 0;
	char *end;
	for (const char *at = rec->groups; *at && n < SB_GROUPS_MAX; at = *end ? end + 1 : end)
		groups[n++] = (uint32_t)strtoul(at, &end, 10);
	return n;
}

/* His own cgroup may be full, or that of the class whose budget he lives on. */
static enum sb_rescue find_rescue(const struct sb_opening *o)
{
	const struct sb_settings *set = &sb_opening_policy(o)->set;
	const char *group = o->creation.cgroup_name;
	char class[SB_CGROUP_NAME_MAX];
	enum sb_rescue rescue = sb_rescue_needed(o->creation.cg, group, &set->limits);
	if (rescue || o->grant.stays || !sb_cgroup_above(group, class))
		return rescue;
	return sb_rescue_needed(o->creation.cg, class, &set->budget);
}

int sb_grant_fill(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	char wanted[SB_CGROUP_NAME_MAX];
	sb_cgroup_tenant(wanted, sb_opening_policy(o)->uid, sb_opening_policy(o)->budget);
	o->grant.stays = strcmp(wanted, o->creation.cgroup_name) != 0;
	o->grant.session = o->session.id;
	o->grant.ns_flags = o->container.ns_flags & ~(uint32_t)CLONE_NEWPID;
	o->grant.n_groups = sb_container_groups(&o->container, o->grant.groups);
	const struct sb_limits *limits = &sb_opening_policy(o)->set.limits;
	/* Who has just got his first container has nothing that he could end. */
	if (o->session.container > 1 || !o->created)
		o->grant.rescue = find_rescue(o);
	if (o->grant.rescue)
		return sb_rescue_open(o->creation.cg, sb_opening_policy(o)->uid, limits,
				      &o->grant.cgroup, err);
	return sb_cgroup_entry_open(o->creation.cg, o->creation.cgroup_name, true, &o->grant.cgroup,
				    err);
}

/* Limits that end while he is in end by themselves. That they do is not worth a login. */
int sb_grant_watch_end(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	(void)err;
	if (sb_opening_policy(o)->until)
		sb_timer_ensure(o->creation.run_fd, sb_opening_policy(o)->until);
	return 0;
}

int sb_grant_login_record(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	const struct sb_session_request *q = o->creation.request;
	bool lines = sb_service_has(o->service, SB_SERVICE_LINE);
	const struct sb_utmp_login login = { .session = o->session.id,
					     .caller = q->caller,
					     .user = q->policy->user,
					     .host = q->from,
					     .line = lines ? o->terminal.line : NULL };
	(void)err;
	if (lines ? !*o->terminal.line : !sb_service_has(o->service, SB_SERVICE_SCRATCH))
		return 0;
	o->grant.unrecorded = sb_utmp_login(&login) < 0;
	return 0;
}

/* Init ends the container all the same; what is missing without a keeper is the warning. */
int sb_grant_keeper(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	uint64_t runtime_ms = sb_opening_policy(o)->set.runtime_max_ms;
	(void)err;
	if (o->created && runtime_ms < SB_FOREVER_MS)
		sb_keeper_start(o->user.fd, o->session.container, sb_opening_policy(o)->uid,
				o->grant.init, runtime_ms);
	return 0;
}

void sb_session_grant_close(struct sb_session_grant *grant)
{
	int *fds[] = { &grant->init, &grant->devpts, &grant->utmp,
		       &grant->wtmp, &grant->wtmpdb, &grant->ticket };
	for (size_t i = 0; i < SB_ARRAY_SIZE(fds); i++)
		sb_close(fds[i]);
	sb_cgroup_entry_close(&grant->cgroup);
}
