/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/log.h"

#include <stdarg.h>

void sb_log_open(const char *ident)
{
	openlog(ident, LOG_PID, LOG_AUTHPRIV);
}

void sb_log(int priority, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsyslog(LOG_AUTHPRIV | priority, fmt, ap);
	va_end(ap);
}
