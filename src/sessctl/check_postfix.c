/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Postfix: does its local(8) run what users name in their homes? */
#include <stdio.h>
#include <string.h>

#include "check_mail.h"
#include "sessbox/str.h"

#define VALUE_MAX 512

/* The value of a line "NAME = VALUE"; false: there is none. A longer one is cut. */
static bool value_of(const char *text, const char *name, char value[VALUE_MAX])
{
	size_t len = strlen(name);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) != 0 || strncmp(line + len, " =", 2) != 0)
			continue;
		const char *at = line + len + 2;
		at += strspn(at, " ");
		snprintf(value, VALUE_MAX, "%.*s", (int)strcspn(at, "\n"), at);
		return true;
	}
	value[0] = '\0';
	return false;
}

/* A setting as a service has it: master.cf may say otherwise than main.cf. True: it does. */
static bool setting_of(const struct ctl_postfix *says, const char *service, const char *name,
		       char value[VALUE_MAX])
{
	char key[200];
	snprintf(key, sizeof(key), "%s/unix/%s", service, name);
	if (value_of(says->overrides, key, value))
		return true;
	value_of(says->settings, name, value);
	return false;
}

static bool has_word(const char *list, const char *word)
{
	return sb_has_word(list, " \t,", word);
}

/* How to set it where it is set. */
static void set(char fix[VALUE_MAX], const char *service, bool overridden, const char *setting)
{
	if (overridden)
		snprintf(fix, VALUE_MAX, "postconf -P %s/unix/%s; postfix reload", service,
			 setting);
	else
		snprintf(fix, VALUE_MAX, "postconf -e %s; postfix reload", setting);
}

static void check_forward(const struct ctl_postfix *says, const char *service,
			  struct ctl_findings *findings)
{
	char path[VALUE_MAX], allowed[VALUE_MAX], fix[VALUE_MAX];
	setting_of(says, service, "forward_path", path);
	bool overridden = setting_of(says, service, "allow_mail_to_commands", allowed);
	/* A file that ~/.forward includes is the tenant's, too. */
	if (!*path || !(has_word(allowed, "forward") || has_word(allowed, "include")))
		return;
	set(fix, service, overridden,
	    has_word(allowed, "alias") ? "allow_mail_to_commands=alias"
				       : "allow_mail_to_commands=");
	ctl_find(findings, CTL_WARNING, fix,
		 "postfix runs on the host what a tenant's ~/.forward names "
		 "(allow_mail_to_commands = %s)",
		 allowed);
}

static void check_mailbox(const struct ctl_host *host, const struct ctl_postfix *says,
			  const char *service, struct ctl_findings *findings)
{
	char command[VALUE_MAX], maps[VALUE_MAX], fix[VALUE_MAX];
	bool overridden = setting_of(says, service, "mailbox_command", command);
	set(fix, service, overridden, "mailbox_command=");
	if (*command)
		ctl_check_mail_program(host, "postfix' mailbox_command", command, fix, findings);
	setting_of(says, service, "mailbox_command_maps", maps);
	if (*maps)
		ctl_find(findings, CTL_NOTE, NULL,
			 "postfix runs programs on the host, as the tenant whom mail is for, that "
			 "mailbox_command_maps has (%s): whether they run what stands in his home "
			 "cannot be told",
			 maps);
}

/* The program of a service; false: there is no such service. */
static bool program_of(const struct ctl_postfix *says, const char *service, char program[VALUE_MAX])
{
	/* service type private unprivileged chroot wakeup maxproc command */
	for (const char *line = says->services; line; line = strchr(line, '\n')) {
		char name[128], type[32], command[128];
		line += *line == '\n';
		if (sscanf(line, "%127s %31s %*s %*s %*s %*s %*s %127s", name, type, command) < 3 ||
		    strcmp(name, service) != 0 || strcmp(type, "unix") != 0)
			continue;
		snprintf(program, VALUE_MAX, "%s", command);
		return true;
	}
	return false;
}

/* They read nothing in homes. */
static const char *const harmless[] = { "error", "discard", "virtual", "lmtp", "smtp" };

/* Mail for users of this host goes to another program than local(8). */
static void check_another(const struct ctl_postfix *says, const char *transport,
			  const char *program, struct ctl_findings *findings)
{
	char maps[VALUE_MAX];
	bool known = false;
	value_of(says->settings, "transport_maps", maps);
	for (size_t i = 0; i < SB_ARRAY_SIZE(harmless); i++)
		known = known || strcmp(harmless[i], program) == 0;
	if (!known || *maps)
		ctl_find(findings, CTL_NOTE, NULL,
			 "postfix delivers by other means than local(8) (local_transport = %s, "
			 "transport_maps = %s): whether they run what stands in a tenant's home "
			 "cannot be told",
			 transport, maps);
}

void ctl_check_postfix(const struct ctl_host *host, const struct ctl_postfix *says,
		       struct ctl_findings *findings)
{
	char transport[VALUE_MAX], service[VALUE_MAX], program[VALUE_MAX] = "", more[VALUE_MAX];
	value_of(says->settings, "local_transport", transport);
	snprintf(service, sizeof(service), "%.*s", (int)strcspn(transport, ":"), transport);
	if (program_of(says, service, program) && strcmp(program, "local") == 0) {
		check_forward(says, service, findings);
		check_mailbox(host, says, service, findings);
	} else {
		check_another(says, transport, program, findings);
	}
	value_of(says->settings, "multi_instance_directories", more);
	if (*more)
		ctl_find(findings, CTL_NOTE, NULL,
			 "postfix has other instances, which are not looked at (%s)", more);
}
