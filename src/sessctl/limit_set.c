/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A change of limits: the user's drop-in is replaced, the whole configuration loaded again to see
 * that it still stands, and what it then says set in the running cgroup. What fails half-way is
 * taken back, so that a login never meets limits that could not be set.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dropin.h"
#include "limit.h"
#include "rows.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"
#include "sessbox/step.h"
#include "signame.h"

#define LOCK_MS 10000
#define FILE_MAX 65536

struct change {
	struct ctl_account account;
	const struct ctl_wish *wishes;
	size_t n;
	bool runtime, force, temporary;
	uint64_t until; /* of a temporary one; 0 = it ends now */
	const char *reason;
	int status; /* of the failure; 0 = CTL_FAILED */

	struct ctl_answers answers;
	int run;
	struct sb_user_dir user;
	char service[64]; /* of his last session */

	struct sb_config *config; /* as it was, as it is */
	struct sb_policy *before;
	struct sb_config *config_now;
	struct sb_policy *now;

	int dir;
	char name[40];
	char path[256];
	sigset_t mask;	/* the caller's */
	char *old_text; /* NULL = there was no file */
	char *new_text; /* NULL = there will be none */

	struct sb_cgroup *cg;
	char group[SB_CGROUP_NAME_MAX];
	bool live;
	unsigned int unsupported;
};

/* ---- the steps ---- */

static int load(struct change *c, struct sb_config **config, struct sb_policy **policy,
		struct sb_err *err)
{
	int r = sb_config_load(NULL, NULL, config, err);
	return r < 0 ? r
		     : ctl_account_policy(&c->account, *c->service ? c->service : NULL, *config,
					  policy, err);
}

/* Which groups he is in, while his logins need not wait: a directory may take its time. */
static int ask(void *ctx, struct sb_err *err)
{
	cleanup_config struct sb_config *config = NULL;
	cleanup_policy struct sb_policy *policy = NULL;
	return load(ctx, &config, &policy, err);
}

static int lock(void *ctx, struct sb_err *err)
{
	struct change *c = ctx;
	cleanup_free uint32_t *ids = NULL;
	struct sb_session_record rec;
	c->run = sb_run_open(err);
	if (c->run < 0)
		return c->run;
	int r = sb_user_lock(c->run, c->account.uid, sb_now_ms() + LOCK_MS, &c->user, err);
	if (r < 0)
		return r;
	ssize_t n = sb_session_list(c->user.fd, &ids);
	if (n > 0 && sb_session_load(c->user.fd, "sessions", ids[n - 1], &rec) == 0)
		sb_copy(c->service, sizeof(c->service), rec.service);
	return 0;
}

static int look(void *ctx, struct sb_err *err)
{
	struct change *c = ctx;
	if (sb_cgroup_open(NULL, &c->cg, NULL) == 0) {
		sb_cgroup_find(c->cg, c->account.uid, c->group);
		c->live = sb_cgroup_exists(c->cg, c->group);
	}
	return load(c, &c->config, &c->before, err);
}

static const char *dropin_dir(const struct change *c)
{
	return c->runtime ? SB_CONFIG_RUNTIME : SB_CONFIG_DIR "/" SB_CONFIG_DROPINS;
}

static int read_old(struct change *c, struct sb_err *err)
{
	cleanup_free char *text = malloc(FILE_MAX);
	if (!text)
		return sb_fail(err, ENOMEM, "read '%s'", c->path);
	c->dir = sb_open_dir(AT_FDCWD, dropin_dir(c), 0755);
	if (c->dir < 0)
		return sb_fail(err, c->dir, "open '%s'", dropin_dir(c));
	ssize_t n = sb_read_file(c->dir, c->name, text, FILE_MAX);
	if (n < 0 && n != -ENOENT)
		return sb_fail(err, (int)n, "read '%s'", c->path);
	if (n >= 0)
		c->old_text = sb_steal_ptr(&text);
	return 0;
}

static const char *dropin_name(const struct change *c)
{
	return c->temporary ? SB_CONFIG_FOR : c->runtime ? "limit-%u.conf" : "90-limit-%u.conf";
}

static int compose(void *ctx, struct sb_err *err)
{
	struct change *c = ctx;
	const struct ctl_dropin empty = { .temporary = c->temporary,
					  .until = c->until,
					  .reason = c->reason };
	struct ctl_dropin dropin = empty;
	snprintf(c->name, sizeof(c->name), dropin_name(c), c->account.uid);
	snprintf(c->path, sizeof(c->path), "%s/%s", dropin_dir(c), c->name);
	int r = read_old(c, err);
	if (r == 0)
		r = ctl_dropin_load(&dropin, c->config, c->path, c->account.uid, c->account.name,
				    err);
	/* They end together, and so the new ones take the place of the old ones. */
	if (c->temporary) {
		ctl_dropin_clear(&dropin);
		dropin = empty;
	}
	for (size_t i = 0; r == 0 && i < c->n; i++)
		if (ctl_dropin_set(&dropin, c->wishes[i].key->name, c->wishes[i].text) < 0)
			r = sb_fail(err, ENOMEM, "write '%s'", c->path);
	if (r == 0 && dropin.n > 0)
		r = ctl_dropin_print(&dropin, c->account.uid, c->account.name, &c->new_text, err);
	ctl_dropin_clear(&dropin);
	return r;
}

