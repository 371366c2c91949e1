/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_PAM_CONTROL_H
#define SESSCTL_PAM_CONTROL_H

#include "pam_stack.h"

/*
 * "required" and the like, or what stands in [brackets] ("success=1 default=ignore"), as one action
 * for each of PAM's results. 0, or -EINVAL.
 */
int ctl_pam_control(const char *text, int actions[CTL_PAM_RESULTS]);

#endif
