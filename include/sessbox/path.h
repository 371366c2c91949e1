/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_PATH_H
#define SESSBOX_PATH_H

/*
 * Walks by component, for paths that lead through directories root does not own (homes). The rule,
 * after pam_namespace's CVE-2025-6020: a link is followed only while every directory on the way was
 * root's and writable for nobody else; past the first that is not, any link is an error. What comes
 * back is an O_PATH descriptor; nobody resolves the name again.
 */
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "sessbox/err.h"

enum sb_path_flag {
	SB_PATH_DIRECTORY = 1 << 0, /* anything else is -ENOTDIR */
	/* Every directory on the way must be root's and closed to other writers: -EPERM. */
	SB_PATH_ROOTS = 1 << 1,
};

/*
 * Opens an absolute path for use as a mount source or target. flags: enum sb_path_flag. Returns an
 * O_PATH|O_CLOEXEC descriptor or a negative errno.
 */
int sb_path_open(const char *path, unsigned int flags, struct sb_err *err);

/* The same below another root, which absolute links lead to as well; ".." is -ELOOP. */
int sb_path_open_in(int root_fd, const char *path, unsigned int flags, struct sb_err *err);

/* Is this root's, and writable for nobody else? The sticky bit is good enough. */
bool sb_path_is_roots(const struct stat *st);

/*
 * Opens (root_fd)/path as a mount target and makes what is missing on the way: directories, root's,
 * mode 0755, and the last component as a directory or as an empty file. Nothing is made in a
 * directory that is not root's, and links are never followed: -ELOOP. Somebody else may be making
 * the same. Returns an O_PATH descriptor.
 */
int sb_path_make(int root_fd, const char *path, bool as_dir, struct sb_err *err);

/*
 * From here on names are looked up and files are made as this user: away from 0 the right to
 * override permissions goes with it. 0, 0: as root again.
 */
void sb_path_as(uid_t uid, gid_t gid);

/* One slash where there are several, and none at the end: "/home//ann/" is "/home/ann". */
void sb_path_squeeze(char *path);

/* Is this "/a/b", without empty, "." or ".." components? */
bool sb_path_is_normal(const char *path);

#endif