static int put_file(const struct change *c, const char *text)
{
	const struct sb_file_attr attr = { .mode = 0644, .uid = 0, .gid = 0 };
	if (text)
		return sb_replace_file(c->dir, c->name, text, &attr);
	return unlinkat(c->dir, c->name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int write_file(void *ctx, struct sb_err *err)
{
	struct change *c = ctx;
	int r = put_file(c, c->new_text);
	return r < 0 ? sb_fail(err, r, "write '%s'", c->path) : 0;
}

static void restore_file(void *ctx)
{
	put_file(ctx, ((struct change *)ctx)->old_text);
}

static int reload(void *ctx, struct sb_err *err)
{
	struct change *c = ctx;
	return load(c, &c->config_now, &c->now, err);
}

/* Fewer bytes than are in use: nobody should learn what that means from its effect. */
static int weigh(void *ctx, struct sb_err *err)
{
	struct change *c = ctx;
	struct sb_usage usage;
	cleanup_limits struct sb_limits live;
	unsigned int unsupported;
	char used[32], max[32];
	uint64_t limit = c->now->set.limits.memory_max;
	sb_limits_init(&live);
	if (!c->live || c->force || sb_cgroup_usage(c->cg, c->group, &usage, NULL) < 0 ||
	    sb_cgroup_limits(c->cg, c->group, &live, &unsupported, NULL) < 0 ||
	    usage.memory == SB_INFINITY || usage.memory <= limit || limit >= live.memory_max)
		return 0;
	ctl_print_size(used, sizeof(used), usage.memory);
	ctl_print_size(max, sizeof(max), limit);
	c->status = CTL_REFUSED;
	return sb_fail_plain(
		err, ECANCELED,
		"'%s' uses %s, more than MemoryMax=%s: the kernel will reclaim what it "
		"can, and then %s. --force does it all the same",
		c->account.name, used, max,
		sb_cgroup_mode(c->cg) == SB_CGROUP_V2 ? "kill processes"
						      : "refuse the limit if that is not enough");
}

static int apply(void *ctx, struct sb_err *err)
{
	struct change *c = ctx;
	if (!c->live)
		return 0;
	const struct sb_limits *limits = &c->now->set.limits;
	int r = sb_quota_note(c->cg, c->group, c->user.fd, limits->cpu_quota, err);
	if (r == 0)
		r = sb_cgroup_apply(c->cg, c->group, limits, &c->unsupported, err);
	if (r == 0)
		r = sb_rescue_limits(c->cg, c->account.uid, limits, err);
	if (r == -EBUSY)
		sb_fail_plain(err, EBUSY,
			      "the kernel cannot bring what '%s' uses below the limit: end "
			      "processes first (sessctl kill, sessctl terminate)",
			      c->account.name);
	return r;
}

static void unapply(void *ctx)
{
	struct change *c = ctx;
	unsigned int unsupported;
	if (!c->live)
		return;
	sb_quota_note(c->cg, c->group, c->user.fd, c->before->set.limits.cpu_quota, NULL);
	sb_cgroup_apply(c->cg, c->group, &c->before->set.limits, &unsupported, NULL);
	sb_rescue_limits(c->cg, c->account.uid, &c->before->set.limits, NULL);
}

/* Or the next login would set what is set already. */
static int note_hash(void *ctx, struct sb_err *err)
{
	struct change *c = ctx;
	cleanup_free uint32_t *numbers = NULL;
	ssize_t n = c->live ? sb_container_list(c->user.fd, &numbers) : 0;
	for (ssize_t i = 0; i < n; i++) {
		struct sb_container_record rec;
		char name[16];
		if (sb_container_load(c->user.fd, numbers[i], &rec) < 0)
			continue;
		snprintf(name, sizeof(name), "c%u", numbers[i]);
		memcpy(rec.limits_hash, c->now->limits_hash, sizeof(rec.limits_hash));
		cleanup_fd int dir = openat(c->user.fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		int r = dir < 0 ? -errno : sb_container_save(dir, &rec);
		if (r < 0 && r != -ENOENT)
			return sb_fail(err, r, "write the record of container c%u", numbers[i]);
	}
	return 0;
}

/* Without a timer, which cannot be without cgroups, the next login or gc ends it. */
static int watch_end(void *ctx, struct sb_err *err)
{
	struct change *c = ctx;
	(void)err;
	if (c->until)
		sb_limits_watch(c->until);
	return 0;
}

/* Between these two nobody's Ctrl-C leaves half of it. */
static int hold_signals(void *ctx, struct sb_err *err)
{
	struct change *c = ctx;
	sigset_t held;
	(void)err;
	ctl_hold_signals(&held, &c->mask);
	return 0;
}

static void release_signals(void *ctx)
{
	const struct change *c = ctx;
	sigprocmask(SIG_SETMASK, &c->mask, NULL);
}

static const struct sb_step steps[] = {
	{ "read the configuration", ask, NULL },
	{ "lock", lock, NULL },
	{ "read the configuration again", look, NULL },
	{ "compose the drop-in", compose, NULL },
	{ "hold signals back", hold_signals, release_signals },
	{ "write the drop-in", write_file, restore_file },
	{ "load the new configuration", reload, NULL },
	{ "memory in use", weigh, NULL },
	{ "set the limits", apply, unapply },
	{ "record", note_hash, NULL },
	{ "end", watch_end, NULL },
};

/* ---- what is said about it ---- */

static bool is_unsupported(const struct change *c, const struct sb_key *key)
{
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++)
		if (strcmp(sb_limit_rows[i].key, key->name) == 0)
			return c->unsupported & SB_LIMIT_BIT(i);
	return false;
}

static void tell_one(const struct change *c, const struct ctl_wish *wish)
{
	const struct sb_origin *origin = &c->now->origins[wish->key - sb_keys];
	const char *file = origin->class ? c->config_now->files.v[origin->file] : NULL;
	const char *state = !c->live ? "from the next login on"
			    : is_unsupported(c, wish->key)
				    ? "not in force, this machine cannot do it"
				    : "in force";
	printf("%s=%s  %s\n", wish->key->name, origin->text, state);
	if (*wish->text && !file)
		ctl_warn("%s: it has ended by now", wish->key->name);
	else if (*wish->text && strcmp(file, c->path) != 0)
		ctl_warn("%s: '%s' [%s] has the last word, not '%s'", wish->key->name, file,
			 origin->class->name, c->path);
}

static void tell(const struct change *c)
{
	char until[32];
	for (size_t i = 0; i < c->n; i++)
		tell_one(c, &c->wishes[i]);
	if (c->until) {
		ctl_print_time(until, sizeof(until), c->until, false);
		printf("until %s\n", until);
	}
}

static void tell_uncontained(const struct change *c)
{
	if (c->account.uid == 0)
		ctl_warn("root is never contained: the limits hold for nobody");
	else if (!c->now->set.contain)
		ctl_warn("no class contains '%s': the limits wait until one does", c->account.name);
}

static void keep(const struct change *c)
{
	struct sb_err err = { 0 };
	if (sb_config_keep(c->config_now, &err) < 0)
		ctl_warn("the configuration is not kept: %s", err.msg);
}

static void clear(struct change *c)
{
	bool idle = c->user.fd >= 0 && !c->live;
	sb_policy_free(c->before);
	sb_policy_free(c->now);
	sb_config_free(c->config);
	sb_config_free(c->config_now);
	ctl_answers_clear(&c->answers);
	sb_cgroup_close(c->cg);
	free(c->old_text);
	free(c->new_text);
	sb_close(&c->dir);
	sb_user_close(&c->user);
	sb_close(&c->run);
	/* The lock has made a directory for somebody who is not in. */
	if (idle)
		sb_user_collect(c->account.uid, sb_now_ms() + LOCK_MS, NULL);
}

int ctl_limit_set(const struct ctl_account *account, const struct ctl_wish *wishes, size_t n,
		  uint64_t until, const struct ctl_args *args)
{
	struct change c = { .account = *account,
			    .wishes = wishes,
			    .n = n,
			    .runtime = args->set & CTL_RUNTIME,
			    .force = args->set & CTL_FORCE,
			    .temporary = args->set & CTL_FOR,
			    .until = until,
			    .reason = args->reason,
			    .run = -1,
			    .user = { -1, -1 },
			    .dir = -1 };
	struct sb_err err = { 0 };
	c.account.answers = &c.answers;
	int r = sb_steps_run(steps, SB_ARRAY_SIZE(steps), &c, &err);
	if (r == 0)
		release_signals(&c);
	int status = r == 0 ? CTL_OK : ctl_fail(c.status ? c.status : CTL_FAILED, "%s", err.msg);
	if (r == 0 && !(args->set & CTL_JSON))
		tell(&c);
	if (r == 0) {
		tell_uncontained(&c);
		keep(&c);
	}
	clear(&c);
	return status;
}
