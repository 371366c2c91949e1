/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our lines in sshd's stack: which, where, and whether something goes round them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "pam_stack.h"

#define MODULE "pam_sessbox.so"
#define SSHD_FILE "/etc/pam.d/sshd"

/* The four lines that make a contained login, and where each has its place. */
static const struct role {
	const char *name;
	enum ctl_pam_type type;
	const char *arg; /* what tells it from others of its type; NULL = nothing */
	bool first;	 /* of its type, else last */
	bool joins;	 /* has join=cred */
	const char *fix;
} roles[] = {
	{ "account", CTL_PAM_ACCOUNT, NULL, true, false,
	  "before all other account lines of " SSHD_FILE ": account required " MODULE },
	{ "auth", CTL_PAM_AUTH, NULL, false, true,
	  "after all other auth lines and includes of " SSHD_FILE ": auth required " MODULE
	  " join=cred" },
	{ "close", CTL_PAM_SESSION, "close", true, false,
	  "before all other session lines of " SSHD_FILE ": session required " MODULE " close" },
	{ "open", CTL_PAM_SESSION, "open", false, true,
	  "after all other session lines and includes of " SSHD_FILE ": session required " MODULE
	  " open join=cred" },
};

static const char *const arguments[] = { "open", "close", "debug", "join=cred" };

/* What these do when they come after us is of no use, or is done as root in the tenant's tree. */
static const struct {
	const char *module, *why;
} late_modules[] = {
	{ "pam_krb5.so", "its credentials are then made inside, where it finds no ticket" },
	{ "pam_afs_session.so", "its token is then made inside, for the wrong keyring" },
	{ "pam_keyinit.so", "it replaces the keyring that containment has made" },
	{ "pam_systemd.so", "the session is then registered from inside" },
};

static bool is_ours(const struct ctl_pam_rule *rule)
{
	return !rule->is_substack && strcmp(rule->module, MODULE) == 0;
}

static bool is_known(const char *arg)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(arguments); i++)
		if (strcmp(arguments[i], arg) == 0)
			return true;
	return strncmp(arg, "conf=/", 6) == 0;
}

static bool has_role(const struct ctl_pam_rule *rule, const struct role *role)
{
	return is_ours(rule) && rule->type == role->type &&
	       (!role->arg || sb_strv_has(&rule->args, role->arg));
}

static void check_arguments(const struct ctl_pam_rule *rule, struct ctl_findings *findings)
{
	for (size_t i = 0; i < rule->args.n; i++)
		if (!is_known(rule->args.v[i]))
			ctl_find(findings, CTL_ERROR,
				 "known are: open, close, join=cred, debug, conf=DIRECTORY",
				 "%s:%u: " MODULE " does not know '%s', and refuses tenants",
				 rule->file, rule->line, rule->args.v[i]);
	if (rule->type == CTL_PAM_SESSION &&
	    sb_strv_has(&rule->args, "open") == sb_strv_has(&rule->args, "close"))
		ctl_find(findings, CTL_ERROR, "two lines: one with `close`, one with `open`",
			 "%s:%u: a session line of " MODULE " has one of `open` and `close`",
			 rule->file, rule->line);
}

