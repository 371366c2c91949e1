/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_CONTAINER_INTERNAL_H
#define SESSBOX_CONTAINER_INTERNAL_H

#include <limits.h>

#include "sessbox/container.h"
#include "sessbox/rootfs.h"

/* ---- container_accounts.c: the generated files, and the groups a tenant keeps ---- */

struct sb_accounts {
	uint32_t groups[SB_GROUPS_MAX];
	size_t n_groups;
};

/*
 * Writes passwd, group, hostname and resolv.conf into dir. tree: whose /etc has the system's
 * accounts, -1 for the host's; where there is a tree its shadow files are blotted out, too.
 */
int sb_accounts_write(const struct sb_session_request *request, const char *hostname, int tree,
		      int dir, struct sb_accounts *ret, struct sb_err *err);

/* ---- container_create.c ---- */

/* Everything the making of a container needs and what comes out of it. */
struct sb_creation {
	const struct sb_session_request *request;
	int run_fd;
	int user_fd;
	struct sb_cgroup *cg;
	char cgroup_name[SB_CGROUP_NAME_MAX];

	uint32_t number;  /* free one, chosen by the caller */
	int tree;	  /* a RootDirectory=, or -1 */
	int dir;	  /* u<uid>/c<number> */
	int etc;	  /* u<uid>/c<number>/etc */
	uint32_t session; /* the first one: init is born with it */
	int caller;	  /* its pidfd; borrowed */
	int host_ns;
	int template_ns;
	int socket;
	int program; /* sessbox-init */
	int init;    /* pidfd */
	pid_t init_pid;
	int to_builder; /* a socket pair for the cgroup namespace, which is made meanwhile */
	int from_helper;
	struct sb_unsupported unsupported;
	bool homeless; /* see sb_plan */
	int verdict;   /* pipe: what init's builder says, see sb_creation_await */
	char hostname[65];
	struct sb_accounts accounts;
	struct sb_plan *plan;
	struct sb_container_record record;
};

#define SB_CREATE_STEPS 10
extern const struct sb_step sb_create_steps[SB_CREATE_STEPS];

void sb_creation_init(struct sb_creation *c);

/*
 * The last of the steps leaves init's builder at work, so that the login's other steps are done
 * meanwhile. Waits until it has executed init, which has the first session then.
 */
int sb_creation_await(struct sb_creation *c, struct sb_err *err);
void sb_creation_clear(struct sb_creation *c);

/* ---- container_check.c: what keeps a login out, though everything works ---- */

/*
 * Before the user's lock: jobs wait for it in small numbers. Other logins cost whoever makes them a
 * process, too; these come out of a table. *ret is to be closed when the lock is there; -1 = the
 * service has none.
 */
int sb_session_turn(int run_fd, uid_t uid, const char *service, int *ret, struct sb_err *err);

int sb_session_check_frozen(struct sb_cgroup *cg, const char *group, struct sb_err *err);
int sb_session_check_number(struct sb_user_dir *user, const struct sb_policy *policy,
			    struct sb_err *err);

/* ---- container_rescue.c ---- */

/* Is there no room in a cgroup, a tenant's or a class', for a login? limits: those in force. */
enum sb_rescue sb_rescue_needed(struct sb_cgroup *cg, const char *group,
				const struct sb_limits *limits);

/* Makes the small cgroup beside it, and opens it for the hook. It goes with the user. */
int sb_rescue_open(struct sb_cgroup *cg, uid_t uid, const struct sb_limits *limits,
		   struct sb_cgroup_entry *ret, struct sb_err *err);

/* ---- container_notice.c ---- */

/* A session ends that may have shown its user what waited for him. Its records are still there.
 * had_tty: its caller says that it has made a terminal. */
void sb_notice_leave(int user_fd, uid_t uid, uint32_t session, bool had_tty);

/* ---- container_builder.c ---- */

/*
 * In the new process: enters the cgroup of the inits and the tenant's cgroup namespace, builds and
 * verifies the tree, sheds privileges and executes init. Returns only on failure; *error_pipe is
 * where the pipe is by then.
 */
int sb_creation_become_init(struct sb_creation *c, const struct sb_cgroup_entry *entry,
			    int *error_pipe, struct sb_err *err);

/* ---- container_tty.c ---- */

#define SB_TERMINAL_MAX 32

struct sb_terminal {
	int mount;		    /* detached clone of its node, -1 = none */
	char line[SB_TERMINAL_MAX]; /* as login records name it: "pts/3", "tty1"; "" = unknown */
};

/*
 * The host's terminal that a descriptor stands for, by its inode. 0, or a negative errno: it is
 * none, or one of another devpts; then ret->line is empty, or it is known and cannot be cloned.
 */
int sb_terminal_find(int tty, struct sb_terminal *ret);
bool sb_terminal_is_pts(const char *line);

/* Shows it in the container; called in its mount namespace. 0 or a negative errno. */
int sb_terminal_attach(const struct sb_terminal *terminal);
/* The end of that. Goes there by init's pidfd, and comes back. */
int sb_terminal_detach(int init, const char *line);

