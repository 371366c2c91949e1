/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sessbox/parse.h"

/* Notes what an entry hides or extends. */
static int note_old(const struct sb_resolver *r, struct sb_origin *o, const struct sb_entry *entry)
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

static int apply_entry(const struct sb_resolver *r, struct sb_origin *o,
		       const struct sb_class *class, const struct sb_entry *entry)
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

static int apply_class(const struct sb_resolver *r, struct sb_policy *p,
		       const struct sb_class *class)
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
static int apply_all(const struct sb_resolver *r, struct sb_policy *p)
{
	const char *name = SB_CLASS_DEFAULTS;
	int e = apply_presets(p);
	if (e == 0 && r->defaults)
		e = apply_class(r, p, r->defaults);
	for (enum sb_level level = SB_LEVEL_UID; level <= SB_LEVEL_USER; level++) {
		for (size_t i = 0; e == 0 && i < r->n; i++) {
			if (r->candidates[i].level != level)
				continue;
			e = apply_class(r, p, r->candidates[i].class);
			note_until(p, r->candidates[i].class);
			if (!sb_class_is_limit(r->candidates[i].class))
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

static uint64_t hash_key(uint64_t hash, const struct sb_policy *p, const struct sb_key *key)
{
	const char *parts[] = { key->name, "=", p->origins[key - sb_keys].text, "\n" };
	for (size_t k = 0; k < SB_ARRAY_SIZE(parts); k++)
		hash = hash_text(hash, parts[k]);
	return hash;
}

static uint64_t hash_kind(uint64_t hash, const struct sb_policy *p, enum sb_key_kind kind)
{
	for (size_t i = 0; i < sb_keys_n; i++)
		if (sb_keys[i].kind == kind)
			hash = hash_key(hash, p, &sb_keys[i]);
	return hash;
}

#define HASH_HALF 8

/* All that is set in the cgroup: DeviceAllow, too, of which only the nodes are the container's. It
 * has the second half of the text for itself. */
static void hash_limits(uint64_t start, struct sb_policy *p)
{
	uint64_t halves[2] = { start, start };
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++) {
		uint64_t *half = &halves[i == SB_DEVICE_ALLOW];
		*half = hash_key(*half, p, sb_key_find(sb_limit_rows[i].key));
	}
	sb_format(p->limits_hash, sizeof(p->limits_hash), "%08" PRIx32 "%08" PRIx32,
		  (uint32_t)(halves[0] ^ halves[0] >> 32), (uint32_t)(halves[1] ^ halves[1] >> 32));
}

void sb_policy_note_limits(const struct sb_policy *policy, unsigned int unsupported, char hash[17])
{
	bool devices = !(unsupported & SB_LIMIT_BIT(SB_DEVICE_ALLOW));
	memcpy(hash, policy->limits_hash, devices ? sizeof(policy->limits_hash) : HASH_HALF);
}

static void hash_all(struct sb_policy *p)
{
	const uint64_t start = UINT64_C(0xcbf29ce484222325);
	uint64_t container = hash_kind(start, p, SB_KEY_CONTAINER);
	if (p->budget)
		container = hash_text(container, p->budget);
	sb_format(p->container_hash, sizeof(p->container_hash), "%016" PRIx64, container);
	hash_limits(start, p);
}

static int build(const struct sb_resolver *r, struct sb_policy **ret)
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
	struct sb_resolver r = { .config = config, .login = login, .err = err ? err : &scratch };
	int e = sb_resolver_match(&r);
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
