/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our lines in a service's stack: which, where, and whether something goes round them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "pam_lines.h"

#define MODULE SB_PAM_MODULE

static const char *const arguments[] = { "open", "close", "debug", "join=cred", "join=fork" };

/* A stack being looked at. */
struct view {
	const struct sb_service *service;
	const struct sb_pam_stack *stack;
	struct ctl_findings *findings;
};

#define FIX_MAX 200

/* Where the role's line belongs, and how it reads: in the file that others include, but for what
 * those have, too. */
static const char *make_fix(const struct view *v, const struct ctl_role *role, char *buf)
{
	char line[CTL_ROLE_LINE_MAX];
	const char *name = sb_pam_type_name(role->type);
	const char *file = v->service->includes && !ctl_role_may_be_twice(v->service, role)
				   ? v->service->includes
				   : v->service->name;
	ctl_role_line(v->service, role, line);
	snprintf(buf, FIX_MAX, "%s all other %s lines%s of /etc/pam.d/%s: %s",
		 role->first ? "before" : "after", name, role->first ? "" : " and includes", file,
		 line);
	return buf;
}

/* What these do when they come after us is of no use, or is done as root in the tenant's tree. */
static const struct {
	const char *module, *why;
} late_modules[] = {
	{ "pam_krb5.so", "its credentials are then made inside, where it finds no ticket" },
	{ "pam_afs_session.so", "its token is then made inside, for the wrong keyring" },
	{ "pam_keyinit.so", "it replaces the keyring that containment has made" },
	{ "pam_systemd.so", "the session is then registered from inside" },
};

static bool is_known(const char *arg)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(arguments); i++)
		if (strcmp(arguments[i], arg) == 0)
			return true;
	return strncmp(arg, "conf=/", 6) == 0;
}

#define KNOWN "open, close, join=cred, join=fork, debug, conf=DIRECTORY"

static void find_unknown(const struct sb_pam_rule *rule, const char *arg,
			 struct ctl_findings *findings)
{
	char fix[FIX_MAX];
	struct sb_near near = { .text = arg };
	for (size_t i = 0; i < SB_ARRAY_SIZE(arguments); i++)
		sb_near_try(&near, arguments[i]);
	snprintf(fix, sizeof(fix), "%s%s%sknown are: " KNOWN, near.best ? "is it meant to be " : "",
		 near.best ? near.best : "", near.best ? "? " : "");
	ctl_find(findings, CTL_ERROR, fix,
		 "%s:%u: " MODULE " does not know '%s', and refuses tenants", rule->file,
		 rule->line, arg);
}

static void check_arguments(const struct sb_pam_rule *rule, struct ctl_findings *findings)
{
	for (size_t i = 0; i < rule->args.n; i++)
		if (!is_known(rule->args.v[i]))
			find_unknown(rule, rule->args.v[i], findings);
	if (rule->type == SB_PAM_SESSION &&
	    sb_strv_has(&rule->args, "open") == sb_strv_has(&rule->args, "close"))
		ctl_find(findings, CTL_ERROR, "two lines: one with `close`, one with `open`",
			 "%s:%u: a session line of " MODULE " has one of `open` and `close`",
			 rule->file, rule->line);
}

/* A refusal has to count, and a success must not end the stack before others had their turn. */
static void check_control(const struct sb_pam_rule *rule, struct ctl_findings *findings)
{
	static const int refusals[] = { SB_PAM_SYSTEM_ERR, SB_PAM_PERM_DENIED };
	const char *wrong = NULL;
	for (size_t i = 0; i < SB_ARRAY_SIZE(refusals); i++) {
		int action = rule->actions[refusals[i]];
		if (action != SB_PAM_BAD && action != SB_PAM_DIE)
			wrong = "a refusal does not count";
	}
	if (rule->actions[SB_PAM_SUCCESS] != SB_PAM_OK && !wrong)
		wrong = "a success does more than succeed";
	if (wrong)
		ctl_find(findings, CTL_ERROR, "make it `required`",
			 "%s:%u: with the control '%s' of " MODULE " %s", rule->file, rule->line,
			 rule->control, wrong);
	if (rule->may_be_gone)
		ctl_find(findings, CTL_WARNING, "take the \"-\" away",
			 "%s:%u: if " MODULE " is missing, tenants log in uncontained", rule->file,
			 rule->line);
}

