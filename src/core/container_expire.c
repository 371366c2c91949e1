/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Limits that end by themselves: taken out of the configuration, and of the running cgroups. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <time.h>

#include "container_internal.h"
#include "sessbox/group.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"

#define LOCK_MS 5000

struct refreshing {
	int run;
	uid_t uid;
	void (*told)(const char *sentence);
	struct sb_user_dir user;
	struct sb_config *config;
	struct sb_policy *policy;
};

static bool has_ended(const struct sb_class *class, uid_t *ret_uid)
{
	uint64_t until = sb_class_until(class);
	return sb_class_is_for(class, ret_uid) && until && until <= (uint64_t)time(NULL);
}

static void tell_end(const struct refreshing *r, uint64_t until)
{
	char when[SB_UTC_MAX], sentence[96];
	sb_print_utc(when, sizeof(when), until);
	snprintf(sentence, sizeof(sentence), "the limits that uid %u had until %s have ended",
		 r->uid, when);
	r->told(sentence);
}

/* Only the file that `sessctl limit --for` writes: elsewhere a section is somebody's own. */
static void remove_ended(const struct refreshing *r)
{
	char name[sizeof(SB_CONFIG_FOR) + 16];
	uid_t uid;
	snprintf(name, sizeof(name), SB_CONFIG_FOR, r->uid);
	for (size_t i = 0; i < r->config->n; i++) {
		if (!has_ended(&r->config->classes[i], &uid) || uid != r->uid)
			continue;
		cleanup_fd int dir = open(SB_CONFIG_DIR "/" SB_CONFIG_DROPINS,
					  O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (dir >= 0 && unlinkat(dir, name, 0) == 0)
			tell_end(r, sb_class_until(&r->config->classes[i]));
	}
}

static int in_group(const struct sb_login *login, const char *name, void *ctx)
{
	return sb_group_member(login->user, login->gid, name, ctx);
}

static int resolve(struct refreshing *r, const char *user, struct sb_err *err)
{
	cleanup_free uint32_t *ids = NULL;
	struct sb_session_record rec = { .service = "sshd" };
	struct sb_group_cache groups = { 0 };
	ssize_t n = sb_session_list(r->user.fd, &ids);
	if (n > 0)
		sb_session_load(r->user.fd, "sessions", ids[n - 1], &rec);
	const struct passwd *pw = getpwuid(r->uid);
	if (!pw)
		return sb_fail_plain(err, ENOENT, "no account of uid %u", r->uid);
	const struct sb_login login = { .user = user,
					.uid = r->uid,
					.gid = pw->pw_gid,
					.service = rec.service,
					.in_group = in_group,
					.ctx = &groups };
	int e = sb_policy_resolve(r->config, &login, &r->policy, err);
	sb_group_cache_clear(&groups);
	return e;
}

static int apply(const struct refreshing *r, unsigned int *ret_unsupported, struct sb_err *err)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	char group[SB_CGROUP_NAME_MAX];
	struct sb_unsupported unsupported;
	int e = sb_cgroup_open(NULL, &cg, err);
	if (e < 0)
		return e;
	sb_session_place(cg, r->user.fd, r->policy, group);
	const struct sb_limiting what = { .cg = cg,
					  .group = group,
					  .run_fd = r->run,
					  .user_fd = r->user.fd,
					  .policy = r->policy };
	e = sb_session_limits(&what, &unsupported, err);
	if (e == 0 && (unsupported.limits_low || unsupported.budget_low))
		return sb_fail_plain(err, EBUSY, "'%s' %s more memory than %s", r->policy->user,
				     unsupported.limits_low ? "uses" : "is in a class that uses",
				     unsupported.limits_low ? "MemoryMax or MemorySwapMax"
							    : "ClassMemoryMax");
	if (e == 0)
		*ret_unsupported = unsupported.limits;
	return e;
}

