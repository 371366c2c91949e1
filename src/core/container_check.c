/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What keeps a login out, though everything works. */
#include <errno.h>
#include <fcntl.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"
#include "sessbox/service.h"
#include "sessbox/str.h"

#define CLOSING_MS 1000
#define CLOSING_POLL_US 20000

int sb_session_turn(int run_fd, uid_t uid, const char *service, int *ret, struct sb_err *err)
{
	*ret = -1;
	if (!sb_service_has(sb_service_find(service), SB_SERVICE_JOBS))
		return 0;
	*ret = sb_user_turn(run_fd, uid);
	if (*ret == -EBUSY)
		return sb_fail_plain(err, SB_REFUSED_TURN, "too many jobs of uid %u begin at once",
				     uid);
	return *ret < 0 ? sb_fail(err, *ret, "wait in '%s/turns'", SB_RUN_DIR) : 0;
}

int sb_session_check_frozen(struct sb_cgroup *cg, const char *group, struct sb_err *err)
{
	if (sb_cgroup_frozen(cg, group) <= 0)
		return 0;
	return sb_fail_plain(err, SB_REFUSED_FROZEN, "the cgroup '%s' is frozen", group);
}

int sb_session_check_number(struct sb_user_dir *user, const struct sb_policy *policy,
			    struct sb_err *err)
{
	uint64_t max = policy->set.sessions_max;
	ssize_t n = max == SB_INFINITY ? 0 : sb_session_count(user);
	if (n < 0)
		return sb_fail(err, (int)n, "count the sessions of '%s'", policy->user);
	if ((uint64_t)n < max)
		return 0;
	return sb_fail_plain(err, SB_REFUSED_SESSIONS,
			     "'%s' has %zd sessions, as many as SessionsMax", policy->user, n);
}

/* Who logs out and in again comes while the old session is being closed, which takes the lock. */
static int await_number(struct sb_user_dir *user, const struct sb_policy *policy, int64_t deadline,
			struct sb_err *err)
{
	int64_t until = sb_now_ms() + CLOSING_MS;
	int r;
	while ((r = sb_session_check_number(user, policy, err)) == -SB_REFUSED_SESSIONS &&
	       sb_left_ms(until < deadline ? until : deadline) > 0)
		usleep(CLOSING_POLL_US);
	return r;
}

static int check_containers(struct sb_user_dir *user, uid_t uid, int64_t deadline,
			    struct sb_err *err)
{
	cleanup_free uint32_t *numbers = NULL;
	int r = 0;
	ssize_t n = sb_container_list(user->fd, &numbers);
	for (ssize_t i = 0; i < n && r == 0; i++)
		if (sb_container_ask(user->fd, numbers[i], NULL, -1, deadline, NULL) ==
		    SB_CONTAINER_SILENT)
			r = sb_fail_plain(err, EBUSY, "container c%u of uid %u does not answer",
					  numbers[i], uid);
	return r;
}

int sb_session_check(struct sb_cgroup *cg, const struct sb_policy *policy, int64_t deadline,
		     struct sb_err *err)
{
	char group[SB_CGROUP_NAME_MAX];
	struct sb_user_dir user;
	cleanup_fd int run = open(SB_RUN_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	/* Who is not in may have a frozen cgroup all the same. */
	bool in = run >= 0 && sb_user_open(run, policy->uid, &user) == 0;
	sb_session_place(cg, in ? user.fd : -1, policy, group);
	int r = sb_session_check_frozen(cg, group, err);
	if (!in)
		return r;
	if (r == 0)
		r = await_number(&user, policy, deadline, err);
	if (r == 0)
		r = check_containers(&user, policy->uid, deadline, err);
	sb_user_close(&user);
	return r;
}
