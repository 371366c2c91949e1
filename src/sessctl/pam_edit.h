/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_PAM_EDIT_H
#define SESSCTL_PAM_EDIT_H

/*
 * Puts our lines into the text of a service's file, each in its place, and takes them out again.
 * Text in, text out: nothing is read but what the file includes, and nothing is written. What comes
 * out is read back as libpam would: the lines of others are the same, jumps of theirs end where
 * they did, and ours pass `check`. A file of which that cannot be had is refused.
 */
#include "check.h"
#include "sessbox/err.h"
#include "sessbox/pam.h"
#include "sessbox/service.h"

/*
 * from has the files that are included; its texts may have room for one more. old: the text of the
 * service's own file. Returns 1 with *ret the new text (the caller's), 0 when there is nothing to
 * do, -EINVAL when the file is refused. *notes gets what `check` says of our lines, the caller's
 * to clear in every case.
 */
int ctl_pam_put(const struct sb_pam_source *from, const struct sb_service *service, const char *old,
		char **ret, struct ctl_findings *notes, struct sb_err *err);
int ctl_pam_take(const struct sb_pam_source *from, const struct sb_service *service,
		 const char *old, char **ret, struct sb_err *err);

/* What has changed, as diff -u prints it; nothing when nothing has. 0 or -ENOMEM. */
int ctl_pam_diff(FILE *out, const char *path, const char *old, const char *new);

#endif
