/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "account.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "sessbox/parse.h"
#include "sessbox/str.h"

static const struct passwd *look_up(const char *text)
{
	uint64_t uid;
	const struct passwd *pw = getpwnam(text);
	if (!pw && sb_parse_u64(text, &uid) == 0 && uid < UINT32_MAX)
		pw = getpwuid((uid_t)uid);
	return pw;
}

int ctl_account_find(const char *text, struct ctl_account *ret)
{
	errno = 0;
	const struct passwd *pw = look_up(text);
	if (!pw)
		return errno == EIO || errno == EAGAIN || errno == ENOMEM ? -errno : -ENOENT;
	struct ctl_account a = { .uid = pw->pw_uid, .gid = pw->pw_gid };
	if (sb_copy(a.name, sizeof(a.name), pw->pw_name) < 0 ||
	    sb_copy(a.home, sizeof(a.home), pw->pw_dir) < 0)
		return -ENAMETOOLONG;
	*ret = a;
	return 0;
}

struct ctl_answer {
	char *group;
	int is_member; /* or a negative errno */
};

void ctl_answers_clear(struct ctl_answers *answers)
{
	for (size_t i = 0; i < answers->n; i++)
		free(answers->v[i].group);
	free(answers->v);
	sb_group_cache_clear(&answers->groups);
	*answers = (struct ctl_answers){ 0 };
}

/* One that cannot be noted is asked for again. */
static void note(struct ctl_answers *answers, const char *group, int is_member)
{
	struct ctl_answer *v = reallocarray(answers->v, answers->n + 1, sizeof(*v));
	char *copy = strdup(group);
	if (v)
		answers->v = v;
	if (v && copy)
		v[answers->n++] = (struct ctl_answer){ sb_steal_ptr(&copy), is_member };
	free(copy);
}

static int in_group(const struct sb_login *login, const char *name, void *ctx)
{
	struct ctl_answers *answers = ctx;
	for (size_t i = 0; i < answers->n; i++)
		if (strcmp(answers->v[i].group, name) == 0)
			return answers->v[i].is_member;
	int r = sb_group_find(login->user, login->gid, name, &answers->groups);
	note(answers, name, r);
	return r;
}

static bool in_local_group(const struct sb_login *login, const char *name)
{
	return sb_group_lists(login->user, login->gid, name);
}

int ctl_account_policy(const struct ctl_account *account, const char *service,
		       const struct sb_config *config, struct sb_policy **ret, struct sb_err *err)
{
	struct ctl_answers own = { 0 };
	const struct sb_login login = { .user = account->name,
					.uid = account->uid,
					.gid = account->gid,
					.service = service ? service : CTL_SERVICE_DEFAULT,
					.in_group = in_group,
					.ctx = account->answers ? account->answers : &own,
					.in_local_group = in_local_group };
	int r = sb_policy_resolve(config, &login, ret, err);
	ctl_answers_clear(&own);
	return r;
}
