/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_PAM_FILE_H
#define SESSCTL_PAM_FILE_H

/*
 * A file of /etc/pam.d that is to be changed: read, kept aside and replaced whole. Whoever dies in
 * between leaves the old file or the new one, and at most ".NAME.sessctl" beside it.
 */
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "sessbox/err.h"

struct ctl_pam_file {
	int dir; /* borrowed */
	char name[64];
	int fd;
	struct stat st;
	char *text;
};

/*
 * One at a time, or -EBUSY. Not the directory's own lock: whoever may read it could hold that.
 * Returns a descriptor; closed, it is free again.
 */
int ctl_pam_lock(int root, struct sb_err *err);

/*
 * Opens etc/pam.d below root. It has to be owner's, closed to other writers and no link. Returns a
 * descriptor.
 */
int ctl_pam_dir_open(int root, uid_t owner, struct sb_err *err);

/*
 * Reads a file: owner's, closed to other writers, a plain one with one name, without NUL bytes, or
 * it is refused. -ENOENT is not said in err. To be cleared in every case.
 */
int ctl_pam_file_open(int dir, const char *name, uid_t owner, struct ctl_pam_file *ret,
		      struct sb_err *err);
void ctl_pam_file_clear(struct ctl_pam_file *file);

/* Copies what was read to dir/name, with its mode, owner and attributes. */
int ctl_pam_file_copy(const struct ctl_pam_file *file, int dir, const char *name,
		      struct sb_err *err);

/*
 * The text takes the place of the file's, with its mode, owner and attributes, on the disk when it
 * returns. -EAGAIN: the file is not any more what was read.
 */
int ctl_pam_file_replace(const struct ctl_pam_file *file, const char *text, struct sb_err *err);

#endif
