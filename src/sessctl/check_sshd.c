/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What sshd itself says of its configuration, and which program it is. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "child.h"
#include "sessbox/io.h"
#include "sessbox/proc.h"
#include "sessbox/service.h"
#include "sessbox/str.h"

#define SSHD "/usr/sbin/sshd"

/* A line of `sshd -T` as it should be; "" = anything but what `bad` says. */
static const struct {
	const char *key, *good;
	enum ctl_severity severity;
	const char *what, *fix;
} settings[] = {
	{ "usepam", "yes", CTL_ERROR, "sshd does not use PAM: nobody is contained",
	  "UsePAM yes in sshd_config" },
	{ "pamservicename", "sshd", CTL_ERROR,
	  "sshd asks PAM by another name, which is not contained",
	  "PAMServiceName sshd in sshd_config" },
	{ "permituserenvironment", "no", CTL_NOTE,
	  "users set the environment of their programs before a shell runs",
	  "PermitUserEnvironment no in sshd_config" },
	{ "gssapistorecredentialsonrekey", "no", CTL_WARNING,
	  "when keys are exchanged again with new credentials, sshd's monitor switches to the "
	  "user, "
	  "which it may not: the tenant's connection ends",
	  "GSSAPIStoreCredentialsOnRekey no in sshd_config" },
};

/* ---- sshd -T ---- */

#define WORDS_MAX 16

/* Which sshd: "" is the one without options. */
struct daemon {
	char name[32];
	const char *argv[WORDS_MAX + 1];
};

static void check_setting(const char *line, size_t i, const struct daemon *d,
			  struct ctl_findings *findings)
{
	size_t len = strlen(settings[i].key);
	if (strncmp(line, settings[i].key, len) != 0 || line[len] != ' ')
		return;
	if (strcmp(line + len + 1, settings[i].good) != 0)
		ctl_find(findings, settings[i].severity, settings[i].fix, "%s%s (%s)", d->name,
			 settings[i].what, line);
}

static void check_settings(char *text, const struct daemon *d, struct ctl_findings *findings)
{
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		for (size_t i = 0; i < SB_ARRAY_SIZE(settings); i++)
			check_setting(line, i, d, findings);
}

static void check_answer(const struct daemon *d, struct ctl_findings *findings)
{
	char why[1024];
	cleanup_free char *text = ctl_child_answer(d->argv, 65536, why, sizeof(why));
	if (text)
		check_settings(text, d, findings);
	else
		ctl_find(findings, CTL_WARNING, "correct what it complains about",
			 "%ssshd -T fails: %s", d->name, why);
}

/* ---- what sshd -T does not show: Match blocks ---- */

/* The value of a line with this keyword, without quotes; NULL = another line. */
static char *value_of(char *line, const char *keyword)
{
	line += strspn(line, " \t");
	size_t len = strcspn(line, " \t=");
	if (len != strlen(keyword) || strncasecmp(line, keyword, len) != 0)
		return NULL;
	line += len;
	line += strspn(line, " \t=");
	const char *ends = *line == '"' ? "\"" : " \t";
	line += *line == '"';
	line[strcspn(line, ends)] = '\0';
	return line;
}

static void scan_file(const struct ctl_host *host, const char *path, struct ctl_findings *findings)
{
	cleanup_free char *text = malloc(65536);
	char *save = NULL;
	if (!text || ctl_host_read(host, path, text, 65536) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *value = value_of(line, "ChrootDirectory");
		if (value && strcasecmp(value, "none") != 0)
			ctl_check_chroot(host, path, value, findings);
	}
}

static void scan_files(const struct ctl_host *host, struct ctl_findings *findings)
{
	int fd = openat(host->root, "etc/ssh/sshd_config.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	scan_file(host, "etc/ssh/sshd_config", findings);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		char path[320];
		size_t len = strlen(e->d_name);
		snprintf(path, sizeof(path), "etc/ssh/sshd_config.d/%s", e->d_name);
		if (len > 5 && strcmp(e->d_name + len - 5, ".conf") == 0)
			scan_file(host, path, findings);
	}
}

/* ---- the running ones ---- */

/* What decides what it reads, of "sshd: /usr/sbin/sshd -D -f FILE [listener] 0 of 10-100 startups".
 */
static size_t add_options(char *title, const char **argv, size_t n)
{
	char *save = NULL;
	for (char *word = strtok_r(title, " ", &save); word && n < WORDS_MAX - 1;
	     word = strtok_r(NULL, " ", &save)) {
		if (strncmp(word, "-f", 2) != 0 && strncmp(word, "-o", 2) != 0)
			continue;
		argv[n++] = word;
		if (!word[2] && (word = strtok_r(NULL, " ", &save)))
			argv[n++] = word;
		if (!word)
			break;
	}
	return n;
}

/* One that listens, and was started with a configuration of its own. */
static void check_daemon(pid_t pid, struct ctl_findings *findings)
{
	struct daemon d = { .argv = { SSHD, "-T" } };
	char path[64], title[4096];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	ssize_t n = sb_read_file(AT_FDCWD, path, title, sizeof(title));
	char *end = n > 0 ? strstr(title, " [listener]") : NULL;
	if (!end)
		return;
	*end = '\0';
	snprintf(d.name, sizeof(d.name), "process %d: ", pid);
	if (add_options(title, d.argv, 2) > 2)
		check_answer(&d, findings);
}

/* Not in a container of somebody's. */
static bool is_of_host(pid_t pid)
{
	char path[64];
	struct stat root, its;
	snprintf(path, sizeof(path), "/proc/%d/root/.", pid);
	return stat("/proc/1/root/.", &root) == 0 && stat(path, &its) == 0 &&
	       root.st_dev == its.st_dev && root.st_ino == its.st_ino;
}

static void check_process(pid_t pid, struct ctl_findings *findings)
{
	char path[64], exe[512];
	struct sb_proc proc;
	struct stat st;
	if (sb_proc_read(pid, &proc) < 0 ||
	    (strcmp(proc.comm, "sshd") != 0 && strcmp(proc.comm, "sshd-session") != 0))
		return;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st) < 0 || st.st_uid != 0 || !is_of_host(pid))
		return;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	ssize_t n = readlink(path, exe, sizeof(exe) - 1);
	if (n < 0)
		return;
	exe[n] = '\0';
	if (!sb_service_runs(sb_service_find("sshd"), exe))
		ctl_find(findings, CTL_ERROR, "run sshd as " SSHD,
			 "process %d is '%s', which is not accepted with join=cred: tenants are "
			 "refused",
			 pid, exe);
	else
		check_daemon(pid, findings);
}

static void check_processes(struct ctl_findings *findings)
{
	cleanup_dir DIR *dir = opendir("/proc");
	for (struct dirent *e; dir && (e = readdir(dir));)
		if (isdigit((unsigned char)e->d_name[0]))
			check_process((pid_t)strtol(e->d_name, NULL, 10), findings);
}

void ctl_check_sshd(const struct ctl_host *host, struct ctl_findings *findings)
{
	if (!ctl_host_has(host, &SSHD[1])) {
		ctl_find(findings, CTL_WARNING, "install an OpenSSH server", "there is no " SSHD);
		return;
	}
	check_answer(&(const struct daemon){ .argv = { SSHD, "-T" } }, findings);
	scan_files(host, findings);
	check_processes(findings);
}
