/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fill(struct sb_err *err, int num, const char *fmt, va_list ap)
{
	num = num ? abs(num) : EIO;
	if (err) {
		err->num = num;
		if (vsnprintf(err->msg, sizeof(err->msg), fmt, ap) < 0)
			err->msg[0] = '\0';
	}
	return -num;
}

int sb_fail(struct sb_err *err, int num, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = fill(err, num, fmt, ap);
	va_end(ap);
	if (err) {
		size_t len = strlen(err->msg);
		snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(err->num));
	}
	return r;
}

int sb_fail_plain(struct sb_err *err, int num, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = fill(err, num, fmt, ap);
	va_end(ap);
	return r;
}

int sb_fail_within(struct sb_err *err, const char *fmt, ...)
{
	if (!err)
		return -EIO;
	char outer[sizeof(err->msg)];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(outer, sizeof(outer), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(outer)) {
		snprintf(outer + n, sizeof(outer) - (size_t)n, ": %s", err->msg);
		memcpy(err->msg, outer, sizeof(outer));
	}
	return -err->num;
}
