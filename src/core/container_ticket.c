/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A file of Kerberos tickets that the caller's program has made for the tenant in the host's /tmp,
 * before us. KRB5CCNAME names it, and it is of no use where he cannot see it: so the container's
 * /tmp gets a copy under the same name. A copy, for libkrb5 replaces such a file by another one,
 * which a mount over it would not survive; and the host's own may be wanted there, by rpc.gssd.
 */
#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "container_internal.h"
#include "sessbox/path.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

/* Tickets with many groups in them have some 50 KB. */
#define SIZE_MAX_BYTES (1 << 20)

/* What the kernel says of the descriptor's name is enough: nobody looks it up on the host. */
static int name_file(const char *link, char *name, size_t size)
{
	char path[PATH_MAX];
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	const char *last = strrchr(path, '/');
	return last && last[1] ? sb_copy(name, size, last + 1) : -EINVAL;
}

int sb_ticket_open(int file, uid_t uid, struct sb_ticket *ret)
{
	char link[32];
	struct stat st;
	if (fstat(file, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != uid || st.st_nlink != 1)
		return -EPERM;
	if (st.st_size > SIZE_MAX_BYTES)
		return -EFBIG;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	int r = name_file(link, ret->name, sizeof(ret->name));
	if (r < 0)
		return r;
	/* Its owner may hold a lease on it: not waited for. */
	ret->file = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ret->size = (size_t)st.st_size;
	return ret->file < 0 ? -errno : 0;
}

static int copy(const struct sb_ticket *ticket, int to)
{
	off_t at = 0;
	while ((size_t)at < ticket->size) {
		ssize_t n = sendfile(to, ticket->file, &at, ticket->size - (size_t)at);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
	}
	return 0;
}

/* With PrivateTmp=no the host's /tmp is his, too. */
static bool is_there(const struct sb_ticket *ticket, int tmp)
{
	struct stat ours, there;
	return fstatat(tmp, ticket->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(ticket->file, &ours) == 0 && ours.st_dev == there.st_dev &&
	       ours.st_ino == there.st_ino;
}

/* An earlier session's, where the name is the same each time. Its module must not take it for one
 * that somebody inside has removed, and the host's file with it. */
static void remove_earlier(const struct sb_ticket *ticket, int tmp)
{
	struct stat st;
	cleanup_fd int fd =
		openat(tmp, ticket->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
		fchmod(fd, SB_TICKET_REPLACED);
	unlinkat(tmp, ticket->name, 0);
}

/* What is done here the tenant could do himself: it is his name in a directory that he may write.
 */
static int put(const struct sb_ticket *ticket, int tmp)
{
	if (is_there(ticket, tmp))
		return -EALREADY;
	remove_earlier(ticket, tmp);
	cleanup_fd int fd = openat(tmp, ticket->name,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : copy(ticket, fd);
	if (r == 0)
		return sb_steal_fd(&fd);
	if (fd >= 0)
		unlinkat(tmp, ticket->name, 0);
	return r;
}

int sb_ticket_put(const struct sb_ticket *ticket, uid_t uid, gid_t gid)
{
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				      .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	cleanup_fd int tmp = sys_openat2(AT_FDCWD, "/tmp", &how);
	if (tmp < 0)
		return -errno;
	sb_path_as(uid, gid);
	int r = put(ticket, tmp);
	sb_path_as(0, 0);
	return r;
}
