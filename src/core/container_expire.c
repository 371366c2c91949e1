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

/* How often it may be that he logs in, or somebody edits, while we ask about him. */
#define TRIES 3

/* When an end is tried again that could not be carried out: a directory was down, perhaps. */
#define AGAIN_SEC 60

/* What a user's policy depends on besides the configuration. */
struct question {
	char user[256];	  /* "" = he has no container, and nothing is to be asked */
	char service[64]; /* of his last session */
};

struct refreshing {
	int run;
	uid_t uid;
	bool anew;
	const struct sb_config *files;
	void (*told)(const char *sentence);
	struct sb_user_dir user;
	struct question asked;
	struct sb_config *config;
	struct sb_policy *policy;
};

/* ---- which configuration ---- */

/* What the files say, or if that does not load the last good one, and why. */
static int load_files(struct sb_config **ret, struct sb_err *broken, struct sb_err *err)
{
	int r = sb_config_load(NULL, NULL, ret, broken);
	if (r < 0 && (r = sb_config_load_kept(ret, NULL)) < 0 && err)
		*err = *broken;
	return r;
}

/*
 * What limits go by. An end by itself brings about nothing else: what holds besides is the last
 * good configuration, for an edit may be half done. anew: an administrator asks for what the files
 * say, and if that does not load there is the same.
 */
static int load(bool anew, struct sb_config **ret, struct sb_err *err)
{
	struct sb_err broken = { 0 };
	if (!anew && sb_config_load_kept(ret, NULL) == 0)
		return 0;
	int r = load_files(ret, &broken, err);
	if (r == 0 && anew)
		sb_config_keep(*ret, NULL);
	return r;
}

static bool same_list(const struct sb_strv *a, const struct sb_strv *b)
{
	bool same = a->n == b->n;
	for (size_t i = 0; same && i < a->n; i++)
		same = strcmp(a->v[i], b->v[i]) == 0;
	return same;
}

/* ---- files that go ---- */

