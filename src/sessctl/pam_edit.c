/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pam_edit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pam_lines.h"

#define CHANGES_MAX 16
#define TEXTS_MAX 8

/* Lines taken out before line `at` (from 0), or one put in there. */
struct change {
	size_t at;
	size_t cut;
	char put[CTL_ROLE_LINE_MAX];
};

struct edit {
	const struct sb_pam_source *from;
	const struct sb_service *service;
	const char *old;
	struct sb_pam_stack before;
	struct change v[CHANGES_MAX];
	size_t n;
	struct ctl_findings *notes;
	struct sb_err *err;
};

static void clear_edit(struct edit *e)
{
	sb_pam_clear(&e->before);
}
#define cleanup_edit __attribute__((cleanup(clear_edit)))

static int refuse(const struct edit *e, const char *what)
{
	return sb_fail_plain(e->err, EINVAL, "/etc/pam.d/%s: %s", e->service->name, what);
}

/* ---- lines ---- */

static size_t line_length(const char *at)
{
	size_t len = strcspn(at, "\n");
	return len + (at[len] == '\n');
}

static const char *line_at(const char *text, size_t line)
{
	for (; line > 0 && *text; line--)
		text += line_length(text);
	return text;
}

/* What versions of libpam read differently, or editors show as something else. */
static int check_text(const struct edit *e)
{
	if (!*e->old)
		return refuse(e, "it is empty");
	for (const char *c = e->old; *c; c++) {
		if ((unsigned char)*c < ' ' && *c != '\n' && *c != '\t')
			return refuse(e, "there is a control character in it");
		size_t blanks = *c == '\\' ? strspn(c + 1, " \t") : 0;
		if (blanks && (c[1 + blanks] == '\n' || !c[1 + blanks]))
			return refuse(e, "a line ends with a \"\\\" and blanks");
	}
	return 0;
}

/* With the comment that belongs to it. */
static size_t above_comment(const char *text, size_t line)
{
	while (line > 0) {
		const char *above = line_at(text, line - 1);
		if (above[0] != '#' || above[1] == '%')
			break;
		line--;
	}
	return line;
}

/* Puts in what comes before the line; how many are taken out. */
static size_t change_line(const struct edit *e, size_t line, bool bare, FILE *out)
{
	size_t cut = 0;
	for (size_t i = 0; i < e->n; i++) {
		if (e->v[i].at != line)
			continue;
		cut += e->v[i].cut;
		if (*e->v[i].put)
			fprintf(out, bare ? "\n%s" : "%s\n", e->v[i].put);
	}
	return cut;
}

/* Where a file does not end with a newline, it does not afterwards. */
static void print_changed(const struct edit *e, FILE *out)
{
	const char *at = e->old;
	size_t line = 0;
	for (;;) {
		bool bare = at > e->old && at[-1] != '\n';
		size_t cut = change_line(e, line, bare, out);
		if (!*at)
			return;
		if (cut == 0) {
			fwrite(at, 1, line_length(at), out);
			cut = 1;
		}
		for (; cut > 0; cut--, line++)
			at += line_length(at);
	}
}

static char *change_text(const struct edit *e)
{
	cleanup_free char *text = NULL;
	size_t size = 0, len = strlen(e->old);
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	print_changed(e, out);
	if (fclose(out) != 0)
		return NULL;
	if (e->old[len - 1] != '\n' && size > 0 && text[size - 1] == '\n')
		text[size - 1] = '\0';
	return sb_steal_ptr(&text);
}

/* ---- the stack before and after ---- */

static int load(const struct edit *e, const char *text, struct sb_pam_stack *ret)
{
	struct sb_pam_text texts[TEXTS_MAX];
	size_t n = e->from->n < TEXTS_MAX ? e->from->n : TEXTS_MAX - 1;
	texts[0] = (struct sb_pam_text){ e->service->name, text };
	for (size_t i = 0; i < n; i++)
		texts[i + 1] = e->from->texts[i];
	const struct sb_pam_source from = { e->from->root, texts, n + 1 };
	int r = sb_pam_load_from(&from, e->service->name, ret);
	if (r == -EINVAL)
		return sb_fail_plain(e->err, EINVAL, "%s", ret->problem);
	return r < 0 ? sb_fail(e->err, r, "read /etc/pam.d/%s", e->service->name) : 0;
}

