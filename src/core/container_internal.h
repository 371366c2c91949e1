/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_CONTAINER_INTERNAL_H
#define SESSBOX_CONTAINER_INTERNAL_H

#include "sessbox/container.h"
#include "sessbox/rootfs.h"

/* ---- container_accounts.c: the generated files, and the groups a tenant keeps ---- */

struct sb_accounts {
	char *passwd;
	char *group;
	char *resolv_conf;
	uint32_t groups[SB_GROUPS_MAX];
	size_t n_groups;
};
int sb_accounts_make(const struct sb_policy *policy, const char *home, const char *shell,
		     struct sb_accounts *ret, struct sb_err *err);
void sb_accounts_clear(struct sb_accounts *accounts);

/* ---- container_create.c ---- */

/* Everything the making of a container needs and what comes out of it. */
struct sb_creation {
	const struct sb_session_request *request;
	int run_fd;
	int user_fd;
	struct sb_cgroup *cg;
	char cgroup_name[SB_CGROUP_NAME_MAX];

	uint32_t number; /* free one, chosen by the caller */
	int dir;	 /* u<uid>/c<number> */
	int host_ns;
	int template_ns;
	int cgroup_ns;
	int socket;
	int program; /* sessbox-init */
	int init;    /* pidfd */
	pid_t init_pid;
	char hostname[65];
	struct sb_accounts accounts;
	struct sb_plan *plan;
	struct sb_container_record record;
};

#define SB_CREATE_STEPS 8
extern const struct sb_step sb_create_steps[SB_CREATE_STEPS];

void sb_creation_init(struct sb_creation *c);
void sb_creation_clear(struct sb_creation *c);

/* ---- container_collect.c; the user's lock is held in these ---- */

/* Removes the container if its init is gone, and tells whether it did. */
bool sb_container_drop_dead(struct sb_user_dir *user, uint32_t number, int64_t deadline);

/* Removes sessions whose caller or container is gone. 0 or -errno. */
int sb_session_drop_dead(struct sb_user_dir *user);

/* Both, for all of the user. Returns the number of containers left, or -errno. */
int sb_user_reconcile(struct sb_user_dir *user, int64_t deadline, struct sb_err *err);

/* Removes cgroup and directory of a user who has no container left; otherwise does nothing. */
int sb_user_sweep(int run_fd, uid_t uid, struct sb_user_dir *user, struct sb_cgroup *cg,
		  int64_t deadline);

/* Ends one session's records: utmp, wtmp, files. */
void sb_session_forget(struct sb_user_dir *user, uint32_t session);

#endif
