/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "sessbox/step.h"
#include "sessbox/str.h"

/* What ran and what was undone, a letter each: "abCBA". */
struct log {
	char text[32];
	char fails; /* the step that fails, or NUL */
	int num;
};

static void note(struct log *log, char c)
{
	size_t len = strlen(log->text);
	assert_true(len + 1 < sizeof(log->text));
	log->text[len] = c;
}

static int run(struct log *log, char c, struct sb_err *err)
{
	note(log, c);
	return log->fails == c ? sb_fail(err, log->num, "try %c", c) : 0;
}

#define RUN(name)                                                                                  \
	static int run_##name(void *ctx, struct sb_err *err)                                       \
	{                                                                                          \
		return run(ctx, #name[0], err);                                                    \
	}
#define UNDO(name, letter)                                                                         \
	static void undo_##name(void *ctx)                                                         \
	{                                                                                          \
		note(ctx, letter);                                                                 \
	}

RUN(a)
RUN(b)
RUN(c)
RUN(d)
UNDO(a, 'A')
UNDO(b, 'B')
UNDO(d, 'D')

/* c leaves nothing that could be undone. */
static const struct sb_step steps[] = {
	{ "step a", run_a, undo_a },
	{ "step b", run_b, undo_b },
	{ "step c", run_c, NULL },
	{ "step d", run_d, undo_d },
};

/* The log of a run that fails at the index; probed: before the step itself ran. */
static void expected(size_t index, bool probed, char *buf)
{
	size_t n = 0;
	for (size_t i = 0; i < index + !probed; i++)
		buf[n++] = (char)('a' + i);
	for (size_t i = index + 1; i-- > 0;)
		if (steps[i].undo)
			buf[n++] = (char)('A' + i);
	buf[n] = '\0';
}

static void all_run(void **state)
{
	(void)state;
	struct log log = { 0 };
	struct sb_err err = { 0 };
	assert_int_equal(sb_steps_run(steps, SB_ARRAY_SIZE(steps), &log, &err), 0);
	assert_string_equal(log.text, "abcd");
	assert_int_equal(err.num, 0);
	assert_int_equal(sb_steps_run(steps, 0, &log, &err), 0);
	assert_string_equal(log.text, "abcd");
}

static void each_fails(void **state)
{
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(steps); i++) {
		struct log log = { .fails = (char)('a' + i), .num = ENOSPC };
		struct sb_err err = { 0 };
		char want[32], message[64];
		expected(i, false, want);
		sb_format(message, sizeof(message), "step %c: try %c: %s", log.fails, log.fails,
			  strerror(ENOSPC));
		assert_int_equal(sb_steps_run(steps, SB_ARRAY_SIZE(steps), &log, &err), -ENOSPC);
		assert_string_equal(log.text, want);
		assert_string_equal(err.msg, message);
	}
}

static size_t probe_index;

static int probe(const struct sb_step *table, size_t index, struct sb_err *err)
{
	assert_ptr_equal(table, steps);
	return index == probe_index ? sb_fail_plain(err, EIO, "probed") : 0;
}

static void each_is_probed(void **state)
{
	(void)state;
	sb_step_probe = probe;
	for (probe_index = 0; probe_index < SB_ARRAY_SIZE(steps); probe_index++) {
		struct log log = { 0 };
		struct sb_err err = { 0 };
		char want[32], message[64];
		expected(probe_index, true, want);
		sb_format(message, sizeof(message), "%s: probed", steps[probe_index].name);
		assert_int_equal(sb_steps_run(steps, SB_ARRAY_SIZE(steps), &log, &err), -EIO);
		assert_string_equal(log.text, want);
		assert_string_equal(err.msg, message);
	}
	struct log log = { 0 };
	assert_int_equal(sb_steps_run(steps, SB_ARRAY_SIZE(steps), &log, NULL), 0);
	assert_string_equal(log.text, "abcd");
	sb_step_probe = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_run),
		cmocka_unit_test(each_fails),
		cmocka_unit_test(each_is_probed),
	};
	return cmocka_run_group_tests_name("step", tests, NULL, NULL);
}
