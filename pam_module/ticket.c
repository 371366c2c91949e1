/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Kerberos tickets that sshd or another module has put into a file of the tenant's in /tmp, and
 * named by KRB5CCNAME. That name may have come from his own ~/.pam_environment: what it leads to is
 * taken only if it is right in /tmp, no link, on its file system and the tenant's.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "module.h"
#include "sessbox/sys.h"

#define TMP "/tmp"

/* The file's name in /tmp, or NULL. */
static const char *name_in_tmp(const char *ccache)
{
	static const char prefix[] = "FILE:";
	if (!ccache)
		return NULL;
	if (strncmp(ccache, prefix, sizeof(prefix) - 1) == 0)
		ccache += sizeof(prefix) - 1;
	if (strncmp(ccache, TMP "/", sizeof(TMP)) != 0)
		return NULL;
	const char *name = ccache + sizeof(TMP);
	return *name && !strchr(name, '/') ? name : NULL;
}

static int open_tmp(void)
{
	return open(TMP, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int open_in(int tmp, const char *name, uid_t uid)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				      .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV |
						 RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	struct stat st;
	int fd = sys_openat2(tmp, name, &how);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != uid)) {
		close(fd);
		return -1;
	}
	return fd;
}

int box_ticket_find(const char *ccache, uid_t uid)
{
	const char *name = name_in_tmp(ccache);
	int tmp = name ? open_tmp() : -1;
	if (tmp < 0)
		return -1;
	int fd = box_above_stdio(open_in(tmp, name, uid));
	close(tmp);
	return fd;
}

/* Not for a later session's copy, of which the helper says so. */
static bool is_gone(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0 &&
	       (st.st_mode & 07777) != SB_TICKET_REPLACED;
}

static bool is_same(int a, int b)
{
	struct stat one, other;
	return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

void box_ticket_follow(const struct box *box, const char *ccache)
{
	const char *name = name_in_tmp(ccache);
	int tmp = name && is_gone(box->ticket_copy) ? open_tmp() : -1;
	if (tmp < 0)
		return;
	int fd = open_in(tmp, name, box->uid);
	if (fd >= 0 && is_same(fd, box->ticket))
		unlinkat(tmp, name, 0);
	if (fd >= 0)
		close(fd);
	close(tmp);
}

void box_ticket_drop(struct box *box)
{
	if (box->ticket >= 0)
		close(box->ticket);
	box->ticket = -1;
}
