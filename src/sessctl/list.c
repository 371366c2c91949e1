/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "rows.h"

int ctl_list(const struct ctl_args *args)
{
	cleanup_users struct ctl_users users = { 0 };
	struct ctl_table table = { 0 };
	struct sb_err err = { 0 };
	if (ctl_users_load(&users, &err) < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	if (users.self && users.n == 0)
		ctl_warn("you are not contained");
	int r = args->set & CTL_CONTAINERS ? ctl_container_table(&users, NULL, &table)
					   : ctl_session_table(&users, NULL, NULL, &table);
	if (r < 0)
		return ctl_fail(CTL_FAILED, "%s", strerror(-r));
	int status = ctl_show_table(&table, args);
	free((void *)table.rows);
	return status;
}
