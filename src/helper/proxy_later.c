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
static bool opens(char **save)
{
	bool open = false;
	for (const char *word; (word = strtok_r(NULL, " \t", save));) {
		if (strncmp(word, "conf=", strlen("conf=")) == 0)
			return false;
		open = open || strcmp(word, "open") == 0;
	}
	return open;
}

/* Is the next line a part of it? Also of a comment: then it is no line of its own either. */
static bool continues(const char *line)
{
	size_t len = strlen(line);
	while (len && strchr(" \t\r", line[len - 1]))
		len--;
	return len && line[len - 1] == '\\';
}

/*
 * A line of a PAM file: 1 = ours, "session required pam_sessbox.so open ..."; 0 = none that
 * matters; -EPERM = it may end the session's lines before ours had its turn, jump over it, or be
 * more than this line.
 */
static int judge_line(char *line)
{
	if (continues(line))
		return -EPERM;
	static const char *const goes_on[] = { "required", "requisite", "optional",
					       "include",  "substack",	NULL };
	line[strcspn(line, "#")] = '\0';
	char *save = NULL, *type = strtok_r(line, " \t", &save),
	     *control = strtok_r(NULL, " \t", &save), *module = strtok_r(NULL, " \t", &save);
	if (!type || strcasecmp(type + (*type == '-'), "session") != 0)
		return 0;
	if (!module || !is_one_of(control, goes_on))
		return -EPERM;
	bool ours = strcmp(type, "session") == 0 && control[0] == 'r' &&
		    strcmp(basename(module), "pam_sessbox.so") == 0;
	return ours && opens(&save);
}

/* Has the service's file that line? What it includes is not looked at. */
static bool has_open_line(const char *service)
{
	char path[64], text[16384], *save = NULL;
	snprintf(path, sizeof(path), "/etc/pam.d/%s", service);
	int r = 0;
	if (sb_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return false;
	for (char *line = strtok_r(text, "\n", &save); line && r == 0;
	     line = strtok_r(NULL, "\n", &save))
		r = judge_line(line);
	return r == 1;
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
