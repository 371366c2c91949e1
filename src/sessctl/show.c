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
	struct ctl_limit limits[CTL_LIMITS_MAX];
	size_t n_limits;
	struct ctl_sources sources;
	struct sb_usage usage;
};

/* The user as one row, for -o. What is used of his cgroup comes last, and is "usage" in JSON. */
struct user_row {
	const char *user;
	uint64_t uid;
	const char *class_name;
	const char *state;
	uint64_t containers;
	uint64_t sessions;
	struct sb_usage usage;
};

#define COLUMN(member, name, type)                                                                 \
	{                                                                                          \
		name, type, offsetof(struct user_row, member), type == CTL_TEXT ? 0 : CTL_RIGHT    \
	}

static const struct ctl_column user_columns[] = {
	COLUMN(user, "user", CTL_TEXT),
	COLUMN(uid, "uid", CTL_COUNT),
	COLUMN(class_name, "class", CTL_TEXT),
	COLUMN(state, "state", CTL_TEXT),
	COLUMN(containers, "containers", CTL_COUNT),
	COLUMN(sessions, "sessions", CTL_COUNT),
	COLUMN(usage.memory, "memory", CTL_BYTES),
	COLUMN(usage.swap, "swap", CTL_BYTES),
	COLUMN(usage.tasks, "tasks", CTL_COUNT),
	COLUMN(usage.cpu_us, "cpu-usec", CTL_COUNT),
	COLUMN(usage.oom_kills, "oom-kills", CTL_COUNT),
	COLUMN(usage.tasks_refused, "tasks-refused", CTL_COUNT),
};

#define FIRST_USAGE 6

/* The same for people. */
static const char *const usage_labels[] = {
	"memory",
	"swap",
	"tasks",
	"CPU time",
	"processes killed at MemoryMax",
	"forks that failed at TasksMax",
};

static struct user_row user_row(const struct picture *p)
{
	return (struct user_row){ .user = p->name,
				  .uid = p->uid,
				  .class_name = p->class_name,
				  .state = p->user && p->user->frozen	? "frozen"
					   : p->user			? "logged in"
					   : p->contained || !p->judged ? "not logged in"
									: "not contained",
				  .containers = p->containers.n_rows,
				  .sessions = p->sessions.n_rows,
				  .usage = p->usage };
}

static struct ctl_table user_table(const struct user_row *row)
{
	return (struct ctl_table){ "user", user_columns, SB_ARRAY_SIZE(user_columns), row,
				   1,	   sizeof(*row) };
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
				   p->limits, p->n_limits,	 sizeof(p->limits[0]) };
}

static void usage_json(struct ctl_json *j, const struct picture *p)
{
	const struct user_row row = user_row(p);
	const struct ctl_table table = user_table(&row);
	struct ctl_choice choice = { .n = 0 };
	for (size_t i = FIRST_USAGE; i < table.n_columns; i++)
		choice.v[choice.n++] = i;
	ctl_json_object(j, "usage");
	ctl_row_json(j, &table, 0, &choice);
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
	struct fact facts[SB_ARRAY_SIZE(usage_labels)] = { 0 };
	const struct user_row row = user_row(p);
	for (size_t i = 0; i < SB_ARRAY_SIZE(usage_labels); i++) {
		const struct ctl_column *column = &user_columns[FIRST_USAGE + i];
		char buf[CTL_CELL_MAX];
		ctl_cell_text(column, &row, false, buf);
		if (column->offset == offsetof(struct user_row, usage.cpu_us) &&
		    row.usage.cpu_us != SB_INFINITY)
			snprintf(buf, sizeof(buf), "%.3f s", (double)row.usage.cpu_us / 1e6);
		snprintf(facts[i].text, sizeof(facts[i].text), "%.300s", buf);
		facts[i].name = usage_labels[i];
		facts[i].value = facts[i].text;
	}
	puts("\nUsage");
	print_facts(facts, SB_ARRAY_SIZE(facts));
}

static int print_text(const struct picture *p)
{
	char uid[16];
	const struct ctl_table limits = limit_table(p);
	const struct user_row row = user_row(p);
	snprintf(uid, sizeof(uid), "%u", p->uid);
	const struct fact facts[] = {
		{ .name = "user", .value = p->name },
		{ .name = "uid", .value = uid },
		{ .name = "class", .value = p->class_name },
		{ .name = "state", .value = row.state },
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

/* One row with the columns of -o. In JSON it is the object itself. */
static int print_row(const struct ctl_table *table, const struct ctl_args *args)
{
	struct ctl_choice choice;
	struct ctl_json j;
	if (!(args->set & CTL_JSON))
		return ctl_show_table(table, args);
	int status = ctl_columns(table, args, &choice);
	if (status != CTL_OK)
		return status;
	ctl_json_begin(&j, stdout);
	ctl_row_json(&j, table, 0, &choice);
	ctl_json_end(&j);
	return CTL_OK;
}

static int print_picture(const struct picture *p, const struct ctl_args *args)
{
	const struct user_row row = user_row(p);
	const struct ctl_table table = user_table(&row);
	if (args->set & (CTL_OUTPUT | CTL_NO_HEADINGS))
		return print_row(&table, args);
	return args->set & CTL_JSON ? print_json(p) : print_text(p);
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
	p->n_limits = ctl_limit_rows(p->user, p->contained ? policy : NULL, config, p->limits,
				     &p->sources);
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
	int status = r < 0 ? ctl_fail(CTL_FAILED, "%s", strerror(-r)) : print_picture(&p, args);
	free((void *)p.sessions.rows);
	free((void *)p.containers.rows);
	return status;
}

static void print_session(const struct ctl_table *table, const struct ctl_table *processes)
{
	struct fact facts[CTL_COLUMNS_MAX] = { 0 };
	for (size_t i = 0; i < table->n_columns; i++) {
		char buf[CTL_CELL_MAX];
		ctl_cell_text(&table->columns[i], table->rows, false, buf);
		snprintf(facts[i].text, sizeof(facts[i].text), "%.300s", buf);
		facts[i].name = table->columns[i].name;
		facts[i].value = facts[i].text;
	}
	print_facts(facts, table->n_columns);
	print_block("Processes", processes);
}

static void print_session_json(const struct ctl_table *table, const struct ctl_table *processes)
{
	struct ctl_json j;
	const struct ctl_choice choice = whole(table);
	ctl_json_begin(&j, stdout);
	ctl_row_json(&j, table, 0, &choice);
	table_json(&j, processes);
	ctl_json_end(&j);
}

static int show_session(const struct ctl_users *users, const struct ctl_target *target,
			const struct ctl_args *args)
{
	struct ctl_table table = { 0 }, processes = { 0 };
	int status = CTL_OK, r = ctl_session_table(users, target->user, target->session, &table);
	if (r == 0)
		r = ctl_process_table(target->user, target->session, &processes);
	if (r < 0)
		status = ctl_fail(CTL_FAILED, "%s", strerror(-r));
	else if (args->set & (CTL_OUTPUT | CTL_NO_HEADINGS))
		status = print_row(&table, args);
	else if (args->set & CTL_JSON)
		print_session_json(&table, &processes);
	else
		print_session(&table, &processes);
	free((void *)table.rows);
	free((void *)processes.rows);
	return status;
}

int ctl_show(const struct ctl_args *args)
{
	cleanup_users struct ctl_users users = { 0 };
	struct ctl_target target;
	int status = ctl_target_load(&users, args->v[0], &target);
	if (status != CTL_OK)
		return status;
	return target.session ? show_session(&users, &target, args)
			      : show_user(&users, &target, args);
}
