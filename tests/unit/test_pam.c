/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pam_tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "sessbox/pam.h"

/* ---- controls ---- */

static void test_controls(void **state)
{
	static const struct {
		const char *text;
		int result, success, system_err, ignore;
	} cases[] = {
		{ "required", 0, SB_PAM_OK, SB_PAM_BAD, SB_PAM_IGNORE },
		{ "REQUISITE", 0, SB_PAM_OK, SB_PAM_DIE, SB_PAM_IGNORE },
		{ "sufficient", 0, SB_PAM_DONE, SB_PAM_IGNORE, SB_PAM_IGNORE },
		{ "optional", 0, SB_PAM_OK, SB_PAM_IGNORE, SB_PAM_IGNORE },
		{ "success=1 default=ignore", 0, 1, SB_PAM_IGNORE, SB_PAM_IGNORE },
		{ "default=ignore success=1", 0, 1, SB_PAM_IGNORE, SB_PAM_IGNORE },
		{ "success=ok", 0, SB_PAM_OK, SB_PAM_BAD, SB_PAM_BAD },
		{ "success=done system_err=reset default=12", 0, SB_PAM_DONE, SB_PAM_RESET, 12 },
		{ "requird", -EINVAL, 0, 0, 0 },
		{ "success=0", -EINVAL, 0, 0, 0 },
		{ "success=-1", -EINVAL, 0, 0, 0 },
		{ "succes=ok", -EINVAL, 0, 0, 0 },
		{ "success=", -EINVAL, 0, 0, 0 },
		{ "success=ok bad", -EINVAL, 0, 0, 0 },
		{ "", -EINVAL, 0, 0, 0 },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		int actions[SB_PAM_RESULTS];
		int r = sb_pam_control(cases[i].text, actions);
		if (r != cases[i].result)
			fail_msg("'%s': %d", cases[i].text, r);
		if (r < 0)
			continue;
		assert_int_equal(actions[SB_PAM_SUCCESS], cases[i].success);
		assert_int_equal(actions[SB_PAM_SYSTEM_ERR], cases[i].system_err);
		assert_int_equal(actions[25], cases[i].ignore);
	}
}

/* ---- reading ---- */

/* "auth/1 pam_x.so a b" for each rule, with its level. */
static void assert_rules(const struct sb_pam_stack *stack, const char *want)
{
	char got[4096] = "";
	size_t len = 0;
	for (size_t i = 0; i < stack->n; i++) {
		const struct sb_pam_rule *r = &stack->v[i];
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%s/%d %s",
					r->may_be_gone ? "-" : "", sb_pam_type_name(r->type),
					r->level, r->module);
		for (size_t k = 0; k < r->args.n; k++)
			len += (size_t)snprintf(got + len, sizeof(got) - len, " <%s>",
						r->args.v[k]);
		len += (size_t)snprintf(got + len, sizeof(got) - len, "\n");
	}
	assert_string_equal(got, want);
}

static void test_lines(void **state)
{
	struct scratch s = make_pam_tree();
	struct sb_pam_stack stack;
	(void)state;
	put_text(s.fd, "etc/pam.d/x",
		 "# a comment\n\n"
		 "auth required pam_a.so one two # [1]\n"
		 "AUTH\t[success=1 default=ignore]\t/lib/security/pam_b.so\n"
		 "-session optional pam_c.so [a b \\] c] d\n"
		 "account required \\\n  pam_d.so \\\n  last\n"
		 "password required pam_e.so");
	assert_int_equal(sb_pam_load(s.fd, "x", &stack), 0);
	assert_rules(&stack, "auth/0 pam_a.so <one> <two>\n"
			     "auth/0 pam_b.so\n"
			     "-session/0 pam_c.so <a b ] c> <d>\n"
			     "account/0 pam_d.so <last>\n"
			     "password/0 pam_e.so\n");
	assert_int_equal(stack.v[0].line, 3);
	assert_string_equal(stack.v[0].file, "/etc/pam.d/x");
	assert_string_equal(stack.v[1].control, "success=1 default=ignore");
	sb_pam_clear(&stack);
	drop_scratch(&s);
}

/* Whoever decides by what was read has to know where versions of libpam differ. */
static void test_continued_lines(void **state)
{
	static const struct {
		const char *text;
		unsigned int line;
	} cases[] = {
		{ "auth required pam_a.so\n", 0 },
		{ "auth required pam_a\\b.so\n", 0 },
		{ "auth required \\\n pam_a.so\n", 1 },
		{ "auth required pam_a.so\nauth required pam_b.so \\", 2 },
		{ "auth required pam_a.so \\ \t\n", 1 },
		{ "auth required pam_a.so \\\r\n", 1 },
		{ "\n# a comment \\\nauth required pam_a.so\n", 2 },
		{ "auth required pam_a.so # \\\n", 1 },
		{ "@include common\n", 0 },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct scratch s = make_pam_tree();
		struct sb_pam_stack stack;
		put_text(s.fd, "etc/pam.d/x", cases[i].text);
		put_text(s.fd, "etc/pam.d/common", "auth required \\\n pam_c.so\n");
		assert_int_equal(sb_pam_load(s.fd, "x", &stack), 0);
		if (stack.continued != cases[i].line)
			fail_msg("case %zu: %u", i, stack.continued);
		sb_pam_clear(&stack);
		drop_scratch(&s);
	}
}

