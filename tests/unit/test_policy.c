/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config_tree.h"

#include <stdio.h>

#include "sessbox/parse.h"
#include "sessbox/policy.h"

/* The user database of a test, and what was asked of it. */
struct groups {
	const char *of_user; /* " g h " */
	const char *local;   /* those of them that /etc/group has */
	char asked[128];
};

/* "broken" fails; what must not be asked shows in the list of what was. */
static int in_group(const struct sb_login *login, const char *group, void *ctx)
{
	struct groups *g = ctx;
	char padded[64];
	assert_string_equal(login->user, "ann");
	size_t len = strlen(g->asked);
	assert_int_equal(sb_format(g->asked + len, sizeof(g->asked) - len, "%s ", group), 0);
	if (strcmp(group, "broken") == 0)
		return -EIO;
	assert_int_equal(sb_format(padded, sizeof(padded), " %s ", group), 0);
	return g->of_user && strstr(g->of_user, padded) != NULL;
}

static bool in_local_group(const struct sb_login *login, const char *group)
{
	const struct groups *g = login->ctx;
	char padded[64];
	assert_int_equal(sb_format(padded, sizeof(padded), " %s ", group), 0);
	return g->local && strstr(g->local, padded);
}

static struct sb_config *load_text(const char *text, const char *more)
{
	struct tree t = make_tree();
	struct sb_config *config = NULL;
	struct sb_err err = { 0 };
	write_text(&t, SB_CONFIG_FILE, text);
	if (more)
		write_text(&t, "run/more.conf", more);
	if (load(&t, &config, &err) < 0)
		fail_msg("%s", err.msg);
	drop_tree(&t);
	return config;
}

static const char *value_of(const struct sb_policy *p, const char *key)
{
	return p->origins[sb_key_find(key) - sb_keys].text;
}

/* Who gets what: user ann, uid 2500, through sshd. */
struct row {
	const char *name;
	const char *text;
	const char *more; /* a later file */
	const char *of_user;
	const char *local;
	bool no_service;
	bool root;
	const char *asked; /* "g h " */
	bool contain;
	const char *class;
	const char *tasks; /* TasksMax, NULL = the default */
};

#define CLASS(name, match, keys) "[" name "]\n" match "\n" keys "\n"
#define YES "Contain=yes\n"
#define NO "Contain=no\n"
#define UIDS "MatchUIDs=2000-2999"
#define ANN "MatchUsers=ann"

