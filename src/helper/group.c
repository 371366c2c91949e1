/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper.h"
#include "sessbox/io.h"
#include "sessbox/str.h"

static bool is_listed(const struct group *group, const char *user)
{
	for (char **m = group->gr_mem; *m; m++)
		if (strcmp(*m, user) == 0)
			return true;
	return false;
}

/* Does the local file already say so? "No" says nothing. */
static bool is_local_member(const struct sb_login *login, const char *name)
{
	cleanup_file FILE *file = fopen("/etc/group", "re");
	const struct group *group;
	while (file && (group = fgetgrent(file)))
		if (strcmp(group->gr_name, name) == 0)
			return group->gr_gid == login->gid || is_listed(group, login->user);
	return false;
}

/* The user's whole list, looked up once. */
static struct {
	gid_t *gids;
	int n;
} all;

static int look_up(const char *user, gid_t gid)
{
	if (all.gids)
		return 0;
	for (int size = 64;; size = all.n) {
		gid_t *more = reallocarray(all.gids, (size_t)size, sizeof(*more));
		if (!more)
			return -ENOMEM;
		all.gids = more;
		all.n = size;
		if (getgrouplist(user, gid, all.gids, &all.n) >= 0)
			return 0;
		if (all.n <= size)
			return -EIO;
	}
}

int sb_group_member(const struct sb_login *login, const char *group, void *ctx)
{
	(void)ctx;
	if (is_local_member(login, group))
		return 1;
	errno = 0;
	const struct group *g = getgrnam(group);
	/* A group that cannot be found - renamed, or its directory down - must not read as "no". */
	if (!g)
		return errno ? -errno : -ENOENT;
	gid_t gid = g->gr_gid;
	if (gid == login->gid || is_listed(g, login->user))
		return 1;
	int r = look_up(login->user, login->gid);
	for (int i = 0; r == 0 && i < all.n; i++)
		if (all.gids[i] == gid)
			return 1;
	return r;
}

/* The module's message; 0 = it sent none that is whole. */
static ssize_t receive(int64_t deadline, gid_t *gids, size_t max)
{
	struct sb_groups sent;
	size_t no_fds = 0;
	int r = sb_wait_readable(SB_HELPER_SOCKET, deadline);
	if (r == 0)
		r = sb_msg_recv(SB_HELPER_SOCKET, &sent, sizeof(sent), NULL, &no_fds);
	if (r < 0)
		return r;
	if (sent.magic != SB_PROTO_MAGIC || sent.n > SB_GROUPS_SENT_MAX || sent.n > max)
		return -EPROTO;
	memcpy(gids, sent.gids, sent.n * sizeof(gids[0]));
	return (ssize_t)sent.n;
}

ssize_t sb_group_list(const struct sb_session_request *request, gid_t *gids, size_t max)
{
	if (request->groups_follow) {
		ssize_t n = receive(request->deadline, gids, max);
		if (n != 0)
			return n;
	}
	int r = look_up(request->policy->user, request->policy->gid);
	if (r < 0)
		return r;
	size_t n = (size_t)all.n < max ? (size_t)all.n : max;
	memcpy(gids, all.gids, n * sizeof(gids[0]));
	return (ssize_t)n;
}
