/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_ERR_H
#define SESSBOX_ERR_H

/*
 * The error value of the whole project. A function that fails returns a negative errno and, where
 * it takes one, fills a caller-owned struct sb_err at the place that knows what was tried on what.
 * The struct is flat: no allocation, and it crosses a process in one write. The core never logs and
 * never exits; the edges (helper, sessctl, module) say each error once.
 */
struct sb_err {
	int num;       /* positive errno, 0 = none */
	char msg[252]; /* one line without a full stop: what failed, on what, and why */
};

/*
 * Fills err (may be NULL) with the formatted text followed by ": <strerror>" and returns -errno.
 * num may have either sign; 0 counts as EIO, since "failed without a reason" must never read as
 * success.
 */
int sb_fail(struct sb_err *err, int num, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for errors that explain themselves (a bad value): no strerror is appended. */
int sb_fail_plain(struct sb_err *err, int num, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "<text>: " before the message of an error that is set already. Returns -err->num; err NULL:
 * -EIO. */
int sb_fail_within(struct sb_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
