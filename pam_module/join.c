/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <shadow.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "module.h"
#include "sessbox/sys.h"

#define PAGE 4096
#define NAME_TOO_LONG 300 /* LOGIN_NAME_MAX is 256 */

int box_token_make(struct box *box, struct box_error *error)
{
	if (box->token)
		return 0;
	char *token = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (token == MAP_FAILED)
		return box_fail(error, "map the token");
	void *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || madvise(token, PAGE, MADV_WIPEONFORK) < 0) {
		box_fail(error, "make the token");
		munmap(token, PAGE);
		if (shared != MAP_FAILED)
			munmap(shared, PAGE);
		return -1;
	}
	*token = 1;
	box->token = token;
	box->shared = shared;
	return 0;
}

bool box_is_child(const struct box *box)
{
	return box->token && !*box->token;
}

void box_list_groups(const char *user, gid_t gid, struct sb_groups *ret)
{
	int n = SB_GROUPS_SENT_MAX;
	*ret = (struct sb_groups){ .magic = SB_PROTO_MAGIC };
	/* Of a user in more groups than that the helper looks the list up itself. */
	if (getgrouplist(user, gid, ret->gids, &n) >= 0)
		ret->n = (uint32_t)n;
}

void box_load_nss(void)
{
	/* A name that is longer than one can be: the look-up loads every source of its database,
	 * and each can say no without asking its directory. The reentrant calls leave the
	 * application's own static results alone. */
	char buf[4096], nobody[NAME_TOO_LONG + 1];
	struct passwd pw, *pw_found;
	struct group gr, *gr_found;
	struct spwd sp, *sp_found;
	memset(nobody, 'x', sizeof(nobody) - 1);
	nobody[sizeof(nobody) - 1] = '\0';
	getpwnam_r(nobody, &pw, buf, sizeof(buf), &pw_found);
	getgrnam_r(nobody, &gr, buf, sizeof(buf), &gr_found);
	getspnam_r(nobody, &sp, buf, sizeof(buf), &sp_found);
}

/* ---- the caller ---- */

static int attach(int tree, const char *target, struct box_error *error)
{
	int r = sys_move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
	/* What an earlier session of this process left there is a deleted file by now. */
	if (r < 0 && errno == ENOENT && umount2(target, SB_MNT_DETACH) == 0)
		r = sys_move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
	return r < 0 ? box_fail(error, target) : 0;
}

/* What comes with a reply to stand somewhere in the caller's tree, in the order of descriptors. */
static const struct {
	enum sb_reply_bit bit;
	const char *target;
} stand_ins[] = {
	{ SB_REPLY_DEVPTS, "/dev/pts" },
	{ SB_REPLY_UTMP, "/run/utmp" },
	{ SB_REPLY_WTMP, "/var/log/wtmp" },
	{ SB_REPLY_WTMPDB, "/var/log/wtmp.db" },
};
#define STAND_INS (sizeof(stand_ins) / sizeof(stand_ins[0]))

static size_t stand_ins_end(const struct sb_reply *reply)
{
	size_t end = SB_REPLY_FD_MORE;
	for (size_t i = 0; i < STAND_INS; i++)
		end += !!(reply->flags & (uint32_t)stand_ins[i].bit);
	return end;
}

static size_t first_cgroup_fd(const struct sb_reply *reply)
{
	return stand_ins_end(reply) + !!(reply->flags & SB_REPLY_TICKET);
}

/*
 * A copy of the host's tree for the caller alone: the host's umounts reach it, nothing goes back.
 * In it /dev/pts is the container's, so that a terminal the caller makes is a real /dev/pts/N of
 * his own instance, and the login records are scratch files. A caller for which nothing stands in
 * stays where it is.
 */
static int make_private_tree(const struct box_reply *reply, struct box_error *error)
{
	struct mount_attr slave = { .propagation = SB_MS_SLAVE };
	size_t next = SB_REPLY_FD_MORE;
	if (stand_ins_end(&reply->reply) == SB_REPLY_FD_MORE)
		return 0;
	if (unshare(CLONE_NEWNS) < 0)
		return box_fail(error, "copy the host's mount namespace");
	if (sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &slave, sizeof(slave)) < 0)
		return box_fail(error, "make the copy a slave");
	for (size_t i = 0; i < STAND_INS; i++)
		if (reply->reply.flags & (uint32_t)stand_ins[i].bit &&
		    attach(reply->fds[next++], stand_ins[i].target, error) < 0)
			return -1;
	return 0;
}

