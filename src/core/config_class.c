/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What can be said of a class only when all files are read, and its end. */
#include "config_internal.h"

#include <errno.h>
#include <string.h>

#include "sessbox/parse.h"

static int build_match(const struct sb_config *config, struct sb_class *class, struct sb_err *err)
{
	for (size_t i = 0; i < class->n; i++) {
		const struct sb_entry *e = &class->entries[i];
		if (e->key->kind != SB_KEY_MATCH)
			continue;
		struct sb_strv *list = (void *)((char *)&class->match + e->key->offset);
		if (!e->append)
			sb_strv_clear(list);
		int r = sb_parse_words(e->text, list);
		if (r < 0)
			return sb_fail(err, r, "read '%s'", config->files.v[e->file]);
	}
	return 0;
}

static bool has_inclusion(const struct sb_strv *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i][0] != '!')
			return true;
	return false;
}

/*
 * A class of exclusions, or of services alone, reads like "all others" and matches nobody. That
 * would let tenants go uncontained, so it is refused.
 */
static int check_inclusion(const struct sb_config *config, const struct sb_class *class,
			   struct sb_err *err)
{
	const struct sb_match *m = &class->match;
	const struct sb_entry *last = NULL;
	if (has_inclusion(&m->users) || has_inclusion(&m->groups) || has_inclusion(&m->uids) ||
	    m->users.n + m->groups.n + m->uids.n + m->services.n == 0)
		return 0;
	for (size_t i = 0; i < class->n; i++)
		if (class->entries[i].key->kind == SB_KEY_MATCH)
			last = &class->entries[i];
	if (!last)
		return 0;
	return sb_config_fail(err,
			      &(struct sb_place){ config->files.v[last->file], last->line,
						  class->name, last->key->name },
			      "expected a user, group or uid without ! in the class, it matches "
			      "nobody");
}

/* The container and its cgroup serve all services of a user, whichever came first. */
static int check_services(const struct sb_config *config, const struct sb_class *class,
			  struct sb_err *err)
{
	for (size_t i = 0; class->match.services.n > 0 && i < class->n; i++) {
		const struct sb_entry *e = &class->entries[i];
		if (e->key->kind == SB_KEY_CONTAINER || e->key->kind == SB_KEY_LIMIT ||
		    e->key->kind == SB_KEY_BUDGET)
			return sb_config_fail(err,
					      &(struct sb_place){ config->files.v[e->file], e->line,
								  class->name, e->key->name },
					      "a class with MatchServices cannot set it, all "
					      "services share a container");
	}
	return 0;
}

/* Where `sessctl limit` writes is a class of one user; a budget is of several. */
static int check_budget(const struct sb_config *config, const struct sb_class *class,
			struct sb_err *err)
{
	for (size_t i = 0; strncmp(class->name, "limit-", 6) == 0 && i < class->n; i++) {
		const struct sb_entry *e = &class->entries[i];
		if (e->key->kind == SB_KEY_BUDGET)
			return sb_config_fail(err,
					      &(struct sb_place){ config->files.v[e->file], e->line,
								  class->name, e->key->name },
					      "a section of one user's limits has no budget");
	}
	return 0;
}

int sb_config_finish(struct sb_config *config, struct sb_err *err)
{
	for (size_t i = 0; i < config->n; i++) {
		int r = build_match(config, &config->classes[i], err);
		if (r == 0)
			r = check_inclusion(config, &config->classes[i], err);
		if (r == 0)
			r = check_services(config, &config->classes[i], err);
		if (r == 0)
			r = check_budget(config, &config->classes[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void free_class(struct sb_class *class)
{
	for (size_t i = 0; i < class->n; i++)
		free(class->entries[i].text);
	free(class->entries);
	free(class->name);
	sb_strv_clear(&class->match.users);
	sb_strv_clear(&class->match.groups);
	sb_strv_clear(&class->match.uids);
	sb_strv_clear(&class->match.services);
	sb_strv_clear(&class->match.until);
}

void sb_config_free(struct sb_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->n; i++)
		free_class(&config->classes[i]);
	free(config->classes);
	sb_strv_clear(&config->files);
	sb_strv_clear(&config->texts);
	free(config);
}

uint64_t sb_config_timeout(const struct sb_config *config)
{
	struct sb_settings set = { 0 };
	const struct sb_key *key = sb_key_find("TimeoutSec");
	uint64_t longest = 0;
	bool by_default = true;
	for (size_t i = 0; i < config->n; i++) {
		const struct sb_class *class = &config->classes[i];
		for (size_t k = 0; k < class->n; k++) {
			if (class->entries[k].key != key)
				continue;
			sb_config_parse_value(key, class->entries[k].text, &set, NULL);
			longest = set.timeout_ms > longest ? set.timeout_ms : longest;
			by_default = by_default && strcmp(class->name, SB_CLASS_DEFAULTS) != 0;
		}
	}
	sb_config_parse_value(key, key->preset, &set, NULL);
	return by_default && set.timeout_ms > longest ? set.timeout_ms : longest;
}
