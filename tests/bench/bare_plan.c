/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bare.h"
#include "container_internal.h"
#include "sessbox/group.h"
#include "sessbox/proc.h"

static int in_group(const struct sb_login *login, const char *group, void *ctx)
{
	static struct sb_group_cache cache;
	(void)ctx;
	return sb_group_member(login->user, login->gid, group, &cache);
}

static struct sb_policy *resolve(const struct passwd *pw)
{
	struct sb_err err = { 0 };
	struct sb_config *config;
	struct sb_policy *policy;
	const struct sb_login login = { .user = pw->pw_name,
					.uid = pw->pw_uid,
					.gid = pw->pw_gid,
					.service = "sshd",
					.in_group = in_group };
	if (sb_config_load(NULL, NULL, &config, &err) < 0 ||
	    sb_policy_resolve(config, &login, &policy, &err) < 0)
		die(err.msg);
	return policy;
}

static struct sb_plan *plan_tree(const struct passwd *pw, char *hostname, size_t size)
{
	const char *v1[SB_CGROUP_FDS_MAX];
	struct sb_err err = { 0 };
	struct sb_cgroup *cg;
	struct sb_plan *plan;
	char self[64], accounts[64], host[65];
	struct sb_policy *policy = resolve(pw);
	if (gethostname(host, sizeof(host)) < 0 ||
	    sb_policy_hostname(policy, host, hostname, size, &err) < 0 ||
	    sb_cgroup_open(NULL, &cg, &err) < 0)
		die(err.msg);
	snprintf(self, sizeof(self), SB_RUN_DIR "/u%u/self", pw->pw_uid);
	snprintf(accounts, sizeof(accounts), SB_RUN_DIR "/u%u/c1/etc", pw->pw_uid);
	v1[sb_cgroup_shown(cg, v1, SB_ARRAY_SIZE(v1) - 1)] = NULL;
	const struct sb_plan_spec spec = {
		.policy = policy,
		.home = pw->pw_dir,
		.account_dir = accounts,
		.self_dir = self,
		.etc_tree = SB_RUN_DIR "/etc",
		.tmp_size = sb_policy_tmp_size(policy, sb_proc_memory_total()),
		.v1 = sb_cgroup_mode(cg) == SB_CGROUP_V2 ? NULL : v1,
	};
	if (sb_plan_make(&spec, &plan, &err) < 0)
		die(err.msg);
	return plan;
}

/* Is it there, and what? What masks hide is looked for in the host's /proc and /sys. */
static bool look(struct bare_op *b)
{
	struct sb_mount_op *op = b->op;
	struct stat st;
	char text[PATH_MAX];
	bool source = op->kind == SB_MOUNT_BIND || op->kind == SB_MOUNT_LIKE;
	b->is_dir = true;
	if (!source && op->kind != SB_MOUNT_MASK && op->kind != SB_MOUNT_RDONLY)
		return true;
	if (lstat(source ? op->source : op->target, &st) < 0)
		return false;
	if (op->kind == SB_MOUNT_LIKE && S_ISLNK(st.st_mode)) {
		text[readlink(op->source, text, sizeof(text) - 1)] = '\0';
		op->link_text = strdup(text);
	}
	if (source && stat(op->source, &st) < 0)
		return false;
	b->is_dir = S_ISDIR(st.st_mode);
	return true;
}

static bool is_below(const char *path, const char *top)
{
	size_t len = strcmp(top, "/") == 0 ? 0 : strlen(top);
	return strncmp(path, top, len) == 0 && path[len] == '/';
}

static bool is_mount(const struct sb_mount_op *op)
{
	return op->kind == SB_MOUNT_FS || op->kind == SB_MOUNT_PART || op->kind == SB_MOUNT_BIND ||
	       (op->kind == SB_MOUNT_LIKE && !op->link_text);
}

/* Does the path have to be made just before operation `end`? Not where a mount brings it along. */
static bool is_missing(const struct bare_plan *plan, size_t end, const char *path)
{
	for (size_t i = end; i-- > 0;) {
		const struct sb_mount_op *op = plan->ops[i].op;
		if (is_below(op->target, path) || strcmp(op->target, path) == 0)
			return false;
		if (is_mount(op) && is_below(path, op->target))
			return op->kind == SB_MOUNT_PART ||
			       (op->kind == SB_MOUNT_FS && strcmp(op->source, "tmpfs") == 0);
	}
	return true;
}

static void find_missing(struct bare_plan *plan, size_t at)
{
	struct bare_op *b = &plan->ops[at];
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s", b->op->target);
	for (char *s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		if (is_missing(plan, at, path))
			b->make[b->n_make++] = strdup(path);
		*s = '/';
	}
	if (!is_mount(b->op) || !is_missing(plan, at, path))
		return;
	if (b->is_dir)
		b->make[b->n_make++] = strdup(path);
	else
		b->make_file = true;
}

void bare_plan_make(const char *user, struct bare_plan *ret)
{
	const struct passwd *pw = getpwnam(user);
	if (!pw)
		die(user);
	struct sb_plan *plan = plan_tree(pw, ret->hostname, sizeof(ret->hostname));
	ret->ops = calloc(plan->n, sizeof(*ret->ops));
	if (!ret->ops)
		die("calloc");
	for (size_t i = 0; i < plan->n; i++) {
		struct bare_op *b = &ret->ops[ret->n];
		b->op = &plan->ops[i];
		if (!look(b))
			continue;
		find_missing(ret, ret->n++);
	}
}
