/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What there is on the host beside us that weakens containment. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "sessbox/ns.h"
#include "sessbox/parse.h"
#include "sessbox/record.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

/* ---- systemd's user managers, which run units from homes on the host ---- */

static bool dropin_guards(const struct ctl_host *host, const char *path)
{
	char text[4096];
	if (ctl_host_read(host, path, text, sizeof(text)) < 0)
		return false;
	const char *line = strstr(text, "\nExecCondition=+");
	return line && (strstr(line, "sessctl") || strstr(line, "sessbox"));
}

/* The strongest first: a file of the same name in one takes the place of those in the later. */
static const char *const dropin_dirs[] = {
	"etc/systemd/system/user@.service.d",
	"run/systemd/system/user@.service.d",
	"usr/lib/systemd/system/user@.service.d",
};

static bool is_masked(const struct ctl_host *host, size_t dir, const char *name)
{
	char path[400];
	for (size_t i = 0; i < dir; i++) {
		snprintf(path, sizeof(path), "%s/%s", dropin_dirs[i], name);
		if (faccessat(host->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	}
	return false;
}

static bool directory_guards(const struct ctl_host *host, size_t i)
{
	int fd = openat(host->root, dropin_dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		char path[400];
		snprintf(path, sizeof(path), "%s/%s", dropin_dirs[i], e->d_name);
		if (fnmatch("*.conf", e->d_name, 0) == 0 && dropin_guards(host, path) &&
		    !is_masked(host, i, e->d_name))
			return true;
	}
	return false;
}

bool ctl_host_guards_managers(const struct ctl_host *host)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(dropin_dirs); i++)
		if (directory_guards(host, i))
			return true;
	return false;
}

static void check_user_managers(const struct ctl_host *host, struct ctl_findings *findings)
{
	if (!ctl_host_has(host, "run/systemd/system") || ctl_host_guards_managers(host))
		return;
	ctl_find(findings, CTL_WARNING,
		 "the drop-in user@.service.d/50-sessbox.conf, which make install puts among "
		 "systemd's units; then systemctl daemon-reload",
		 "user@UID.service runs what stands in a tenant's ~/.config/systemd/user on the "
		 "host, at each login");
}

/* ---- sockets without a file, which a network namespace keeps out, or Landlock ---- */

#define NAMES_SHOWN 4
#define RESTRICT "RestrictAbstractSockets=yes"

struct sharing {
	bool shared;	 /* some class has the host's, as far as the kernel goes */
	bool restricted; /* some class wants Landlock */
};

static void note_class(const struct sb_class *class, bool can, struct sharing *ret)
{
	bool contain = false, network = false, restricted = false;
	for (size_t k = 0; k < class->n; k++) {
		const struct sb_entry *e = &class->entries[k];
		struct sb_settings set = { 0 };
		if (e->key->type != SB_TYPE_BOOL ||
		    sb_config_parse_value(e->key, e->text, &set, NULL) < 0)
			continue;
		contain = contain || set.contain;
		network = network || set.private_network;
		restricted = restricted || set.restrict_abstract_sockets;
	}
	ret->restricted = ret->restricted || restricted;
	ret->shared = ret->shared || (contain && !network && !(restricted && can));
}

/* Lines end in a path; "@" begins an abstract one. Random names of the kernel's are one kind. */
static size_t list_sockets(FILE *in, char *names, size_t size)
{
	cleanup_free char *line = NULL;
	size_t room = 0, n = 0, len = 0;
	names[0] = '\0';
	while (getline(&line, &room, in) > 0) {
		char *name = strstr(line, " @");
		if (!name)
			continue;
		name[1 + strcspn(name + 1, "\n ")] = '\0';
		if (strstr(names, name))
			continue;
		n++;
		if (n <= NAMES_SHOWN && len < size)
			len += (size_t)snprintf(names + len, size - len, "%s", name);
	}
	return n;
}

static void check_sockets(const struct ctl_host *host, struct ctl_findings *findings)
{
	char names[512];
	bool can = sys_landlock_has_scopes();
	struct sharing sharing = { false, false };
	for (size_t i = 0; host->config && i < host->config->n; i++)
		note_class(&host->config->classes[i], can, &sharing);
	if (sharing.restricted && !can)
		ctl_find(findings, CTL_ERROR, "a kernel from 6.12 on, or PrivateNetwork=yes",
			 RESTRICT " has no effect: this kernel's Landlock cannot do it");
	if (!sharing.shared)
		return;
	int fd = openat(host->root, "proc/net/unix", O_RDONLY | O_CLOEXEC);
	cleanup_file FILE *in = fd < 0 ? NULL : fdopen(fd, "re");
	size_t n = in ? list_sockets(in, names, sizeof(names)) : 0;
	if (n > 0)
		ctl_find(findings, CTL_NOTE,
			 can ? RESTRICT ", or PrivateNetwork=yes where no network is needed"
			     : "PrivateNetwork=yes where no network is needed",
			 "tenants reach %zu abstract sockets of the host:%s%s", n, names,
			 n > NAMES_SHOWN ? " ..." : "");
}

/* ---- our own state ---- */

static void check_template(int run, struct ctl_findings *findings)
{
	cleanup_fd int template = sb_ns_template_find(run);
	/* -ENOENT: the first login makes it. */
	if (template <0 && template != -ENOENT)
		ctl_find(findings, CTL_NOTE, NULL,
			 "the template namespace is unfit, the next login makes it anew: %s",
			 strerror(-template));
}

/* No login needs it. */
static void check_monitor(const struct ctl_host *host, int run, struct ctl_findings *findings)
{
	if (ctl_host_has(host, "run/systemd/system") && !sb_monitor_runs(run))
		ctl_find(findings, CTL_NOTE, "systemctl enable --now sessbox-monitor",
			 "the monitor does not run: nobody is told which limit he ran into, and "
			 "what "
			 "ends by itself (limit --for) ends with the next login or sessctl gc");
}

static void check_state(const struct ctl_host *host, struct ctl_findings *findings)
{
	struct sb_err err = { 0 };
	cleanup_fd int run = sb_run_open(&err);
	if (run < 0) {
		ctl_find(findings, CTL_ERROR, "make it root's, mode 0711", "%s", err.msg);
		return;
	}
	check_template(run, findings);
	check_monitor(host, run, findings);
}

void ctl_check_host(const struct ctl_host *host, struct ctl_findings *findings)
{
	check_state(host, findings);
	check_user_managers(host, findings);
	check_sockets(host, findings);
}
