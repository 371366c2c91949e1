/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t sb_now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int sb_left_ms(int64_t deadline)
{
	int64_t left = deadline - sb_now_ms();
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

int sb_wait_readable(int fd, int64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int r = poll(&p, 1, sb_left_ms(deadline));
		if (r > 0)
			return 0;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

int sb_write_all(int fd, const void *data, size_t size)
{
	const char *p = data;
	while (size > 0) {
		ssize_t n = write(fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	for (;;) {
		if (len == size)
			return -EFBIG;
		ssize_t n = read(fd, buf + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	return (ssize_t)len;
}

ssize_t sb_read_file(int dfd, const char *name, char *buf, size_t size)
{
	int fd = openat(dfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	ssize_t r = read_all(fd, buf, size);
	close(fd);
	return r;
}

int sb_write_file(int dfd, const char *name, const char *text)
{
	int fd = openat(dfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	size_t len = strlen(text);
	ssize_t n;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	int r = n < 0 ? -errno : (size_t)n == len ? 0 : -EIO;
	close(fd);
	return r;
}

static int fill_new(int fd, const char *text, const struct sb_file_attr *attr)
{
	int r = sb_write_all(fd, text, strlen(text));
	if (r < 0)
		return r;
	if ((attr->uid != (uid_t)-1 || attr->gid != (gid_t)-1) &&
	    fchown(fd, attr->uid, attr->gid) < 0)
		return -errno;
	/* After the chown, which clears bits, and against the umask. */
	return fchmod(fd, attr->mode) < 0 ? -errno : 0;
}

int sb_replace_file(int dfd, const char *name, const char *text, const struct sb_file_attr *attr)
{
	char tmp[NAME_MAX + 1];
	if (snprintf(tmp, sizeof(tmp), "%s.new", name) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	if (unlinkat(dfd, tmp, 0) < 0 && errno != ENOENT)
		return -errno;
	int fd = openat(dfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int r = fill_new(fd, text, attr);
	close(fd);
	if (r == 0 && renameat(dfd, tmp, dfd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dfd, tmp, 0);
	return r;
}

static int remove_entries(int dir_fd, dev_t dev);

static int remove_one(int dfd, const char *name, dev_t dev)
{
	if (unlinkat(dfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	int fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = remove_entries(fd, dev); /* takes fd */
	if (r < 0)
		return r;
	return unlinkat(dfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_entries(int dir_fd, dev_t dev)
{
	struct stat st;
	DIR *dir = NULL;
	int r = 0;
	if (fstat(dir_fd, &st) < 0 || (dev && st.st_dev != dev) || !(dir = fdopendir(dir_fd))) {
		r = dir || st.st_dev == dev ? -errno : -EXDEV;
		close(dir_fd);
		return r;
	}
	struct dirent *e;
	while ((e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		int one = remove_one(dirfd(dir), e->d_name, st.st_dev);
		if (r == 0)
			r = one;
	}
	closedir(dir);
	return r;
}

int sb_remove_tree(int dfd, const char *name)
{
	struct stat st;
	if (fstatat(dfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return remove_one(dfd, name, st.st_dev);
}

int sb_open_dir(int dfd, const char *name, mode_t mode)
{
	bool made = mkdirat(dfd, name, mode) == 0;
	if (!made && errno != EEXIST)
		return -errno;
	int fd = openat(dfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Against the umask of whoever started us. */
	if (made && fchmodat(dfd, name, mode, 0) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

union control {
	char buf[CMSG_SPACE(SB_MSG_FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	struct cmsghdr align;
};

int sb_msg_send(int sock, const void *data, size_t size, const int *fds, size_t n)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = { 0 };
	if (n > SB_MSG_FDS_MAX)
		return -E2BIG;
	if (n > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	ssize_t r;
	do
		r = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return (size_t)r == size ? 0 : -EMSGSIZE;
}

/* Takes the descriptors of a received message; those beyond max are closed. Returns their number.
 */
static size_t take_fds(struct msghdr *msg, int *fds, size_t max)
{
	size_t total = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++, total++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (total < max)
				fds[total] = fd;
			else
				close(fd);
		}
	}
	return total;
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void find_sender(struct msghdr *msg, struct ucred *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
		    c->cmsg_len == CMSG_LEN(sizeof(*ret)))
			memcpy(ret, CMSG_DATA(c), sizeof(*ret));
}

ssize_t sb_msg_recv_most(int sock, void *data, size_t size, int *fds, size_t *n)
{
	struct sb_msg_more more = { .fds = fds, .n = *n };
	ssize_t r = sb_msg_recv_more(sock, data, size, &more);
	*n = more.n;
	return r;
}

ssize_t sb_msg_recv_more(int sock, void *data, size_t size, struct sb_msg_more *more)
{
	struct iovec iov = { .iov_base = data, .iov_len = size };
	union control control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	size_t max = more->n;
	more->n = 0;
	more->from = (struct ucred){ .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	ssize_t r;
	do
		r = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	size_t got = take_fds(&msg, more->fds, max);
	if (r > 0 && got <= max && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		find_sender(&msg, &more->from);
		more->n = got;
		return r;
	}
	close_all(more->fds, got < max ? got : max);
	return r == 0 ? -ECONNRESET : -EPROTO;
}

int sb_msg_recv(int sock, void *data, size_t size, int *fds, size_t *n)
{
	ssize_t r = sb_msg_recv_most(sock, data, size, fds, n);
	if (r < 0 || (size_t)r == size)
		return r < 0 ? (int)r : 0;
	close_all(fds, *n);
	*n = 0;
	return -EPROTO;
}
