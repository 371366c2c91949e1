/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What `sessctl enable` and `disable` make of a service's file. */
#include "pam_tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "pam_edit.h"
#include "pam_lines.h"

/* ---- Debian's own files: what conf/pam.d has besides the lines of ours ---- */

#define FILE_MAX 16384

static void read_example(const char *service, char *buf)
{
	char path[64];
	snprintf(path, sizeof(path), "conf/pam.d/%s.example", service);
	ssize_t n = sb_read_file(AT_FDCWD, path, buf, FILE_MAX - 1);
	if (n < 0)
		fail_msg("'%s' (run this in the project's directory): %s", path, strerror((int)-n));
}

/* Without its head, our lines and what explains them. */
static char *take_stock(const char *service)
{
	char example[FILE_MAX], *stock = NULL, *save = NULL;
	size_t size;
	FILE *out = open_memstream(&stock, &size);
	assert_non_null(out);
	read_example(service, example);
	char *at = strstr(example, "\n\n");
	assert_non_null(at);
	bool explains = false;
	for (char *line = strtok_r(at + 2, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		explains = strncmp(line, "# >>>", 5) == 0 || (explains && *line == '#');
		if (!explains && !strstr(line, SB_PAM_MODULE))
			fprintf(out, "%s\n", line);
	}
	fclose(out);
	return stock;
}

/* Debian 13 has what Debian 12 has, but for this. */
static const struct {
	const char *service, *old, *new;
} in_trixie[] = {
	{ "sshd", "pam_env.so user_readenv=1 envfile", "pam_env.so envfile" },
	{ "login", "session    optional   pam_lastlog.so\n", "" },
};

/* The text itself when nothing differs. */
static char *make_newer(const char *service, char *stock)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(in_trixie); i++) {
		char *at = strstr(stock, in_trixie[i].old), *newer;
		if (strcmp(in_trixie[i].service, service) != 0)
			continue;
		assert_non_null(at);
		*at = '\0';
		assert_true(asprintf(&newer, "%s%s%s", stock, in_trixie[i].new,
				     at + strlen(in_trixie[i].old)) > 0);
		free(stock);
		return newer;
	}
	return stock;
}

/* ---- a service at a time ---- */

struct result {
	int r;
	char *text; /* NULL = as it was */
	struct ctl_findings notes;
	struct sb_err err;
};

static struct result put(const struct sb_pam_source *from, const char *service, const char *old)
{
	struct result result = { .notes = { .check = "services" } };
	result.r = ctl_pam_put(from, sb_service_find(service), old, &result.text, &result.notes,
			       &result.err);
	return result;
}

static struct result take(const struct sb_pam_source *from, const char *service, const char *old)
{
	struct result result = { 0 };
	result.r = ctl_pam_take(from, sb_service_find(service), old, &result.text, &result.err);
	return result;
}

static void drop(struct result *result)
{
	free(result->text);
	ctl_findings_clear(&result->notes);
}

static void assert_refused(struct result *result, const char *why)
{
	if (result->r != -EINVAL || !strstr(result->err.msg, why))
		fail_msg("no '%s' in: %d %s\n%s", why, result->r, result->err.msg,
			 result->text ? result->text : "");
	assert_null(result->text);
	drop(result);
}

static void assert_changed(const struct result *result)
{
	if (result->r != 1)
		fail_msg("%d %s", result->r, result->err.msg);
	assert_non_null(result->text);
}

/* The modules of the stacks, in their order, with arguments. */
static void print_stack(const struct sb_pam_stack *stack, char *buf)
{
	size_t len = 0;
	*buf = '\0';
	for (enum sb_pam_type type = 0; type < SB_PAM_TYPES; type++)
		for (size_t i = 0; i < stack->n; i++) {
			const struct sb_pam_rule *r = &stack->v[i];
			if (r->type != type)
				continue;
			len += (size_t)snprintf(buf + len, FILE_MAX - len, "%s %s %s",
						sb_pam_type_name(type), r->control, r->module);
			for (size_t k = 0; k < r->args.n; k++)
				len += (size_t)snprintf(buf + len, FILE_MAX - len, " %s",
							r->args.v[k]);
			len += (size_t)snprintf(buf + len, FILE_MAX - len, "\n");
		}
}

