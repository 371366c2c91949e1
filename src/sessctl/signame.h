/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_SIGNAME_H
#define SESSCTL_SIGNAME_H

#include <signal.h>

/* "TERM", "SIGTERM", "15", "RTMIN+3": a signal's number, or -EINVAL. Case does not matter. */
int ctl_signal_parse(const char *text);

/* Holds back what an administrator, or the end of his connection, ends a program with. ret_before:
 * the mask to go back to; whatever has come by then ends the program there. */
void ctl_hold_signals(sigset_t *ret_held, sigset_t *ret_before);

#endif
