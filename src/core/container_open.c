/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "container_opening.h"
#include "sessbox/io.h"
#include "sessbox/notice.h"
#include "sessbox/parse.h"
#include "sessbox/proc.h"
#include "sessbox/service.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define UNDO_MS 2000
#define DROP_MS 100
/* Of a user, with Scope=session; and of these, on their way out. */
#define CONTAINERS_MAX 512
#define ENDING_MAX 8

static ssize_t count_containers(const struct sb_opening *o);

static int take_lock(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	cleanup_fd int turn = -1;
	o->creation.run_fd = sb_run_open(err);
	if (o->creation.run_fd < 0)
		return o->creation.run_fd;
	int r = sb_session_turn(o->creation.run_fd, sb_opening_policy(o)->uid,
				o->creation.request->service, &turn, err);
	if (r < 0)
		return r;
	r = sb_user_lock(o->creation.run_fd, sb_opening_policy(o)->uid,
			 o->creation.request->deadline, &o->user, err);
	o->creation.user_fd = o->user.fd;
	/* Who holds the lock may be another login of his. */
	o->grant.known = r == -ETIMEDOUT || (r == 0 && count_containers(o) != 0);
	return r;
}

/* Also the undo of the cgroup: what is left of the user goes when no container is. */
static void drop_user(void *ctx)
{
	struct sb_opening *o = ctx;
	if (o->user.fd >= 0)
		sb_user_sweep(o->creation.run_fd, sb_opening_policy(o)->uid, &o->user,
			      o->creation.cg, sb_now_ms() + UNDO_MS);
}

static int find_cgroup(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	o->creation.cg = o->creation.request->cgroup;
	int r = o->creation.cg ? 0 : sb_cgroup_open(NULL, &o->creation.cg, err);
	if (r < 0)
		return r;
	sb_session_place(o->creation.cg, o->user.fd, sb_opening_policy(o), o->creation.cgroup_name);
	return sb_session_check_frozen(o->creation.cg, o->creation.cgroup_name, err);
}

static int count_sessions(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	return sb_session_check_number(&o->user, sb_opening_policy(o), err);
}

static int note_session(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	const struct sb_session_request *q = o->creation.request;
	struct sb_session_record *rec = &o->session;
	struct sb_proc proc;
	o->caller = sys_pidfd_open(q->caller, 0);
	if (o->caller < 0)
		return sb_fail(err, errno, "open the caller %d", q->caller);
	int r = sb_proc_read(q->caller, &proc);
	if (r < 0)
		return sb_fail(err, r, "look at the caller %d", q->caller);
	if ((r = sb_session_next(o->creation.run_fd, &rec->id, err)) < 0)
		return r;
	rec->uid = q->policy->uid;
	rec->caller = (uint32_t)q->caller;
	rec->caller_start = proc.start;
	rec->since = (uint64_t)time(NULL);
	rec->audit_session = sb_proc_audit_session(q->caller);
	if (sb_copy(rec->user, sizeof(rec->user), q->policy->user) < 0 ||
	    sb_copy(rec->class_name, sizeof(rec->class_name), q->policy->class_name) < 0 ||
	    sb_copy(rec->service, sizeof(rec->service), q->service) < 0 ||
	    sb_copy(rec->from, sizeof(rec->from), q->from) < 0)
		return sb_fail_plain(err, ENAMETOOLONG, "a name of the session is too long");
	/* The directory the container shows as its own must be there before the container. */
	cleanup_fd int self = sb_open_dir(o->user.fd, "self", 0750);
	return self < 0 ? sb_fail(err, self, "make the directory 'self'") : 0;
}

