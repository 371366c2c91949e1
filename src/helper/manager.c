/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The user manager of systemd runs units from its user's home, on the host. user@.service asks here
 * before it starts one. The policy is that of logins; it is asked for every service, since what a
 * tenant of one of them has put into his home would run outside of all.
 */
#include <errno.h>
#include <pwd.h>
#include <signal.h>

#include "helper.h"
#include "sessbox/group.h"
#include "sessbox/log.h"
#include "sessbox/ns.h"
#include "sessbox/service.h"

/* 1, 0 or a negative errno. */
static int is_contained(const struct sb_config *config, const struct passwd *pw,
			const char *service, struct sb_err *err)
{
	cleanup_policy struct sb_policy *policy = NULL;
	int r = sb_helper_resolve_account(config, pw, service, &policy, err);
	return r < 0 ? r : policy->set.contain;
}

static int is_tenant(const struct sb_config *config, const struct passwd *pw, struct sb_err *err)
{
	int r = is_contained(config, pw, "systemd-user", err);
	for (size_t i = 0; r == 0 && i < SB_SERVICES_N; i++)
		r = is_contained(config, pw, sb_services[i].name, err);
	return r;
}

static int judge(uid_t uid, struct sb_err *err)
{
	cleanup_config struct sb_config *config = NULL;
	struct sb_err broken = { 0 };
	int r = sb_ns_enter_host(err);
	if (r == 0)
		r = sb_helper_load(&config, &broken, err);
	if (r < 0)
		return r;
	alarm((unsigned int)((sb_config_timeout(config) + 999) / 1000));
	const struct passwd *pw = getpwuid(uid);
	return pw ? is_tenant(config, pw, err)
		  : sb_fail_plain(err, ESRCH, "there is no user of that number");
}

/* A look-up that hangs. */
static bool if_unknown;

static void give_up(int sig)
{
	(void)sig;
	_exit(!if_unknown);
}

bool sb_helper_may_have_manager(uid_t uid)
{
	struct sb_err err = { 0 };
	if (uid == 0)
		return true;
	if_unknown = uid < SB_FIRST_USER_UID && sb_uid_is_local(uid);
	signal(SIGALRM, give_up);
	int r = judge(uid, &err);
	if (r < 0)
		sb_log(LOG_WARNING, "user manager of uid %u: %s: %s", uid,
		       if_unknown ? "starts" : "does not start", err.msg);
	return r == 0 || (r < 0 && if_unknown);
}
