/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a command leaves on the host for later: who runs it, and how much of it there may be. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"
#include "proxy.h"
#include "sessbox/io.h"
#include "sessbox/pam.h"
#include "sessbox/service.h"
#include "sessbox/str.h"

/* One word of a list. Returns what follows, or NULL at its end. */
static const char *next_word(const char *list, char *buf, size_t size)
{
	size_t len = list ? strcspn(list, " ") : 0;
	if (!len)
		return NULL;
	snprintf(buf, size, "%.*s", (int)len, list);
	return list + len + (list[len] == ' ');
}

static bool is_one_of(const char *word, const char *const *list)
{
	while (*list && strcmp(word, *list) != 0)
		list++;
	return *list;
}

/* Has an open line's arguments what contains by the configuration that is asked here? */
static bool opens(const struct sb_strv *args)
{
	for (size_t i = 0; i < args->n; i++)
		if (strncmp(args->v[i], "conf=", strlen("conf=")) == 0)
			return false;
	return sb_strv_has(args, "open");
}

/*
 * A line of the service's own file: 1 = ours, "session required pam_sessbox.so open ..."; 0 = none
 * that matters; -EPERM = it may end the session's lines before ours had its turn, or jump over it.
 */
static int judge_rule(const struct sb_pam_rule *rule)
{
	static const char *const goes_on[] = { "required", "requisite", "optional", NULL };
	if (rule->type != SB_PAM_SESSION || !rule->is_own || rule->is_substack)
		return 0;
	if (!is_one_of(rule->control, goes_on))
		return -EPERM;
	return !rule->may_be_gone && rule->control[0] == 'r' && sb_pam_is_ours(rule) &&
	       opens(&rule->args);
}

/* Goes no line up to it on in the next one, and can none go round it, of what is included, too? */
static bool is_sure(const struct sb_pam_stack *stack, size_t ours)
{
	bool continued = stack->continued && stack->continued <= stack->v[ours].to;
	return !continued && !sb_pam_skipper(stack, ours);
}

static bool has_open_rule(const struct sb_pam_stack *stack)
{
	for (size_t i = 0; i < stack->n; i++) {
		int r = judge_rule(&stack->v[i]);
		if (r != 0)
			return r > 0 && is_sure(stack, i);
	}
	return false;
}

/* Has the service's own file that line? What cannot be read has none. */
static bool has_open_line(const char *service)
{
	char path[64], text[16384];
	const struct sb_pam_text own = { service, text };
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct sb_pam_source from = { root, &own, 1 };
	cleanup_pam struct sb_pam_stack stack = { 0 };
	snprintf(path, sizeof(path), "/etc/pam.d/%s", service);
	return root >= 0 && sb_read_file(AT_FDCWD, path, text, sizeof(text)) >= 0 &&
	       sb_pam_load_from(&from, service, &stack) == 0 && has_open_rule(&stack);
}

/* A class may be for some services alone, and say there that he is not contained. */
static bool is_contained_by(struct sb_asking *a, const char *service)
{
	cleanup_policy struct sb_policy *policy = NULL;
	return sb_helper_resolve_account(a->config, a->account, service, &policy, &a->err) == 0 &&
	       policy->set.contain && sb_strv_has(&policy->set.allow_services, service);
}

/* A daemon that is gone may have left its file, and another one that asks nobody be in its place.
 */
static bool is_installed(const char *service)
{
	const struct sb_service *row = sb_service_find(service);
	const char *at = row ? row->programs : NULL;
	char path[64];
	while ((at = next_word(at, path, sizeof(path))))
		if (access(path, X_OK) == 0)
			return true;
	return false;
}

/* To let a tenant in by the door of cron while cron lets his jobs out would be no door. */
const char *sb_proxy_check_service(struct sb_asking *a)
{
	const char *service = a->wanted.call.command->service;
	if (!service ||
	    (is_installed(service) && has_open_line(service) && is_contained_by(a, service)))
		return NULL;
	sb_fail_plain(&a->err, EPERM,
		      "'%s' does not contain what it runs for '%s': see sessctl check", service,
		      a->account->pw_name);
	return SB_PROXY_BROKEN;
}

static unsigned int count_files(const char *path, uid_t uid, time_t since)
{
	cleanup_dir DIR *dir = opendir(path);
	unsigned int n = 0;
	struct stat st;
	for (struct dirent *e; dir && (e = readdir(dir));)
		n += fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		     st.st_uid == uid && st.st_mtime >= since;
	return n;
}

/* What he leaves on the host is in no limit of his. */
const char *sb_proxy_check_room(struct sb_asking *a)
{
	const struct sb_proxy_command *command = a->wanted.call.command;
	char path[64];
	const char *at = command->spools;
	const unsigned int days = command->spool_days;
	const time_t since = days ? time(NULL) - (time_t)days * 86400 : 0;
	if (!at || sb_proxy_leaves_none(&a->wanted.call))
		return NULL;
	while ((at = next_word(at, path, sizeof(path))))
		if (count_files(path, a->peer.uid, since) >= command->spool_max)
			return "you have too many jobs or files there: remove some first, or ask "
			       "the administrator";
	return NULL;
}