/* A refusal has to count, and a success must not end the stack before others had their turn. */
static void check_control(const struct ctl_pam_rule *rule, struct ctl_findings *findings)
{
	static const int refusals[] = { CTL_PAM_SYSTEM_ERR, CTL_PAM_PERM_DENIED };
	const char *wrong = NULL;
	for (size_t i = 0; i < SB_ARRAY_SIZE(refusals); i++) {
		int action = rule->actions[refusals[i]];
		if (action != CTL_PAM_BAD && action != CTL_PAM_DIE)
			wrong = "a refusal does not count";
	}
	if (rule->actions[CTL_PAM_SUCCESS] != CTL_PAM_OK && !wrong)
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
static void check_place(const struct ctl_pam_stack *stack, size_t index, const struct role *role,
			struct ctl_findings *findings)
{
	const struct ctl_pam_rule *ours = &stack->v[index];
	size_t from = role->first ? 0 : index + 1, to = role->first ? index : stack->n;
	for (size_t i = from; i < to; i++) {
		const struct ctl_pam_rule *rule = &stack->v[i];
		if (rule->type != role->type || rule->is_substack || is_ours(rule))
			continue;
		const char *why = role->first ? NULL : late_reason(rule->module);
		ctl_find(findings, CTL_WARNING, role->fix,
			 "%s:%u: the %s line is not the %s: %s (%s:%u) comes %s it%s%s", ours->file,
			 ours->line, role->name, role->first ? "first" : "last", rule->module,
			 rule->file, rule->line, role->first ? "before" : "after", why ? "; " : "",
			 why ? why : "");
	}
}

static void check_detours(const struct ctl_pam_stack *stack, size_t index, const struct role *role,
			  struct ctl_findings *findings)
{
	const struct ctl_pam_rule *skipper = ctl_pam_skipper(stack, index);
	if (skipper)
		ctl_find(findings, CTL_ERROR, "put our line where nothing jumps over it",
			 "%s:%u: %s with the control '%s' can go round the %s line of " MODULE,
			 skipper->file, skipper->line, skipper->module, skipper->control,
			 role->name);
	const struct ctl_pam_rule *killer =
		strcmp(role->name, "open") == 0 ? ctl_pam_killer(stack, index) : NULL;
	/* sshd goes on after a failed open: with -N -L a process of the tenant stays on the host.
	 */
	if (killer)
		ctl_find(findings, CTL_WARNING, "make it `required`: then our line still runs",
			 "%s:%u: when %s fails, the session goes on without containment",
			 killer->file, killer->line, killer->module);
}

static void check_line(const struct ctl_pam_stack *stack, size_t index, const struct role *role,
		       struct ctl_findings *findings)
{
	const struct ctl_pam_rule *rule = &stack->v[index];
	if (role->joins && !sb_strv_has(&rule->args, "join=cred"))
		ctl_find(findings, CTL_ERROR, role->fix, "%s:%u: the %s line has no join=cred",
			 rule->file, rule->line, role->name);
	check_control(rule, findings);
	check_place(stack, index, role, findings);
	check_detours(stack, index, role, findings);
}

static void check_role(const struct ctl_pam_stack *stack, const struct role *role,
		       struct ctl_findings *findings)
{
	size_t found = stack->n;
	for (size_t i = 0; i < stack->n; i++) {
		if (!has_role(&stack->v[i], role))
			continue;
		if (found < stack->n)
			ctl_find(findings, CTL_ERROR, "one of them is enough",
				 "%s:%u: a second %s line of " MODULE ", see %s:%u",
				 stack->v[i].file, stack->v[i].line, role->name,
				 stack->v[found].file, stack->v[found].line);
		else
			found = i;
	}
	if (found < stack->n)
		check_line(stack, found, role, findings);
	else
		ctl_find(findings, CTL_ERROR, role->fix, "sshd has no %s line of " MODULE,
			 role->name);
}

/* The directory of conf=, "" without one. */
static const char *conf_of(const struct ctl_pam_rule *rule)
{
	for (size_t i = 0; i < rule->args.n; i++)
		if (strncmp(rule->args.v[i], "conf=", 5) == 0)
			return rule->args.v[i] + 5;
	return "";
}

/* The account line and the open line have to ask the same configuration. */
static void check_conf(const struct ctl_pam_stack *stack, struct ctl_findings *findings)
{
	const struct ctl_pam_rule *account = NULL, *opening = NULL;
	for (size_t i = 0; i < stack->n; i++) {
		if (has_role(&stack->v[i], &roles[0]))
			account = &stack->v[i];
		if (has_role(&stack->v[i], &roles[3]))
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
static void check_user_readenv(const struct ctl_pam_stack *stack, struct ctl_findings *findings)
{
	for (size_t i = 0; i < stack->n; i++) {
		const struct ctl_pam_rule *rule = &stack->v[i];
		if (!rule->is_substack && rule->type == CTL_PAM_SESSION &&
		    strcmp(rule->module, "pam_env.so") == 0 &&
		    sb_strv_has(&rule->args, "user_readenv=1"))
			ctl_find(findings, CTL_NOTE, "leave user_readenv=1 out",
				 "%s:%u: pam_env reads ~/.pam_environment on the host, as root",
				 rule->file, rule->line);
	}
}

void ctl_check_pam_sshd(const struct ctl_host *host, struct ctl_findings *findings)
{
	struct ctl_pam_stack stack;
	int r = ctl_pam_load(host->root, "sshd", &stack);
	if (r == -ENOENT)
		ctl_find(findings, CTL_ERROR, "see pam_sessbox(8)", "there is no " SSHD_FILE);
	else if (r < 0)
		ctl_find(findings, CTL_ERROR, "libpam refuses every login through it", "%s",
			 r == -EINVAL ? stack.problem : strerror(-r));
	for (size_t i = 0; r == 0 && i < stack.n; i++)
		if (is_ours(&stack.v[i]))
			check_arguments(&stack.v[i], findings);
	for (size_t i = 0; r == 0 && i < SB_ARRAY_SIZE(roles); i++)
		check_role(&stack, &roles[i], findings);
	if (r == 0) {
		check_conf(&stack, findings);
		check_user_readenv(&stack, findings);
	}
	ctl_pam_clear(&stack);
}

/* ---- other services ---- */

/* Ways to a process on the host. Those a machine does not have are passed over. */
static const char *const others[] = {
	"cron", "crond", "atd", "login", "su", "su-l", "systemd-user", "vsftpd", "samba", "other",
};

static bool has_account_line(const struct ctl_pam_stack *stack, size_t *ret_n)
{
	size_t n = 0;
	for (size_t i = 0; i < stack->n; i++) {
		if (stack->v[i].type != CTL_PAM_ACCOUNT || stack->v[i].is_substack)
			continue;
		n++;
		if (is_ours(&stack->v[i]) && !ctl_pam_skipper(stack, i))
			return true;
	}
	*ret_n = n;
	return false;
}

/* Does the service turn tenants away? One without account lines does what "other" does. */
static bool is_guarded(const struct ctl_host *host, const char *service, bool *ret_there)
{
	struct ctl_pam_stack stack;
	size_t lines = 0;
	int r = ctl_pam_load(host->root, service, &stack);
	bool guarded = has_account_line(&stack, &lines), there;
	*ret_there = r != -ENOENT;
	ctl_pam_clear(&stack);
	if (r == 0 && !guarded && lines == 0 && strcmp(service, "other") != 0)
		guarded = is_guarded(host, "other", &there);
	return guarded;
}

void ctl_check_pam_others(const struct ctl_host *host, struct ctl_findings *findings)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(others); i++) {
		bool there, guarded = is_guarded(host, others[i], &there);
		/* A file of a package, without the program that would ask for it. */
		bool idle = strcmp(others[i], "systemd-user") == 0 &&
			    !ctl_host_has(host, "run/systemd/system");
		if (guarded || !there || idle)
			continue;
		ctl_find(findings, CTL_WARNING,
			 "before its other account lines: account required " MODULE,
			 "'%s' lets tenants onto the host: no account line of " MODULE
			 " that always counts",
			 others[i]);
	}
}
