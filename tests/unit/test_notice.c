/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a tenant is told of his limits: what the counters say, which limit is to blame, the words.
 */
#include "cgroup_tree.h"

#include <inttypes.h>
#include <time.h>

#include "sessbox/notice.h"
#include "sessbox/parse.h"

#define INF SB_INFINITY
#define MIB (UINT64_C(1) << 20)

/* kills, refusals, hits, peak */
#define COUNTS(kills, refusals, hits, peak)                                                        \
	{                                                                                          \
		.oom_kills = kills, .tasks_refused = refusals, .memory_hits = hits,                \
		.memory_peak = peak, .tasks = INF                                                  \
	}
#define NONE                                                                                       \
	{                                                                                          \
		INF, INF, INF, INF, INF, INF, INF, INF, INF                                        \
	}

static const struct {
	struct sb_sight now;
	struct sb_told_record told;
	uint64_t kills, refusals;
	enum sb_blame killer, refuser;
} cases[] = {
	/* Nothing, nothing new, and counters that have begun anew. */
	{ { .own = COUNTS(0, 0, 0, 0), .lane = NONE, .class = NONE }, { 0 }, 0, 0, 0, 0 },
	{ { .own = COUNTS(3, 9, 1, 0), .lane = NONE, .class = NONE },
	  { .kills = 3, .refusals = 9 },
	  0,
	  0,
	  0,
	  0 },
	{ { .own = COUNTS(1, 2, 1, 0), .lane = NONE, .class = NONE },
	  { .kills = 3, .refusals = 9, .lane_kills = 4 },
	  0,
	  0,
	  0,
	  0 },
	{ { .own = NONE, .lane = NONE, .class = NONE }, { .kills = 3 }, 0, 0, 0, 0 },
	/* His own memory, by each of its signs. */
	{ { .own = COUNTS(3, 0, 1, 0), .lane = NONE, .class = COUNTS(0, 0, 8, 0) },
	  { .kills = 1 },
	  2,
	  0,
	  SB_BLAME_OWN,
	  0 },
	{ { .own = COUNTS(1, 0, 7, 63 * MIB),
	    .lane = NONE,
	    .class = NONE,
	    .memory_max = 64 * MIB,
	    .class_memory_max = INF },
	  { .hits = 7 },
	  1,
	  0,
	  SB_BLAME_OWN,
	  0 },
	/* The class', though his own has been reached before. */
	{ { .own = COUNTS(1, 0, 7, 64 * MIB),
	    .lane = NONE,
	    .class = COUNTS(0, 0, 3, 0),
	    .memory_max = 64 * MIB,
	    .class_memory_max = 128 * MIB },
	  { .hits = 7, .class_hits = 2 },
	  1,
	  0,
	  SB_BLAME_CLASS,
	  0 },
	{ { .own = COUNTS(1, 0, 7, 50 * MIB),
	    .lane = NONE,
	    .class = COUNTS(0, 0, 2, 128 * MIB),
	    .memory_max = 64 * MIB,
	    .class_memory_max = 128 * MIB },
	  { .hits = 7, .class_hits = 2 },
	  1,
	  0,
	  SB_BLAME_CLASS,
	  0 },
	/* Nobody's: the machine's. */
	{ { .own = COUNTS(1, 0, 7, 50 * MIB),
	    .lane = NONE,
	    .class = NONE,
	    .memory_max = 64 * MIB,
	    .class_memory_max = INF },
	  { .hits = 7 },
	  1,
	  0,
	  SB_BLAME_HOST,
	  0 },
	{ { .own = COUNTS(1, 0, 7, 50 * MIB),
	    .lane = NONE,
	    .class = NONE,
	    .memory_max = INF,
	    .class_memory_max = INF },
	  { .hits = 7 },
	  1,
	  0,
	  SB_BLAME_HOST,
	  0 },
	/* The lane's. */
	{ { .own = COUNTS(1, 2, 0, 0), .lane = COUNTS(5, 6, 0, 0), .class = NONE },
	  { .kills = 1, .refusals = 2, .lane_kills = 4 },
	  1,
	  6,
	  SB_BLAME_LANE,
	  SB_BLAME_LANE },
	/* Processes: his own, the class', whichever is fuller, nobody's. */
	{ { .own = { .tasks_refused = 4, .tasks = 30 },
	    .lane = NONE,
	    .class = NONE,
	    .tasks_max = 30,
	    .class_tasks_max = INF },
	  { .refusals = 1 },
	  0,
	  3,
	  0,
	  SB_BLAME_OWN },
	{ { .own = { .tasks_refused = 4, .tasks = 10 },
	    .lane = NONE,
	    .class = { .tasks = 49 },
	    .tasks_max = INF,
	    .class_tasks_max = 50 },
	  { 0 },
	  0,
	  4,
	  0,
	  SB_BLAME_CLASS },
	{ { .own = { .tasks_refused = 4, .tasks = 10 },
	    .lane = NONE,
	    .class = { .tasks = 49 },
	    .tasks_max = 30,
	    .class_tasks_max = 50 },
	  { 0 },
	  0,
	  4,
	  0,
	  SB_BLAME_CLASS },
	{ { .own = { .tasks_refused = 4, .tasks = 30 },
	    .lane = NONE,
	    .class = { .tasks = 49 },
	    .tasks_max = 30,
	    .class_tasks_max = 50 },
	  { 0 },
	  0,
	  4,
	  0,
	  SB_BLAME_OWN },
	{ { .own = { .tasks_refused = 4, .tasks = 30 },
	    .lane = NONE,
	    .class = NONE,
	    .tasks_max = INF,
	    .class_tasks_max = INF },
	  { 0 },
	  0,
	  4,
	  0,
	  SB_BLAME_HOST },
	/* Counted where the limit is, and above: his own, though the class' is nearly full. */
	{ { .own = { .tasks_refused = 4, .tasks_hits = 4, .tasks = 10 },
	    .lane = NONE,
	    .class = { .tasks_refused = 9, .tasks_hits = 5, .tasks = 49 },
	    .tasks_max = 30,
	    .class_tasks_max = 50 },
	  { .class_refusals = 5 },
	  0,
	  4,
	  0,
	  SB_BLAME_OWN },
	/* Where all that the class has counted is his nothing is told of it besides. */
	{ { .own = { .tasks_refused = 4, .tasks_hits = 4, .tasks = 10 },
	    .lane = NONE,
	    .class = { .tasks_refused = 4, .tasks_hits = 4, .tasks = 49 },
	    .tasks_max = 30,
	    .class_tasks_max = 50 },
	  { 0 },
	  0,
	  4,
	  0,
	  SB_BLAME_OWN },
	/* Somebody's of the class: of all who are in it. */
	{ { .own = { .tasks_refused = 4, .tasks_hits = 4 },
	    .lane = NONE,
	    .class = { .tasks_refused = 12, .tasks_hits = 8 } },
	  { .refusals = 4, .class_refusals = 5 },
	  0,
	  3,
	  0,
	  SB_BLAME_SHARED },
};

