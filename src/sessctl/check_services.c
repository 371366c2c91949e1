/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each service of the table and some others: does it contain tenants, or turn them away? */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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
static bool is_guarded(const struct ctl_host *host, const char *service)
{
	struct sb_pam_stack stack;
	size_t lines = 0;
	int r = sb_pam_load(host->root, service, &stack);
	bool guarded = has_account_line(&stack, &lines);
	sb_pam_clear(&stack);
	if (r == 0 && !guarded && lines == 0 && strcmp(service, "other") != 0)
		guarded = is_guarded(host, "other");
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
	bool guarded = is_guarded(host, service->name);
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

/* Run nothing of the user's; or are no services, but what services include. */
static const char *const harmless[] = {
	"chfn",	    "chpasswd",	      "chsh",	       "cups",	   "fingerprint-auth",
	"newusers", "passwd",	      "password-auth", "polkit-1", "postlogin",
	"screen",   "smartcard-auth", "system-auth",   "vlock",
};

static bool is_listed(const char *name)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(harmless); i++)
		if (strcmp(name, harmless[i]) == 0)
			return true;
	return sb_service_find(name) || strncmp(name, "common-", 7) == 0;
}

/* Who opens a session starts something; "other" stands for those who have no file. */
static bool opens_sessions(const struct ctl_host *host, const char *service)
{
	cleanup_pam struct sb_pam_stack stack;
	if (sb_pam_load(host->root, service, &stack) < 0)
		return false;
	for (size_t i = 0; i < stack.n; i++)
		if (stack.v[i].type == SB_PAM_SESSION)
			return true;
	return strcmp(service, "other") == 0;
}

/* A file of a package, without the program that would ask for it; or that program asks us. */
static bool is_idle(const struct ctl_host *host, const char *service)
{
	return strcmp(service, "systemd-user") == 0 &&
	       (!ctl_host_has(host, "run/systemd/system") || ctl_host_guards_managers(host));
}

static void check_other(const struct ctl_host *host, const char *service,
			struct ctl_findings *findings)
{
	if (is_listed(service) || is_idle(host, service) || !opens_sessions(host, service) ||
	    is_guarded(host, service))
		return;
	ctl_find(findings, CTL_WARNING, "before its other account lines: account required " MODULE,
		 "'%s' lets tenants onto the host: no account line of " MODULE
		 " that always counts",
		 service);
}

/* The copies of editors and packages have a mark in their names. */
static int is_service(const struct dirent *e)
{
	return !strpbrk(e->d_name, ".~#");
}

void ctl_check_others(const struct ctl_host *host, struct ctl_findings *findings)
{
	static const char *const directories[] = { "etc/pam.d", "usr/lib/pam.d" };
	for (size_t d = 0; d < SB_ARRAY_SIZE(directories); d++) {
		struct dirent **names = NULL;
		int n = scandirat(host->root, directories[d], &names, is_service, alphasort);
		for (int i = 0; i < n; i++) {
			char path[300];
			snprintf(path, sizeof(path), "%s/%s", directories[0], names[i]->d_name);
			/* The first takes the place of the second. */
			if (d == 0 || !ctl_host_has(host, path))
				check_other(host, names[i]->d_name, findings);
			free(names[i]);
		}
		free(names);
	}
}