static int find_terminal(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	const struct sb_session_request *q = o->creation.request;
	if (!sb_service_has(o->service, SB_SERVICE_BRINGS_TTY))
		return 0;
	/* Without one that can be shown the login goes on. */
	sb_terminal_find(q->tty, &o->terminal);
	/* With one that has another name inside this program would end, or come up on another
	 * terminal of the tenant's. -ELOOP: which one it is he chooses himself. */
	if (sb_service_has(o->service, SB_SERVICE_LINE) && sb_terminal_is_pts(o->terminal.line) &&
	    sb_proc_mentions(q->caller, "util-linux"))
		return sb_fail_plain(err, ELOOP,
				     "this login opens its terminal by name, and '%s' is none "
				     "inside: use su, or ssh",
				     o->terminal.line);
	return sb_copy(o->session.terminal, sizeof(o->session.terminal), o->terminal.line);
}

/* Joins the container if its init answers; -EAGAIN = look for another. */
static int join_container(struct sb_opening *o, uint32_t number, struct sb_err *err)
{
	const struct sb_init_request join = { .version = SB_INIT_VERSION,
					      .op = SB_INIT_JOIN,
					      .session = o->session.id };
	int64_t now = sb_now_ms(), deadline = o->creation.request->deadline;
	/* Half of what is left: the refusal must come in time, too. */
	int64_t patience = now + (deadline - now) / 2;
	switch (sb_container_ask(o->user.fd, number, &join, o->caller, patience, &o->grant.init)) {
	case SB_CONTAINER_RUNNING:
		o->session.container = number;
		return 0;
	case SB_CONTAINER_SILENT:
		return sb_fail_plain(
			err, EBUSY, "container c%u of '%s' does not answer: sessctl terminate %s",
			number, sb_opening_policy(o)->user, sb_opening_policy(o)->user);
	default:
		sb_close(&o->grant.init);
		return -EAGAIN;
	}
}

static int set_limits(struct sb_opening *o, struct sb_err *err)
{
	const struct sb_limiting what = { .cg = o->creation.cg,
					  .group = o->creation.cgroup_name,
					  .run_fd = o->creation.run_fd,
					  .user_fd = o->user.fd,
					  .policy = sb_opening_policy(o) };
	return sb_session_limits(&what, &o->grant.unsupported, err);
}

/* With the limits in force before the first process is in. */
static int make_cgroup(struct sb_opening *o, struct sb_err *err)
{
	int r = sb_cgroup_create(o->creation.cg, o->creation.cgroup_name, err);
	return r < 0 ? r : set_limits(o, err);
}

/* Is the container, whose record is loaded, for more than one session, and this login one of them?
 */
static bool is_shared(const struct sb_opening *o)
{
	return sb_opening_policy(o)->set.scope == SB_SCOPE_USER &&
	       o->container.scope == SB_SCOPE_USER;
}

/* The first container of the user whose init answers. 0, -EAGAIN for none, or an error. */
static int find_container(struct sb_opening *o, const uint32_t *numbers, size_t n,
			  struct sb_err *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = sb_container_load(o->user.fd, numbers[i], &o->container);
		/* Without a record its helper died before it was complete. */
		r = r < 0 || !is_shared(o) ? -EAGAIN : join_container(o, numbers[i], err);
		if (r != -EAGAIN)
			return r;
		/* One that is still on its way out is left to its reaper: a login does not wait. */
		sb_container_drop_dead(&o->user, numbers[i], sb_now_ms() + DROP_MS);
	}
	return -EAGAIN;
}

static int create_container(struct sb_opening *o, struct sb_err *err)
{
	struct sb_creation *c = &o->creation;
	c->session = o->session.id;
	c->caller = o->caller;
	int r = sb_steps_run(sb_create_steps, SB_CREATE_STEPS, c, err);
	if (r < 0)
		return r;
	o->created = true;
	o->container = c->record;
	o->grant.unsupported = c->unsupported;
	o->grant.homeless = c->homeless;
	o->session.container = c->number;
	o->grant.init = sb_steal_fd(&c->init);
	if (sb_opening_policy(o)->set.budget.tasks_max != SB_INFINITY)
		sb_notice_begin(o->user.fd, c->cg, sb_opening_policy(o)->uid);
	return 0;
}

/* Without those that turned out to be dead. */
static ssize_t count_containers(const struct sb_opening *o)
{
	cleanup_free uint32_t *numbers = NULL;
	return sb_container_list(o->user.fd, &numbers);
}