static int take_reply(struct box *box, struct box_reply *reply, struct box_error *error)
{
	size_t first = first_cgroup_fd(&reply->reply);
	box->host_mnt = box_above_stdio(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
	box->host_pid = box_above_stdio(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
	if (box->host_mnt < 0 || box->host_pid < 0)
		return box_fail(error, "open the caller's namespaces");
	for (size_t i = 0; i < reply->n; i++) {
		reply->fds[i] = box_above_stdio(reply->fds[i]);
		if (reply->fds[i] < 0)
			return box_fail(error, "move the helper's descriptors");
	}
	bool terminals = !sb_service_has(box->service, SB_SERVICE_MAKES_PTS) ||
			 reply->reply.flags & SB_REPLY_DEVPTS;
	if (reply->n <= first || !terminals || reply->reply.n_groups > SB_GROUPS_MAX) {
		errno = EPROTO;
		return box_fail(error, "the helper's reply is incomplete");
	}
	box->session = reply->reply.session;
	box->ns_flags = reply->reply.ns_flags;
	box->n_groups = reply->reply.n_groups;
	box->new_privileges = reply->reply.flags & SB_REPLY_NEW_PRIVILEGES;
	box->own_sockets = reply->reply.flags & SB_REPLY_OWN_SOCKETS;
	box->tells_terminal =
		sb_service_has(box->service, SB_SERVICE_SCRATCH) &&
		(reply->reply.flags & (SB_REPLY_UTMP | SB_REPLY_WTMPDB)) != SB_REPLY_UTMP;
	memcpy(box->bounding, reply->reply.bounding, sizeof(box->bounding));
	memcpy(box->groups, reply->reply.groups, sizeof(box->groups));
	return 0;
}

/* From here on the descriptors are the box's, but the mounts', which are attached. */
static void keep_fds(struct box *box, struct box_reply *reply)
{
	size_t first = first_cgroup_fd(&reply->reply);
	box->init = reply->fds[SB_REPLY_FD_INIT];
	box->n_cgroup = reply->n - first;
	memcpy(box->cgroup, reply->fds + first, box->n_cgroup * sizeof(box->cgroup[0]));
	for (size_t i = SB_REPLY_FD_MORE; i < stand_ins_end(&reply->reply); i++)
		close(reply->fds[i]);
	if (reply->reply.flags & SB_REPLY_TICKET)
		box->ticket_copy = reply->fds[first - 1];
	reply->n = 0;
}

/* Unlike at close, no terminal was given: the caller gets its own tree back, and its directory. */
static void leave_private_tree(const struct box *box, int cwd)
{
	if (setns(box->host_mnt, CLONE_NEWNS) == 0 && cwd >= 0 && fchdir(cwd) < 0)
		return; /* it had been removed: "/" then */
}

static int point_children(const struct box_reply *reply, struct box_error *error)
{
	return setns(reply->fds[SB_REPLY_FD_INIT], CLONE_NEWPID) < 0
		       ? box_fail(error, "point the caller's children at the container")
		       : 0;
}

int box_prepare(struct box *box, struct box_reply *reply, struct box_error *error)
{
	if (take_reply(box, reply, error) < 0)
		return -1;
	int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool ready = make_private_tree(reply, error) == 0 && point_children(reply, error) == 0 &&
		     box_leash_put(&box->leash, error) == 0;
	if (ready) {
		keep_fds(box, reply);
	} else {
		box_release(box, NULL);
		leave_private_tree(box, cwd);
	}
	if (cwd >= 0)
		close(cwd);
	return ready ? 0 : -1;
}

int box_release(struct box *box, struct box_error *error)
{
	int r = 0;
	/* First of all: with a dead init every fork would fail, with a live one it would go in. */
	if (box->host_pid >= 0 && setns(box->host_pid, CLONE_NEWPID) < 0)
		r = box_fail(error, "point the caller's children back at the host");
	if (box_leash_take(&box->leash, error) < 0)
		r = -1;
	return r;
}

void box_lift(struct box *box)
{
	if (box_release(box, &box->shared->error) == 0)
		box->lifted = true;
}

static void close_fds(struct box *box)
{
	int *const fds[] = { &box->init, &box->host_mnt, &box->host_pid, &box->ticket,
			     &box->ticket_copy };
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	for (size_t i = 0; i < box->n_cgroup; i++)
		close(box->cgroup[i]);
	box->n_cgroup = 0;
}

void box_forget(struct box *box)
{
	close_fds(box);
	if (box->token)
		munmap((void *)box->token, PAGE);
	if (box->shared)
		munmap(box->shared, PAGE);
	box->token = NULL;
	box->shared = NULL;
	box->phase = BOX_IDLE;
}

/* ---- the child ---- */

static int enter_cgroups(const struct box *box, struct box_error *error)
{
	for (size_t i = 0; i < box->n_cgroup; i++)
		if (write(box->cgroup[i], "0", 1) != 1)
			return box_fail(error, "enter the tenant's cgroup");
	return 0;
}

int box_join(struct box *box, struct box_error *error)
{
	if (box_leash_slip(&box->leash, error) < 0 || box_reset_inherited(error) < 0 ||
	    enter_cgroups(box, error) < 0)
		return -1;
	if (setns(box->init, (int)box->ns_flags) < 0)
		return box_fail(error, "enter the container's namespaces");
	/* No name is resolved by us from here on: the tree is the tenant's. */
	if (box_drop_privileges(box, error) < 0)
		return -1;
	if (box_leash_settle(&box->leash, error) < 0)
		return -1;
	close_fds(box);
	box->shared->joined = true;
	box->in = true;
	return 0;
}
