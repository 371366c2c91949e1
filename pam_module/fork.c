/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "module.h"
#include "request.h"

#define CHILD_REFUSED 254
#define FDS_LOOKED_AT 64

/* Unloading the module takes the handlers away and this with them: NULL means that there are none.
 */
static struct box *watched;

void box_refuse_child(const char *sentence)
{
	char line[SB_TO_USER_MAX + 1];
	struct pollfd client = { .fd = STDERR_FILENO, .events = POLLOUT };
	int n = snprintf(line, sizeof(line), "%s\n", sentence);
	if (*sentence && poll(&client, 1, 0) == 1 && client.revents == POLLOUT)
		n = (int)write(STDERR_FILENO, line, (size_t)n);
	(void)n;
	_exit(CHILD_REFUSED);
}

/* In the caller. Before the job is in, a child that misses the hook would run as the tenant. */
static void before_fork(void)
{
	struct box *box = watched;
	if (box->phase == BOX_OPEN && !box->in && !box_is_child(box) && !box->lifted &&
	    sb_service_has(box->service, SB_SERVICE_MAILS) && box->shared->joined)
		box_lift(box);
}

/* sshd's child, which is in, holds a terminal it has got when it forks for who is to have it. */
static void tell_terminal(const struct box *box)
{
	for (int fd = STDERR_FILENO + 1; fd < FDS_LOOKED_AT && !box->shared->terminal; fd++)
		box->shared->terminal = isatty(fd);
}

/* In the child, before fork returns there: nothing that could need a lock of the caller's. */
static void in_child(void)
{
	struct box *box = watched;
	if (box->in && box->tells_terminal && box->shared)
		tell_terminal(box);
	if (box->phase == BOX_IDLE || box->in || !box->service ||
	    box->service->join != SB_JOIN_FORK)
		return;
	if (!box_is_child(box) || box->phase == BOX_DOOMED)
		box_refuse_child("");
	if (box_join(box, &box->shared->error) < 0)
		box_refuse_child(box_cannot_contain);
}

int box_fork_watch(struct box *box, struct box_error *error)
{
	if (watched)
		return 0;
	errno = pthread_atfork(before_fork, NULL, in_child);
	if (errno)
		return box_fail(error, "watch the caller's forks");
	watched = box;
	return 0;
}
