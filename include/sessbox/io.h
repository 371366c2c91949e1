/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_IO_H
#define SESSBOX_IO_H

/*
 * Whole reads and writes, atomic replacement of files, deadlines, and messages with descriptors.
 * No core module but the C library is needed: the module and init compile this file too.
 * All functions return a negative errno on failure and retry on EINTR.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Milliseconds of CLOCK_MONOTONIC. Deadlines are absolute values of this clock. */
int64_t sb_now_ms(void);

/* Milliseconds left until the deadline, never negative, fit for poll(2). */
int sb_left_ms(int64_t deadline);

/* Waits until fd is readable (or hung up). 0, -ETIMEDOUT, or another negative errno. */
int sb_wait_readable(int fd, int64_t deadline);

int sb_write_all(int fd, const void *data, size_t size);

/*
 * Reads a file whole into buf and ends it with a NUL byte. Returns the length, or -EFBIG when it
 * does not fit. dfd/name as in openat(2); symbolic links are not followed.
 */
ssize_t sb_read_file(int dfd, const char *name, char *buf, size_t size);

/* Writes text to an existing file in one write (cgroupfs and proc want that). 0 or -errno. */
int sb_write_file(int dfd, const char *name, const char *text);

/*
 * Replaces dfd/name whole: writes a new file beside it with the given mode and owner and renames
 * it over the old one. A reader sees the old content or the new, never a part; a crash leaves at
 * most "<name>.new". uid/gid -1 = as created.
 */
struct sb_file_attr {
	mode_t mode;
	uid_t uid;
	gid_t gid;
};
int sb_replace_file(int dfd, const char *name, const char *text, const struct sb_file_attr *attr);

/*
 * Removes a directory tree that only root could write (/run/sessbox): names are resolved by
 * component, links are removed and not followed, other file systems are not entered. 0 or the
 * first -errno; -ENOENT is success.
 */
int sb_remove_tree(int dfd, const char *name);

/* mkdir that takes an existing directory for success. Returns an O_PATH|O_DIRECTORY fd. */
int sb_open_dir(int dfd, const char *name, mode_t mode);

/*
 * One message over a SOCK_SEQPACKET socket, with up to n descriptors by SCM_RIGHTS.
 * sb_msg_recv: the message must have exactly `size` bytes; at most *n descriptors are taken
 * (close-on-exec), *n becomes their number; too many or truncated control data is -EPROTO and
 * closes what came. End of file is -ECONNRESET.
 */
#define SB_MSG_FDS_MAX 32
int sb_msg_send(int sock, const void *data, size_t size, const int *fds, size_t n);
int sb_msg_recv(int sock, void *data, size_t size, int *fds, size_t *n);
/* The same for a message of `size` bytes or fewer; its length. */
ssize_t sb_msg_recv_most(int sock, void *data, size_t size, int *fds, size_t *n);

/*
 * As the last, with who has sent it, as the kernel says; SO_PASSCRED must be set on the socket. pid
 * 0: it is not, or he is not in this pid namespace.
 */
struct sb_msg_more {
	int *fds;
	size_t n; /* as above */
	struct ucred from;
};
ssize_t sb_msg_recv_more(int sock, void *data, size_t size, struct sb_msg_more *more);

#endif
