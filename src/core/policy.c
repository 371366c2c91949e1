/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "sessbox/parse.h"

/* How a class matched; a higher one beats a lower one. */
enum level { LEVEL_NONE, LEVEL_UID, LEVEL_GROUP, LEVEL_USER };

enum contain { CONTAIN_UNSET, CONTAIN_NO, CONTAIN_YES };

struct candidate {
	const struct sb_class *class;
	enum level level;     /* by what is known */
	enum level by_group;  /* what a group makes of it */
	enum contain contain; /* what it sets */
	bool may_add;	      /* a group may raise it to by_group */
	bool may_exclude;     /* a group may take it away */
};

struct resolver {
	const struct sb_config *config;
	const struct sb_login *login;
	struct candidate *candidates; /* all classes but [Defaults], in order */
	size_t n;
	const struct sb_class *defaults;
	struct sb_strv members; /* answers of in_group */
	struct sb_strv strangers;
	struct sb_err *err;
};

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

static enum contain class_contain(const struct sb_class *class)
{
	struct sb_settings set = { 0 };
	enum contain contain = CONTAIN_UNSET;
	for (size_t i = 0; i < class->n; i++) {
		const struct sb_entry *e = &class->entries[i];
		if (strcmp(e->key->name, "Contain") != 0)
			continue;
		sb_config_parse_value(e->key, e->text, &set, NULL);
		contain = set.contain ? CONTAIN_YES : CONTAIN_NO;
	}
	return contain;
}

static bool has_ended(const struct sb_class *class, const struct sb_login *login)
{
	uint64_t until = sb_class_until(class);
	uint64_t now = login->now ? login->now : (uint64_t)time(NULL);
	return until && until <= now;
}

/* A section that `sessctl limit` writes. */
static bool is_limit_class(const struct sb_class *class)
{
	static const char prefix[] = "limit-";
	uint64_t uid;
	uid_t of;
	return sb_class_is_for(class, &of) ||
	       (strncmp(class->name, prefix, strlen(prefix)) == 0 &&
		sb_parse_u64(class->name + strlen(prefix), &uid) == 0);
}

/* Everything that can be said of a class without groups. */
static struct candidate judge(const struct sb_class *class, const struct sb_login *login)
{
	const struct sb_match *m = &class->match;
	struct candidate c = { .class = class, .by_group = LEVEL_GROUP };
	if (has_ended(class, login) || !matches_service(&m->services, login->service) ||
	    lists(&m->users, true, login->user) || lists_uid(&m->uids, true, login->uid))
		return c;
	if (lists(&m->users, false, login->user))
		c.level = LEVEL_USER;
	else if (lists_uid(&m->uids, false, login->uid))
		c.level = LEVEL_UID;
	if (is_limit_class(class)) {
		c.by_group = LEVEL_USER;
		c.level = c.level == LEVEL_NONE ? LEVEL_NONE : LEVEL_USER;
	}
	c.may_add = c.level < c.by_group && has_any(&m->groups, false);
	c.may_exclude = has_any(&m->groups, true);
	c.contain = class_contain(class);
	return c;
}

static int judge_all(struct resolver *r)
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
static bool may_be_contained(const struct resolver *r)
{
	if (r->login->uid == 0)
		return false;
	for (enum level level = LEVEL_USER; level > LEVEL_NONE; level--) {
		for (size_t i = r->n; i-- > 0;) {
			const struct candidate *c = &r->candidates[i];
			bool sure = c->level == level && !c->may_exclude;
			bool possible = c->level == level || (c->may_add && c->by_group == level);
			if (possible && c->contain == CONTAIN_YES)
				return true;
			if (sure && c->contain == CONTAIN_NO)
				return false;
		}
	}
	return r->defaults && class_contain(r->defaults) == CONTAIN_YES;
}

static int ask(struct resolver *r, const char *group)
{
	if (!r->login->in_group || sb_strv_has(&r->strangers, group))
		return 0;
	if (sb_strv_has(&r->members, group))
		return 1;
	int in = r->login->in_group(r->login, group, r->login->ctx);
	if (in < 0)
		return sb_fail(r->err, in, "look up whether '%s' is in group '%s'", r->login->user,
			       group);
	if (sb_strv_add(in ? &r->members : &r->strangers, group) < 0)
		return sb_fail(r->err, ENOMEM, "resolve the policy");
	return in > 0;
}

static int ask_any(struct resolver *r, const struct sb_strv *groups, bool excluded)
{
	int in = 0;
	for (size_t i = 0; in == 0 && i < groups->n; i++)
		if ((groups->v[i][0] == '!') == excluded)
			in = ask(r, groups->v[i] + excluded);
	return in;
}

