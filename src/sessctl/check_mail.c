/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mail servers: which there are, and what they say of themselves. */
#include "check_mail.h"

#include <string.h>

#include "child.h"
#include "sessbox/str.h"

#define ANSWER_MAX (1 << 20)

/* What it prints; NULL and a finding if it cannot be had. */
static char *answer_of(const char *const argv[], struct ctl_findings *findings)
{
	char why[1024];
	char *text = ctl_child_answer(argv, ANSWER_MAX, why, sizeof(why));
	if (!text)
		ctl_find(findings, CTL_WARNING, "correct what it complains about",
			 "whether a tenant's ~/.forward runs programs on the host cannot be told: "
			 "%s %s fails: %s",
			 argv[0], argv[1], why);
	return text;
}

static void ask_exim(const struct ctl_host *host, const char *program,
		     struct ctl_findings *findings)
{
	const char *const argv[] = {
		program, "-bP", "configure_file", "routers", "transports", NULL
	};
	cleanup_free char *text = answer_of(argv, findings);
	if (text)
		ctl_check_exim(host, strrchr(program, '/') + 1, text, findings);
}

static void ask_postfix(const struct ctl_host *host, const char *program,
			struct ctl_findings *findings)
{
	const char *const settings[] = { program,
					 "-x",
					 "allow_mail_to_commands",
					 "forward_path",
					 "local_transport",
					 "mailbox_command",
					 "mailbox_command_maps",
					 "multi_instance_directories",
					 "transport_maps",
					 NULL };
	const char *const services[] = { program, "-M", NULL };
	const char *const overrides[] = { program, "-Px", NULL };
	cleanup_free char *s = answer_of(settings, findings);
	cleanup_free char *m = s ? answer_of(services, findings) : NULL;
	cleanup_free char *o = m ? answer_of(overrides, findings) : NULL;
	const struct ctl_postfix says = { s, m, o };
	if (o)
		ctl_check_postfix(host, &says, findings);
}

static const struct {
	const char *program;
	void (*ask)(const struct ctl_host *host, const char *program,
		    struct ctl_findings *findings);
} servers[] = {
	{ "/usr/sbin/exim4", ask_exim },
	{ "/usr/sbin/exim", ask_exim },
	{ "/usr/sbin/postconf", ask_postfix },
};

#define SENDMAIL "/usr/sbin/sendmail"

void ctl_check_mail(const struct ctl_host *host, struct ctl_findings *findings)
{
	if (!ctl_config_contains(host->config))
		return;
	for (size_t i = 0; i < SB_ARRAY_SIZE(servers); i++)
		if (ctl_host_has(host, servers[i].program + 1)) {
			servers[i].ask(host, servers[i].program, findings);
			return; /* there is one: each has to be /usr/sbin/sendmail */
		}
	if (ctl_host_has(host, &SENDMAIL[1]))
		ctl_find(findings, CTL_NOTE, "see sessbox.conf(5), OTHER WAYS ONTO THE HOST",
			 SENDMAIL " is neither exim's nor postfix': whether it runs on the host "
				  "what a tenant's ~/.forward names cannot be told");
}
