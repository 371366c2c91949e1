/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "rows.h"
#include "sessbox/sys.h"

/* A process born in the group, as init is. */
static int try_clone_into(struct sb_cgroup *cg)
{
	struct sb_cgroup_entry entry;
	int r = sb_cgroup_entry_open(cg, SB_CGROUP_INIT, false, &entry, NULL);
	if (r < 0)
		return r;
	struct clone_args args = { .flags = entry.clone_fd >= 0 ? CLONE_INTO_CGROUP : 0,
				   .cgroup = entry.clone_fd >= 0 ? (uint64_t)entry.clone_fd : 0,
				   .exit_signal = SIGCHLD };
	pid_t pid = sys_clone3(&args);
	if (pid == 0)
		_exit(0);
	r = pid < 0 ? -errno : 0;
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	sb_cgroup_entry_close(&entry);
	return r;
}

/* Mount options of cgroup2 that should be there. */
static const struct {
	const char *name;
	const char *what;
} options[] = {
	{ "favordynmods",
	  "without favordynmods a process takes up to 20 ms to enter its cgroup, once in each "
	  "login" },
	{ "nsdelegate",
	  "without nsdelegate the border of a tenant's cgroup namespace is none: that he cannot "
	  "leave his cgroup hangs on the owners of files alone" },
};

static bool has_option(const char *list, const char *name)
{
	size_t len = strlen(name);
	for (const char *at = strstr(list, name); at; at = strstr(at + len, name))
		if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

static void check_options(const char *where, const char *list, struct ctl_findings *findings)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(options); i++) {
		char fix[300];
		if (has_option(list, options[i].name))
			continue;
		snprintf(fix, sizeof(fix), "mount -o remount,%s %s%s", options[i].name, where,
			 i == 0 ? " (Linux 6.0 or later)" : "");
		ctl_find(findings, CTL_NOTE, fix, "%s", options[i].what);
	}
}

/* "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,..." */
void ctl_check_cgroup_mount(const struct ctl_host *host, struct ctl_findings *findings)
{
	char text[16384];
	char *next = NULL;
	if (ctl_host_read(host, "proc/self/mounts", text, sizeof(text)) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		char where[256], type[32], list[512];
		if (sscanf(line, "%*s %255s %31s %511s", where, type, list) != 3 ||
		    strcmp(type, "cgroup2") != 0 || strncmp(where, "/sys/fs/cgroup", 14) != 0)
			continue;
		check_options(where, list, findings);
		return;
	}
}

/* Who sets this limit, if anybody does: that is an error, a limit nobody sets is a hint. */
static const struct sb_entry *set_by(const struct sb_config *config, const char *name,
				     const struct sb_class **ret_class)
{
	for (size_t i = 0; config && i < config->n; i++) {
		const struct sb_class *class = &config->classes[i];
		for (size_t k = 0; k < class->n; k++) {
			if (strcmp(class->entries[k].key->name, name) != 0)
				continue;
			*ret_class = class;
			return &class->entries[k];
		}
	}
	return NULL;
}

/* Every tenant has this one, whether somebody sets it or not. */
static void check_device_filter(unsigned int unsupported, struct ctl_findings *findings)
{
	if (unsupported & SB_LIMIT_BIT(SB_DEVICE_ALLOW))
		ctl_find(findings, CTL_WARNING,
			 "a kernel with CONFIG_CGROUP_BPF whose bpf(2) nothing keeps root from, or "
			 "one with cgroup v1's controller of devices",
			 "no filter on devices can be set: a device whose node comes within a "
			 "tenant's reach, he can open");
}

/* Limits this kernel cannot do. */
static void check_limits(const struct ctl_host *host, unsigned int unsupported,
			 struct ctl_findings *findings)
{
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++) {
		const char *key = sb_limit_rows[i].key;
		const struct sb_class *class = NULL;
		const struct sb_entry *entry = set_by(host->config, key, &class);
		if (!(unsupported & SB_LIMIT_BIT(i)) || i == SB_DEVICE_ALLOW)
			continue;
		if (entry)
			ctl_find(findings, CTL_ERROR,
				 "boot a kernel with the controller (swap: swapaccount=1), or take "
				 "the key out",
				 "%s=%s of [%s] in %s has no effect: there is no controller for it",
				 key, entry->text, class->name, host->config->files.v[entry->file]);
		else
			ctl_find(findings, CTL_NOTE, NULL,
				 "%s= would have no effect on this kernel", key);
	}
}

static void check_controllers(const struct ctl_host *host, struct ctl_findings *findings)
{
	cleanup_limits struct sb_limits limits;
	struct sb_err err = { 0 };
	unsigned int unsupported = 0;
	sb_limits_init(&limits);
	if (sb_cgroup_limits(host->cg, SB_CGROUP_INIT, &limits, &unsupported, &err) < 0)
		ctl_find(findings, CTL_ERROR, NULL, "%s", err.msg);
	check_limits(host, unsupported, findings);
	check_device_filter(unsupported, findings);
}

void ctl_check_cgroup(const struct ctl_host *host, struct ctl_findings *findings)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	struct sb_err err = { 0 };
	if (!host->cg) {
		if (sb_cgroup_open(NULL, &cg, &err) < 0)
			ctl_find(findings, CTL_ERROR,
				 ctl_host_has(host, "run/systemd/system")
					 ? "systemctl restart sessbox-tenants"
					 : "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
				 "%s", err.msg);
		return;
	}
	/* What each login does first; harmless, and it tells what a login would be told. */
	if (sb_cgroup_create(host->cg, SB_CGROUP_INIT, &err) < 0) {
		ctl_find(findings, CTL_ERROR, NULL, "%s", err.msg);
		return;
	}
	int r = try_clone_into(host->cg);
	if (r < 0)
		ctl_find(findings, CTL_ERROR, "Linux 5.14 or later",
			 "start a process in a cgroup: %s", strerror(-r));
	check_controllers(host, findings);
	if (sb_cgroup_mode(host->cg) != SB_CGROUP_V1)
		ctl_check_cgroup_mount(host, findings);
}
