/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sessbox/io.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

int sb_proc_read(pid_t pid, struct sb_proc *ret)
{
	char path[64], buf[2048];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	ssize_t n = sb_read_file(AT_FDCWD, path, buf, sizeof(buf));
	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;

	/* The name may hold blanks and parentheses: it ends at the last one. */
	char *open = strchr(buf, '('), *close = strrchr(buf, ')');
	if (!open || !close || close < open)
		return -EIO;
	struct sb_proc p = { .pid = pid };
	*close = '\0';
	snprintf(p.comm, sizeof(p.comm), "%s", open + 1);

	int pgrp, session;
	if (sscanf(close + 1, " %c %d %d %d %d", &p.state, &p.ppid, &pgrp, &session, &p.tty_nr) !=
	    5)
		return -EIO;
	/* Field 22, counted from the state, which is field 3. */
	char *field = close + 2;
	for (int i = 3; i < 22 && field; i++) {
		field = strchr(field, ' ');
		if (field)
			field++;
	}
	if (!field)
		return -EIO;
	p.start = strtoull(field, NULL, 10);
	*ret = p;
	return 0;
}

int sb_proc_open(pid_t pid, uint64_t start)
{
	if (pid <= 0)
		return -ESRCH;
	cleanup_fd int fd = sys_pidfd_open(pid, 0);
	if (fd < 0)
		return -errno;
	/* After the pidfd is open the pid cannot be given away unnoticed. */
	struct sb_proc p;
	int r = sb_proc_read(pid, &p);
	if (r < 0)
		return r;
	if (p.start != start || p.state == 'Z' || p.state == 'X')
		return -ESRCH;
	return sb_steal_fd(&fd);
}

int sb_proc_uid(pid_t pid, uid_t *ret)
{
	static const char field[] = "\nUid:\t";
	char path[32], text[8192];
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	ssize_t n = sb_read_file(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	const char *at = strstr(text, field);
	if (!at)
		return -EBADMSG;
	*ret = (uid_t)strtoul(at + strlen(field), NULL, 10);
	return 0;
}

uint32_t sb_proc_audit_session(pid_t pid)
{
	char path[64], buf[32];
	snprintf(path, sizeof(path), "/proc/%d/sessionid", pid);
	if (sb_read_file(AT_FDCWD, path, buf, sizeof(buf)) <= 0)
		return UINT32_MAX;
	return (uint32_t)strtoul(buf, NULL, 10);
}

bool sb_proc_mentions(pid_t pid, const char *text)
{
	char path[48], buf[65536];
	size_t kept = 0, len = strlen(text);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	while (fd >= 0 && (n = read(fd, buf + kept, sizeof(buf) - kept)) > 0) {
		size_t have = kept + (size_t)n;
		if (memmem(buf, have, text, len))
			return true;
		/* What may be the text's beginning is looked at again with what follows. */
		kept = have < len - 1 ? have : len - 1;
		memmove(buf, buf + have - kept, kept);
	}
	return false;
}

void sb_proc_tty_name(int tty_nr, char *buf, size_t size)
{
	/* The kernel's encoding of dev_t in /proc/PID/stat: minor in bits 0-7 and 20-31. */
	unsigned int maj = ((unsigned int)tty_nr >> 8) & 0xfff;
	unsigned int min = ((unsigned int)tty_nr & 0xff) | (((unsigned int)tty_nr >> 12) & 0xfff00);
	if (tty_nr == 0)
		buf[0] = '\0';
	else if (maj >= 136 && maj <= 143)
		snprintf(buf, size, "pts/%u", (maj - 136) * 256 + min);
	else if (maj == 4 && min < 64)
		snprintf(buf, size, "tty%u", min);
	else if (maj == 4)
		snprintf(buf, size, "ttyS%u", min - 64);
	else
		snprintf(buf, size, "%u:%u", maj, min);
}

uint64_t sb_proc_memory_total(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}