static void assert_remembered(uint64_t counted, uint64_t told)
{
	assert_int_equal(told, counted == INF ? 0 : counted);
}

static void finds_what_is_to_blame(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct sb_told_record told = cases[i].told;
		const struct sb_trouble t = sb_trouble_find(&cases[i].now, &told);
		if (t.kills != cases[i].kills || t.refusals != cases[i].refusals ||
		    (t.kills && t.killer != cases[i].killer) ||
		    (t.refusals && t.refuser != cases[i].refuser))
			fail_msg("case %zu: %" PRIu64 " by %d, %" PRIu64 " by %d", i, t.kills,
				 t.killer, t.refusals, t.refuser);
		assert_remembered(cases[i].now.own.memory_hits, told.hits);
		assert_remembered(cases[i].now.class.memory_hits, told.class_hits);
		assert_remembered(cases[i].now.class.tasks_hits, told.class_refusals);
		/* Told is told. */
		const struct sb_trouble again = sb_trouble_find(&cases[i].now, &told);
		assert_int_equal(again.kills + again.refusals, 0);
	}
}

static const struct {
	struct sb_trouble trouble;
	const char *text;
} sentences[] = {
	{ { 0 }, "" },
	{ { 1, 0, SB_BLAME_OWN, 0, 512 * MIB, INF },
	  "A process of yours was killed: MemoryMax=512M was used up." },
	{ { 17, 0, SB_BLAME_CLASS, 0, 2048 * MIB, INF },
	  "17 processes of yours were killed: ClassMemoryMax=2G was used up." },
	{ { 1, 0, SB_BLAME_HOST, 0, INF, INF },
	  "A process of yours was killed: the machine's memory was used up." },
	{ { 1, 0, SB_BLAME_LANE, 0, 64 * MIB, INF },
	  "A process of yours was killed: the small session's memory=64M was used up." },
	{ { 0, 1, 0, SB_BLAME_OWN, INF, 100 },
	  "New processes of yours were refused: TasksMax=100 was used up." },
	{ { 0, 9, 0, SB_BLAME_CLASS, INF, 1000 },
	  "New processes of yours were refused: ClassTasksMax=1000 was used up." },
	{ { 0, 9, 0, SB_BLAME_HOST, INF, INF },
	  "New processes of yours were refused: the machine's room for processes was used up." },
	{ { 2, 9, SB_BLAME_OWN, SB_BLAME_OWN, 64 * MIB, 30 },
	  "2 processes of yours were killed: MemoryMax=64M was used up. "
	  "New ones were refused: TasksMax=30 was used up." },
	{ { 0, 9, 0, SB_BLAME_SHARED, INF, 50 },
	  "New processes in your class were refused, perhaps yours: ClassTasksMax=50 was used "
	  "up." },
	{ { 1, 9, SB_BLAME_OWN, SB_BLAME_SHARED, 64 * MIB, 50 },
	  "A process of yours was killed: MemoryMax=64M was used up. "
	  "New ones in your class were refused, perhaps yours: ClassTasksMax=50 was used up." },
};