static const struct row rows[] = {
	{ "empty", "", .class = "defaults" },
	{ "defaults", "[Defaults]\n" YES "TasksMax=7\n", .class = "defaults", .contain = true,
	  .tasks = "7" },
	{ "no match keys, nobody", CLASS("c", "", YES), .class = "defaults" },
	{ "by user", CLASS("c", "MatchUsers=bob ann", YES), .class = "c", .contain = true },
	{ "names keep their case", CLASS("c", "MatchUsers=Ann", YES), .class = "defaults" },
	{ "by uid", CLASS("c", "MatchUIDs=7 2500", YES), .class = "c", .contain = true },
	{ "by range, first", CLASS("c", "MatchUIDs=2500-2501", YES), .class = "c",
	  .contain = true },
	{ "by range, last", CLASS("c", "MatchUIDs=1-2500", YES), .class = "c", .contain = true },
	{ "beside the range", CLASS("c", "MatchUIDs=1-2499 2501-3000", YES), .class = "defaults" },
	{ "by group", CLASS("c", "MatchGroups=g h", YES), .of_user = " h ", .asked = "g h ",
	  .class = "c", .contain = true },
	{ "by no group", CLASS("c", "MatchGroups=g", YES), .asked = "g ", .class = "defaults" },
	{ "ORed", CLASS("c", "MatchUsers=bob\nMatchUIDs=1\nMatchGroups=g", YES), .of_user = " g ",
	  .asked = "g ", .class = "c", .contain = true },

	/* strength */
	{ "user beats later group",
	  CLASS("u", ANN, YES "TasksMax=1") CLASS("g", "MatchGroups=g", NO "TasksMax=2"),
	  .of_user = " g ", .asked = "g ", .class = "u", .contain = true, .tasks = "1" },
	{ "group beats later uid",
	  CLASS("g", "MatchGroups=g", YES "TasksMax=1") CLASS("r", UIDS, NO "TasksMax=2"),
	  .of_user = " g ", .asked = "g ", .class = "g", .contain = true, .tasks = "1" },
	{ "uid beats later defaults",
	  CLASS("r", UIDS, YES "TasksMax=1") "[Defaults]\nContain=no\nTasksMax=2\n", .class = "r",
	  .contain = true, .tasks = "1" },
	{ "later beats earlier among equals",
	  CLASS("a", UIDS, NO "TasksMax=1") CLASS("b", UIDS, YES "TasksMax=2"), .class = "b",
	  .contain = true, .tasks = "2" },
	{ "a weaker class fills in", CLASS("u", ANN, YES) CLASS("r", UIDS, "TasksMax=2"),
	  .class = "u", .contain = true, .tasks = "2" },
	{ "uid class raised by a group",
	  CLASS("c", UIDS "\nMatchGroups=g", YES "TasksMax=1") CLASS("r", UIDS, "TasksMax=2"),
	  .of_user = " g ", .asked = "g ", .class = "c", .contain = true, .tasks = "1" },
	{ "uid class not raised",
	  CLASS("c", UIDS "\nMatchGroups=g", YES "TasksMax=1") CLASS("r", UIDS, "TasksMax=2"),
	  .asked = "g ", .class = "r", .contain = true, .tasks = "2" },
	{ "a class goes on in a later file",
	  CLASS("a", ANN, YES "TasksMax=1") CLASS("b", ANN, "TasksMax=2"),
	  .more = "[A]\nTasksMax=3\n", .class = "b", .contain = true, .tasks = "2" },

	/* exclusion */
	{ "user excluded, whatever else", CLASS("c", UIDS "\nMatchUsers=!ann ann", YES),
	  .class = "defaults" },
	{ "another excluded", CLASS("c", UIDS "\nMatchUsers=!bob", YES), .class = "c",
	  .contain = true },
	{ "uid excluded", CLASS("c", ANN "\nMatchUIDs=!2500", YES), .class = "defaults" },
	{ "range excluded", CLASS("c", UIDS "\nMatchUIDs+=!2400-2600", YES), .class = "defaults" },
	{ "group excluded", CLASS("c", ANN "\nMatchGroups=!g", YES), .of_user = " g ",
	  .asked = "g ", .class = "defaults" },
	{ "group not excluded", CLASS("c", ANN "\nMatchGroups=!g", YES), .asked = "g ",
	  .class = "c", .contain = true },
	{ "excluded by one group, in by another", CLASS("c", "MatchGroups=g !h", YES),
	  .of_user = " g h ", .asked = "g h ", .class = "defaults" },
	{ "excluded class asks no group", CLASS("c", "MatchGroups=g\nMatchUsers=!ann", YES),
	  .class = "defaults" },

	/* services */
	{ "service", CLASS("c", ANN "\nMatchServices=cron sshd", YES), .class = "c",
	  .contain = true },
	{ "other service", CLASS("c", ANN "\nMatchServices=cron", YES), .class = "defaults" },
	{ "other service asks no group", CLASS("c", "MatchGroups=g\nMatchServices=cron", YES),
	  .class = "defaults" },
	{ "service excluded", CLASS("c", ANN "\nMatchServices=!sshd", YES), .class = "defaults" },
	{ "another service excluded", CLASS("c", ANN "\nMatchServices=!cron", YES), .class = "c",
	  .contain = true },
	{ "no service", CLASS("c", ANN "\nMatchServices=!cron", YES), .no_service = true,
	  .class = "defaults" },

	/* root */
	{ "root", "[Defaults]\n" YES CLASS("c", "MatchUIDs=0", YES), .root = true, .class = "c" },
	{ "root asks no group", "[Defaults]\n" YES CLASS("c", "MatchGroups=g", YES), .root = true,
	  .class = "defaults" },

	/* limit-<uid> */
	{ "a limit beats a user, without a name", CLASS("u", ANN, YES "TasksMax=1"),
	  .more = CLASS("limit-2500", "MatchUIDs=2500", "TasksMax=9"), .class = "u",
	  .contain = true, .tasks = "9" },
	{ "a limit alone", CLASS("limit-2500", "MatchUIDs=2500", YES), .class = "defaults",
	  .contain = true },
	{ "limit-x is a class", CLASS("limit-x", ANN, YES), .class = "limit-x", .contain = true },

	/* a group that hangs: it must not be asked */
	{ "hang: admin by user", CLASS("c", "MatchGroups=hang", YES) CLASS("a", ANN, NO),
	  .class = "a" },
	{ "hang: admin's class lists groups, too",
	  CLASS("c", "MatchGroups=hang", YES) CLASS("a", ANN "\nMatchGroups=hang", NO),
	  .class = "a" },
	{ "hang: admin's class comes first",
	  CLASS("a", ANN "\nMatchGroups=hang", NO) CLASS("c", "MatchGroups=hang", YES),
	  .class = "a" },
	{ "hang: exclusion without effect", CLASS("a", ANN "\nMatchGroups=!hang", NO),
	  .class = "a" },
	{ "hang: nobody is contained by group", CLASS("c", "MatchGroups=hang", "TasksMax=1"),
	  .class = "defaults" },
	{ "hang: a group could only say no", CLASS("c", "MatchGroups=hang", NO),
	  .class = "defaults" },
	{ "hang: defaults say no as well", "[Defaults]\n" NO CLASS("c", "MatchGroups=hang", NO),
	  .class = "defaults" },
	{ "hang: a limit that matched lists groups",
	  CLASS("u", ANN, YES) CLASS("limit-2500", UIDS "\nMatchGroups=hang", "TasksMax=1"),
	  .class = "u", .contain = true, .tasks = "1" },
	{ "hang: exclusion of a class that does not match",
	  "[Defaults]\n" YES CLASS("c", "MatchGroups=g !hang", NO), .asked = "g ",
	  .class = "defaults", .contain = true },
	{ "hang: admin by a local group in the last class",
	  CLASS("c", "MatchGroups=hang", YES) CLASS("a", "MatchGroups=adm", NO), .local = " adm ",
	  .class = "a" },
	{ "hang: admin's class lists a directory's group before the local one",
	  CLASS("c", "MatchGroups=hang", YES) CLASS("a", "MatchGroups=hang adm", NO),
	  .local = " adm ", .class = "a" },
	{ "hang: a class between them says nothing of containment",
	  CLASS("c", "MatchGroups=hang", YES) CLASS("a", "MatchGroups=adm", NO)
		  CLASS("t", "MatchGroups=hang", "TasksMax=1"),
	  .local = " adm ", .class = "a" },
	{ "hang: tenant by user in all classes", CLASS("c", ANN "\nMatchGroups=hang", YES),
	  .class = "c", .contain = true },
	/* and these must */
	{ "asked: admin by a local group, but a later class may say yes",
	  CLASS("a", "MatchGroups=adm", NO) CLASS("c", "MatchGroups=g", YES), .local = " adm ",
	  .of_user = " g ", .asked = "g ", .class = "c", .contain = true },
	{ "asked: not in the local group",
	  CLASS("c", "MatchGroups=g", YES) CLASS("a", "MatchGroups=adm", NO), .of_user = " g ",
	  .asked = "adm g ", .class = "c", .contain = true },
	{ "asked: exclusion with effect",
	  CLASS("a", ANN "\nMatchGroups=!g", NO) CLASS("r", UIDS, YES), .of_user = " g ",
	  .asked = "g ", .class = "r", .contain = true },
	{ "asked: uid says no, group may say yes",
	  CLASS("r", UIDS, NO) CLASS("c", "MatchGroups=g", YES), .of_user = " g ", .asked = "g ",
	  .class = "c", .contain = true },
	{ "asked: defaults say yes, group may say no",
	  "[Defaults]\n" YES CLASS("c", "MatchGroups=g", NO), .of_user = " g ", .asked = "g ",
	  .class = "c" },
	{ "asked: a limit by group may say yes",
	  CLASS("a", ANN, NO) CLASS("limit-1", "MatchGroups=g", YES), .of_user = " g ",
	  .asked = "g ", .class = "a", .contain = true },
	{ "asked: each group once",
	  CLASS("a", "MatchGroups=g h !i", YES) CLASS("b", "MatchGroups=g i h", YES),
	  .of_user = " h ", .asked = "g i h ", .class = "b", .contain = true },
};

