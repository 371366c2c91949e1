/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pam_lines.h"

#include <stdio.h>
#include <string.h>

const struct ctl_role ctl_roles[CTL_ROLES] = {
	[CTL_ROLE_ACCOUNT] = { "account", SB_PAM_ACCOUNT, NULL, true, false },
	[CTL_ROLE_AUTH] = { "auth", SB_PAM_AUTH, NULL, false, true },
	[CTL_ROLE_CLOSE] = { "close", SB_PAM_SESSION, "close", true, false },
	[CTL_ROLE_OPEN] = { "open", SB_PAM_SESSION, "open", false, true },
};

static const char *const joins[] = {
	[SB_JOIN_NONE] = "",
	[SB_JOIN_CRED] = "join=cred",
	[SB_JOIN_FORK] = "join=fork",
};

bool ctl_role_is(const struct sb_pam_rule *rule, const struct ctl_role *role)
{
	return sb_pam_is_ours(rule) && rule->type == role->type &&
	       (!role->arg || sb_strv_has(&rule->args, role->arg));
}

bool ctl_role_wanted(const struct sb_service *service, const struct ctl_role *role)
{
	if (role == &ctl_roles[CTL_ROLE_AUTH])
		return service->join == SB_JOIN_CRED;
	return role != &ctl_roles[CTL_ROLE_ACCOUNT] ||
	       !sb_service_has(service, SB_SERVICE_NO_ACCOUNT);
}

bool ctl_role_may_be_twice(const struct sb_service *service, const struct ctl_role *role)
{
	return service->includes && role == &ctl_roles[CTL_ROLE_CLOSE];
}

const char *ctl_role_join(const struct sb_service *service)
{
	return joins[service->join];
}

void ctl_role_line(const struct sb_service *service, const struct ctl_role *role, char *buf)
{
	snprintf(buf, CTL_ROLE_LINE_MAX, "%s required " SB_PAM_MODULE "%s%s%s%s",
		 sb_pam_type_name(role->type), role->arg ? " " : "", role->arg ? role->arg : "",
		 role->joins ? " " : "", role->joins ? joins[service->join] : "");
}
