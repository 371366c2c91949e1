/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each service of the table and some others: does it contain tenants, or turn them away? */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "pam_lines.h"

#define MODULE SB_PAM_MODULE

/* Does an account line of ours always count? ret_n: how many account lines there are at all. */
static bool has_account_line(const struct sb_pam_stack *stack, size_t *ret_n)
{
	size_t n = 0;
	for (size_t i = 0; i < stack->n; i++) {
		if (stack->v[i].type != SB_PAM_ACCOUNT || stack->v[i].is_substack)
			continue;
		n++;
		if (sb_pam_is_ours(&stack->v[i]) && !sb_pam_skipper(stack, i))
			return true;
	}
	*ret_n = n;
	return false;
}

/* Does the service turn tenants away? One without account lines does what "other" does. */
static bool is_guarded(const struct ctl_host *host, const char *service, bool *ret_there)
{
	struct sb_pam_stack stack;
	size_t lines = 0;
	int r = sb_pam_load(host->root, service, &stack);
	bool guarded = has_account_line(&stack, &lines), there;
	*ret_there = r != -ENOENT;
	sb_pam_clear(&stack);
	if (r == 0 && !guarded && lines == 0 && strcmp(service, "other") != 0)
		guarded = is_guarded(host, "other", &there);
	return guarded;
}

/* ---- those of the table ---- */

/* Has it more of us than an account line, which turns tenants away? */
static bool has_session_lines(const struct sb_pam_stack *stack)
{
	for (size_t i = 0; i < stack->n; i++)
		if (sb_pam_is_ours(&stack->v[i]) && stack->v[i].type != SB_PAM_ACCOUNT)
			return true;
	return false;
}

static void check_never(const struct sb_service *service, const struct sb_pam_stack *stack,
			struct ctl_findings *findings)
{
	if (has_session_lines(stack))
		ctl_find(findings, CTL_ERROR, "take them out",
			 "%s has auth or session lines of " MODULE
			 ", but is never contained: tenants are refused",
			 service->name);
	else if (!service->includes)
		ctl_find(findings, CTL_NOTE, "su or runuser, which go in",
			 "%s -u TENANT, as root, runs on the host", service->name);
}

/* Without lines that contain: with the account line it depends on the configuration. */
static void check_uncontained(const struct ctl_host *host, const struct sb_service *service,
			      struct ctl_findings *findings)
{
	bool there, guarded = is_guarded(host, service->name, &there);
	char fix[200];
	if (guarded && ctl_config_allows(host->config, service->name)) {
		snprintf(fix, sizeof(fix),
			 "sessctl enable %s, after disable if the account line is its own; or an "
			 "AllowServices= without it",
			 service->name);
		ctl_find(findings, CTL_ERROR, fix,
			 "'%s' lets tenants onto the host: AllowServices= has it, and there is no "
			 "open line of " MODULE,
			 service->name);
	} else if (!guarded) {
		snprintf(fix, sizeof(fix),
			 "sessctl enable %s; or, before its other account lines: "
			 "account required " MODULE ", and an AllowServices= without it",
			 service->name);
		ctl_find(findings, CTL_WARNING, fix,
			 "'%s' lets tenants onto the host: no lines of " MODULE, service->name);
	}
}

static void check_service(const struct ctl_host *host, const struct sb_service *service,
			  struct ctl_findings *findings)
{
	struct sb_pam_stack stack;
	bool is_sshd = strcmp(service->name, "sshd") == 0;
	int r = sb_pam_load(host->root, service->name, &stack);
	if (r == -ENOENT && is_sshd)
		ctl_find(findings, CTL_ERROR, "see pam_sessbox(8)", "there is no /etc/pam.d/sshd");
	else if (r < 0 && r != -ENOENT)
		ctl_find(findings, CTL_ERROR,
			 "correct it: until then libpam refuses every login there", "%s",
			 r == -EINVAL ? stack.problem : strerror(-r));
	else if (r == 0 && service->join == SB_JOIN_NONE)
		check_never(service, &stack, findings);
	else if (r == 0 && (is_sshd || has_session_lines(&stack)))
		ctl_check_lines(service, &stack, findings);
	else if (r == 0)
		check_uncontained(host, service, findings);
	sb_pam_clear(&stack);
}

void ctl_check_services(const struct ctl_host *host, struct ctl_findings *findings)
{
	for (size_t i = 0; i < SB_SERVICES_N; i++)
		check_service(host, &sb_services[i], findings);
}

/* ---- and others ---- */

/* Ways to a process on the host. Those a machine does not have are passed over. */
static const char *const others[] = {
	"crond", "systemd-user", "vsftpd", "samba", "other",
};

void ctl_check_others(const struct ctl_host *host, struct ctl_findings *findings)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(others); i++) {
		bool there, guarded = is_guarded(host, others[i], &there);
		/* A file of a package, without the program that would ask for it; or that program
		 * asks us. */
		bool idle = strcmp(others[i], "systemd-user") == 0 &&
			    (!ctl_host_has(host, "run/systemd/system") ||
			     ctl_host_guards_managers(host));
		if (guarded || !there || idle)
			continue;
		ctl_find(findings, CTL_WARNING,
			 "before its other account lines: account required " MODULE,
			 "'%s' lets tenants onto the host: no account line of " MODULE
			 " that always counts",
			 others[i]);
	}
}
