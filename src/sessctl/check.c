/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessctl.h"

int ctl_check(const struct ctl_args *args)
{
	(void)args;
	return ctl_fail(CTL_FAILED, "not written yet");
}
