/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_CHECK_MAIL_H
#define SESSCTL_CHECK_MAIL_H

/* A mail server runs programs that its users name in their homes: on the host, and without PAM. */
#include "check.h"

/* What the server's own program prints of its configuration. */
struct ctl_postfix {
	const char *settings;  /* postconf NAME...: "NAME = VALUE" */
	const char *services;  /* postconf -M: the lines of master.cf */
	const char *overrides; /* postconf -P: "SERVICE/TYPE/NAME = VALUE" */
};
void ctl_check_postfix(const struct ctl_host *host, const struct ctl_postfix *says,
		       struct ctl_findings *findings);

/* unit: the daemon's; text: of exim -bP configure_file routers transports. */
void ctl_check_exim(const struct ctl_host *host, const char *unit, const char *text,
		    struct ctl_findings *findings);

/*
 * check_filter.c: a program that `where` names for delivery to each user, as the user. instead, or
 * NULL: how to do without it; without that it has to be removed.
 */
void ctl_check_mail_program(const struct ctl_host *host, const char *where, const char *command,
			    const char *instead, struct ctl_findings *findings);

#endif