static void assert_same_stacks(const struct sb_pam_source *from, const char *service,
			       const char *text, const char *want)
{
	char stacks[2][FILE_MAX];
	const char *const texts[] = { text, want };
	for (size_t i = 0; i < 2; i++) {
		struct sb_pam_text all[] = { { service, texts[i] },
					     from->n ? from->texts[0] : (struct sb_pam_text){ 0 } };
		struct sb_pam_source one = { from->root, all, 1 + from->n };
		struct sb_pam_stack stack;
		assert_int_equal(sb_pam_load_from(&one, service, &stack), 0);
		print_stack(&stack, stacks[i]);
		sb_pam_clear(&stack);
	}
	assert_string_equal(stacks[0], stacks[1]);
}

/* ---- as packaged ---- */

static const struct {
	const char *service, *head; /* whose file it includes */
} packaged[] = {
	{ "sshd", NULL },	    { "su", NULL },    { "su-l", "su" }, { "runuser", NULL },
	{ "runuser-l", "runuser" }, { "login", NULL }, { "cron", NULL }, { "atd", NULL },
};

static void put_host(int root)
{
	put_common(root);
	put_text(root, "etc/pam.d/common-session-noninteractive",
		 "session [default=1] pam_permit.so\nsession requisite pam_deny.so\n"
		 "session required pam_permit.so\nsession required pam_unix.so\n");
	put_text(root, "etc/pam.d/common-password", "password required pam_unix.so\n");
}

/* The file it includes, with our lines and without. */
struct head {
	const char *name;
	char *with, *without;
};

static struct sb_pam_source make_source(int root, struct sb_pam_text *text, const struct head *head,
					bool with)
{
	*text = (struct sb_pam_text){ head->name, with ? head->with : head->without };
	return (struct sb_pam_source){ root, text, head->name ? 1 : 0 };
}

/* In: as in the example. Once more: nothing. Out: byte by byte as it was. */
static void check_packaged(int root, const char *service, const struct head *head,
			   const char *stock, bool as_example)
{
	char example[FILE_MAX];
	struct sb_pam_text texts[2];
	const struct sb_pam_source with = make_source(root, &texts[0], head, true);
	const struct sb_pam_source without = make_source(root, &texts[1], head, false);
	struct result in = put(&with, service, stock);
	assert_changed(&in);
	read_example(service, example);
	if (as_example)
		assert_same_stacks(&with, service, in.text, example);
	struct result again = put(&with, service, in.text);
	assert_int_equal(again.r, 0);
	assert_null(again.text);
	for (size_t i = 0; i < again.notes.n; i++)
		assert_int_equal(again.notes.v[i].severity, CTL_NOTE);
	drop(&again);
	struct result out = take(&without, service, in.text);
	assert_changed(&out);
	assert_string_equal(out.text, stock);
	drop(&out);
	drop(&in);
	out = take(&without, service, stock);
	assert_int_equal(out.r, 0);
	drop(&out);
}

static struct head make_head(int root, const char *name)
{
	struct head head = { .name = name };
	const struct sb_pam_source from = { .root = root };
	if (!name)
		return head;
	head.without = take_stock(name);
	struct result result = put(&from, name, head.without);
	assert_changed(&result);
	head.with = result.text;
	ctl_findings_clear(&result.notes);
	return head;
}

static void check_release(bool newer)
{
	struct scratch s = make_pam_tree();
	put_host(s.fd);
	for (size_t i = 0; i < SB_ARRAY_SIZE(packaged); i++) {
		const char *service = packaged[i].service;
		struct head head = make_head(s.fd, packaged[i].head);
		char *old = take_stock(service), *stock = newer ? make_newer(service, old) : old;
		check_packaged(s.fd, service, &head, stock, stock == old);
		free(head.with);
		free(head.without);
		free(stock);
	}
	drop_scratch(&s);
}

static void test_debian_12(void **state)
{
	(void)state;
	check_release(false);
}

static void test_debian_13(void **state)
{
	(void)state;
	check_release(true);
}

/* ---- places ---- */

