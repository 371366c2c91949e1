/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "prose.h"
#include "sessbox/cgroup.h"
#include "sessbox/parse.h"
#include "sessbox/proc.h"
#include "sessbox/record.h"
#include "sessbox/rootfs.h"
#include "sessctl.h"

struct row {
	const char *key;
	const char *value;
	const char *section; /* NULL = built in */
	const char *file;
	const struct sb_strv *overrode;
};

#define COLUMN(member, type)                                                                       \
	{                                                                                          \
#member, type, offsetof(struct row, member), 0                                     \
	}

static const struct ctl_column columns[] = {
	COLUMN(key, CTL_TEXT),	COLUMN(value, CTL_TEXT),    COLUMN(section, CTL_TEXT),
	COLUMN(file, CTL_TEXT), COLUMN(overrode, CTL_LIST),
};

/* What a login through the service meets. */
static const char *outcome(const struct sb_policy *policy, const char *service)
{
	if (!policy->set.contain)
		return "not contained";
	return sb_strv_has(&policy->set.allow_services, service)
		       ? "contained"
		       : "refused: AllowServices= leaves the service out";
}

/* For people: what is set where, and below what that replaced. Where nothing is set: "built in". */
static int show_prose(const struct ctl_table *table, const struct sb_policy *policy,
		      const char *service)
{
	const struct ctl_choice choice = { { 0, 1, 2, 3 }, 4 };
	const struct row *rows = table->rows;
	size_t width = ctl_prose_width();
	bool any = false;
	printf("%s through %s: class %s, %s\n\n", policy->user, service, policy->class_name,
	       outcome(policy, service));
	int r = ctl_table_print(table, &choice, CTL_HEADED);
	for (size_t i = 0; r == 0 && i < table->n_rows; i++) {
		for (size_t k = 0; k < rows[i].overrode->n; k++) {
			if (!any)
				puts("\nOverridden:");
			any = true;
			ctl_prose(stdout, width, "  ", rows[i].overrode->v[k]);
		}
	}
	return r < 0 ? ctl_fail(CTL_FAILED, "print the table: %s", strerror(-r)) : CTL_OK;
}

static int show_values(const struct sb_policy *policy, const struct sb_config *config,
		       const struct ctl_args *args)
{
	cleanup_free struct row *rows = calloc(sb_keys_n, sizeof(*rows));
	size_t n = 0;
	if (!rows)
		return ctl_fail(CTL_FAILED, "%s", strerror(ENOMEM));
	for (size_t i = 0; i < sb_keys_n; i++) {
		const struct sb_origin *o = &policy->origins[i];
		if (sb_keys[i].kind == SB_KEY_MATCH)
			continue;
		rows[n++] = (struct row){ .key = sb_keys[i].name,
					  .value = o->text,
					  .section = o->class ? o->class->name : NULL,
					  .file = o->class ? config->files.v[o->file] : NULL,
					  .overrode = &o->overrode };
	}
	const struct ctl_table table = { "policy", columns, SB_ARRAY_SIZE(columns),
					 rows,	   n,	    sizeof(*rows) };
	if (ctl_is_raw(args))
		return ctl_show_table(&table, args);
	return show_prose(&table, policy, args->service ? args->service : CTL_SERVICE_DEFAULT);
}

static void print_lines(char *text)
{
	struct ctl_json j;
	char *save = NULL;
	ctl_json_begin(&j, stdout);
	ctl_json_array(&j, "mounts");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		ctl_json_text(&j, NULL, line);
	ctl_json_end(&j);
	ctl_json_end(&j);
}

static int print_plan(const struct sb_plan *plan, bool json)
{
	char *text = NULL;
	size_t size = 0;
	if (!json) {
		sb_plan_print(plan, stdout);
		return CTL_OK;
	}
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return ctl_fail(CTL_FAILED, "%s", strerror(ENOMEM));
	sb_plan_print(plan, out);
	if (fclose(out) == 0)
		print_lines(text);
	free(text);
	return CTL_OK;
}

/* The plan of a container made now. What is generated for it (accounts, names) is left out. */
static int show_mounts(const struct ctl_account *account, const struct sb_policy *policy,
		       const struct ctl_args *args)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	cleanup_plan struct sb_plan *plan = NULL;
	const char *v1[SB_CGROUP_FDS_MAX + 1] = { NULL };
	char self[64], accounts[64];
	struct sb_err err = { 0 };
	snprintf(self, sizeof(self), "%s/u%u/self", SB_RUN_DIR, account->uid);
	snprintf(accounts, sizeof(accounts), "%s/u%u/c1/etc", SB_RUN_DIR, account->uid);
	if (sb_cgroup_open(NULL, &cg, &err) < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	size_t n = sb_cgroup_shown(cg, v1, SB_CGROUP_FDS_MAX);
	const struct sb_plan_spec spec = {
		.policy = policy,
		.home = account->home,
		.account_dir = accounts,
		.self_dir = self,
		.etc_tree = SB_RUN_DIR "/etc",
		.tmp_size = sb_policy_tmp_size(policy, sb_proc_memory_total()),
		.v1 = n ? v1 : NULL,
	};
	if (sb_plan_make(&spec, &plan, &err) < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	return print_plan(plan, args->set & CTL_JSON);
}

int ctl_policy(const struct ctl_args *args)
{
	cleanup_config struct sb_config *config = NULL;
	cleanup_policy struct sb_policy *policy = NULL;
	struct ctl_account account;
	struct sb_err err = { 0 };
	int r = ctl_account_find(args->v[0], &account);
	if (r < 0)
		return r == -ENOENT ? ctl_fail(CTL_MISSING, "no user '%s'", args->v[0])
				    : ctl_fail(CTL_FAILED, "look up the user '%s': %s", args->v[0],
					       strerror(-r));
	if (sb_config_load(NULL, NULL, &config, &err) < 0 ||
	    ctl_account_policy(&account, args->service, config, &policy, &err) < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	if (!policy->set.contain)
		ctl_warn("'%s' is not contained", account.name);
	return args->set & CTL_MOUNTS ? show_mounts(&account, policy, args)
				      : show_values(policy, config, args);
}