static void test_includes(void **state)
{
	struct scratch s = make_pam_tree();
	struct sb_pam_stack stack;
	(void)state;
	put_text(s.fd, "etc/pam.d/x",
		 "auth include common\n"
		 "@include all\n"
		 "session substack common\n"
		 "session required pam_last.so\n");
	put_text(s.fd, "etc/pam.d/common", "auth required pam_a.so\nsession required pam_s.so\n");
	put_text(s.fd, "etc/pam.d/all", "account required pam_b.so\n@include vendor\n");
	put_text(s.fd, "usr/lib/pam.d/vendor", "session required pam_v.so\n");
	assert_int_equal(sb_pam_load(s.fd, "x", &stack), 0);
	assert_rules(&stack, "auth/0 pam_a.so\naccount/0 pam_b.so\nsession/0 pam_v.so\n"
			     "session/0 common\nsession/1 pam_s.so\nsession/0 pam_last.so\n");
	assert_true(stack.v[3].is_substack);
	assert_string_equal(stack.v[2].file, "/usr/lib/pam.d/vendor");
	sb_pam_clear(&stack);
	drop_scratch(&s);
}

static void test_admins_file_hides_the_vendors(void **state)
{
	struct scratch s = make_pam_tree();
	struct sb_pam_stack stack;
	(void)state;
	put_text(s.fd, "etc/pam.d/x", "auth required pam_a.so\n");
	put_text(s.fd, "usr/lib/pam.d/x", "auth required pam_b.so\n");
	assert_int_equal(sb_pam_load(s.fd, "x", &stack), 0);
	assert_rules(&stack, "auth/0 pam_a.so\n");
	sb_pam_clear(&stack);
	assert_int_equal(sb_pam_load(s.fd, "y", &stack), -ENOENT);
	sb_pam_clear(&stack);
	drop_scratch(&s);
}

static void test_what_libpam_refuses(void **state)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{ "auht required pam_a.so\n", "/etc/pam.d/x:1: 'auht'" },
		{ "auth requird pam_a.so\n", "/etc/pam.d/x:1: 'requird'" },
		{ "auth required pam_a.so\nauth required\n", "/etc/pam.d/x:2: " },
		{ "auth\n", "/etc/pam.d/x:1: " },
		{ "auth required pam_a.so\n\r\n", "/etc/pam.d/x:2: a carriage return" },
		{ "auth [success=never] pam_a.so\n", "success=never" },
		{ "@include\n", "/etc/pam.d/x:1: " },
		{ "@include nowhere\n", "nowhere" },
		{ "auth include nowhere\n", "nowhere" },
		{ "@include x\n", "deep" },
		{ "auth substack x\n", "deep" },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct scratch s = make_pam_tree();
		struct sb_pam_stack stack;
		put_text(s.fd, "etc/pam.d/x", cases[i].text);
		assert_int_equal(sb_pam_load(s.fd, "x", &stack), -EINVAL);
		if (!strstr(stack.problem, cases[i].problem))
			fail_msg("no '%s' in '%s'", cases[i].problem, stack.problem);
		sb_pam_clear(&stack);
		drop_scratch(&s);
	}
}

/* ---- who goes round whom; "ours" is the last line of the type ---- */

static void test_skippers(void **state)
{
	static const struct {
		const char *before; /* ours */
		const char *who;    /* NULL = nobody */
	} cases[] = {
		{ "auth required pam_a.so\n", NULL },
		{ "auth sufficient pam_a.so\n", "pam_a.so" },
		{ "session sufficient pam_a.so\n", NULL },
		{ "auth optional pam_a.so\n", NULL },
		{ "auth [success=done default=bad] pam_a.so\n", "pam_a.so" },
		/* jumps */
		{ "auth [success=1 default=ignore] pam_a.so\nauth requisite pam_deny.so\n", NULL },
		{ "auth [success=2 default=ignore] pam_a.so\nauth requisite pam_deny.so\n",
		  "pam_a.so" },
		{ "auth [success=1 default=ignore] pam_a.so\nsession required pam_s.so\n",
		  "pam_a.so" },
		{ "auth [default=1] pam_a.so\nauth required pam_b.so\n", NULL },
		/* a substack keeps its ends to itself, and is one step */
		{ "auth substack sub\n", NULL },
		{ "auth [success=1 default=ignore] pam_a.so\nauth substack sub\n", NULL },
		{ "auth [success=2 default=ignore] pam_a.so\nauth substack sub\n", "pam_a.so" },
		/* an include does not */
		{ "auth include sub\n", "pam_sub.so" },
		{ "@include sub\n", "pam_sub.so" },
		/* a jump does not leave its substack */
		{ "auth substack jump\n", NULL },
	};
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct scratch s = make_pam_tree();
		struct sb_pam_stack stack;
		char text[512];
		snprintf(text, sizeof(text), "%sauth required pam_ours.so\n", cases[i].before);
		put_text(s.fd, "etc/pam.d/x", text);
		put_text(s.fd, "etc/pam.d/sub",
			 "auth sufficient pam_sub.so\nauth required pam_more.so\n");
		put_text(s.fd, "etc/pam.d/jump", "auth [success=5 default=ignore] pam_j.so\n");
		assert_int_equal(sb_pam_load(s.fd, "x", &stack), 0);
		const struct sb_pam_rule *who = sb_pam_skipper(&stack, stack.n - 1);
		const char *name = who ? who->module : "nobody";
		if (strcmp(name, cases[i].who ? cases[i].who : "nobody") != 0)
			fail_msg("case %zu: %s skips", i, name);
		sb_pam_clear(&stack);
		drop_scratch(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_continued_lines),
		cmocka_unit_test(test_includes),
		cmocka_unit_test(test_admins_file_hides_the_vendors),
		cmocka_unit_test(test_what_libpam_refuses),
		cmocka_unit_test(test_skippers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
