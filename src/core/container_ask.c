/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/str.h"

static const char *const state_names[] = {
	[SB_CONTAINER_DEAD] = "dead",		[SB_CONTAINER_RUNNING] = "running",
	[SB_CONTAINER_LINGERING] = "lingering", [SB_CONTAINER_RETIRING] = "retiring",
	[SB_CONTAINER_SILENT] = "silent",
};

const char *sb_container_state_name(enum sb_container_state state)
{
	return state_names[state];
}

/* A connection, or -ECONNREFUSED when nobody listens any more. */
static int dial(int user_fd, uint32_t number, int64_t deadline)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* By descriptor: the user's directory may be one that has lost its name. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/c%u/init", user_fd,
		 number);
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		/* EAGAIN: more logins at once than init's backlog. */
		if (errno != EAGAIN && errno != EINTR)
			return errno == ENOENT ? -ECONNREFUSED : -errno;
		if (sb_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return sb_steal_fd(&fd);
}

enum sb_container_state sb_container_ask(int user_fd, uint32_t number,
					 const struct sb_init_request *request, int caller_fd,
					 int64_t deadline, int *ret_init)
{
	const struct sb_init_request ping = { .version = SB_INIT_VERSION, .op = SB_INIT_PING };
	struct sb_init_reply reply;
	int init = -1;
	size_t n = 1;
	if (ret_init)
		*ret_init = -1;
	cleanup_fd int fd = dial(user_fd, number, deadline);
	if (fd < 0)
		return fd == -ECONNREFUSED ? SB_CONTAINER_DEAD : SB_CONTAINER_SILENT;
	if (sb_msg_send(fd, request ? request : &ping, sizeof(ping), &caller_fd, caller_fd >= 0) <
	    0)
		return SB_CONTAINER_SILENT;
	if (sb_wait_readable(fd, deadline) < 0)
		return SB_CONTAINER_SILENT;
	int r = sb_msg_recv(fd, &reply, sizeof(reply), &init, &n);
	if (r == -ECONNRESET)
		return SB_CONTAINER_DEAD; /* it ended between our connect and its answer */
	if (r < 0 || n != 1 || reply.version != SB_INIT_VERSION) {
		if (r == 0 && n == 1)
			close(init);
		return SB_CONTAINER_SILENT;
	}
	if (ret_init)
		*ret_init = init;
	else
		close(init);
	if (reply.state == SB_INIT_RETIRING)
		return SB_CONTAINER_RETIRING;
	if (reply.state != SB_INIT_RUNNING)
		return SB_CONTAINER_SILENT;
	return reply.sessions ? SB_CONTAINER_RUNNING : SB_CONTAINER_LINGERING;
}