static int settle(struct resolver *r, struct candidate *c)
{
	const struct sb_strv *groups = &c->class->match.groups;
	int in = c->may_add ? ask_any(r, groups, false) : 0;
	if (in > 0)
		c->level = c->by_group;
	if (in >= 0 && c->level > LEVEL_NONE) {
		in = ask_any(r, groups, true);
		c->level = in > 0 ? LEVEL_NONE : c->level;
	}
	return in < 0 ? in : 0;
}

static int settle_all(struct resolver *r)
{
	int e = 0;
	if (!may_be_contained(r))
		return 0;
	for (size_t i = 0; e == 0 && i < r->n; i++)
		e = settle(r, &r->candidates[i]);
	return e;
}

/* Notes what an entry hides or extends. */
static int note_old(const struct resolver *r, struct sb_origin *o, const struct sb_entry *entry)
{
	cleanup_free char *note = NULL;
	const char *extended = entry->append ? ", extended" : "";
	int n = 0;
	if (o->class)
		n = asprintf(&note, "%s=%s from [%s] in %s%s", entry->key->name, o->text,
			     o->class->name, r->config->files.v[o->file], extended);
	else if (entry->append && o->text[0])
		n = asprintf(&note, "%s=%s built in%s", entry->key->name, o->text, extended);
	if (n < 0)
		sb_steal_ptr(&note); /* undefined after a failure */
	return n < 0 ? -ENOMEM : note ? sb_strv_add(&o->overrode, note) : 0;
}

static int apply_entry(const struct resolver *r, struct sb_origin *o, const struct sb_class *class,
		       const struct sb_entry *entry)
{
	char *text = NULL;
	int e = note_old(r, o, entry);
	if (e < 0)
		return e;
	if (!entry->append || !o->text[0])
		text = strdup(entry->text);
	else if (asprintf(&text, "%s %s", o->text, entry->text) < 0)
		text = NULL;
	if (!text)
		return -ENOMEM;
	free(o->text);
	*o = (struct sb_origin){ text, class, entry->file, o->overrode };
	return 0;
}

/* A budget is one class': nothing of it comes from a weaker one. */
static int begin_budget(struct sb_policy *p, const struct sb_class *class)
{
	p->budget = class->name;
	for (size_t i = 0; i < sb_keys_n; i++) {
		struct sb_origin *o = &p->origins[i];
		if (sb_keys[i].kind != SB_KEY_BUDGET)
			continue;
		char *text = strdup(sb_keys[i].preset);
		if (!text)
			return -ENOMEM;
		free(o->text);
		*o = (struct sb_origin){ .text = text, .overrode = o->overrode };
	}
	return 0;
}

static bool has_budget(const struct sb_class *class)
{
	for (size_t i = 0; i < class->n; i++)
		if (class->entries[i].key->kind == SB_KEY_BUDGET)
			return true;
	return false;
}

static int apply_class(const struct resolver *r, struct sb_policy *p, const struct sb_class *class)
{
	int e = has_budget(class) ? begin_budget(p, class) : 0;
	for (size_t i = 0; e == 0 && i < class->n; i++) {
		const struct sb_entry *entry = &class->entries[i];
		if (entry->key->kind != SB_KEY_MATCH)
			e = apply_entry(r, &p->origins[entry->key - sb_keys], class, entry);
	}
	return e;
}

static int apply_presets(struct sb_policy *p)
{
	for (size_t i = 0; i < sb_keys_n; i++)
		if (sb_keys[i].kind != SB_KEY_MATCH &&
		    !(p->origins[i].text = strdup(sb_keys[i].preset)))
			return -ENOMEM;
	return 0;
}

static void reverse(struct sb_strv *list)
{
	for (size_t i = 0, k = list->n; i + 1 < k; i++) {
		char *s = list->v[i];
		list->v[i] = list->v[--k];
		list->v[k] = s;
	}
}

static void note_until(struct sb_policy *p, const struct sb_class *class)
{
	uint64_t until = sb_class_until(class);
	if (until && (!p->until || until < p->until))
		p->until = until;
}

/* Weakest first, so that the last word is the strongest's. */
static int apply_all(const struct resolver *r, struct sb_policy *p)
{
	const char *name = SB_CLASS_DEFAULTS;
	int e = apply_presets(p);
	if (e == 0 && r->defaults)
		e = apply_class(r, p, r->defaults);
	for (enum level level = LEVEL_UID; level <= LEVEL_USER; level++) {
		for (size_t i = 0; e == 0 && i < r->n; i++) {
			if (r->candidates[i].level != level)
				continue;
			e = apply_class(r, p, r->candidates[i].class);
			note_until(p, r->candidates[i].class);
			if (!is_limit_class(r->candidates[i].class))
				name = r->candidates[i].class->name;
		}
	}
	for (size_t i = 0; i < sb_keys_n; i++)
		reverse(&p->origins[i].overrode);
	p->class_name = strdup(name);
	return p->class_name ? e : -ENOMEM;
}