#define ACCOUNT "account required pam_sessbox.so\n"
#define AUTH "auth required pam_sessbox.so join=cred\n"
#define CLOSE "session required pam_sessbox.so close\n"
#define OPEN "session required pam_sessbox.so open join=cred\n"

static const struct {
	const char *name, *old, *new;
} places[] = {
	{ "plain", "auth required pam_a.so\naccount required pam_b.so\nsession required pam_c.so\n",
	  "auth required pam_a.so\n" AUTH ACCOUNT "account required pam_b.so\n" CLOSE
	  "session required pam_c.so\n" OPEN },
	{ "mixed",
	  "session required pam_c.so\naccount required pam_b.so\nsession optional pam_d.so\n"
	  "auth required pam_a.so\npassword required pam_p.so\n",
	  CLOSE "session required pam_c.so\n" ACCOUNT
		"account required pam_b.so\nsession optional pam_d.so\n" OPEN
		"auth required pam_a.so\n" AUTH "password required pam_p.so\n" },
	{ "all in one include", "#%PAM-1.0\n@include all\npassword required pam_p.so\n",
	  "#%PAM-1.0\n" ACCOUNT CLOSE "@include all\n" AUTH OPEN "password required pam_p.so\n" },
	{ "includes of a type and substacks",
	  "auth substack all\naccount include all\nsession include all\nsession substack all\n",
	  "auth substack all\n" AUTH ACCOUNT "account include all\n" CLOSE
	  "session include all\nsession substack all\n" OPEN },
	{ "comments stay with their lines",
	  "# one\nauth required pam_a.so\n\n# two\n# three\naccount required pam_b.so\n\n"
	  "session required pam_c.so # four\n# five\n",
	  "# one\nauth required pam_a.so\n" AUTH "\n" ACCOUNT
	  "# two\n# three\naccount required pam_b.so\n\n" CLOSE
	  "session required pam_c.so # four\n" OPEN "# five\n" },
	{ "lines that go on",
	  "auth required \\\n  pam_a.so \\\n  x\naccount required \\\n  pam_b.so\n"
	  "session required \\\n pam_c.so\n",
	  "auth required \\\n  pam_a.so \\\n  x\n" AUTH ACCOUNT
	  "account required \\\n  pam_b.so\n" CLOSE "session required \\\n pam_c.so\n" OPEN },
	{ "no newline at the end",
	  "auth required pam_a.so\naccount required pam_b.so\nsession required pam_c.so",
	  "auth required pam_a.so\n" AUTH ACCOUNT "account required pam_b.so\n" CLOSE
	  "session required pam_c.so\nsession required pam_sessbox.so open join=cred" },
	{ "an account line that all services have",
	  "auth required pam_a.so\n@include guard\nsession required pam_c.so\n",
	  "auth required pam_a.so\n" AUTH ACCOUNT "@include guard\n" CLOSE
	  "session required pam_c.so\n" OPEN },
	{ "jumps that end before us",
	  "auth [success=1 default=ignore] pam_a.so\nauth requisite pam_deny.so\n"
	  "account [success=1 default=ignore] pam_b.so\naccount requisite pam_deny.so\n"
	  "session required pam_c.so\n",
	  "auth [success=1 default=ignore] pam_a.so\nauth requisite pam_deny.so\n" AUTH ACCOUNT
	  "account [success=1 default=ignore] pam_b.so\naccount requisite pam_deny.so\n" CLOSE
	  "session required pam_c.so\n" OPEN },
};

static struct scratch make_host(void)
{
	struct scratch s = make_pam_tree();
	put_text(s.fd, "etc/pam.d/all",
		 "auth required pam_1.so\naccount required pam_2.so\nsession required pam_3.so\n");
	put_text(s.fd, "etc/pam.d/loop", "@include loop\n");
	put_text(s.fd, "etc/pam.d/ours", "session required pam_sessbox.so open join=cred\n");
	put_text(s.fd, "etc/pam.d/guard", ACCOUNT "account required pam_b.so\n");
	return s;
}

