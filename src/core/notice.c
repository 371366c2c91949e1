/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/notice.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sessbox/parse.h"
#include "sessbox/str.h"

/* The kernel takes memory in portions, of which it may have had no whole one left. */
#define CHARGE (UINT64_C(1) << 20)

/* A counter that is not there, or begins anew with a new cgroup, tells of nothing. */
static uint64_t risen(uint64_t now, uint64_t told)
{
	return now != SB_INFINITY && now > told ? now - told : 0;
}

static bool was_reached(uint64_t peak, uint64_t max)
{
	return max != SB_INFINITY && peak != SB_INFINITY && peak + CHARGE >= max;
}

static enum sb_blame blame_for_kill(const struct sb_sight *now, const struct sb_told_record *told)
{
	const struct {
		bool is;
		enum sb_blame blame;
	} signs[] = {
		{ risen(now->own.memory_hits, told->hits), SB_BLAME_OWN },
		{ risen(now->class.memory_hits, told->class_hits), SB_BLAME_CLASS },
		{ was_reached(now->own.memory_peak, now->memory_max), SB_BLAME_OWN },
		{ was_reached(now->class.memory_peak, now->class_memory_max), SB_BLAME_CLASS },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(signs); i++)
		if (signs[i].is)
			return signs[i].blame;
	return SB_BLAME_HOST;
}

/* Linux 6.11 and later count a refused fork in the group whose limit it was, and above; earlier
 * ones and v1 in the group that forked alone. */
static bool is_counted_at_limit(const struct sb_sight *now)
{
	return now->class.tasks_refused != SB_INFINITY &&
	       now->class.tasks_refused >= now->own.tasks_refused;
}

/* Of two that are both in the way it is the fuller one. */
static enum sb_blame blame_for_refusal(const struct sb_sight *now)
{
	bool own = now->tasks_max != SB_INFINITY;
	bool class = now->class_tasks_max != SB_INFINITY && now->class.tasks != SB_INFINITY &&
		     !is_counted_at_limit(now);
	if (!own && !class)
		return SB_BLAME_HOST;
	if (!own || !class)
		return own ? SB_BLAME_OWN : SB_BLAME_CLASS;
	uint64_t left = now->own.tasks < now->tasks_max ? now->tasks_max - now->own.tasks : 0;
	return now->class.tasks + left > now->class_tasks_max ? SB_BLAME_CLASS : SB_BLAME_OWN;
}

static uint64_t known(uint64_t now)
{
	return now == SB_INFINITY ? 0 : now;
}

struct sb_trouble sb_trouble_find(const struct sb_sight *now, struct sb_told_record *told)
{
	uint64_t own_kills = risen(now->own.oom_kills, told->kills);
	uint64_t lane_kills = risen(now->lane.oom_kills, told->lane_kills);
	uint64_t own_refusals = risen(now->own.tasks_refused, told->refusals);
	uint64_t lane_refusals = risen(now->lane.tasks_refused, told->lane_refusals);
	uint64_t class_refusals = risen(now->class.tasks_hits, told->class_refusals);
	struct sb_trouble t = { .kills = own_kills + lane_kills,
				.refusals = own_refusals + lane_refusals,
				.memory_max = SB_INFINITY,
				.tasks_max = SB_INFINITY };
	t.killer = own_kills ? blame_for_kill(now, told) : SB_BLAME_LANE;
	t.refuser = own_refusals ? blame_for_refusal(now) : SB_BLAME_LANE;
	/* Whose fork that was is nowhere to be seen: all are told what is known. */
	if (!t.refusals && class_refusals) {
		t.refusals = class_refusals;
		t.refuser = SB_BLAME_SHARED;
	}
	*told = (struct sb_told_record){ .at = told->at,
					 .kills = known(now->own.oom_kills),
					 .refusals = known(now->own.tasks_refused),
					 .hits = known(now->own.memory_hits),
					 .lane_kills = known(now->lane.oom_kills),
					 .lane_refusals = known(now->lane.tasks_refused),
					 .class_hits = known(now->class.memory_hits),
					 .class_refusals = known(now->class.tasks_hits) };
	return t;
}

/* ---- in words ---- */