static int parse_all(struct sb_policy *p, struct sb_err *err)
{
	sb_limits_init(&p->set.budget);
	for (size_t i = 0; i < sb_keys_n; i++) {
		if (sb_keys[i].kind == SB_KEY_MATCH)
			continue;
		int e = sb_config_parse_value(&sb_keys[i], p->origins[i].text, &p->set, err);
		if (e < 0)
			return sb_fail_within(err, "%s", sb_keys[i].name);
	}
	if (p->uid == 0)
		p->set.contain = false;
	return 0;
}

/* FNV-1a, 64 bits: not against forgery, the values are root's. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t hash_kind(uint64_t hash, const struct sb_policy *p, enum sb_key_kind kind)
{
	for (size_t i = 0; i < sb_keys_n; i++) {
		if (sb_keys[i].kind != kind)
			continue;
		const char *parts[] = { sb_keys[i].name, "=", p->origins[i].text, "\n" };
		for (size_t k = 0; k < SB_ARRAY_SIZE(parts); k++)
			hash = hash_text(hash, parts[k]);
	}
	return hash;
}

static void hash_all(struct sb_policy *p)
{
	const uint64_t start = UINT64_C(0xcbf29ce484222325);
	uint64_t container = hash_kind(start, p, SB_KEY_CONTAINER);
	uint64_t limits = hash_kind(start, p, SB_KEY_LIMIT);
	if (p->budget) {
		container = hash_text(container, p->budget);
		limits = hash_kind(limits, p, SB_KEY_BUDGET);
	}
	sb_format(p->container_hash, sizeof(p->container_hash), "%016" PRIx64, container);
	sb_format(p->limits_hash, sizeof(p->limits_hash), "%016" PRIx64, limits);
}

static int build(const struct resolver *r, struct sb_policy **ret)
{
	cleanup_policy struct sb_policy *p = calloc(1, sizeof(*p));
	if (!p || !(p->origins = calloc(sb_keys_n, sizeof(*p->origins))) ||
	    !(p->user = strdup(r->login->user)) || apply_all(r, p) < 0)
		return sb_fail(r->err, ENOMEM, "resolve the policy");
	p->uid = r->login->uid;
	p->gid = r->login->gid;
	int e = parse_all(p, r->err);
	if (e < 0)
		return e;
	hash_all(p);
	*ret = sb_steal_ptr(&p);
	return 0;
}

int sb_policy_resolve(const struct sb_config *config, const struct sb_login *login,
		      struct sb_policy **ret, struct sb_err *err)
{
	struct sb_err scratch;
	struct resolver r = { .config = config, .login = login, .err = err ? err : &scratch };
	int e = judge_all(&r);
	if (e == 0)
		e = settle_all(&r);
	if (e == 0)
		e = build(&r, ret);
	free(r.candidates);
	sb_strv_clear(&r.members);
	sb_strv_clear(&r.strangers);
	return e;
}

int sb_policy_hostname(const struct sb_policy *policy, const char *host, char *buf, size_t size,
		       struct sb_err *err)
{
	char uid[3 * sizeof(policy->uid) + 1];
	size_t len = 0;
	sb_format(uid, sizeof(uid), "%u", policy->uid);
	for (const char *p = policy->set.hostname; *p; p++) {
		const char one[2] = { *p, '\0' };
		const char *text = one;
		if (*p == '%') {
			p++;
			text = *p == 'u' ? policy->user : *p == 'U' ? uid : *p == 'H' ? host : "%";
		}
		if (sb_copy(buf + len, size - len, text) < 0) {
			buf[0] = '\0';
			return sb_fail_plain(err, ENAMETOOLONG, "Hostname=%s is too long",
					     policy->set.hostname);
		}
		len += strlen(text);
	}
	return 0;
}

uint64_t sb_policy_tmp_size(const struct sb_policy *policy, uint64_t ram)
{
	uint64_t max = policy->set.limits.memory_max, size = 0;
	sb_parse_size(policy->set.tmp_size, max == SB_INFINITY ? ram : max, &size);
	return size;
}

void sb_policy_free(struct sb_policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; policy->origins && i < sb_keys_n; i++) {
		free(policy->origins[i].text);
		sb_strv_clear(&policy->origins[i].overrode);
	}
	free(policy->origins);
	free(policy->user);
	free(policy->class_name);
	sb_settings_clear(&policy->set);
	free(policy);
}
