/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "signame.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "sessbox/parse.h"
#include "sessbox/str.h"

/* Behind "RTMIN" or "RTMAX": nothing, or a distance from it. */
static int parse_realtime(const char *text, int from, char sign)
{
	uint64_t distance = 0;
	if (*text && (*text != sign || sb_parse_u64(text + 1, &distance) < 0))
		return -EINVAL;
	if (distance > (uint64_t)(SIGRTMAX - SIGRTMIN))
		return -EINVAL;
	return sign == '+' ? from + (int)distance : from - (int)distance;
}

int ctl_signal_parse(const char *text)
{
	uint64_t number;
	if (sb_parse_u64(text, &number) == 0)
		return number > 0 && number <= (uint64_t)SIGRTMAX ? (int)number : -EINVAL;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int sig = 1; sig < SIGRTMIN; sig++) {
		const char *name = sigabbrev_np(sig);
		if (name && strcasecmp(name, text) == 0)
			return sig;
	}
	if (strncasecmp(text, "RTMIN", 5) == 0)
		return parse_realtime(text + 5, SIGRTMIN, '+');
	if (strncasecmp(text, "RTMAX", 5) == 0)
		return parse_realtime(text + 5, SIGRTMAX, '-');
	return -EINVAL;
}

void ctl_hold_signals(sigset_t *ret_held, sigset_t *ret_before)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigemptyset(ret_held);
	for (size_t i = 0; i < SB_ARRAY_SIZE(numbers); i++)
		sigaddset(ret_held, numbers[i]);
	sigprocmask(SIG_BLOCK, ret_held, ret_before);
}