static void test_places(void **state)
{
	struct scratch s = make_host();
	const struct sb_pam_source from = { .root = s.fd };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(places); i++) {
		struct result in = put(&from, "sshd", places[i].old);
		if (in.r != 1)
			fail_msg("%s: %s", places[i].name, in.err.msg);
		assert_string_equal(in.text, places[i].new);
		struct result out = take(&from, "sshd", in.text);
		assert_changed(&out);
		assert_string_equal(out.text, places[i].old);
		drop(&out);
		drop(&in);
	}
	drop_scratch(&s);
}

/* ---- what is refused ---- */

#define A "auth required pam_a.so\n"
#define C "account required pam_b.so\n"
#define S "session required pam_c.so\n"

static void test_what_is_not_understood(void **state)
{
	static const struct {
		const char *service, *old, *why;
	} cases[] = {
		{ "sshd", "", "is empty" },
		{ "sshd", A C S "session required pam_d.so\r\n", "control character" },
		{ "sshd", A C S "session required \\ \n pam_d.so\n", "blanks" },
		{ "sshd", A C S "session required pam_d.so \\", "would be read as something else" },
		{ "sshd", A C S "session sometimes pam_d.so\n", "'sometimes' is no control" },
		{ "sshd", A C S "sesion required pam_d.so\n", "'sesion' is no type" },
		{ "sshd", A C S "@include loop\n", "16 deep" },
		{ "sshd", A C S "@include nowhere\n", "no 'nowhere'" },
		{ "sshd", A C S "@include sshd\n", "16 deep" },
		{ "sshd", A C, "no session line" },
		{ "sshd", C S, "no auth line" },
		{ "sshd", A S, "no account line" },
		/* what goes round our line */
		{ "sshd", "auth sufficient pam_x.so\n" A C S, "go round the auth line" },
		{ "sshd", A C "session sufficient pam_x.so\n" S, "go round the open line" },
		{ "sshd", A C S "session [success=done default=ignore] pam_x.so\n",
		  "go round the open line" },
		{ "sshd", "auth [success=1 default=ignore] pam_x.so\n" C S,
		  "go round the auth line" },
		{ "sshd", A "auth [success=5 default=ignore] pam_x.so\n" C S,
		  "go round the auth line" },
		/* half of them */
		{ "sshd", A C S OPEN, "(open), others are not (account, auth, close)" },
		{ "sshd", A AUTH ACCOUNT C S OPEN, "others are not (close)" },
		{ "sshd", A ACCOUNT C S, "others are not (auth, close, open)" },
		{ "sshd", A C S "@include ours\n", "(open)" },
		{ "su", "auth required pam_sessbox.so join=fork\n" A C S, "does not belong here" },
		/* all of them, but wrong */
		{ "sshd",
		  A AUTH ACCOUNT C CLOSE S "session optional pam_sessbox.so open join=cred\n",
		  "a refusal does not count" },
		{ "sshd",
		  A AUTH ACCOUNT C CLOSE S "session required pam_sessbox.so open join=fork\n",
		  "has no join=cred" },
		{ "sshd", A AUTH AUTH ACCOUNT C CLOSE S OPEN, "a second auth line" },
		{ "su", A AUTH ACCOUNT C CLOSE S "session required pam_sessbox.so open join=fork\n",
		  "has no join=fork" },
		{ "sshd", A AUTH ACCOUNT C CLOSE S "session sufficient pam_x.so\n" OPEN,
		  "go round the open line" },
	};
	struct scratch s = make_host();
	const struct sb_pam_source from = { .root = s.fd };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct result result = put(&from, cases[i].service, cases[i].old);
		if (result.r != -EINVAL)
			fail_msg("case %zu: %d\n%s", i, result.r, result.text ? result.text : "");
		assert_refused(&result, cases[i].why);
	}
	drop_scratch(&s);
}

static void test_what_check_warns_of_is_passed_on(void **state)
{
	struct scratch s = make_host();
	const struct sb_pam_source from = { .root = s.fd };
	(void)state;
	struct result result = put(&from, "sshd", A C S "session requisite pam_x.so\n");
	assert_changed(&result);
	assert_int_equal(result.notes.n, 1);
	assert_int_equal(result.notes.v[0].severity, CTL_WARNING);
	assert_non_null(strstr(result.notes.v[0].what, "when pam_x.so fails"));
	drop(&result);
	result = put(&from, "sshd", A AUTH ACCOUNT C S CLOSE OPEN);
	assert_int_equal(result.r, 0);
	assert_non_null(strstr(result.notes.v[0].what, "close line is not the first"));
	drop(&result);
	drop_scratch(&s);
}