/* ---- container_ticket.c ---- */

struct sb_ticket {
	int file; /* -1 = none */
	size_t size;
	char name[NAME_MAX + 1];
};

/* The tenant's tickets that a descriptor, O_PATH will do, stands for. 0 or a negative errno. */
int sb_ticket_open(int file, uid_t uid, struct sb_ticket *ret);

/*
 * Copies them into /tmp of the container; called in its mount namespace, and what it does there it
 * does as the tenant. Returns a descriptor of the copy, -EALREADY if the file itself is there, or
 * another negative errno.
 */
int sb_ticket_put(const struct sb_ticket *ticket, uid_t uid, gid_t gid);

/* ---- container_aside.c ---- */

/*
 * Starts a process that outlives this one. It is born in <base>/init: in the caller's cgroup it
 * would keep a logind session from ending. It has all descriptors but 0-2, and closes those below
 * SB_ASIDE_FD once it has put aside, to there, what it keeps.
 */
#define SB_ASIDE_FD 100
int sb_spawn_aside(void (*work)(const void *ctx), const void *ctx);
int sb_keep_aside(int fd);

/* Sees to it that `sessbox-helper expire` runs at that time, in seconds since the epoch. */
int sb_timer_ensure(int run_fd, uint64_t at);

/* ---- container_reap.c ---- */

/* How long a cgroup may stay busy after its last process: exiting tasks, deferred css release. */
#define SB_CGROUP_BUSY_MS 3000

/* A RuntimeMaxSec from here on is none: deadlines must not overflow. */
#define SB_FOREVER_MS (UINT64_MAX / 4)

struct sb_reaping {
	uid_t uid;
	int init;	  /* pidfd; -1 = it is gone */
	int64_t deadline; /* of the waiting */
	int64_t end;	  /* of the container, by RuntimeMaxSec; 0 = none */
	int64_t warn_at;
	int claim; /* sb_reaper_start's own */
};

/* Starts the container's reaper, unless it has one. 0 or -errno. */
int sb_reaper_start(int user_fd, uint32_t number, const struct sb_reaping *reaping);

/* The reaper of a container that init ends after some time. */
int sb_keeper_start(int user_fd, uint32_t number, uid_t uid, int init, uint64_t runtime_ms);

/* ---- container_ask.c ---- */

/* How long an init may take to answer where no login waits. */
#define SB_ASK_MS 2000

/* ---- container_place.c: a tenant's cgroups ---- */

/*
 * The cgroup of a login: where the user is as long as he has a container, else where the policy
 * puts him. user_fd -1: he has none.
 */
void sb_session_place(struct sb_cgroup *cg, int user_fd, const struct sb_policy *policy, char *buf);

/* Sets the limits of a tenant in a group, and before them, if it is his class', those of that. */
struct sb_limiting {
	struct sb_cgroup *cg;
	const char *group;
	int run_fd, user_fd; /* the user's lock is held */
	const struct sb_policy *policy;
};
int sb_session_limits(const struct sb_limiting *what, struct sb_unsupported *ret,
		      struct sb_err *err);

/* ---- container_quota.c: a class' CPU quota, and those in it; all of it for v1 alone ---- */

/* What is in force: SB_INFINITY = nothing. */
uint64_t sb_quota_of_class(struct sb_cgroup *cg, const char *class);

/* If the class' has risen, its members' do, as far as each one's policy goes. */
void sb_quota_give_back(struct sb_cgroup *cg, int run_fd, const char *class, uint64_t before);

/* All of a tenant, the cgroup beside his included. As sb_cgroup_freeze. */
int sb_tenant_freeze(struct sb_cgroup *cg, uid_t uid, bool on, int64_t deadline,
		     struct sb_err *err);

/* ---- container_session.c; the user's lock is held in these ---- */

/* Ends one session's records: utmp, wtmp, files. had_tty: its caller says that it made a terminal.
 */
void sb_session_forget(struct sb_user_dir *user, uint32_t session, bool had_tty);

/* The rest of that, which may have to wait for others: without the lock. */
void sb_session_history_db(const struct sb_session_record *rec);

/* Removes sessions whose caller or container is gone. 0 or -errno. */
int sb_session_drop_dead(struct sb_user_dir *user);

/* Sessions whose caller lives: their number or -errno. Needs no lock. */
ssize_t sb_session_count(struct sb_user_dir *user);

/* ---- container_collect.c; the user's lock is held in these ---- */

/* Removes the container if its init is gone, and tells whether it did. */
bool sb_container_drop_dead(struct sb_user_dir *user, uint32_t number, int64_t deadline);

/* Removes cgroup and directory of a user who has no container left; otherwise does nothing. */
int sb_user_sweep(int run_fd, uid_t uid, struct sb_user_dir *user, struct sb_cgroup *cg,
		  int64_t deadline);

#endif
