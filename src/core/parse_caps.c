/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/parse.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>

#define BIT(cap) (UINT64_C(1) << (cap))
#define ROW(cap)                                                                                   \
	{                                                                                          \
#cap, CAP_##cap                                                                    \
	}

static const struct {
	const char *name; /* without CAP_ */
	unsigned int cap;
} caps[] = {
	ROW(CHOWN),
	ROW(DAC_OVERRIDE),
	ROW(DAC_READ_SEARCH),
	ROW(FOWNER),
	ROW(FSETID),
	ROW(KILL),
	ROW(SETGID),
	ROW(SETUID),
	ROW(SETPCAP),
	ROW(LINUX_IMMUTABLE),
	ROW(NET_BIND_SERVICE),
	ROW(NET_BROADCAST),
	ROW(NET_ADMIN),
	ROW(NET_RAW),
	ROW(IPC_LOCK),
	ROW(IPC_OWNER),
	ROW(SYS_MODULE),
	ROW(SYS_RAWIO),
	ROW(SYS_CHROOT),
	ROW(SYS_PTRACE),
	ROW(SYS_PACCT),
	ROW(SYS_ADMIN),
	ROW(SYS_BOOT),
	ROW(SYS_NICE),
	ROW(SYS_RESOURCE),
	ROW(SYS_TIME),
	ROW(SYS_TTY_CONFIG),
	ROW(MKNOD),
	ROW(LEASE),
	ROW(AUDIT_WRITE),
	ROW(AUDIT_CONTROL),
	ROW(SETFCAP),
	ROW(MAC_OVERRIDE),
	ROW(MAC_ADMIN),
	ROW(SYSLOG),
	ROW(WAKE_ALARM),
	ROW(BLOCK_SUSPEND),
	ROW(AUDIT_READ),
	ROW(PERFMON),
	ROW(BPF),
	ROW(CHECKPOINT_RESTORE),
};

static int add(const char *name, uint64_t *set)
{
	if (strncasecmp(name, "CAP_", 4) != 0)
		return -EINVAL;
	for (size_t i = 0; i < SB_ARRAY_SIZE(caps); i++) {
		if (strcasecmp(caps[i].name, name + 4) == 0) {
			*set |= BIT(caps[i].cap);
			return 0;
		}
	}
	return -EINVAL;
}

static uint64_t all(void)
{
	uint64_t set = 0;
	for (size_t i = 0; i < SB_ARRAY_SIZE(caps); i++)
		set |= BIT(caps[i].cap);
	return set;
}

int sb_parse_capabilities(const char *text, uint64_t *ret)
{
	struct sb_strv words = { 0 };
	uint64_t set = 0;
	bool inverted = text[0] == '~';
	int r = sb_parse_words(text + inverted, &words);
	for (size_t i = 0; r == 0 && i < words.n; i++)
		r = add(words.v[i], &set);
	sb_strv_clear(&words);
	if (r == 0)
		*ret = inverted ? all() & ~set : set;
	return r;
}
