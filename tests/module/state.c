/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"

#define SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define IOPRIO_WHO_PROCESS 1

extern char **environ;

static void report_links(const char *label)
{
	static const char *const names[] = {
		"ns/mnt", "ns/pid",  "ns/pid_for_children",
		"ns/ipc", "ns/uts",  "ns/cgroup",
		"ns/net", "ns/user", "ns/time",
		"cwd",	  "root",    "exe",
	};
	for (size_t i = 0; i < SIZE(names); i++) {
		char path[64], text[4096];
		snprintf(path, sizeof(path), "/proc/self/%s", names[i]);
		ssize_t n = readlink(path, text, sizeof(text) - 1);
		text[n < 0 ? 0 : n] = '\0';
		report("state %s %s %s", label, names[i], text);
	}
}

static void report_status(const char *label)
{
	static const char *const fields[] = {
		"Umask",  "Uid",     "Gid",    "Groups",     "Threads",	     "SigBlk",
		"SigIgn", "SigCgt",  "CapInh", "CapPrm",     "CapEff",	     "CapBnd",
		"CapAmb", "Seccomp", "NSpid",  "NoNewPrivs", "Cpus_allowed",
	};
	char line[4096];
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *value = strchr(line, ':');
		if (!value)
			continue;
		*value++ = '\0';
		for (size_t i = 0; i < SIZE(fields); i++)
			if (strcmp(line, fields[i]) == 0)
				report("state %s %s %.*s", label, line,
				       (int)strcspn(value + 1, "\n"), value + 1);
	}
	if (f)
		fclose(f);
}

static void report_files(const char *label)
{
	static const char *const names[] = { "oom_score_adj", "cgroup", "sessionid" };
	for (size_t i = 0; i < SIZE(names); i++) {
		char path[64], text[4096];
		snprintf(path, sizeof(path), "/proc/self/%s", names[i]);
		FILE *f = fopen(path, "re");
		size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
		text[n] = '\0';
		report("state %s %s %s", label, names[i], text);
		if (f)
			fclose(f);
	}
}

/* Descriptors with what they are and whether they close on exec. */
static void report_fds(const char *label)
{
	DIR *dir = opendir("/proc/self/fd");
	for (struct dirent *e; dir && (e = readdir(dir));) {
		char text[4096];
		int fd = atoi(e->d_name);
		ssize_t n = readlinkat(dirfd(dir), e->d_name, text, sizeof(text) - 1);
		if (e->d_name[0] == '.' || fd == dirfd(dir) || n < 0)
			continue;
		text[n] = '\0';
		report("state %s fd/%d %s%s", label, fd,
		       fcntl(fd, F_GETFD) & FD_CLOEXEC ? "cloexec " : "", text);
	}
	if (dir)
		closedir(dir);
}

static long keyring(void)
{
	return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
}

static long core_limit(void)
{
	struct rlimit r;
	getrlimit(RLIMIT_CORE, &r);
	return r.rlim_cur == RLIM_INFINITY ? -1 : (long)r.rlim_cur;
}

static long core_limit_max(void)
{
	struct rlimit r;
	getrlimit(RLIMIT_CORE, &r);
	return r.rlim_max == RLIM_INFINITY ? -1 : (long)r.rlim_max;
}

static long timer_left(void)
{
	struct itimerval t;
	getitimer(ITIMER_REAL, &t);
	return t.it_value.tv_sec;
}

/* 0: there is none. */
static long a_child(void)
{
	return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? 0 : 1;
}

static long module_loaded(void)
{
	char line[4096];
	long found = 0;
	FILE *f = fopen("/proc/self/maps", "re");
	while (f && fgets(line, sizeof(line), f))
		found |= strstr(line, "/pam_sessbox.so") != NULL;
	if (f)
		fclose(f);
	return found;
}

static long securebits(void)
{
	return prctl(PR_GET_SECUREBITS);
}

static long dumpable(void)
{
	return prctl(PR_GET_DUMPABLE);
}

static long timer_slack(void)
{
	return prctl(PR_GET_TIMERSLACK);
}

static long policy(void)
{
	return sched_getscheduler(0);
}

static long nice_value(void)
{
	return getpriority(PRIO_PROCESS, 0);
}

static long io_priority(void)
{
	return syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
}

static void report_numbers(const char *label)
{
	static const struct {
		const char *key;
		long (*get)(void);
	} numbers[] = {
		{ "securebits", securebits },	{ "dumpable", dumpable },
		{ "timerslack", timer_slack },	{ "policy", policy },
		{ "nice", nice_value },		{ "ioprio", io_priority },
		{ "keyring", keyring },		{ "core", core_limit },
		{ "core_max", core_limit_max }, { "timer", timer_left },
		{ "children", a_child },	{ "module", module_loaded },
	};
	for (size_t i = 0; i < SIZE(numbers); i++)
		report("state %s %s %ld", label, numbers[i].key, numbers[i].get());
}

static void report_environment(const char *label, pam_handle_t *pamh)
{
	char **list = pamh ? pam_getenvlist(pamh) : NULL;
	for (char **e = environ; *e; e++)
		report("state %s env/%zd %s", label, e - environ, *e);
	for (char **e = list; e && *e; e++) {
		report("state %s pamenv/%zd %s", label, e - list, *e);
		free(*e);
	}
	free(list);
}

void report_state(const char *label, pam_handle_t *pamh)
{
	report_links(label);
	report_status(label);
	report_files(label);
	report_fds(label);
	report_numbers(label);
	report_environment(label, pamh);
}