static const char *const memory_blames[] = {
	[SB_BLAME_OWN] = "MemoryMax",
	[SB_BLAME_LANE] = "the small session's memory",
	[SB_BLAME_CLASS] = "ClassMemoryMax",
	[SB_BLAME_HOST] = "the machine's memory",
};

static const char *const tasks_blames[] = {
	[SB_BLAME_OWN] = "TasksMax",
	[SB_BLAME_LANE] = "the small session's TasksMax",
	[SB_BLAME_CLASS] = "ClassTasksMax",
	[SB_BLAME_SHARED] = "ClassTasksMax",
	[SB_BLAME_HOST] = "the machine's room for processes",
};

/* "MemoryMax=512M"; only a limit has a value. */
static void print_limit(char *buf, size_t size, const char *name, uint64_t value, bool bytes)
{
	char text[32];
	if (bytes)
		sb_print_size(text, sizeof(text), value);
	else
		snprintf(text, sizeof(text), "%" PRIu64, value);
	snprintf(buf, size, value == SB_INFINITY ? "%s" : "%s=%s", name, text);
}

static size_t print_kills(char *buf, size_t size, const struct sb_trouble *trouble)
{
	char limit[64];
	print_limit(limit, sizeof(limit), memory_blames[trouble->killer], trouble->memory_max,
		    true);
	int n = trouble->kills == 1
			? snprintf(buf, size, "A process of yours was killed: %s was used up.",
				   limit)
			: snprintf(buf, size,
				   "%" PRIu64 " processes of yours were killed: %s was used up.",
				   trouble->kills, limit);
	return (size_t)n;
}

/* How many is not told: what is refused tries again. */
void sb_trouble_print(char *buf, size_t size, const struct sb_trouble *trouble)
{
	static const char *const subjects[2][2] = {
		{ "New processes of yours were refused", " New ones were refused" },
		{ "New processes in your class were refused, perhaps yours",
		  " New ones in your class were refused, perhaps yours" },
	};
	char limit[64];
	buf[0] = '\0';
	size_t len = trouble->kills ? print_kills(buf, size, trouble) : 0;
	if (!trouble->refusals || len + 1 >= size)
		return;
	print_limit(limit, sizeof(limit), tasks_blames[trouble->refuser], trouble->tasks_max,
		    false);
	snprintf(buf + len, size - len, "%s: %s was used up.",
		 subjects[trouble->refuser == SB_BLAME_SHARED][len > 0], limit);
}

/* What follows the text says less than the text: it goes where there is no room. */
void sb_notice_print(char *buf, size_t size, const char *text, uint64_t at, const char *user)
{
	char when[32] = "";
	time_t then = (time_t)at;
	struct tm tm;
	if (at && localtime_r(&then, &tm))
		strftime(when, sizeof(when), "%d %b %H:%M: ", &tm);
	if (sb_format(buf, size, "%s%s See: sessctl limit %s", when, text, user) < 0)
		snprintf(buf, size, "%s%s", when, text);
}

/* ---- from the kernel ---- */

static void see_nothing(struct sb_usage *usage)
{
	*usage = (struct sb_usage){ SB_INFINITY, SB_INFINITY, SB_INFINITY, SB_INFINITY, SB_INFINITY,
				    SB_INFINITY, SB_INFINITY, SB_INFINITY, SB_INFINITY };
}

static uint64_t limit_of(struct sb_cgroup *cg, const char *group, enum sb_limit limit)
{
	cleanup_limits struct sb_limits limits;
	unsigned int unsupported;
	sb_limits_init(&limits);
	if (sb_cgroup_limits(cg, group, &limits, &unsupported, NULL) < 0)
		return SB_INFINITY;
	return *(const uint64_t *)sb_limit_of(&limits, limit);
}

/* The three groups that can be in a tenant's way, "" for one there is not. */
struct groups {
	char own[SB_CGROUP_NAME_MAX], lane[SB_CGROUP_NAME_MAX], class[SB_CGROUP_NAME_MAX];
};

