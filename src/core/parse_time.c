/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "sessbox/parse.h"

#define FORMAT "%Y-%m-%dT%H:%M:%SZ"

void sb_print_utc(char *buf, size_t size, uint64_t seconds)
{
	const time_t t = (time_t)seconds;
	struct tm tm;
	if (!gmtime_r(&t, &tm) || strftime(buf, size, FORMAT, &tm) == 0)
		buf[0] = '\0';
}

int sb_parse_utc(const char *text, uint64_t *ret)
{
	char again[SB_UTC_MAX];
	struct tm tm = { 0 };
	const char *end = strptime(text, FORMAT, &tm);
	time_t t = end && !*end ? timegm(&tm) : -1;
	if (t <= 0)
		return -EINVAL;
	/* strptime takes blanks, short numbers and the 31st of any month. */
	sb_print_utc(again, sizeof(again), (uint64_t)t);
	if (strcmp(again, text) != 0)
		return -EINVAL;
	*ret = (uint64_t)t;
	return 0;
}
