/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"

struct process_row {
	uint64_t pid;
	uint64_t inside;
	uint64_t parent;
	const char *tty;
	const char *state;
	const char *command;
	char text[2][96]; /* what tty and state point to */
};

#define COLUMN(member, name, type, flags)                                                          \
	{                                                                                          \
		name, type, offsetof(struct process_row, member), flags                            \
	}

static const struct ctl_column columns[] = {
	COLUMN(pid, "pid", CTL_COUNT, CTL_RIGHT),
	COLUMN(inside, "inside", CTL_COUNT, CTL_RIGHT),
	COLUMN(parent, "parent", CTL_COUNT, CTL_RIGHT),
	COLUMN(tty, "tty", CTL_TEXT, 0),
	COLUMN(state, "state", CTL_TEXT, 0),
	COLUMN(command, "command", CTL_TEXT, 0),
};

/* The number a process has in its own pid namespace: the last one in the list of all. */
static uint64_t inner_pid(pid_t pid)
{
	char path[64], text[4096];
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (sb_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return SB_INFINITY;
	char *line = strstr(text, "\nNSpid:");
	if (!line)
		return SB_INFINITY;
	line++;
	line[strcspn(line, "\n")] = '\0';
	const char *last = strrchr(line, '\t');
	return last ? strtoull(last + 1, NULL, 10) : SB_INFINITY;
}

/*
 * The command is what the kernel calls it. The arguments stand in the process's own memory, where
 * reading can be made to wait.
 */
static void fill(struct process_row *row, const struct ctl_process *p)
{
	*row = (struct process_row){ .pid = (uint64_t)p->proc.pid,
				     .inside = inner_pid(p->proc.pid),
				     .parent = (uint64_t)p->proc.ppid,
				     .command = p->proc.comm };
	sb_proc_tty_name(p->proc.tty_nr, row->text[0], sizeof(row->text[0]));
	row->text[1][0] = p->proc.state;
}

int ctl_process_table(const struct ctl_user *user, const struct ctl_session *session,
		      struct ctl_table *ret)
{
	const struct ctl_membership m = ctl_session_membership(user, session);
	bool all = session->processes == user->processes.n;
	bool none = session->processes == SB_INFINITY;
	struct process_row *rows = calloc(user->processes.n + 1, sizeof(*rows));
	size_t n = 0;
	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < user->processes.n && !none; i++)
		if (all || ctl_process_is_member(&user->processes, &user->processes.v[i], &m))
			fill(&rows[n++], &user->processes.v[i]);
	for (size_t i = 0; i < n; i++) {
		rows[i].tty = rows[i].text[0][0] ? rows[i].text[0] : NULL;
		rows[i].state = rows[i].text[1];
	}
	*ret = (struct ctl_table){ "process-list", columns, SB_ARRAY_SIZE(columns),
				   rows,	   n,	    sizeof(*rows) };
	return 0;
}
