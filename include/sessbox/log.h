/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_LOG_H
#define SESSBOX_LOG_H

/* syslog with the facility LOG_AUTHPRIV. For the edges only: the core returns its errors. */
#include <syslog.h>

void sb_log_open(const char *ident);
void sb_log(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
