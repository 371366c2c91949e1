/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Settings of the kernel that weaken containment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* A number in a file below /proc/sys, and what it should not be: from, to, both included. */
static const struct setting {
	const char *name; /* as sysctl(8) has it */
	long long from, to;
	enum ctl_severity severity;
	const char *good;
	const char *what;
} settings[] = {
	{ "fs.suid_dumpable", 1, 1, CTL_WARNING, "0",
	  "a tenant may trace processes that have just become his" },
	{ "fs.protected_symlinks", 0, 0, CTL_WARNING, "1",
	  "programs of root follow links that a tenant has put into a directory all may write to" },
	{ "fs.protected_hardlinks", 0, 0, CTL_WARNING, "1",
	  "a tenant can make names in his home for files of others, and root may take them for "
	  "his" },
	{ "fs.protected_fifos", 0, 0, CTL_NOTE, "1",
	  "programs open a FIFO of a stranger in a directory all may write to" },
	{ "fs.protected_regular", 0, 0, CTL_NOTE, "1",
	  "programs write into a stranger's file in a directory all may write to" },
	{ "kernel.yama.ptrace_scope", 0, 0, CTL_NOTE, "1",
	  "each program of a tenant can read the memory of his others, an ssh-agent's, say" },
	{ "kernel.dmesg_restrict", 0, 0, CTL_NOTE, "1",
	  "tenants read the kernel's log, addresses and other users' crashes in it" },
	{ "kernel.perf_event_paranoid", -1, 1, CTL_WARNING, "2",
	  "tenants measure what the kernel and other users' programs do" },
	{ "kernel.unprivileged_bpf_disabled", 0, 0, CTL_WARNING, "1",
	  "tenants load BPF programs into the kernel" },
	{ "vm.unprivileged_userfaultfd", 1, 1, CTL_NOTE, "0",
	  "tenants can stop the kernel where it reads their memory, which makes its races easy" },
	{ "dev.tty.legacy_tiocsti", 1, 1, CTL_NOTE, "0",
	  "a program can type into the terminal it was started from" },
};

/* false: no such file, or no number in it. */
static bool read_number(const struct ctl_host *host, const char *path, long long *ret)
{
	char text[32], *end;
	if (ctl_host_read(host, path, text, sizeof(text)) <= 0)
		return false;
	*ret = strtoll(text, &end, 10);
	return end != text && (*end == '\0' || *end == '\n');
}

static bool read_setting(const struct ctl_host *host, const char *name, long long *ret)
{
	char path[96];
	size_t len = (size_t)snprintf(path, sizeof(path), "proc/sys/%s", name);
	for (size_t i = 0; i < len; i++)
		if (path[i] == '.')
			path[i] = '/';
	return read_number(host, path, ret);
}

static void check_setting(const struct ctl_host *host, const struct setting *s,
			  struct ctl_findings *findings)
{
	char fix[96];
	long long value;
	if (!read_setting(host, s->name, &value) || value < s->from || value > s->to)
		return;
	snprintf(fix, sizeof(fix), "sysctl %s=%s", s->name, s->good);
	ctl_find(findings, s->severity, fix, "%s=%lld: %s", s->name, value, s->what);
}

/* Debian's switch, then everybody's. */
static void check_user_namespaces(const struct ctl_host *host, struct ctl_findings *findings)
{
	static const char debians[] = "kernel.unprivileged_userns_clone";
	long long value;
	bool has_switch = read_setting(host, debians, &value);
	if (has_switch && value == 0)
		return;
	if (read_setting(host, "user.max_user_namespaces", &value) && value > 0)
		ctl_find(findings, CTL_NOTE,
			 has_switch ? "sysctl kernel.unprivileged_userns_clone=0, where nobody "
				      "needs them"
				    : "sysctl user.max_user_namespaces=0, where nobody needs them",
			 "user namespaces are open: through them a tenant can use up the host's "
			 "terminals and kernel memory beyond his MemoryMax");
}

/* Before Linux 6.2 there is no switch for it. */
static void check_terminals(const struct ctl_host *host, struct ctl_findings *findings)
{
	long long value;
	if (read_setting(host, "dev.tty.ldisc_autoload", &value) &&
	    !read_setting(host, "dev.tty.legacy_tiocsti", &value))
		ctl_find(findings, CTL_NOTE, "su --pty, for root's su to a tenant",
			 "a program can type into the terminal it was started from, and this "
			 "kernel has no dev.tty.legacy_tiocsti to forbid it");
}

/*
 * A tenant's limit of 1 byte keeps his crashes from the pipe, but he may lower it to 0, which means
 * nothing to a pipe (do_coredump).
 */
static void check_core_pattern(const struct ctl_host *host, struct ctl_findings *findings)
{
	char text[256];
	if (ctl_host_read(host, "proc/sys/kernel/core_pattern", text, sizeof(text)) <= 0 ||
	    text[0] != '|')
		return;
	text[strcspn(text, "\n ")] = '\0';
	ctl_find(
		findings, CTL_WARNING, "sysctl kernel.core_pattern=core",
		"kernel.core_pattern: a tenant's crash can start '%s' on the host, as root, on his "
		"data",
		text + 1);
}

static void check_selinux(const struct ctl_host *host, struct ctl_findings *findings)
{
	long long value;
	if (read_number(host, "sys/fs/selinux/enforce", &value) && value == 1)
		ctl_find(findings, CTL_ERROR, "setenforce 0, or no containment",
			 "SELinux enforces its policy, with which sessbox is not tested");
}

void ctl_check_settings(const struct ctl_host *host, struct ctl_findings *findings)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(settings); i++)
		check_setting(host, &settings[i], findings);
	check_terminals(host, findings);
	check_user_namespaces(host, findings);
	check_core_pattern(host, findings);
	check_selinux(host, findings);
}