static int refresh_container(struct refreshing *r, uint32_t number, struct sb_err *err)
{
	struct sb_container_record rec;
	unsigned int unsupported = 0;
	char name[16];
	if (sb_container_load(r->user.fd, number, &rec) < 0)
		return 0;
	int e = r->policy ? 0 : resolve(r, rec.user, err);
	if (e < 0 || !r->policy->set.contain)
		return e;
	bool changed = strcmp(rec.limits_hash, r->policy->limits_hash) != 0;
	e = changed || r->policy->budget ? apply(r, &unsupported, err) : 0;
	if (e < 0 || !changed)
		return e;
	sb_policy_note_limits(r->policy, unsupported, rec.limits_hash);
	snprintf(name, sizeof(name), "c%u", number);
	cleanup_fd int dir = openat(r->user.fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	e = dir < 0 ? -errno : sb_container_save(dir, &rec);
	return e < 0 ? sb_fail(err, e, "write the record of container c%u", number) : 0;
}

static int refresh_locked(struct refreshing *r, struct sb_err *err)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	cleanup_free uint32_t *numbers = NULL;
	int e = sb_config_load(NULL, NULL, &r->config, err);
	if (e < 0)
		return e;
	remove_ended(r);
	ssize_t n = sb_container_list(r->user.fd, &numbers);
	for (ssize_t i = 0; i < n && e == 0; i++)
		e = refresh_container(r, numbers[i], err);
	if (e == 0 && r->policy && r->policy->until)
		sb_timer_ensure(r->run, r->policy->until);
	/* The lock has made a directory for somebody who is not in. */
	if (n == 0 && sb_cgroup_open(NULL, &cg, NULL) == 0)
		sb_user_sweep(r->run, r->uid, &r->user, cg, sb_now_ms() + LOCK_MS);
	return e;
}

static int refresh(struct refreshing *r, struct sb_err *err)
{
	int e = sb_user_lock(r->run, r->uid, sb_now_ms() + LOCK_MS, &r->user, err);
	if (e < 0)
		return e;
	e = refresh_locked(r, err);
	sb_policy_free(r->policy);
	sb_config_free(r->config);
	sb_user_close(&r->user);
	return e;
}

/* One that cannot be refreshed must not keep the others from it. */
static void refresh_noted(const struct refreshing *all, uid_t uid, int *failed, struct sb_err *err)
{
	struct refreshing one = { .run = all->run, .told = all->told, .uid = uid };
	struct sb_err why = { 0 };
	int e = refresh(&one, &why);
	if (e < 0 && *failed == 0 && err)
		*err = why;
	*failed = *failed ? *failed : e;
}

int sb_limits_expire(void (*told)(const char *sentence), struct sb_err *err)
{
	cleanup_config struct sb_config *config = NULL;
	cleanup_free uid_t *uids = NULL;
	cleanup_fd int run = sb_run_open(err);
	const struct refreshing all = { .run = run, .told = told };
	int r = run < 0 ? run : sb_config_load(NULL, NULL, &config, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < config->n; i++) {
		const struct sb_class *class = &config->classes[i];
		uid_t uid;
		if (has_ended(class, &uid))
			refresh_noted(&all, uid, &r, err);
		if (sb_class_is_for(class, &uid) && sb_class_until(class) > (uint64_t)time(NULL))
			sb_timer_ensure(run, sb_class_until(class));
	}
	ssize_t n = sb_user_list(run, &uids);
	for (ssize_t i = 0; i < n; i++)
		refresh_noted(&all, uids[i], &r, err);
	return r;
}

/* A past one is over, but for what only waits to be removed. */
static bool is_due(const struct sb_class *class, uint64_t until)
{
	uid_t uid;
	return until && (until > (uint64_t)time(NULL) || has_ended(class, &uid));
}

int sb_limits_next(uint64_t *ret, struct sb_err *err)
{
	cleanup_config struct sb_config *config = NULL;
	uint64_t next = 0;
	int r = sb_config_load(NULL, NULL, &config, err);
	for (size_t i = 0; r == 0 && i < config->n; i++) {
		uint64_t until = sb_class_until(&config->classes[i]);
		if (is_due(&config->classes[i], until) && (!next || until < next))
			next = until;
	}
	if (r == 0)
		*ret = next;
	return r;
}

int sb_limits_watch(uint64_t until)
{
	cleanup_fd int run = sb_run_open(NULL);
	return run < 0 ? run : sb_timer_ensure(run, until);
}