static int see(struct sb_cgroup *cg, uid_t uid, struct groups *groups, struct sb_sight *ret)
{
	struct sb_sight now = { .tasks_max = SB_INFINITY,
				.class_tasks_max = SB_INFINITY,
				.memory_max = SB_INFINITY,
				.class_memory_max = SB_INFINITY };
	sb_cgroup_find(cg, uid, groups->own);
	sb_cgroup_rescue(groups->lane, uid);
	int r = sb_cgroup_events(cg, groups->own, &now.own, NULL);
	if (r < 0)
		return r;
	if (sb_cgroup_events(cg, groups->lane, &now.lane, NULL) < 0)
		see_nothing(&now.lane);
	if (!sb_cgroup_above(groups->own, groups->class))
		groups->class[0] = '\0';
	if (!*groups->class || sb_cgroup_events(cg, groups->class, &now.class, NULL) < 0)
		see_nothing(&now.class);
	*ret = now;
	return 0;
}

/* More files to read: only when something has happened. */
static void see_levels(struct sb_cgroup *cg, const struct groups *groups, struct sb_sight *now)
{
	struct sb_usage own, class;
	now->own.tasks = now->class.tasks = SB_INFINITY;
	now->tasks_max = limit_of(cg, groups->own, SB_TASKS_MAX);
	now->memory_max = limit_of(cg, groups->own, SB_MEMORY_MAX);
	if (sb_cgroup_levels(cg, groups->own, &own, NULL) == 0)
		now->own.tasks = own.tasks;
	if (!*groups->class)
		return;
	now->class_tasks_max = limit_of(cg, groups->class, SB_TASKS_MAX);
	now->class_memory_max = limit_of(cg, groups->class, SB_MEMORY_MAX);
	if (sb_cgroup_levels(cg, groups->class, &class, NULL) == 0)
		now->class.tasks = class.tasks;
}

static void find_values(struct sb_cgroup *cg, const struct groups *groups,
			struct sb_trouble *trouble)
{
	const char *const names[] = { [SB_BLAME_OWN] = groups->own,
				      [SB_BLAME_LANE] = groups->lane,
				      [SB_BLAME_CLASS] = groups->class,
				      [SB_BLAME_SHARED] = groups->class,
				      [SB_BLAME_HOST] = NULL };
	if (trouble->kills && names[trouble->killer])
		trouble->memory_max = limit_of(cg, names[trouble->killer], SB_MEMORY_MAX);
	if (trouble->refusals && names[trouble->refuser])
		trouble->tasks_max = limit_of(cg, names[trouble->refuser], SB_TASKS_MAX);
}

/* What he has been told when he has been told nothing. */
static struct sb_told_record begin(int user_fd, const struct sb_cgroup *cg,
				   const struct sb_sight *now)
{
	const struct sb_told_record told = { .class_refusals = known(now->class.tasks_hits) };
	if (sb_cgroup_mode(cg) == SB_CGROUP_V2 && now->class.tasks_hits != SB_INFINITY)
		sb_told_save(user_fd, &told);
	return told;
}

void sb_notice_begin(int user_fd, struct sb_cgroup *cg, uid_t uid)
{
	struct sb_told_record told;
	struct groups groups;
	struct sb_sight now;
	if (sb_told_load(user_fd, &told) == -ENOENT && see(cg, uid, &groups, &now) == 0)
		begin(user_fd, cg, &now);
}

int sb_notice_look(int run_fd, int user_fd, struct sb_cgroup *cg, uid_t uid, unsigned int pause_sec,
		   struct sb_notice_record *ret)
{
	struct sb_told_record told, before = { 0 };
	struct groups groups;
	struct sb_sight now;
	int r = see(cg, uid, &groups, &now);
	if (r < 0)
		return r;
	r = sb_told_load(user_fd, &before);
	if (r < 0)
		before = begin(user_fd, cg, &now);
	told = before;
	struct sb_trouble trouble = sb_trouble_find(&now, &told);
	if (!trouble.kills && !trouble.refusals)
		return 0;
	uint64_t at = (uint64_t)time(NULL);
	/* One that is to come was a clock set back. */
	if (before.at <= at && at - before.at < pause_sec)
		return -EAGAIN;
	see_levels(cg, &groups, &now);
	told = before;
	trouble = sb_trouble_find(&now, &told);
	find_values(cg, &groups, &trouble);
	*ret = (struct sb_notice_record){ .at = at };
	sb_trouble_print(ret->text, sizeof(ret->text), &trouble);
	told.at = at;
	/* Where these cannot be written, whoever called still has the text. */
	sb_notice_save(run_fd, uid, ret);
	sb_told_save(user_fd, &told);
	return 1;
}