static const char *late_reason(const char *module)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(late_modules); i++)
		if (strcmp(late_modules[i].module, module) == 0)
			return late_modules[i].why;
	return NULL;
}

/* What stands on the wrong side of our line: before the first, or after the last. */
static void check_place(const struct view *v, size_t index, const struct ctl_role *role)
{
	const struct sb_pam_stack *stack = v->stack;
	char fix[FIX_MAX];
	const struct sb_pam_rule *ours = &stack->v[index];
	size_t from = role->first ? 0 : index + 1, to = role->first ? index : stack->n;
	for (size_t i = from; i < to; i++) {
		const struct sb_pam_rule *rule = &stack->v[i];
		if (rule->type != role->type || rule->is_substack || sb_pam_is_ours(rule))
			continue;
		const char *why = role->first ? NULL : late_reason(rule->module);
		ctl_find(v->findings, CTL_WARNING, make_fix(v, role, fix),
			 "%s:%u: the %s line is not the %s: %s (%s:%u) comes %s it%s%s", ours->file,
			 ours->line, role->name, role->first ? "first" : "last", rule->module,
			 rule->file, rule->line, role->first ? "before" : "after", why ? "; " : "",
			 why ? why : "");
	}
}

static void check_detours(const struct view *v, size_t index, const struct ctl_role *role)
{
	const struct sb_pam_stack *stack = v->stack;
	const struct sb_pam_rule *skipper = sb_pam_skipper(stack, index);
	if (skipper)
		ctl_find(v->findings, CTL_ERROR, "put our line where nothing jumps over it",
			 "%s:%u: %s with the control '%s' can go round the %s line of " MODULE,
			 skipper->file, skipper->line, skipper->module, skipper->control,
			 role->name);
	bool goes_on = sb_service_has(v->service, SB_SERVICE_GOES_ON);
	const struct sb_pam_rule *killer =
		goes_on && role == &ctl_roles[CTL_ROLE_OPEN] ? sb_pam_killer(stack, index) : NULL;
	/* sshd goes on after a failed open: with -N -L a process of the tenant stays on the host.
	 */
	if (killer)
		ctl_find(v->findings, CTL_WARNING, "make it `required`: then our line still runs",
			 "%s:%u: when %s fails, the session goes on without containment",
			 killer->file, killer->line, killer->module);
}

static void check_line(const struct view *v, size_t index, const struct ctl_role *role)
{
	const struct sb_pam_rule *rule = &v->stack->v[index];
	const char *join = ctl_role_join(v->service);
	char fix[FIX_MAX];
	if (role->joins && !sb_strv_has(&rule->args, join))
		ctl_find(v->findings, CTL_ERROR, make_fix(v, role, fix),
			 "%s:%u: the %s line has no %s", rule->file, rule->line, role->name, join);
	check_control(rule, v->findings);
	check_place(v, index, role);
	check_detours(v, index, role);
}

/* That of the service and that of all services (pam-auth-update): the question is put once more,
 * and the answer is the same. */
static enum ctl_severity severity_of_second(const struct ctl_role *role)
{
	return role == &ctl_roles[CTL_ROLE_ACCOUNT] ? CTL_NOTE : CTL_ERROR;
}

static void check_role(const struct view *v, const struct ctl_role *role)
{
	const struct sb_pam_stack *stack = v->stack;
	size_t found = stack->n;
	char fix[FIX_MAX];
	for (size_t i = 0; i < stack->n; i++) {
		if (!ctl_role_is(&stack->v[i], role))
			continue;
		if (found == stack->n)
			found = i;
		else if (!ctl_role_may_be_twice(v->service, role))
			ctl_find(v->findings, severity_of_second(role), "one of them is enough",
				 "%s:%u: a second %s line of " MODULE ", see %s:%u",
				 stack->v[i].file, stack->v[i].line, role->name,
				 stack->v[found].file, stack->v[found].line);
	}
	if (found < stack->n)
		check_line(v, found, role);
	else if (ctl_role_wanted(v->service, role))
		ctl_find(v->findings, CTL_ERROR, make_fix(v, role, fix),
			 "%s has no %s line of " MODULE, v->service->name, role->name);
}