static void says_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(sentences); i++) {
		char text[SB_NOTICE_MAX], small[24];
		sb_trouble_print(text, sizeof(text), &sentences[i].trouble);
		assert_string_equal(text, sentences[i].text);
		sb_trouble_print(small, sizeof(small), &sentences[i].trouble);
		assert_int_equal(strncmp(small, text, strlen(small)), 0);
	}
}

static void says_when_and_how_to_look(void **state)
{
	(void)state;
	char text[SB_NOTICE_MAX], name[200];
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	tzset();
	sb_notice_print(text, sizeof(text), "Text.", 0, "ann");
	assert_string_equal(text, "Text. See: sessctl limit ann");
	sb_notice_print(text, sizeof(text), "Text.", 86400 + 3660, "ann");
	assert_string_equal(text, "02 Jan 01:01: Text. See: sessctl limit ann");
	/* The text goes before a name for which there is no room. */
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	sb_notice_print(text, sizeof(text), "Text.", 0, name);
	assert_string_equal(text, "Text.");
}

/* ---- from files ---- */

static void put(const struct tree *t, const char *group, const char *file, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "cgroup/sessbox/%s/%s", group, file);
	tree_put(t, path, text);
}

static int look(const struct tree *t, struct sb_cgroup *cg, unsigned int pause,
		struct sb_notice_record *ret)
{
	return sb_notice_look(t->fd, t->fd, cg, 7, pause, ret);
}

static void looks_and_remembers(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_notice_record notice, kept;
	struct sb_told_record told;
	tree_v2(&t);
	struct sb_cgroup *cg = tree_open(&t);
	assert_int_equal(look(&t, cg, 60, &notice), -ENOENT);
	put(&t, "u7", "memory.events", "oom_kill 0\n");
	put(&t, "u7", "memory.events.local", "oom 0\n");
	put(&t, "u7", "memory.max", "67108864\n");
	put(&t, "u7", "pids.events", "max 0\n");
	put(&t, "u7", "pids.max", "30\n");
	put(&t, "u7", "pids.current", "30\n");
	assert_int_equal(look(&t, cg, 60, &notice), 0);
	assert_int_equal(sb_told_load(t.fd, &told), -ENOENT);
	assert_int_equal(sb_notice_load(t.fd, 7, &kept), -ENOENT);

	put(&t, "u7", "memory.events", "oom_kill 1\n");
	put(&t, "u7", "memory.events.local", "oom 2\n");
	size_t fds = count_fds();
	assert_int_equal(look(&t, cg, 60, &notice), 1);
	assert_string_equal(notice.text,
			    "A process of yours was killed: MemoryMax=64M was used up.");
	assert_int_equal(sb_notice_load(t.fd, 7, &kept), 0);
	assert_string_equal(kept.text, notice.text);
	assert_int_equal(kept.at, notice.at);
	assert_int_equal(kept.shown, 0);
	assert_int_equal(look(&t, cg, 60, &notice), 0);

	/* Too early, and without a pause. */
	put(&t, "u7", "pids.events", "max 5\n");
	assert_int_equal(look(&t, cg, 60, &notice), -EAGAIN);
	assert_int_equal(look(&t, cg, 0, &notice), 1);
	assert_string_equal(notice.text,
			    "New processes of yours were refused: TasksMax=30 was used up.");
	/* Told by a clock that went wrong. */
	assert_int_equal(sb_told_load(t.fd, &told), 0);
	told.at = (uint64_t)time(NULL) + 100000;
	assert_int_equal(sb_told_save(t.fd, &told), 0);
	put(&t, "u7", "pids.events", "max 6\n");
	assert_int_equal(look(&t, cg, 60, &notice), 1);
	/* A record that is broken says nothing, and is made anew. */
	tree_put(&t, "told", "Kills=x\n");
	assert_int_equal(look(&t, cg, 60, &notice), 1);
	assert_int_equal(sb_told_load(t.fd, &told), 0);
	assert_int_equal(told.kills, 1);
	assert_int_equal(told.refusals, 6);
	assert_int_equal(count_fds(), fds);
	sb_notice_remove(t.fd, 7);
	assert_int_equal(sb_notice_load(t.fd, 7, &kept), -ENOENT);
	sb_cgroup_close(cg);
	tree_remove(&t);
}

