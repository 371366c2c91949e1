/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_CLIENT_H
#define SESSBOX_CLIENT_H

#include <stdbool.h>

#include "sessbox/proxy.h"

/* How a program on the host has ended. */
struct px_end {
	bool killed;
	int value; /* exit status or signal */
};

/*
 * Has the host run a call with these three as its standard streams, and passes signals on. -1: it
 * was not run, or its end is not known, and the user has been told.
 */
int px_run(const struct sb_proxy_call *call, const int *fds, struct px_end *ret);

/* crontab -e: list, edit here, install. An exit status. */
int px_edit(void);

/* "NAME: text" on standard error. */
void px_say(const char *name, const char *text) __attribute__((nonnull));

#endif
