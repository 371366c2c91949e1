/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_TESTS_DRIVER_H
#define SESSBOX_TESTS_DRIVER_H

#include <security/pam_appl.h>

/* One line to whoever started the driver; control characters become blanks. */
void report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Everything of this process that a PAM module could change: lines "state LABEL KEY VALUE". */
void report_state(const char *label, pam_handle_t *pamh);

#endif