static int open_dropins(void)
{
	return open(SB_CONFIG_DIR "/" SB_CONFIG_DROPINS,
		    O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static const char *text_of(const struct sb_config *config, const char *name)
{
	char path[sizeof(SB_CONFIG_DIR SB_CONFIG_DROPINS SB_CONFIG_FOR) + 32];
	snprintf(path, sizeof(path), SB_CONFIG_DIR "/" SB_CONFIG_DROPINS "/%s", name);
	for (size_t i = 0; i < config->files.n; i++)
		if (strcmp(config->files.v[i], path) == 0)
			return config->texts.v[i];
	return NULL;
}

/* Is it there, and as the configuration knows it? A last good one may be older. */
static bool is_there(const struct sb_config *config, int dir, const char *name)
{
	const char *text = text_of(config, name);
	size_t size = text ? strlen(text) : 0;
	cleanup_free char *now = text ? malloc(size + 2) : NULL;
	return now && sb_read_file(dir, name, now, size + 2) == (ssize_t)size &&
	       memcmp(now, text, size) == 0;
}

/* Only the file that `sessctl limit --for` writes: elsewhere a section is somebody's own. */
static bool has_file(const struct sb_config *config, uid_t uid, int dir, char *name, size_t size)
{
	snprintf(name, size, SB_CONFIG_FOR, uid);
	return dir >= 0 && is_there(config, dir, name);
}

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

static void remove_ended(const struct refreshing *r)
{
	char name[sizeof(SB_CONFIG_FOR) + 16];
	cleanup_fd int dir = open_dropins();
	uid_t uid;
	for (size_t i = 0; i < r->files->n; i++) {
		const struct sb_class *class = &r->files->classes[i];
		if (has_ended(class, &uid) && uid == r->uid &&
		    has_file(r->files, uid, dir, name, sizeof(name)) && unlinkat(dir, name, 0) == 0)
			tell_end(r, sb_class_until(class));
	}
}

/* ---- one user ---- */

static struct question look(int user_fd)
{
	cleanup_free uint32_t *numbers = NULL, *ids = NULL;
	struct question q = { .service = "sshd" };
	struct sb_container_record rec;
	struct sb_session_record session;
	ssize_t n = sb_container_list(user_fd, &numbers), sessions = sb_session_list(user_fd, &ids);
	for (ssize_t i = 0; i < n && !*q.user; i++)
		if (sb_container_load(user_fd, numbers[i], &rec) == 0)
			sb_copy(q.user, sizeof(q.user), rec.user);
	if (sessions > 0 && sb_session_load(user_fd, "sessions", ids[sessions - 1], &session) == 0)
		sb_copy(q.service, sizeof(q.service), session.service);
	return q;
}

static int in_group(const struct sb_login *login, const char *name, void *ctx)
{
	return sb_group_member(login->user, login->gid, name, ctx);
}

static int resolve(struct refreshing *r, struct sb_err *err)
{
	struct sb_group_cache groups = { 0 };
	const struct passwd *pw = getpwuid(r->uid);
	if (!pw)
		return sb_fail_plain(err, ENOENT, "no account of uid %u", r->uid);
	const struct sb_login login = { .user = r->asked.user,
					.uid = r->uid,
					.gid = pw->pw_gid,
					.service = r->asked.service,
					.in_group = in_group,
					.ctx = &groups };
	int e = sb_policy_resolve(r->config, &login, &r->policy, err);
	sb_group_cache_clear(&groups);
	return e;
}

/* Without his lock, which his logins wait for: a directory may take its time to answer. */
static int ask(struct refreshing *r, struct sb_err *err)
{
	struct sb_user_dir user;
	int e = load(r->anew, &r->config, err);
	if (e < 0 || sb_user_open(r->run, r->uid, &user) < 0)
		return e;
	r->asked = look(user.fd);
	sb_user_close(&user);
	return *r->asked.user ? resolve(r, err) : 0;
}

/* With it: is it still the same that would be asked? */
static bool holds(const struct refreshing *r)
{
	cleanup_config struct sb_config *now = NULL;
	const struct question q = look(r->user.fd);
	return strcmp(q.user, r->asked.user) == 0 && strcmp(q.service, r->asked.service) == 0 &&
	       load(r->anew, &now, NULL) == 0 && same_list(&now->files, &r->config->files) &&
	       same_list(&now->texts, &r->config->texts);
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
	if (!r->policy || !r->policy->set.contain)
		return 0;
	bool changed = strcmp(rec.limits_hash, r->policy->limits_hash) != 0;
	int e = changed || r->policy->budget ? apply(r, &unsupported, err) : 0;
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
	int e = 0;
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

/* 1 = it is done; 0 = what was asked is no longer so. */
static int attempt(struct refreshing *r, struct sb_err *err)
{
	int e = ask(r, err);
	if (e == 0)
		e = sb_user_lock(r->run, r->uid, sb_now_ms() + LOCK_MS, &r->user, err);
	if (e < 0)
		return e;
	bool so = holds(r);
	if (so)
		e = refresh_locked(r, err);
	sb_user_close(&r->user);
	return e < 0 ? e : so;
}

static int refresh(struct refreshing *r, struct sb_err *err)
{
	int done = 0;
	for (int tries = 0; done == 0 && tries < TRIES; tries++) {
		done = attempt(r, err);
		sb_policy_free(r->policy);
		sb_config_free(r->config);
		r->policy = NULL;
		r->config = NULL;
	}
	return done == 0  ? sb_fail_plain(err, EAGAIN, "uid %u comes and goes all the time", r->uid)
	       : done < 0 ? done
			  : 0;
}

/* One that cannot be refreshed must not keep the others from it. */
static int refresh_noted(const struct refreshing *all, uid_t uid, int *failed, struct sb_err *err)
{
	struct refreshing one = *all;
	struct sb_err why = { 0 };
	one.uid = uid;
	int e = refresh(&one, &why);
	if (e < 0 && *failed == 0 && err)
		*err = why;
	*failed = *failed ? *failed : e;
	return e;
}

/* ---- all of them ---- */

int sb_limits_expire(bool anew, void (*told)(const char *sentence), struct sb_err *err)
{
	cleanup_config struct sb_config *files = NULL;
	cleanup_free uid_t *uids = NULL;
	cleanup_fd int run = sb_run_open(err);
	struct sb_err broken = { 0 };
	int r = run < 0 ? run : load_files(&files, &broken, err);
	if (r < 0)
		return r;
	const struct refreshing all = { .run = run, .anew = anew, .files = files, .told = told };
	for (size_t i = 0; i < files->n; i++) {
		const struct sb_class *class = &files->classes[i];
		uid_t uid;
		if (has_ended(class, &uid) && refresh_noted(&all, uid, &r, err) < 0)
			sb_timer_ensure(run, (uint64_t)time(NULL) + AGAIN_SEC);
		if (sb_class_is_for(class, &uid) && sb_class_until(class) > (uint64_t)time(NULL))
			sb_timer_ensure(run, sb_class_until(class));
	}
	ssize_t n = sb_user_list(run, &uids);
	for (ssize_t i = 0; i < n; i++)
		refresh_noted(&all, uids[i], &r, err);
	if (r == 0 && anew && files->kept) {
		r = -broken.num;
		if (err)
			*err = broken;
	}
	return r;
}

/* A past one is over, but for what only waits to be removed. */
static bool is_due(const struct sb_config *files, const struct sb_class *class, int dir)
{
	char name[sizeof(SB_CONFIG_FOR) + 16];
	uid_t uid;
	return sb_class_until(class) > (uint64_t)time(NULL) ||
	       (has_ended(class, &uid) && has_file(files, uid, dir, name, sizeof(name)));
}

int sb_limits_next(uint64_t *ret, struct sb_err *err)
{
	cleanup_config struct sb_config *files = NULL;
	cleanup_fd int dir = open_dropins();
	struct sb_err broken = { 0 };
	uint64_t next = 0;
	int r = load_files(&files, &broken, err);
	for (size_t i = 0; r == 0 && i < files->n; i++) {
		uint64_t until = sb_class_until(&files->classes[i]);
		if (is_due(files, &files->classes[i], dir) && (!next || until < next))
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
