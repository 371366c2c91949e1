/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "rows.h"
#include "sessbox/parse.h"
#include "target.h"

/* All there is to say of one user. */
struct picture {
	const struct ctl_users *users;
	const char *name;
	const char *class_name;
	uid_t uid;
	const struct ctl_user *user; /* NULL = not logged in */
	bool contained;
	bool judged; /* the configuration could be asked */
	struct ctl_table sessions;
	struct ctl_table containers;
	struct ctl_limit limits[CTL_LIMITS_N];
	struct ctl_sources sources;
	struct sb_usage usage;
};

static const struct {
	const char *name;
	size_t offset;
	bool bytes;
} usage_rows[] = {
	{ "memory", offsetof(struct sb_usage, memory), true },
	{ "swap", offsetof(struct sb_usage, swap), true },
	{ "tasks", offsetof(struct sb_usage, tasks), false },
	{ "cpu-usec", offsetof(struct sb_usage, cpu_us), false },
	{ "oom-kills", offsetof(struct sb_usage, oom_kills), false },
	{ "tasks-refused", offsetof(struct sb_usage, tasks_refused), false },
};

static uint64_t usage_at(const struct picture *p, size_t i)
{
	return *(const uint64_t *)(const void *)((const char *)&p->usage + usage_rows[i].offset);
}

/* Every column of a table. */
static struct ctl_choice whole(const struct ctl_table *table)
{
	struct ctl_choice choice;
	ctl_choose(table, NULL, &choice, NULL, 0);
	return choice;
}

static void table_json(struct ctl_json *j, const struct ctl_table *table)
{
	const struct ctl_choice choice = whole(table);
	ctl_table_json(j, table, &choice);
}

static struct ctl_table limit_table(const struct picture *p)
{
	return (struct ctl_table){ "limits",  ctl_limit_columns, CTL_LIMIT_COLUMNS_SHOWN,
				   p->limits, CTL_LIMITS_N,	 sizeof(p->limits[0]) };
}

static void usage_json(struct ctl_json *j, const struct picture *p)
{
	ctl_json_object(j, "usage");
	for (size_t i = 0; i < SB_ARRAY_SIZE(usage_rows); i++) {
		if (usage_at(p, i) == SB_INFINITY)
			ctl_json_null(j, usage_rows[i].name);
		else
			ctl_json_number(j, usage_rows[i].name, usage_at(p, i));
	}
	ctl_json_end(j);
}

static int print_json(const struct picture *p)
{
	struct ctl_json j;
	const struct ctl_table limits = limit_table(p);
	ctl_json_begin(&j, stdout);
	ctl_json_text(&j, "user", p->name);
	ctl_json_number(&j, "uid", p->uid);
	ctl_json_text(&j, "class", p->class_name);
	table_json(&j, &p->containers);
	table_json(&j, &p->sessions);
	table_json(&j, &limits);
	usage_json(&j, p);
	ctl_json_end(&j);
	return CTL_OK;
}

/* A name and what it is; libsmartcols makes every text harmless for the terminal. */
struct fact {
	const char *name;
	const char *value;
	char text[320];
};

static const struct ctl_column fact_columns[] = {
	{ "name", CTL_TEXT, offsetof(struct fact, name), 0 },
	{ "value", CTL_TEXT, offsetof(struct fact, value), 0 },
};

static void print_facts(const struct fact *facts, size_t n)
{
	const struct ctl_table table = { "facts", fact_columns, 2, facts, n, sizeof(*facts) };
	const struct ctl_choice choice = whole(&table);
	ctl_table_print(&table, &choice, CTL_ALIGNED);
}

static void print_block(const char *title, const struct ctl_table *table)
{
	const struct ctl_choice choice = whole(table);
	if (table->n_rows == 0)
		return;
	printf("\n%s\n", title);
	ctl_table_print(table, &choice, CTL_HEADED);
}

static void print_usage(const struct picture *p)
{
	struct fact facts[SB_ARRAY_SIZE(usage_rows)] = { 0 };
	for (size_t i = 0; i < SB_ARRAY_SIZE(usage_rows); i++) {
		struct fact *f = &facts[i];
		f->name = usage_rows[i].name;
		f->value = f->text;
		if (usage_at(p, i) == SB_INFINITY)
			sb_copy(f->text, sizeof(f->text), "-");
		else if (usage_rows[i].bytes)
			ctl_print_size(f->text, sizeof(f->text), usage_at(p, i));
		else
			snprintf(f->text, sizeof(f->text), "%" PRIu64, usage_at(p, i));
	}
	puts("\nUsage");
	print_facts(facts, SB_ARRAY_SIZE(facts));
}

