/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The configuration, and what it comes to for somebody: all who decide here ask in the same way. */
#include "helper.h"
#include "sessbox/log.h"

int sb_helper_load(struct sb_config **ret, struct sb_err *broken, struct sb_err *err)
{
	struct sb_err why = { 0 };
	int r = sb_config_load(NULL, NULL, ret, err);
	if (r == 0) {
		if (sb_config_keep(*ret, &why) < 0)
			sb_log(LOG_WARNING, "the configuration is not kept: %s", why.msg);
		return 0;
	}
	if (sb_config_load_kept(ret, &why) < 0)
		return r;
	*broken = *err;
	return 0;
}

int sb_helper_resolve(const struct sb_config *config, const struct sb_login *who,
		      struct sb_policy **ret, struct sb_err *err)
{
	struct sb_login login = *who;
	login.in_group = sb_answer_in_group;
	login.in_local_group = sb_answer_in_local_group;
	return sb_policy_resolve(config, &login, ret, err);
}

int sb_helper_resolve_account(const struct sb_config *config, const struct passwd *pw,
			      const char *service, struct sb_policy **ret, struct sb_err *err)
{
	const struct sb_login who = {
		.user = pw->pw_name, .uid = pw->pw_uid, .gid = pw->pw_gid, .service = service
	};
	return sb_helper_resolve(config, &who, ret, err);
}
