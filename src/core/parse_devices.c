/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Devices and what may be done with them, as in systemd.resource-control(5). */
#include "sessbox/parse.h"

#include <errno.h>
#include <string.h>

static const struct {
	char letter;
	enum sb_device_access access;
} accesses[] = { { 'r', SB_DEVICE_READ }, { 'w', SB_DEVICE_WRITE }, { 'm', SB_DEVICE_MKNOD } };

static unsigned int access_of(char letter)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(accesses); i++)
		if (accesses[i].letter == letter)
			return accesses[i].access;
	return 0;
}

int sb_parse_access(const char *text, unsigned int *ret)
{
	unsigned int access = 0;
	for (; *text; text++) {
		unsigned int one = access_of(*text);
		if (!one || access & one)
			return -EINVAL;
		access |= one;
	}
	if (!access)
		return -EINVAL;
	*ret = access;
	return 0;
}

void sb_print_access(char buf[SB_ACCESS_MAX], unsigned int access)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(accesses); i++)
		if (access & accesses[i].access)
			*buf++ = accesses[i].letter;
	*buf = '\0';
}

/* Any path below /dev; what is there is asked at the login. */
static bool is_device(const char *path)
{
	return strncmp(path, "/dev/", strlen("/dev/")) == 0 && strlen(path) < SB_BIND_PATH_MAX &&
	       sb_parse_is_plain_path(path) && !sb_parse_has_control(path);
}

int sb_parse_devices(const char *text, struct sb_devices *ret)
{
	struct sb_strv words = { 0 };
	struct sb_devices devices = { .filtered = true };
	int r = sb_parse_words(text, &words);
	for (size_t i = 0; r == 0 && i < words.n; i++) {
		struct sb_device device = { .access = SB_DEVICE_READ | SB_DEVICE_WRITE,
					    .optional = words.v[i][0] == '-' };
		device.path = words.v[i] + device.optional;
		/* No word of access begins as a path does. */
		if (i + 1 < words.n && !strchr("-/", words.v[i + 1][0]))
			r = sb_parse_access(words.v[++i], &device.access);
		if (r == 0)
			r = is_device(device.path) ? sb_devices_set(&devices, &device) : -EINVAL;
	}
	sb_strv_clear(&words);
	if (r < 0)
		sb_devices_clear(&devices);
	else
		*ret = devices;
	return r;
}
