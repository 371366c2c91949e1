/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "helper.h"
#include "sessbox/group.h"
#include "sessbox/io.h"

static struct sb_group_cache cache;
static bool received;

int sb_answer_in_group(const struct sb_login *login, const char *group, void *ctx)
{
	(void)ctx;
	return sb_group_find(login->user, login->gid, group, &cache);
}

bool sb_answer_in_local_group(const struct sb_login *login, const char *group)
{
	return sb_group_lists(login->user, login->gid, group);
}

/* The module's message; 0 = it has no list either. */
static ssize_t receive(int64_t deadline, gid_t *gids, size_t max)
{
	struct sb_groups sent;
	size_t no_fds = 0;
	int r = sb_wait_readable(SB_HELPER_SOCKET, deadline);
	if (r == 0)
		r = sb_msg_recv(SB_HELPER_SOCKET, &sent, sizeof(sent), NULL, &no_fds);
	received = true;
	if (r < 0)
		return r;
	if (sent.magic != SB_PROTO_MAGIC || sent.n > SB_GROUPS_SENT_MAX || sent.n > max)
		return -EPROTO;
	memcpy(gids, sent.gids, sent.n * sizeof(gids[0]));
	return (ssize_t)sent.n;
}

ssize_t sb_answer_groups(const struct sb_session_request *request, gid_t *gids, size_t max)
{
	if (request->groups_follow) {
		ssize_t n = receive(request->deadline, gids, max);
		if (n != 0)
			return n;
	}
	int r = sb_group_load(request->policy->user, request->policy->gid, &cache);
	if (r < 0)
		return r;
	size_t n = (size_t)cache.n < max ? (size_t)cache.n : max;
	memcpy(gids, cache.gids, n * sizeof(gids[0]));
	return (ssize_t)n;
}

void sb_answer_drain(const struct sb_request *request)
{
	gid_t gids[SB_GROUPS_SENT_MAX];
	if (request->flags & SB_REQUEST_GROUPS && !received)
		receive(sb_now_ms() + SB_TIMEOUT_START * 1000, gids, SB_GROUPS_SENT_MAX);
}
