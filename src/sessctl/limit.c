/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "limit.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dropin.h"
#include "rows.h"
#include "sessbox/parse.h"
#include "target.h"

#define FOR_MAX_MS (UINT64_C(366) * 24 * 3600 * 1000)

static const struct sb_key *limit_key(const char *name)
{
	const struct sb_key *key = sb_key_find(name);
	return key && key->kind == SB_KEY_LIMIT ? key : NULL;
}

static int fail_unknown(const char *name)
{
	static const enum sb_key_kind kind = SB_KEY_LIMIT;
	const char *near = sb_key_near(name, &kind);
	return near ? ctl_fail(CTL_USAGE, "'%s' is no limit, is %s meant? See: sessctl help limit",
			       name, near)
		    : ctl_fail(CTL_USAGE, "'%s' is no limit, see: sessctl help limit", name);
}

static int parse_wish(char *text, struct ctl_wish *ret)
{
	struct sb_err err = { 0 };
	char *equals = strchr(text, '=');
	if (!equals)
		return ctl_fail(CTL_USAGE, "expected KEY=VALUE, got '%s'", text);
	*equals = '\0';
	ret->key = limit_key(text);
	ret->text = equals + 1;
	if (!ret->key)
		return fail_unknown(text);
	if (*ret->text && sb_config_check_value(ret->key, ret->text, &err) < 0)
		return ctl_fail(CTL_USAGE, "%s: %s", ret->key->name, err.msg);
	return CTL_OK;
}

static int parse_wishes(const struct ctl_args *args, struct ctl_wish *wishes, size_t *ret_n)
{
	size_t n = 0;
	for (int i = 1; i < args->n; i++) {
		if (n == CTL_WISHES_MAX)
			return ctl_fail(CTL_USAGE, "too many values");
		int status = parse_wish(args->v[i], &wishes[n]);
		if (status != CTL_OK)
			return status;
		for (size_t k = 0; k < n; k++)
			if (wishes[k].key == wishes[n].key)
				return ctl_fail(CTL_USAGE, "%s is given twice",
						wishes[n].key->name);
		n++;
	}
	*ret_n = n;
	return CTL_OK;
}

/* --for and --reason. *ret is 0 if there is no end, or it is now. */
static int parse_end(const struct ctl_args *args, const struct ctl_wish *wishes, size_t n,
		     uint64_t *ret)
{
	uint64_t ms = 0;
	if (!(args->set & CTL_FOR))
		return args->set & CTL_REASON ? ctl_fail(CTL_USAGE, "--reason goes with --for")
					      : CTL_OK;
	if (args->set & CTL_RUNTIME)
		return ctl_fail(CTL_USAGE, "either --for, which a boot does not end, or --runtime");
	if (sb_parse_span(args->duration, &ms) < 0 || ms > FOR_MAX_MS)
		return ctl_fail(CTL_USAGE, "--for: expected a time up to 366d, got '%s'",
				args->duration);
	if ((ms == 0) != (n == 0))
		return ctl_fail(CTL_USAGE,
				n ? "--for 0 takes no KEY=VALUE" : "--for needs a KEY=VALUE");
	for (size_t i = 0; i < n; i++)
		if (!*wishes[i].text)
			return ctl_fail(CTL_USAGE, "%s: --for needs a value", wishes[i].key->name);
	if (ms && (!args->reason || !*args->reason || strlen(args->reason) > CTL_REASON_MAX))
		return ctl_fail(CTL_USAGE, "--for needs a --reason of up to %d bytes",
				CTL_REASON_MAX);
	*ret = ms ? (uint64_t)time(NULL) + (ms + 999) / 1000 : 0;
	return CTL_OK;
}

/* A user who is in but whose account is gone has no policy, and limits all the same. */
static int resolve(const struct ctl_target *target, struct sb_config **config,
		   struct sb_policy **policy, struct sb_err *err)
{
	struct ctl_account account = target->account;
	const char *service = NULL;
	if (target->user && ctl_account_find(target->name, &account) < 0)
		return sb_fail_plain(err, ENOENT, "no account of the name '%s'", target->name);
	if (target->user && target->user->n_sessions)
		service = target->user->sessions[target->user->n_sessions - 1].rec.service;
	int r = sb_config_load(NULL, NULL, config, err);
	return r < 0 ? r : ctl_account_policy(&account, service, *config, policy, err);
}

static int show(const struct ctl_args *args)
{
	cleanup_users struct ctl_users users = { 0 };
	cleanup_config struct sb_config *config = NULL;
	cleanup_policy struct sb_policy *policy = NULL;
	struct ctl_limit rows[CTL_LIMITS_MAX];
	struct ctl_sources sources;
	struct ctl_target target;
	struct sb_err err = { 0 };
	int status = ctl_target_load(&users, args->v[0], &target);
	if (status != CTL_OK)
		return status;
	if (!users.self && resolve(&target, &config, &policy, &err) < 0)
		ctl_warn("%s", err.msg);
	if (policy && !policy->set.contain)
		ctl_warn("no class contains '%s': these limits are not in force", target.name);
	size_t n = ctl_limit_rows(target.user, policy, config, rows, &sources);
	const struct ctl_table table = { "limits", ctl_limit_columns, CTL_LIMIT_COLUMNS_N, rows,
					 n,	   sizeof(rows[0]) };
	return ctl_show_table(&table, args);
}

/* As they are now. */
static int show_again(const struct ctl_args *args)
{
	struct ctl_args again = *args;
	again.n = 1;
	again.set &= CTL_JSON | CTL_OUTPUT;
	return show(&again);
}

/* Whoever is shown by that name or number. */
static int find_account(const char *text, struct ctl_account *ret)
{
	cleanup_users struct ctl_users users = { 0 };
	struct ctl_target target;
	int status = ctl_target_load(&users, text, &target);
	if (status != CTL_OK)
		return status;
	int r = ctl_account_find(target.name, ret);
	if (r == -ENOENT)
		return ctl_fail(CTL_MISSING, "no account of the name '%s'", target.name);
	return r < 0 ? ctl_fail(CTL_FAILED, "look up the user '%s': %s", target.name, strerror(-r))
		     : CTL_OK;
}

static int change(const struct ctl_args *args)
{
	struct ctl_wish wishes[CTL_WISHES_MAX];
	struct ctl_account account;
	size_t n = 0;
	if (geteuid() != 0)
		return ctl_fail(CTL_NOT_PERMITTED, "only root may change limits");
	uint64_t until = 0;
	int status = parse_wishes(args, wishes, &n);
	if (status == CTL_OK)
		status = parse_end(args, wishes, n, &until);
	if (status == CTL_OK)
		status = find_account(args->v[0], &account);
	if (status != CTL_OK)
		return status;
	status = ctl_limit_set(&account, wishes, n, until, args);
	return status == CTL_OK && args->set & CTL_JSON ? show_again(args) : status;
}

int ctl_limit(const struct ctl_args *args)
{
	if (args->n > 1 || args->set & CTL_FOR)
		return change(args);
	if (args->set & (CTL_RUNTIME | CTL_FORCE | CTL_REASON))
		return ctl_fail(CTL_USAGE, "--runtime, --force and --reason go with KEY=VALUE");
	return show(args);
}