/* In a class: what its limit did is told by its name, and by its value. */
static void looks_at_the_class(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_notice_record notice;
	tree_v2(&t);
	struct sb_cgroup *cg = tree_open(&t);
	put(&t, "c-students/u7", "memory.events", "oom_kill 1\n");
	put(&t, "c-students/u7", "memory.events.local", "oom 0\n");
	put(&t, "c-students/u7", "pids.events", "max 3\n");
	put(&t, "c-students/u7", "pids.current", "10\n");
	put(&t, "c-students/u7", "pids.max", "30\n");
	put(&t, "c-students", "memory.events.local", "oom 1\n");
	put(&t, "c-students", "memory.max", "1073741824\n");
	put(&t, "c-students", "pids.current", "50\n");
	put(&t, "c-students", "pids.max", "50\n");
	assert_int_equal(look(&t, cg, 60, &notice), 1);
	assert_string_equal(notice.text,
			    "A process of yours was killed: ClassMemoryMax=1G was used up. "
			    "New ones were refused: ClassTasksMax=50 was used up.");
	sb_cgroup_close(cg);
	tree_remove(&t);
}

/* Where the kernel counts in the class' group: what it has counted there since he came. */
static void looks_at_what_a_class_has_counted(void **state)
{
	(void)state;
	struct tree t = tree_make();
	struct sb_notice_record notice;
	struct sb_told_record told;
	tree_v2(&t);
	struct sb_cgroup *cg = tree_open(&t);
	put(&t, "c-students/u7", "pids.events", "max 0\n");
	put(&t, "c-students/u7", "pids.events.local", "max 0\n");
	put(&t, "c-students", "pids.events", "max 12\n");
	put(&t, "c-students", "pids.events.local", "max 10\n");
	put(&t, "c-students", "pids.max", "50\n");
	sb_notice_begin(t.fd, cg, 7);
	assert_int_equal(sb_told_load(t.fd, &told), 0);
	assert_int_equal(told.class_refusals, 10);
	assert_int_equal(look(&t, cg, 60, &notice), 0);
	put(&t, "c-students", "pids.events.local", "max 13\n");
	sb_notice_begin(t.fd, cg, 7);
	assert_int_equal(look(&t, cg, 60, &notice), 1);
	assert_string_equal(notice.text, "New processes in your class were refused, perhaps yours: "
					 "ClassTasksMax=50 was used up.");
	assert_int_equal(look(&t, cg, 60, &notice), 0);
	/* One who came by an earlier version. */
	assert_int_equal(unlinkat(t.fd, "told", 0), 0);
	assert_int_equal(look(&t, cg, 60, &notice), 0);
	put(&t, "c-students", "pids.events.local", "max 14\n");
	assert_int_equal(look(&t, cg, 60, &notice), 1);
	sb_cgroup_close(cg);
	tree_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_to_blame),
		cmocka_unit_test(says_it),
		cmocka_unit_test(says_when_and_how_to_look),
		cmocka_unit_test(looks_and_remembers),
		cmocka_unit_test(looks_at_the_class),
		cmocka_unit_test(looks_at_what_a_class_has_counted),
	};
	return cmocka_run_group_tests_name("notice", tests, NULL, NULL);
}