static void test_what_cannot_be_taken_out(void **state)
{
	static const struct {
		const char *old, *why;
	} cases[] = {
		{ A C S "@include ours\n", "in what it includes, /etc/pam.d/ours:1" },
		{ A AUTH ACCOUNT S CLOSE OPEN, "only account line" },
		{ "auth [success=1 default=ignore] pam_x.so\n" AUTH "auth required pam_y.so\n" C S,
		  "jumps over the place of our line" },
		{ A C S CLOSE "@include nowhere\n", "no 'nowhere'" },
	};
	struct scratch s = make_host();
	const struct sb_pam_source from = { .root = s.fd };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct result result = take(&from, "sshd", cases[i].old);
		assert_refused(&result, cases[i].why);
	}
	drop_scratch(&s);
}

/* Whatever they look like, and however many. */
static void test_all_of_ours_are_taken_out(void **state)
{
	static const struct {
		const char *old, *new;
	} cases[] = {
		{ A "-auth optional /lib/security/pam_sessbox.so what=ever\n" C S, A C S },
		{ A C S "session required \\\n pam_sessbox.so \\\n open\n# end\n",
		  A C S "# end\n" },
		{ A ACCOUNT C S, A C S },
		{ ACCOUNT ACCOUNT A C S OPEN OPEN OPEN, A C S },
		{ A C "session required pam_c.so\nsession required pam_sessbox.so open",
		  A C "session required pam_c.so" },
		{ A C S "# session required pam_sessbox.so open\n", NULL },
		{ A C S, NULL },
	};
	struct scratch s = make_host();
	const struct sb_pam_source from = { .root = s.fd };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(cases); i++) {
		struct result result = take(&from, "sshd", cases[i].old);
		if (cases[i].new) {
			assert_changed(&result);
			assert_string_equal(result.text, cases[i].new);
		} else {
			assert_int_equal(result.r, 0);
		}
		drop(&result);
	}
	drop_scratch(&s);
}

/* ---- the diff ---- */

static void assert_patch(const struct scratch *s, const char *old, const char *new)
{
	char *diff = NULL, command[256];
	size_t size;
	FILE *out = open_memstream(&diff, &size);
	assert_non_null(out);
	assert_int_equal(ctl_pam_diff(out, "/etc/pam.d/x", old, new), 0);
	fclose(out);
	put_text(s->fd, "old", old);
	put_text(s->fd, "new", new);
	put_text(s->fd, "ours", diff);
	snprintf(command, sizeof(command),
		 "cd %s && diff -u --label /etc/pam.d/x --label /etc/pam.d/x old new | cmp - ours",
		 s->path);
	if (system(command) != 0)
		fail_msg("another diff:\n%s", diff);
	free(diff);
}

/* diff(1) prints the same. */
static void test_diff(void **state)
{
	struct scratch s = make_scratch();
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(places); i++) {
		assert_patch(&s, places[i].old, places[i].new);
		assert_patch(&s, places[i].new, places[i].old);
	}
	assert_patch(&s, "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\nx\n");
	assert_patch(&s, "1\n2\n3\n4\n5\n6\n", "0\n1\n2\n3\n4\n5\n6\nx\n");
	assert_patch(&s, "1\n", "1\n");
	assert_patch(&s, "", "1\n");
	drop_scratch(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debian_12),
		cmocka_unit_test(test_debian_13),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_what_is_not_understood),
		cmocka_unit_test(test_what_check_warns_of_is_passed_on),
		cmocka_unit_test(test_what_cannot_be_taken_out),
		cmocka_unit_test(test_all_of_ours_are_taken_out),
		cmocka_unit_test(test_diff),
	};
	return cmocka_run_group_tests_name("sessctl edit", tests, NULL, NULL);
}