/* Their setcred needs the user's uid, or root's, when the caller may not change it any more. */
static void check_late_credentials(const struct view *v)
{
	for (size_t i = 0; i < v->stack->n; i++) {
		const struct sb_pam_rule *rule = &v->stack->v[i];
		if (!rule->is_substack && rule->type == SB_PAM_AUTH &&
		    (strcmp(rule->module, "pam_krb5.so") == 0 ||
		     strcmp(rule->module, "pam_afs_session.so") == 0))
			ctl_find(v->findings, CTL_WARNING, "leave it out of this service",
				 "%s:%u: %s calls %s once more after open, when it may not change "
				 "its uid",
				 rule->file, rule->line, v->service->name, rule->module);
	}
}

/* The directory of conf=, "" without one. */
static const char *conf_of(const struct sb_pam_rule *rule)
{
	for (size_t i = 0; i < rule->args.n; i++)
		if (strncmp(rule->args.v[i], "conf=", 5) == 0)
			return rule->args.v[i] + 5;
	return "";
}

/* The account line and the open line have to ask the same configuration. */
static void check_conf(const struct sb_pam_stack *stack, struct ctl_findings *findings)
{
	const struct sb_pam_rule *account = NULL, *opening = NULL;
	for (size_t i = 0; i < stack->n; i++) {
		if (ctl_role_is(&stack->v[i], &ctl_roles[CTL_ROLE_ACCOUNT]))
			account = &stack->v[i];
		if (ctl_role_is(&stack->v[i], &ctl_roles[CTL_ROLE_OPEN]))
			opening = &stack->v[i];
	}
	if (!account || !opening)
		return;
	if (strcmp(conf_of(account), conf_of(opening)) != 0)
		ctl_find(findings, CTL_ERROR, "the same conf= on both, or on none",
			 "%s:%u and %s:%u: the account and the open line of " MODULE
			 " read different configurations",
			 account->file, account->line, opening->file, opening->line);
	else if (*conf_of(opening))
		ctl_find(findings, CTL_NOTE, NULL,
			 "%s:%u: the module reads '%s', sessctl reads '%s'", opening->file,
			 opening->line, conf_of(opening), SB_CONFIG_DIR);
}

/* root reads a file of the user's for it, on the host. */
static void check_user_readenv(const struct sb_pam_stack *stack, struct ctl_findings *findings)
{
	for (size_t i = 0; i < stack->n; i++) {
		const struct sb_pam_rule *rule = &stack->v[i];
		if (!rule->is_substack && rule->type == SB_PAM_SESSION &&
		    strcmp(rule->module, "pam_env.so") == 0 &&
		    sb_strv_has(&rule->args, "user_readenv=1"))
			ctl_find(findings, CTL_NOTE, "leave user_readenv=1 out",
				 "%s:%u: pam_env reads ~/.pam_environment on the host, as root",
				 rule->file, rule->line);
	}
}

void ctl_check_lines(const struct sb_service *service, const struct sb_pam_stack *stack,
		     struct ctl_findings *findings)
{
	const struct view v = { service, stack, findings };
	for (size_t i = 0; i < stack->n; i++)
		if (sb_pam_is_ours(&stack->v[i]))
			check_arguments(&stack->v[i], findings);
	for (size_t i = 0; i < CTL_ROLES; i++)
		check_role(&v, &ctl_roles[i]);
	check_conf(stack, findings);
	check_user_readenv(stack, findings);
	if (sb_service_has(service, SB_SERVICE_LATE_CRED))
		check_late_credentials(&v);
}