static int print_text(const struct picture *p)
{
	char uid[16];
	const struct ctl_table limits = limit_table(p);
	const char *state = p->user			 ? "logged in"
			    : p->contained || !p->judged ? "not logged in"
							 : "not contained";
	snprintf(uid, sizeof(uid), "%u", p->uid);
	const struct fact facts[] = {
		{ .name = "user", .value = p->name },
		{ .name = "uid", .value = uid },
		{ .name = "class", .value = p->class_name },
		{ .name = "state", .value = state },
	};
	print_facts(facts, SB_ARRAY_SIZE(facts));
	if (!p->user && !p->contained)
		return CTL_OK; /* what he does is not ours to count */
	print_block("Containers", &p->containers);
	print_block("Sessions", &p->sessions);
	print_block("Limits", &limits);
	print_usage(p);
	return CTL_OK;
}

static int fill(struct picture *p, const struct ctl_target *target, const struct sb_policy *policy,
		const struct sb_config *config)
{
	p->user = target->user;
	p->uid = target->uid;
	p->name = target->name;
	p->judged = policy;
	p->contained = policy && policy->set.contain;
	p->class_name = p->user ? p->user->class_name : p->contained ? policy->class_name : NULL;
	if (p->user && p->user->has_cgroup)
		p->usage = p->user->usage;
	ctl_limit_rows(p->user, p->contained ? policy : NULL, config, p->limits, &p->sources);
	if (!p->user)
		return 0;
	int r = ctl_session_table(p->users, p->user, NULL, &p->sessions);
	return r < 0 ? r : ctl_container_table(p->users, p->user, &p->containers);
}

static int show_user(const struct ctl_users *users, const struct ctl_target *target,
		     const struct ctl_args *args)
{
	cleanup_config struct sb_config *config = NULL;
	cleanup_policy struct sb_policy *policy = NULL;
	struct picture p = { .users = users,
			     .sessions = { .name = "sessions" },
			     .containers = { .name = "containers" } };
	struct sb_err err = { 0 };
	if (!target->user &&
	    (sb_config_load(NULL, NULL, &config, &err) < 0 ||
	     ctl_account_policy(&target->account, NULL, config, &policy, &err) < 0))
		ctl_warn("%s", err.msg);
	int r = fill(&p, target, policy, config);
	int status = r < 0		    ? ctl_fail(CTL_FAILED, "%s", strerror(-r))
		     : args->set & CTL_JSON ? print_json(&p)
					    : print_text(&p);
	free((void *)p.sessions.rows);
	free((void *)p.containers.rows);
	return status;
}

static int show_session(const struct ctl_users *users, const struct ctl_target *target,
			const struct ctl_args *args)
{
	struct ctl_table table;
	struct fact facts[CTL_COLUMNS_MAX] = { 0 };
	int r = ctl_session_table(users, target->user, target->session, &table);
	if (r < 0)
		return ctl_fail(CTL_FAILED, "%s", strerror(-r));
	if (args->set & CTL_JSON) {
		struct ctl_json j;
		const struct ctl_choice choice = whole(&table);
		ctl_json_begin(&j, stdout);
		ctl_row_json(&j, &table, 0, &choice);
		ctl_json_end(&j);
	} else {
		for (size_t i = 0; i < table.n_columns; i++) {
			char buf[CTL_CELL_MAX];
			ctl_cell_text(&table.columns[i], table.rows, false, buf);
			snprintf(facts[i].text, sizeof(facts[i].text), "%.300s", buf);
			facts[i].name = table.columns[i].name;
			facts[i].value = facts[i].text;
		}
		print_facts(facts, table.n_columns);
	}
	free((void *)table.rows);
	return CTL_OK;
}

int ctl_show(const struct ctl_args *args)
{
	cleanup_users struct ctl_users users = { 0 };
	struct ctl_target target;
	struct sb_err err = { 0 };
	if (ctl_users_load(&users, &err) < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	int status = ctl_target_find(&users, args->v[0], &target);
	if (status != CTL_OK)
		return status;
	return target.session ? show_session(&users, &target, args)
			      : show_user(&users, &target, args);
}
