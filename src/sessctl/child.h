/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_CHILD_H
#define SESSCTL_CHILD_H

/* What a program of the host says of itself. */
#include <stddef.h>

#define CTL_CHILD_PATIENCE_MS 30000

/*
 * Runs argv[0], a path, without input, and reads all it prints, on either output; NUL-ended. Its
 * exit status (255: ended by a signal), or a negative errno: -EFBIG if it printed more, -ETIMEDOUT
 * if it was not done in time; then it is killed. buf is a string in any case.
 */
int ctl_child_read(const char *const argv[], int patience_ms, char *buf, size_t size);

/*
 * All it prints, less than max bytes, of one that ends well in time; to be freed. NULL: why is the
 * first line of what it said, or the error.
 */
char *ctl_child_answer(const char *const argv[], size_t max, char *why, size_t why_size);

#endif
