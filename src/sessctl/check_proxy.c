/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What ProxyCommands= needs on the host. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "sessbox/proxy.h"

/* The client lies over a file, and not over what a link of the host's leads to. */
static void check_command(const struct ctl_host *host, const char *where,
			  const struct sb_proxy_command *command, struct ctl_findings *findings)
{
	struct stat st;
	if (fstatat(host->root, command->path + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
		ctl_find(findings, CTL_WARNING, "install it, or leave the word out",
			 "%s ProxyCommands: there is no '%s' on this host", where, command->path);
	else if (!S_ISREG(st.st_mode))
		ctl_find(findings, CTL_WARNING, "leave the word out",
			 "%s ProxyCommands: '%s' is a link, which nothing can lie over: it fails "
			 "inside",
			 where, command->path);
}

static void check_broker(const struct ctl_host *host, const char *where,
			 struct ctl_findings *findings)
{
	if (!ctl_host_has(host, &SB_PROXY[1]))
		ctl_find(findings, CTL_WARNING, "install sessbox again",
			 "%s ProxyCommands: '%s' is missing: the programs fail inside", where,
			 SB_PROXY);
	if (!ctl_host_has(host, &SB_PROXY_SOCKET[1]))
		ctl_find(findings, CTL_WARNING, "systemctl enable --now sessbox-proxy.socket",
			 "%s ProxyCommands: nothing listens at '%s': the programs fail inside",
			 where, SB_PROXY_SOCKET);
}

static void check_entry(const struct ctl_host *host, const struct sb_class *class,
			const struct sb_entry *e, struct ctl_findings *findings)
{
	struct sb_settings set = { 0 };
	char where[512];
	if (strcmp(e->key->name, "ProxyCommands") != 0 ||
	    sb_config_parse_value(e->key, e->text, &set, NULL) < 0 || set.proxy_commands.n == 0)
		return;
	snprintf(where, sizeof(where), "%s:%u: [%s]", host->config->files.v[e->file], e->line,
		 class->name);
	check_broker(host, where, findings);
	for (size_t i = 0; i < sb_proxy_commands_n; i++) {
		const struct sb_proxy_command *command = &sb_proxy_commands[i];
		/* A key's other names are links to the first on most hosts. */
		if (strcmp(command->name, command->key) == 0 &&
		    sb_strv_has(&set.proxy_commands, command->key))
			check_command(host, where, command, findings);
	}
	sb_settings_clear(&set);
}

void ctl_check_proxies(const struct ctl_host *host, struct ctl_findings *findings)
{
	for (size_t i = 0; host->config && i < host->config->n; i++)
		for (size_t k = 0; k < host->config->classes[i].n; k++)
			check_entry(host, &host->config->classes[i],
				    &host->config->classes[i].entries[k], findings);
}
