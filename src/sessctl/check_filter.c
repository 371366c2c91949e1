/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a mail server hands a user's mail to. */
#include "check_mail.h"

#include <stdio.h>
#include <string.h>

#include "sessbox/str.h"

/* Programs that run what a file in the home says. */
static const struct {
	const char *name, *file;
} filters[] = {
	{ "procmail", ".procmailrc" },
	{ "maildrop", ".mailfilter" },
};

void ctl_check_mail_program(const struct ctl_host *host, const char *where, const char *command,
			    const char *instead, struct ctl_findings *findings)
{
	char path[256], fix[300];
	snprintf(path, sizeof(path), "%.*s", (int)strcspn(command, " \t"), command);
	if (path[0] == '/' && !ctl_host_has(host, path + 1))
		return;
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	for (size_t i = 0; i < SB_ARRAY_SIZE(filters); i++) {
		if (strcmp(filters[i].name, name) != 0)
			continue;
		snprintf(fix, sizeof(fix), "apt-get remove %s", name);
		ctl_find(findings, CTL_WARNING, instead ? instead : fix,
			 "%s runs %s, and that runs on the host what a tenant's ~/%s names", where,
			 path, filters[i].file);
		return;
	}
	ctl_find(findings, CTL_NOTE, NULL,
		 "%s runs %s on the host, as the tenant whom mail is for: whether that runs what "
		 "stands in his home cannot be told",
		 where, path);
}
