/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Linked into the test build of the helper alone: an error, a kill or a hang at the step that
 * FAULT_FILE names ("fail:open:3"), so that tests can break each step of a login.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "sessbox/container.h"
#include "sessbox/io.h"
#include "sessbox/str.h"

#define FAULT_FILE "/run/sessbox-fault"

static struct {
	char verb[8];
	char table[16];
	size_t index;
} fault;

static bool is_meant(const struct sb_step *steps, size_t index)
{
	for (size_t t = 0; t < sb_session_tables_n; t++)
		if (sb_session_tables[t].steps == steps)
			return strcmp(sb_session_tables[t].name, fault.table) == 0 &&
			       index == fault.index;
	return false;
}

static int probe(const struct sb_step *steps, size_t index, struct sb_err *err)
{
	if (!is_meant(steps, index))
		return 0;
	if (strcmp(fault.verb, "kill") == 0)
		kill(getpid(), SIGKILL);
	while (strcmp(fault.verb, "hang") == 0)
		pause();
	return sb_fail(err, EIO, "injected fault");
}

__attribute__((constructor)) static void arm(void)
{
	char text[64];
	if (sb_read_file(AT_FDCWD, FAULT_FILE, text, sizeof(text)) > 0 &&
	    sscanf(text, "%7[a-z]:%15[a-z]:%zu", fault.verb, fault.table, &fault.index) == 3)
		sb_step_probe = probe;
}
