/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "container_internal.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

int sb_session_check(uid_t uid, int64_t deadline, struct sb_err *err)
{
	char group[SB_CGROUP_NAME_MAX];
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	cleanup_free uint32_t *numbers = NULL;
	struct sb_user_dir user;
	int r = sb_cgroup_open(NULL, &cg, err);
	if (r < 0)
		return r;
	sb_cgroup_tenant(group, uid);
	if (sb_cgroup_frozen(cg, group) > 0)
		return sb_fail_plain(err, EBUSY, "the cgroup '%s' is frozen", group);
	cleanup_fd int run = open(SB_RUN_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (run < 0 || sb_user_open(run, uid, &user) < 0)
		return 0;
	ssize_t n = sb_container_list(user.fd, &numbers);
	for (ssize_t i = 0; i < n && r == 0; i++)
		if (sb_container_ask(user.fd, numbers[i], NULL, -1, deadline, NULL) ==
		    SB_CONTAINER_SILENT)
			r = sb_fail_plain(err, EBUSY, "container c%u of uid %u does not answer",
					  numbers[i], uid);
	sb_user_close(&user);
	return r;
}
