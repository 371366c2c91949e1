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

static void check_setting(const char *line, size_t i, struct ctl_findings *findings)
{
	size_t len = strlen(settings[i].key);
	if (strncmp(line, settings[i].key, len) != 0 || line[len] != ' ')
		return;
	if (strcmp(line + len + 1, settings[i].good) != 0)
		ctl_find(findings, settings[i].severity, settings[i].fix, "%s (%s)",
			 settings[i].what, line);
}

static void check_settings(char *text, struct ctl_findings *findings)
{
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		for (size_t i = 0; i < SB_ARRAY_SIZE(settings); i++)
			check_setting(line, i, findings);
}

static void check_answer(struct ctl_findings *findings)
{
	static const char *const argv[] = { SSHD, "-T", NULL };
	char why[1024];
	cleanup_free char *text = ctl_child_answer(argv, 65536, why, sizeof(why));
	if (text)
		check_settings(text, findings);
	else
		ctl_find(findings, CTL_WARNING, "correct what it complains about",
			 "sshd -T fails: %s", why);
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

static void check_process(pid_t pid, struct ctl_findings *findings)
{
	char path[64], exe[512];
	struct sb_proc proc;
	struct stat st;
	if (sb_proc_read(pid, &proc) < 0 ||
	    (strcmp(proc.comm, "sshd") != 0 && strcmp(proc.comm, "sshd-session") != 0))
		return;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st) < 0 || st.st_uid != 0)
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
	check_answer(findings);
	scan_files(host, findings);
	check_processes(findings);
}