/* Each keeps an init and a tree outside of the tenant's limits until it has ended. */
static ssize_t count_ending(const struct sb_opening *o)
{
	cleanup_free uint32_t *numbers = NULL;
	ssize_t n = sb_container_list(o->user.fd, &numbers), ending = 0;
	for (ssize_t i = 0; i < n; i++) {
		enum sb_container_state state = sb_container_ask(o->user.fd, numbers[i], NULL, -1,
								 sb_now_ms() + DROP_MS, NULL);
		ending += state != SB_CONTAINER_RUNNING && state != SB_CONTAINER_LINGERING;
	}
	return ending;
}

/* Only a container that was dead has kept him in another place than the policy's. */
static void move_if_out(struct sb_opening *o)
{
	struct sb_creation *c = &o->creation;
	char wanted[SB_CGROUP_NAME_MAX];
	sb_cgroup_tenant(wanted, sb_opening_policy(o)->uid, sb_opening_policy(o)->budget);
	if (strcmp(wanted, c->cgroup_name) != 0 && count_containers(o) == 0 &&
	    sb_cgroup_destroy_tenant(c->cg, sb_opening_policy(o)->uid, sb_now_ms() + DROP_MS,
				     NULL) == 0)
		sb_copy(c->cgroup_name, sizeof(c->cgroup_name), wanted);
}

static int find_or_create(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	cleanup_free uint32_t *numbers = NULL;
	ssize_t n = sb_container_list(o->user.fd, &numbers);
	if (n < 0)
		return sb_fail(err, (int)n, "list the containers");
	int r = find_container(o, numbers, (size_t)n, err);
	bool found = r == 0;
	if (r < 0 && r != -EAGAIN)
		return r;
	/* Somebody may have removed the cgroup of a container that had no session left in it. */
	if (found)
		return sb_cgroup_exists(o->creation.cg, o->creation.cgroup_name)
			       ? 0
			       : make_cgroup(o, err);
	if (n >= CONTAINERS_MAX || (n >= ENDING_MAX && count_ending(o) >= ENDING_MAX))
		return sb_fail_plain(err, EBUSY,
				     "'%s' has %zd containers, too many of them still ending",
				     sb_opening_policy(o)->user, n);
	o->creation.number = n > 0 ? numbers[n - 1] + 1 : 1;
	move_if_out(o);
	return create_container(o, err);
}

/* One made for this login alone ends at once; from another this session is taken out. */
static void leave(void *ctx)
{
	struct sb_opening *o = ctx;
	const struct sb_init_request leave_it = { .version = SB_INIT_VERSION,
						  .op = SB_INIT_LEAVE,
						  .session = o->session.id };
	if (o->created) {
		o->creation.init = sb_steal_fd(&o->grant.init);
		sb_steps_undo(sb_create_steps, SB_CREATE_STEPS, &o->creation);
	} else if (o->session.container) {
		sb_container_ask(o->user.fd, o->session.container, &leave_it, -1,
				 sb_now_ms() + UNDO_MS, NULL);
	}
}

static int await_container(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	return o->created ? sb_creation_await(&o->creation, err) : 0;
}

static int drop_leftovers(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	int r = sb_session_drop_dead(&o->user);
	return r < 0 ? sb_fail(err, r, "read the records") : 0;
}

