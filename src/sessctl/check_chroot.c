/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ChrootDirectory: sshd changes root in the child, which is inside by then. So the directory has to
 * be one that a container shows. Of whom sshd would chroot nothing is known here: a container as
 * made by default is looked at, and what the classes bind into theirs.
 */
#include <string.h>

#include "check.h"
#include "sessbox/parse.h"
#include "sessbox/policy.h"
#include "sessbox/rootfs.h"

#define USER "user"
#define HOME "/home/" USER

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);
	return strcmp(dir, "/") == 0 ||
	       (strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0'));
}

/* Is what stands there the host's? Of the operations above a path the last one decides. */
static bool plan_shows(const struct sb_plan *plan, const char *path)
{
	const struct sb_mount_op *last = NULL;
	for (size_t i = 0; i < plan->n; i++) {
		const struct sb_mount_op *op = &plan->ops[i];
		bool hides = op->kind == SB_MOUNT_FS || op->kind == SB_MOUNT_PART ||
			     op->kind == SB_MOUNT_MASK;
		bool shows = op->kind == SB_MOUNT_BIND || op->kind == SB_MOUNT_LIKE;
		if ((hides || shows) && is_below(path, op->target) &&
		    (!last || strlen(op->target) >= strlen(last->target)))
			last = op;
	}
	return last && (last->kind == SB_MOUNT_BIND || last->kind == SB_MOUNT_LIKE);
}

static bool default_shows(const char *path)
{
	cleanup_policy struct sb_policy *policy = NULL;
	cleanup_plan struct sb_plan *plan = NULL;
	const struct sb_config none = { .n = 0 };
	const struct sb_login login = { .user = USER, .uid = 65533, .gid = 65533 };
	if (sb_policy_resolve(&none, &login, &policy, NULL) < 0)
		return false;
	const struct sb_plan_spec spec = {
		.policy = policy, .home = HOME, .account_dir = "/", .self_dir = "/", .etc_tree = "/"
	};
	return sb_plan_make(&spec, &plan, NULL) == 0 && plan_shows(plan, path);
}

static bool list_shows(const struct sb_strv *binds, const char *path)
{
	for (size_t i = 0; i < binds->n; i++) {
		struct sb_bind bind;
		if (sb_parse_bind(binds->v[i], &bind) == 0 && is_below(path, bind.dest))
			return true;
	}
	return false;
}

static bool class_shows(const struct sb_class *class, const char *path)
{
	bool shown = false;
	for (size_t i = 0; i < class->n && !shown; i++) {
		struct sb_settings set = { 0 };
		const struct sb_entry *e = &class->entries[i];
		if (e->key->kind != SB_KEY_CONTAINER || e->key->type != SB_TYPE_WORDS ||
		    sb_config_parse_value(e->key, e->text, &set, NULL) < 0)
			continue;
		shown = list_shows(&set.bind_paths, path) ||
			list_shows(&set.bind_read_only_paths, path);
		sb_settings_clear(&set);
	}
	return shown;
}

/* sshd's %h, %u, %U and %% of somebody. */
static int expand(const char *text, char *buf, size_t size)
{
	static const struct {
		char token;
		const char *value;
	} tokens[] = { { 'h', HOME }, { 'u', USER }, { 'U', "65533" }, { '%', "%" } };
	size_t len = 0;
	for (; *text; text++) {
		const char one[2] = { *text, '\0' }, *piece = one;
		if (*text == '%' && text[1]) {
			text++;
			for (size_t i = 0; i < SB_ARRAY_SIZE(tokens); i++)
				if (tokens[i].token == *text)
					piece = tokens[i].value;
		}
		if (len + strlen(piece) >= size)
			return -1;
		strcpy(buf + len, piece);
		len += strlen(piece);
	}
	return 0;
}

void ctl_check_chroot(const struct ctl_host *host, const char *file, const char *text,
		      struct ctl_findings *findings)
{
	char path[512] = "";
	bool shown = expand(text, path, sizeof(path)) < 0 || default_shows(path);
	for (size_t i = 0; host->config && i < host->config->n; i++)
		shown = shown || class_shows(&host->config->classes[i], path);
	if (!shown)
		ctl_find(
			findings, CTL_WARNING,
			"name it in BindReadOnlyPaths= or BindPaths= of those it is for",
			"/%s: ChrootDirectory %s is looked up inside, where it is not shown: their "
			"logins fail",
			file, text);
}