static int begin(struct edit *e)
{
	int r = check_text(e);
	return r < 0 ? r : load(e, e->old, &e->before);
}

static int compare(const struct edit *e, const struct sb_pam_stack *after)
{
	bool jumps;
	const struct sb_pam_rule *rule = ctl_pam_differs(&e->before, after, &jumps);
	if (!rule)
		return 0;
	return sb_fail_plain(e->err, EINVAL, "%s:%u: %s with the control '%s' %s", rule->file,
			     rule->line, rule->module, rule->control,
			     jumps ? "jumps over the place of our line"
				   : "would be read as something else");
}

/* The new text, if it is what it should be. */
static int finish(const struct edit *e,
		  int (*check)(const struct edit *, const struct sb_pam_stack *), char **ret)
{
	cleanup_free char *text = change_text(e);
	cleanup_pam struct sb_pam_stack after = { 0 };
	if (!text)
		return sb_fail(e->err, ENOMEM, "edit /etc/pam.d/%s", e->service->name);
	int r = load(e, text, &after);
	if (r == 0)
		r = compare(e, &after);
	if (r == 0)
		r = check(e, &after);
	if (r < 0)
		return r;
	*ret = sb_steal_ptr(&text);
	return 1;
}

/* ---- in ---- */

static bool has_role(const struct sb_pam_stack *stack, size_t role)
{
	for (size_t i = 0; i < stack->n; i++)
		if (ctl_role_is(&stack->v[i], &ctl_roles[role]))
			return true;
	return false;
}

/* An account line alone may stand in a file of all services: it refuses tenants, or lets pass. */
static bool is_common(const struct sb_pam_rule *rule)
{
	return sb_pam_is_ours(rule) && !rule->is_own && rule->type == SB_PAM_ACCOUNT;
}

/* Is nothing of what contains a login there yet? */
static bool is_plain(const struct sb_pam_stack *stack)
{
	for (size_t i = 0; i < stack->n; i++)
		if (sb_pam_is_ours(&stack->v[i]) && !is_common(&stack->v[i]))
			return false;
	return true;
}

/* Which wanted lines are there, or are not, as words. */
static size_t name_roles(const struct edit *e, bool there, char *buf, size_t size)
{
	size_t n = 0, len = 0;
	*buf = '\0';
	for (size_t i = 0; i < CTL_ROLES; i++) {
		if (!ctl_role_wanted(e->service, &ctl_roles[i]) || has_role(&e->before, i) != there)
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", n ? ", " : "",
					ctl_roles[i].name);
		n++;
	}
	return n;
}

static int add_role(struct edit *e, const struct ctl_role *role)
{
	const struct sb_pam_rule *place = NULL;
	char what[128];
	for (size_t i = 0; i < e->before.n; i++) {
		const struct sb_pam_rule *rule = &e->before.v[i];
		if (rule->type == role->type && (!role->first || !place))
			place = rule;
	}
	if (!place) {
		snprintf(what, sizeof(what),
			 "it has no %s line, so that \"other\" decides: give it one",
			 sb_pam_type_name(role->type));
		return refuse(e, what);
	}
	struct change *c = &e->v[e->n++];
	*c = (struct change){ .at = role->first ? above_comment(e->old, place->from - 1)
						: place->to };
	ctl_role_line(e->service, role, c->put);
	return 0;
}

/* Is the first line of the role the first of its type? */
static bool is_first(const struct sb_pam_stack *stack, const struct ctl_role *role)
{
	for (size_t i = 0; i < stack->n; i++)
		if (stack->v[i].type == role->type && !stack->v[i].is_substack)
			return ctl_role_is(&stack->v[i], role);
	return false;
}

static int add_all(struct edit *e, bool first)
{
	int r = 0;
	for (size_t i = 0; i < CTL_ROLES && r == 0; i++)
		if (ctl_roles[i].first == first && ctl_role_wanted(e->service, &ctl_roles[i]))
			r = add_role(e, &ctl_roles[i]);
	return r;
}

/* Where two meet, the one that follows stands before the one that comes ahead of the next line. */
static int add_missing(struct edit *e)
{
	int r = add_all(e, false);
	return r < 0 ? r : add_all(e, true);
}