static int note_hash(const struct sb_opening *o, struct sb_container_record *rec,
		     struct sb_err *err)
{
	const struct sb_policy *policy = sb_opening_policy(o);
	char name[16];
	memcpy(rec->limits_hash, policy->limits_hash, sizeof(rec->limits_hash));
	snprintf(name, sizeof(name), "c%u", rec->number);
	cleanup_fd int dir = openat(o->user.fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? -errno : sb_container_save(dir, rec);
	return r < 0 ? sb_fail(err, r, "write the container's record") : 0;
}

/*
 * Limits that have changed since the container's last login are set live. Those of a class may have
 * been changed by anybody's login, and with them, on v1, the CPU quota of all who are in.
 */
static int refresh_limits(struct sb_opening *o, struct sb_err *err)
{
	bool changed = strcmp(o->container.limits_hash, sb_opening_policy(o)->limits_hash) != 0;
	if (!changed && !sb_opening_policy(o)->budget)
		return 0;
	int r = set_limits(o, err);
	/* One that is too low now is tried again by the next login. */
	if (r < 0 || !changed || o->grant.unsupported.limits_low)
		return r;
	return note_hash(o, &o->container, err);
}

static int refresh_joined(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	int r = o->created ? 0 : refresh_limits(o, err);
	if (r < 0)
		return r;
	if (sb_etc_is_fresh(o->creation.run_fd))
		return 0;
	cleanup_fd int lock = sb_run_lock(o->creation.run_fd, o->creation.request->deadline, err);
	return lock < 0 ? lock : sb_etc_refresh(o->creation.run_fd, err);
}

static int save_session(void *ctx, struct sb_err *err)
{
	struct sb_opening *o = ctx;
	int r = sb_session_save(o->user.fd, &o->session, sb_opening_policy(o)->gid);
	return r < 0 ? sb_fail(err, r, "write the session's record") : 0;
}

static void remove_session(void *ctx)
{
	struct sb_opening *o = ctx;
	sb_session_forget(&o->user, o->session.id, false);
}

static const struct sb_step open_steps[] = {
	{ "lock", take_lock, drop_user },
	{ "cgroup", find_cgroup, NULL }, /* what is made in it goes with the user */
	{ "number of sessions", count_sessions, NULL },
	{ "session", note_session, NULL },
	{ "terminal", find_terminal, NULL },
	{ "container", find_or_create, leave },
	{ "leftovers", drop_leftovers, NULL },
	{ "refresh", refresh_joined, NULL },
	{ "session record", save_session, remove_session },
	{ "scratch records", sb_grant_scratch, NULL },
	{ "grant", sb_grant_fill, NULL },
	{ "end of limits", sb_grant_watch_end, NULL },
	{ "login record", sb_grant_login_record, NULL },
	/* While a new container was being built all else has been done. */
	{ "container is up", await_container, NULL },
	{ "keeper", sb_grant_keeper, NULL },
	{ "tickets", sb_grant_find_tickets, NULL },
	{ "terminals", sb_grant_inside, NULL },
	{ "notice", sb_grant_notice, NULL },
};

const struct sb_step_table sb_session_tables[] = {
	{ "open", open_steps, SB_ARRAY_SIZE(open_steps) },
	{ "create", sb_create_steps, SB_CREATE_STEPS },
};
const size_t sb_session_tables_n = SB_ARRAY_SIZE(sb_session_tables);

int sb_session_open(const struct sb_session_request *request, struct sb_session_grant *ret,
		    struct sb_err *err)
{
	struct sb_opening o = { .creation = { .request = request, .run_fd = -1, .user_fd = -1 },
				.user = { -1, -1 },
				.grant = { .init = -1,
					   .devpts = -1,
					   .utmp = -1,
					   .wtmp = -1,
					   .wtmpdb = -1,
					   .ticket = -1,
					   .cgroup = { .clone_fd = -1 } },
				.service = sb_service_find(request->service),
				.terminal = { .mount = -1 },
				.tickets = { .file = -1 },
				.caller = -1 };
	sb_creation_init(&o.creation);
	int r = sb_steps_run(open_steps, SB_ARRAY_SIZE(open_steps), &o, err);
	if (r < 0)
		sb_session_grant_close(&o.grant);
	*ret = o.grant;
	sb_creation_clear(&o.creation);
	if (!request->cgroup)
		sb_cgroup_close(o.creation.cg);
	sb_user_close(&o.user);
	sb_close(&o.creation.run_fd);
	sb_close(&o.terminal.mount);
	sb_close(&o.tickets.file);
	sb_close(&o.caller);
	return r;
}
