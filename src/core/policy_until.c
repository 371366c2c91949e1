/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Classes that end by themselves. */
#include <stdio.h>
#include <string.h>

#include "sessbox/parse.h"
#include "sessbox/policy.h"

bool sb_class_is_for(const struct sb_class *class, uid_t *ret_uid)
{
	char again[SB_CLASS_FOR_MAX];
	uid_t uid;
	if (sscanf(class->name, "limit-%u-for", &uid) != 1)
		return false;
	snprintf(again, sizeof(again), SB_CLASS_FOR, uid);
	if (strcmp(again, class->name) != 0)
		return false;
	*ret_uid = uid;
	return true;
}

uint64_t sb_class_until(const struct sb_class *class)
{
	uint64_t earliest = 0, until;
	for (size_t i = 0; i < class->match.until.n; i++)
		if (sb_parse_utc(class->match.until.v[i], &until) == 0 &&
		    (!earliest || until < earliest))
			earliest = until;
	return earliest;
}