/* What is included has all lines: the close line alone has a second place. */
static int add_second(struct edit *e)
{
	const struct ctl_role *role = &ctl_roles[CTL_ROLE_CLOSE];
	for (size_t i = 0; i < e->before.n; i++)
		if (e->before.v[i].is_own && sb_pam_is_ours(&e->before.v[i]))
			return 0;
	if (!ctl_role_may_be_twice(e->service, role) || is_first(&e->before, role))
		return 0;
	return add_role(e, role);
}

static int refuse_half(const struct edit *e)
{
	char there[64], missing[64], what[200];
	name_roles(e, true, there, sizeof(there));
	name_roles(e, false, missing, sizeof(missing));
	snprintf(what, sizeof(what),
		 "some lines of " SB_PAM_MODULE " are there (%s), others are not (%s): "
		 "sessctl disable %s, then again",
		 *there ? there : "one that does not belong here", *missing ? missing : "none",
		 e->service->name);
	return refuse(e, what);
}

/* Our lines as `check` sees them; its errors refuse. */
static int look(const struct edit *e, const struct sb_pam_stack *stack)
{
	ctl_check_lines(e->service, stack, e->notes);
	for (size_t i = 0; i < e->notes->n; i++)
		if (e->notes->v[i].severity == CTL_ERROR)
			return sb_fail_plain(e->err, EINVAL, "%s", e->notes->v[i].what);
	return 0;
}

int ctl_pam_put(const struct sb_pam_source *from, const struct sb_service *service, const char *old,
		char **ret, struct ctl_findings *notes, struct sb_err *err)
{
	cleanup_edit struct edit e = {
		.from = from, .service = service, .old = old, .notes = notes, .err = err
	};
	char names[64];
	int r = begin(&e);
	if (r < 0)
		return r;
	if (is_plain(&e.before))
		r = add_missing(&e);
	else if (name_roles(&e, false, names, sizeof(names)) > 0)
		r = refuse_half(&e);
	else
		r = add_second(&e);
	if (r < 0)
		return r;
	return e.n == 0 ? look(&e, &e.before) : finish(&e, look, ret);
}

/* ---- out ---- */

static int is_gone(const struct edit *e, const struct sb_pam_stack *after)
{
	char what[160];
	for (size_t i = 0; i < after->n; i++) {
		if (!sb_pam_is_ours(&after->v[i]) || is_common(&after->v[i]))
			continue;
		snprintf(what, sizeof(what), "a line of ours is in what it includes, %s:%u",
			 after->v[i].file, after->v[i].line);
		return refuse(e, what);
	}
	return 0;
}

/* A type without lines is decided by "other". */
static int keeps_types(const struct edit *e)
{
	for (enum sb_pam_type type = 0; type < SB_PAM_TYPES; type++) {
		size_t ours = 0, others = 0;
		char what[128];
		for (size_t i = 0; i < e->before.n; i++)
			if (e->before.v[i].type == type)
				*(sb_pam_is_ours(&e->before.v[i]) ? &ours : &others) += 1;
		if (!ours || others)
			continue;
		snprintf(what, sizeof(what),
			 "ours is its only %s line, and \"other\" would decide: give it another",
			 sb_pam_type_name(type));
		return refuse(e, what);
	}
	return 0;
}

int ctl_pam_take(const struct sb_pam_source *from, const struct sb_service *service,
		 const char *old, char **ret, struct sb_err *err)
{
	cleanup_edit struct edit e = { .from = from, .service = service, .old = old, .err = err };
	int r = begin(&e);
	for (size_t i = 0; r == 0 && i < e.before.n; i++) {
		const struct sb_pam_rule *rule = &e.before.v[i];
		if (!rule->is_own || !sb_pam_is_ours(rule))
			continue;
		if (e.n == CHANGES_MAX)
			return refuse(&e, "there are too many lines of ours");
		e.v[e.n++] =
			(struct change){ .at = rule->from - 1, .cut = rule->to - rule->from + 1 };
	}
	if (r == 0)
		r = keeps_types(&e);
	if (r < 0)
		return r;
	return e.n == 0 ? is_gone(&e, &e.before) : finish(&e, is_gone, ret);
}
