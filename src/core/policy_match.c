/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which classes a login matches, and how. */
#include "policy_internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "sessbox/parse.h"

/* "!name" or "name" in a list, with the "!" as asked for. */
static bool lists(const struct sb_strv *list, bool excluded, const char *name)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *word = list->v[i];
		if ((word[0] == '!') == excluded && strcmp(word + excluded, name) == 0)
			return true;
	}
	return false;
}

static bool lists_uid(const struct sb_strv *list, bool excluded, uid_t uid)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *word = list->v[i];
		uid_t first, last;
		if ((word[0] == '!') == excluded &&
		    sb_parse_uid_range(word + excluded, &first, &last) == 0 && first <= uid &&
		    uid <= last)
			return true;
	}
	return false;
}

static bool has_any(const struct sb_strv *list, bool excluded)
{
	for (size_t i = 0; i < list->n; i++)
		if ((list->v[i][0] == '!') == excluded)
			return true;
	return false;
}

static bool matches_service(const struct sb_strv *services, const char *service)
{
	if (services->n == 0)
		return true;
	if (!service || lists(services, true, service))
		return false;
	return lists(services, false, service) || !has_any(services, false);
}

static enum sb_contain class_contain(const struct sb_class *class)
{
	struct sb_settings set = { 0 };
	enum sb_contain contain = SB_CONTAIN_UNSET;
	for (size_t i = 0; i < class->n; i++) {
		const struct sb_entry *e = &class->entries[i];
		if (strcmp(e->key->name, "Contain") != 0)
			continue;
		sb_config_parse_value(e->key, e->text, &set, NULL);
		contain = set.contain ? SB_CONTAIN_YES : SB_CONTAIN_NO;
	}
	return contain;
}

static bool has_ended(const struct sb_class *class, const struct sb_login *login)
{
	uint64_t until = sb_class_until(class);
	uint64_t now = login->now ? login->now : (uint64_t)time(NULL);
	return until && until <= now;
}

bool sb_class_is_limit(const struct sb_class *class)
{
	static const char prefix[] = "limit-";
	uint64_t uid;
	uid_t of;
	return sb_class_is_for(class, &of) ||
	       (strncmp(class->name, prefix, strlen(prefix)) == 0 &&
		sb_parse_u64(class->name + strlen(prefix), &uid) == 0);
}

/* Everything that can be said of a class without groups. */
static struct sb_candidate judge(const struct sb_class *class, const struct sb_login *login)
{
	const struct sb_match *m = &class->match;
	struct sb_candidate c = { .class = class, .by_group = SB_LEVEL_GROUP };
	if (has_ended(class, login) || !matches_service(&m->services, login->service) ||
	    lists(&m->users, true, login->user) || lists_uid(&m->uids, true, login->uid))
		return c;
	if (lists(&m->users, false, login->user))
		c.level = SB_LEVEL_USER;
	else if (lists_uid(&m->uids, false, login->uid))
		c.level = SB_LEVEL_UID;
	if (sb_class_is_limit(class)) {
		c.by_group = SB_LEVEL_USER;
		c.level = c.level == SB_LEVEL_NONE ? SB_LEVEL_NONE : SB_LEVEL_USER;
	}
	c.may_add = c.level < c.by_group && has_any(&m->groups, false);
	c.may_exclude = has_any(&m->groups, true);
	c.contain = class_contain(class);
	return c;
}

static int judge_all(struct sb_resolver *r)
{
	r->candidates = calloc(r->config->n + 1, sizeof(*r->candidates));
	if (!r->candidates)
		return sb_fail(r->err, ENOMEM, "resolve the policy");
	for (size_t i = 0; i < r->config->n; i++) {
		const struct sb_class *class = &r->config->classes[i];
		if (strcmp(class->name, SB_CLASS_DEFAULTS) == 0)
			r->defaults = class;
		else
			r->candidates[r->n++] = judge(class, r->login);
	}
	return 0;
}

/* From the strongest match down: can the answer still be "yes"? */
static bool may_be_contained(const struct sb_resolver *r)
{
	if (r->login->uid == 0)
		return false;
	for (enum sb_level level = SB_LEVEL_USER; level > SB_LEVEL_NONE; level--) {
		for (size_t i = r->n; i-- > 0;) {
			const struct sb_candidate *c = &r->candidates[i];
			bool sure = c->level == level && !c->may_exclude;
			bool possible = c->level == level || (c->may_add && c->by_group == level);
			if (possible && c->contain == SB_CONTAIN_YES)
				return true;
			if (sure && c->contain == SB_CONTAIN_NO)
				return false;
		}
	}
	return r->defaults && class_contain(r->defaults) == SB_CONTAIN_YES;
}

/* local: /etc/group alone, whose "no" is no answer. */
static int ask(struct sb_resolver *r, const char *group, bool local)
{
	const struct sb_login *login = r->login;
	if (!login->in_group || sb_strv_has(&r->strangers, group))
		return 0;
	if (sb_strv_has(&r->members, group))
		return 1;
	if (local && !(login->in_local_group && login->in_local_group(login, group)))
		return 0;
	int in = local ? 1 : login->in_group(login, group, login->ctx);
	if (in == -ENOENT)
		return sb_fail_plain(r->err, ENOENT,
				     "cannot tell whether '%s' is in group '%s': there is no such "
				     "group, or its directory does not answer",
				     login->user, group);
	if (in < 0)
		return sb_fail(r->err, in, "look up whether '%s' is in group '%s'", login->user,
			       group);
	if (sb_strv_add(in ? &r->members : &r->strangers, group) < 0)
		return sb_fail(r->err, ENOMEM, "resolve the policy");
	return in > 0;
}

/* All in /etc/group first: a directory that hangs does not delay the yes of a later one. */
static int ask_any(struct sb_resolver *r, const struct sb_strv *groups, bool excluded)
{
	int in = 0;
	for (int local = 1; local >= 0; local--)
		for (size_t i = 0; in == 0 && i < groups->n; i++)
			if ((groups->v[i][0] == '!') == excluded)
				in = ask(r, groups->v[i] + excluded, local);
	return in;
}

static int settle(struct sb_resolver *r, struct sb_candidate *c)
{
	const struct sb_strv *groups = &c->class->match.groups;
	int in = c->may_add ? ask_any(r, groups, false) : 0;
	if (in > 0)
		c->level = c->by_group;
	if (in >= 0 && c->level > SB_LEVEL_NONE) {
		in = ask_any(r, groups, true);
		c->level = in > 0 ? SB_LEVEL_NONE : c->level;
	}
	c->may_add = c->may_exclude = false;
	return in < 0 ? in : 0;
}

/* Whether he is contained: from the strongest class down, as far as it is still open. */
static int settle_containment(struct sb_resolver *r)
{
	for (enum sb_level level = SB_LEVEL_USER; level > SB_LEVEL_NONE; level--) {
		for (size_t i = r->n; i-- > 0;) {
			struct sb_candidate *c = &r->candidates[i];
			bool here = c->level == level || (c->may_add && c->by_group == level);
			if (!here || c->contain == SB_CONTAIN_UNSET)
				continue;
			int e = may_be_contained(r) ? settle(r, c) : 0;
			if (e < 0)
				return e;
		}
	}
	return 0;
}

int sb_resolver_match(struct sb_resolver *r)
{
	int e = judge_all(r);
	if (e == 0)
		e = settle_containment(r);
	if (e < 0 || !may_be_contained(r))
		return e;
	for (size_t i = 0; e == 0 && i < r->n; i++)
		e = settle(r, &r->candidates[i]);
	return e;
}
