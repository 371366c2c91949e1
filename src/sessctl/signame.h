/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_SIGNAME_H
#define SESSCTL_SIGNAME_H

/* "TERM", "SIGTERM", "15", "RTMIN+3": a signal's number, or -EINVAL. Case does not matter. */
int ctl_signal_parse(const char *text);

#endif
