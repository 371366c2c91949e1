/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_TESTS_PAM_TREE_H
#define SESSBOX_TESTS_PAM_TREE_H

/* A host with directories for PAM files, and the ones Debian's services include. */
#include "scratch.h"

static inline struct scratch make_pam_tree(void)
{
	struct scratch s = make_scratch();
	static const char *const dirs[] = { "etc", "etc/pam.d", "usr", "usr/lib", "usr/lib/pam.d" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdirat(s.fd, dirs[i], 0755), 0);
	return s;
}

static inline void put_common(int root)
{
	put_text(root, "etc/pam.d/common-auth",
		 "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n"
		 "auth required pam_permit.so\nauth optional pam_cap.so\n");
	put_text(root, "etc/pam.d/common-account",
		 "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\n"
		 "account requisite pam_deny.so\naccount required pam_permit.so\n");
	put_text(root, "etc/pam.d/common-session",
		 "session [default=1] pam_permit.so\nsession requisite pam_deny.so\n"
		 "session required pam_permit.so\nsession required pam_unix.so\n"
		 "session optional pam_systemd.so\n");
}

#endif