static void resolve_row(void **state)
{
	const struct row *row = *state;
	struct groups groups = { .of_user = row->of_user, .local = row->local };
	struct sb_login login = { .user = "ann",
				  .uid = row->root ? 0 : 2500,
				  .gid = 100,
				  .service = row->no_service ? NULL : "sshd",
				  .in_group = in_group,
				  .ctx = &groups,
				  .in_local_group = in_local_group };
	cleanup_config struct sb_config *config = load_text(row->text, row->more);
	cleanup_policy struct sb_policy *p = NULL;
	struct sb_err err = { 0 };
	if (sb_policy_resolve(config, &login, &p, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(groups.asked, row->asked ? row->asked : "");
	assert_string_equal(p->class_name, row->class);
	assert_int_equal(p->set.contain, row->contain);
	assert_string_equal(value_of(p, "TasksMax"), row->tasks ? row->tasks : "4096");
	assert_string_equal(p->user, "ann");
	assert_true(p->uid == login.uid && p->gid == 100);
}

static const struct sb_login sshd = { .user = "ann", .uid = 2500, .gid = 100, .service = "sshd" };

static struct sb_policy *resolve(const struct sb_config *config)
{
	struct sb_policy *p = NULL;
	struct sb_err err = { 0 };
	if (sb_policy_resolve(config, &sshd, &p, &err) < 0)
		fail_msg("%s", err.msg);
	return p;
}

static void presets(void **state)
{
	(void)state;
	cleanup_config struct sb_config *config = load_text("", NULL);
	cleanup_policy struct sb_policy *p = resolve(config);
	const struct sb_settings *s = &p->set;
	assert_true(!s->contain && s->private_tmp && s->private_ipc && s->private_uts);
	assert_false(s->private_network);
	assert_false(s->restrict_abstract_sockets);
	assert_int_equal(s->on_failure, SB_ON_FAILURE_DENY);
	assert_int_equal(s->allow_services.n, 8);
	assert_string_equal(s->allow_services.v[0], "sshd");
	assert_true(s->timeout_ms == 10000 && s->timeout_stop_ms == 5000);
	assert_true(s->kill_user_processes && s->linger_ms == 0 && s->sessions_max == SB_INFINITY);
	assert_true(s->runtime_max_ms == SB_INFINITY);
	assert_string_equal(s->root_directory, "/");
	assert_string_equal(s->hostname, "%H");
	assert_int_equal(s->bind_paths.n + s->bind_read_only_paths.n, 0);
	const struct sb_limits *l = &s->limits;
	assert_true((l->memory_max & l->memory_swap_max & l->cpu_quota) == SB_INFINITY);
	assert_int_equal(l->tasks_max, 4096);
	assert_int_equal(l->cpu_weight, 100);
	assert_true(l->memory_high == SB_INFINITY && l->io_weight == 100);
	assert_true(s->no_new_privileges && !s->capability_bounding_set && !s->allow_groups.n);
	assert_true(sb_cpus_empty(&l->allowed_cpus) && l->io_read_bandwidth_max.n == 0);
	for (size_t i = 0; i < sb_keys_n; i++)
		assert_true(!p->origins[i].class && !p->origins[i].overrode.n);
}

/* Whose budget he lives on: nothing of it is merged. */
static void budgets(void **state)
{
	(void)state;
	static const struct {
		const char *text, *budget;
		uint64_t memory, tasks;
	} cases[] = {
		{ CLASS("u", ANN, YES), NULL, SB_INFINITY, SB_INFINITY },
		{ CLASS("u", ANN, "ClassMemoryMax=1M\n"), "u", 1 << 20, SB_INFINITY },
		{ CLASS("r", UIDS, "ClassTasksMax=9\n") CLASS("u", ANN, "ClassMemoryMax=1M\n"), "u",
		  1 << 20, SB_INFINITY },
		{ CLASS("r", UIDS, "ClassTasksMax=9\n") CLASS("u", ANN, "MemoryMax=1M\n"), "r",
		  SB_INFINITY, 9 },
		{ "[Defaults]\nClassTasksMax=7\n", "defaults", SB_INFINITY, 7 },
		{ CLASS("u", ANN, "ClassTasksMax=infinity\n") "[Defaults]\nClassTasksMax=7\n", "u",
		  SB_INFINITY, SB_INFINITY },
		{ CLASS("c", "MatchUsers=bob", "ClassTasksMax=9\n"), NULL, SB_INFINITY,
		  SB_INFINITY },
	};
	char hashes[SB_ARRAY_SIZE(cases)][2][17];
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		cleanup_config struct sb_config *config = load_text(cases[i].text, NULL);
		cleanup_policy struct sb_policy *p = resolve(config);
		if (cases[i].budget)
			assert_string_equal(p->budget, cases[i].budget);
		else
			assert_null(p->budget);
		assert_int_equal(p->set.budget.memory_max, cases[i].memory);
		assert_int_equal(p->set.budget.tasks_max, cases[i].tasks);
		assert_int_equal(p->set.budget.cpu_weight, 100);
		memcpy(hashes[i][0], p->container_hash, 17);
		memcpy(hashes[i][1], p->limits_hash, 17);
	}
	/* Another class is another place; its values are not among his own limits. */
	assert_string_not_equal(hashes[0][0], hashes[1][0]);
	assert_string_equal(hashes[1][0], hashes[2][0]);
	assert_string_equal(hashes[0][1], hashes[1][1]);
	assert_string_equal(hashes[0][0], hashes[6][0]);
}

/* sshd's login at one moment, before and after the end of some classes. */
static void ends(void **state)
{
	static const char text[] = CLASS("c", ANN, YES "TasksMax=1")
		CLASS("limit-2500-for", ANN "\nMatchUntil=2026-11-25T10:00:01Z", "TasksMax=2")
			CLASS("late", ANN "\nMatchUntil=2026-11-25T10:00:09Z", "CPUWeight=7");
	static const struct {
		uint64_t now, until, tasks, weight;
		const char *class;
	} moments[] = { { 1795600800, 1795600801, 2, 7, "late" },
			{ 1795600801, 1795600809, 1, 7, "late" },
			{ 1795600809, 0, 1, 100, "c" } };
	(void)state;
	cleanup_config struct sb_config *config = load_text(text, NULL);
	for (size_t i = 0; i < SB_ARRAY_SIZE(moments); i++) {
		struct sb_login login = sshd;
		struct sb_policy *p = NULL;
		login.now = moments[i].now;
		assert_int_equal(sb_policy_resolve(config, &login, &p, NULL), 0);
		assert_true(p->until == moments[i].until);
		assert_true(p->set.limits.tasks_max == moments[i].tasks);
		assert_true(p->set.limits.cpu_weight == moments[i].weight);
		assert_string_equal(p->class_name, moments[i].class);
		sb_policy_free(p);
	}
}

static void group_error(void **state)
{
	(void)state;
	struct groups groups = { 0 };
	struct sb_login login = sshd;
	cleanup_config struct sb_config *config =
		load_text(CLASS("c", "MatchGroups=broken", YES), NULL);
	struct sb_policy *p = NULL;
	struct sb_err err = { 0 };
	login.in_group = in_group;
	login.ctx = &groups;
	assert_int_equal(sb_policy_resolve(config, &login, &p, &err), -EIO);
	assert_non_null(strstr(err.msg, "'ann' is in group 'broken'"));
	assert_int_equal(sb_policy_resolve(config, &login, &p, NULL), -EIO);
	assert_null(p);
	login.in_group = NULL;
	assert_int_equal(sb_policy_resolve(config, &login, &p, &err), 0);
	assert_false(p->set.contain);
	sb_policy_free(p);
}

/* Append over strengths and files, and the story of a value. */
static void origins(void **state)
{
	(void)state;
	cleanup_config struct sb_config *config =
		load_text("[Defaults]\nBindPaths=/d\nTasksMax=1\n" CLASS(
				  "u", ANN, "BindPaths+=/u\nTasksMax=3\nAllowServices+='xrdp'\n")
				  CLASS("r", UIDS, "BindPaths+='/r 1'\nTasksMax=2\n"),
			  "[u]\nBindPaths+=/v\n");
	cleanup_policy struct sb_policy *p = resolve(config);
	const struct sb_origin *o = &p->origins[sb_key_find("BindPaths") - sb_keys];
	assert_string_equal(o->text, "/d '/r 1' /u /v");
	assert_string_equal(o->class->name, "u");
	assert_int_equal(o->file, 1);
	assert_int_equal(o->overrode.n, 3);
	assert_non_null(strstr(o->overrode.v[0], "BindPaths=/d '/r 1' /u from [u] in /"));
	assert_non_null(strstr(o->overrode.v[2], "BindPaths=/d from [defaults] in /"));
	assert_non_null(strstr(o->overrode.v[2], "sessbox.conf, extended"));
	assert_int_equal(p->set.bind_paths.n, 4);
	assert_string_equal(p->set.bind_paths.v[1], "/r 1");
	o = &p->origins[sb_key_find("TasksMax") - sb_keys];
	assert_int_equal(o->overrode.n, 2);
	assert_non_null(strstr(o->overrode.v[0], "TasksMax=2 from [r] in /"));
	assert_non_null(strstr(o->overrode.v[1], "TasksMax=1 from [defaults] in /"));
	o = &p->origins[sb_key_find("AllowServices") - sb_keys];
	assert_string_equal(o->overrode.v[0],
			    "AllowServices=sshd su su-l runuser runuser-l login cron atd built in, "
			    "extended");
	assert_int_equal(p->set.allow_services.n, 9);
	assert_string_equal(p->set.allow_services.v[8], "xrdp");
}

/* Which hash a change of one key moves. */
static void hashes(void **state)
{
	static const struct {
		const char *line;
		bool container;
		bool limits;
	} changes[] = {
		{ "Contain=yes", false, false },
		{ "AllowServices=cron", false, false },
		{ "TimeoutSec=5", false, false },
		{ "OnFailure=allow", false, false },
		{ "PrivateTmp=no", true, false },
		{ "BindPaths=/a", true, false },
		{ "Hostname=x", true, false },
		{ "TmpSize=1G", true, false },
		{ "PrivateNetwork=1", true, false },
		{ "TimeoutStopSec=6", true, false },
		{ "KillUserProcesses=no", true, false },
		{ "LingerSec=1", true, false },
		{ "Scope=session", true, false },
		{ "RuntimeMaxSec=1h", true, false },
		{ "MemoryMax=1G", false, true },
		{ "CPUWeight=99", false, true },
		{ "TasksMax=4096", false, false },
		/* The node is the container's, and what may be opened the cgroup's. */
		{ "DeviceAllow=/dev/x r", true, true },
	};
	(void)state;
	cleanup_config struct sb_config *plain = load_text("", NULL);
	cleanup_policy struct sb_policy *before = resolve(plain);
	assert_int_equal(strlen(before->container_hash) + strlen(before->limits_hash), 32);
	for (size_t i = 0; i < SB_ARRAY_SIZE(changes); i++) {
		char text[64];
		sb_format(text, sizeof(text), "[Defaults]\n%s\n", changes[i].line);
		cleanup_config struct sb_config *config = load_text(text, NULL);
		cleanup_policy struct sb_policy *p = resolve(config);
		bool container = strcmp(p->container_hash, before->container_hash) != 0;
		bool limits = strcmp(p->limits_hash, before->limits_hash) != 0;
		if (container != changes[i].container || limits != changes[i].limits)
			fail_msg("%s: %d %d", changes[i].line, container, limits);
	}
}

/* What could not be set stays noted as it was. */
static void noted_limits(void **state)
{
	const unsigned int devices = SB_LIMIT_BIT(SB_DEVICE_ALLOW);
	(void)state;
	cleanup_config struct sb_config *plain = load_text("[Defaults]\nTasksMax=9\n", NULL);
	cleanup_config struct sb_config *changed =
		load_text("[Defaults]\nTasksMax=9\nDeviceAllow=/dev/x\n", NULL);
	cleanup_policy struct sb_policy *before = resolve(plain), *now = resolve(changed);
	char hash[17] = "";
	sb_policy_note_limits(before, devices, hash);
	assert_string_not_equal(hash, before->limits_hash);
	sb_policy_note_limits(before, 0, hash);
	assert_string_equal(hash, before->limits_hash);
	sb_policy_note_limits(before, devices, hash);
	assert_string_equal(hash, before->limits_hash);
	sb_policy_note_limits(now, devices, hash);
	assert_string_not_equal(hash, now->limits_hash);
	sb_policy_note_limits(now, SB_LIMIT_BIT(SB_IO_WEIGHT), hash);
	assert_string_equal(hash, now->limits_hash);
}

static uint64_t read_number(const char *path)
{
	char buf[32];
	assert_true(sb_read_file(AT_FDCWD, path, buf, sizeof(buf)) > 0);
	return strtoull(buf, NULL, 10);
}

static void units(void **state)
{
	(void)state;
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	cleanup_config struct sb_config *config =
		load_text("[Defaults]\nMemoryMax=50%\nMemorySwapMax=0\nTasksMax=10%\n"
			  "CPUQuota=250%\nTimeoutSec=1min\nTmpSize=10%\n",
			  NULL);
	cleanup_policy struct sb_policy *p = resolve(config);
	assert_true(p->set.limits.memory_max == ram / 10000 * 5000 + ram % 10000 * 5000 / 10000);
	assert_int_equal(p->set.limits.memory_swap_max, 0);
	uint64_t pids = read_number("/proc/sys/kernel/pid_max");
	uint64_t threads = read_number("/proc/sys/kernel/threads-max");
	uint64_t tasks = pids < threads ? pids : threads;
	assert_int_equal(p->set.limits.tasks_max, tasks / 10000 * 1000 + tasks % 10000 / 10);
	assert_int_equal(p->set.limits.cpu_quota, 2500000);
	assert_int_equal(p->set.timeout_ms, 60000);
	p->set.limits.memory_max = 1000000;
	assert_int_equal(sb_policy_tmp_size(p, 1), 100000);
	p->set.limits.memory_max = SB_INFINITY;
	assert_int_equal(sb_policy_tmp_size(p, 2000000), 200000);
	free(p->set.tmp_size);
	p->set.tmp_size = strdup("64M");
	assert_int_equal(sb_policy_tmp_size(p, 1), 64 << 20);
}

static void hostname(void **state)
{
	(void)state;
	char buf[32];
	struct sb_err err = { 0 };
	cleanup_config struct sb_config *config =
		load_text("[Defaults]\nHostname=%u-%U.%H-%%x\n", NULL);
	cleanup_policy struct sb_policy *p = resolve(config);
	assert_int_equal(sb_policy_hostname(p, "mars", buf, sizeof(buf), &err), 0);
	assert_string_equal(buf, "ann-2500.mars-%x");
	assert_int_equal(sb_policy_hostname(p, "mars", buf, strlen(buf) + 1, &err), 0);
	assert_int_equal(sb_policy_hostname(p, "mars", buf, strlen(buf), &err), -ENAMETOOLONG);
	assert_string_equal(buf, "");
	assert_int_equal(sb_policy_hostname(p, "mars", buf, 1, &err), -ENAMETOOLONG);
}

static void longest_timeout(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t ms;
	} texts[] = {
		{ "", 10000 },
		{ CLASS("c", ANN, "TimeoutSec=2"), 10000 },
		{ CLASS("c", ANN, "TimeoutSec=1min") CLASS("d", ANN, "TimeoutSec=20"), 60000 },
		{ "[Defaults]\nTimeoutSec=3\n" CLASS("c", ANN, "TimeoutSec=2"), 3000 },
		{ "[Defaults]\nTimeoutSec=3\n" CLASS("c", ANN, "TimeoutSec=4"), 4000 },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(texts); i++) {
		cleanup_config struct sb_config *config = load_text(texts[i].text, NULL);
		assert_int_equal(sb_config_timeout(config), texts[i].ms);
	}
}

int main(void)
{
	const struct CMUnitTest plain[] = {
		cmocka_unit_test(presets),	cmocka_unit_test(budgets),
		cmocka_unit_test(ends),		cmocka_unit_test(group_error),
		cmocka_unit_test(origins),	cmocka_unit_test(hashes),
		cmocka_unit_test(noted_limits), cmocka_unit_test(units),
		cmocka_unit_test(hostname),	cmocka_unit_test(longest_timeout),
	};
	struct CMUnitTest tests[SB_ARRAY_SIZE(plain) + SB_ARRAY_SIZE(rows)] = { 0 };
	size_t n = 0;
	for (size_t i = 0; i < SB_ARRAY_SIZE(plain); i++)
		tests[n++] = plain[i];
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++)
		tests[n++] = (struct CMUnitTest){ .name = rows[i].name,
						  .test_func = resolve_row,
						  .initial_state = (void *)&rows[i] };
	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
