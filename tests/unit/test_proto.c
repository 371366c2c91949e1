/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The layout of what crosses a process. Module and helper of different releases meet in it while an
 * upgrade is under way: whoever changes a line here gives the protocol its next version.
 */
#include "scratch.h"

#include <sys/socket.h>

#include "sessbox/proto.h"

#define AT(type, member, offset, size)                                                             \
	_Static_assert(offsetof(struct type, member) == (offset), #type "." #member " moved");     \
	_Static_assert(sizeof(((struct type *)0)->member) == (size), #type "." #member " changed")
#define SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type " changed")
#define VALUE(name, value) _Static_assert((name) == (value), #name " changed")

SIZE(sb_request, 2140);
AT(sb_request, magic, 0, 4);
AT(sb_request, version, 4, 4);
AT(sb_request, op, 8, 4);
AT(sb_request, session, 12, 4);
AT(sb_request, uid, 16, 4);
AT(sb_request, gid, 20, 4);
AT(sb_request, flags, 24, 4);
AT(sb_request, user, 28, 256);
AT(sb_request, home, 284, 1024);
AT(sb_request, shell, 1308, 256);
AT(sb_request, service, 1564, 64);
AT(sb_request, rhost, 1628, 256);
AT(sb_request, conf_dir, 1884, 256);

SIZE(sb_groups, 4104);
AT(sb_groups, magic, 0, 4);
AT(sb_groups, n, 4, 4);
AT(sb_groups, gids, 8, 4096);

SIZE(sb_reply, 1480);
AT(sb_reply, magic, 0, 4);
AT(sb_reply, version, 4, 4);
AT(sb_reply, verdict, 8, 4);
AT(sb_reply, flags, 12, 4);
AT(sb_reply, session, 16, 4);
AT(sb_reply, wait_sec, 20, 4);
AT(sb_reply, ns_flags, 24, 4);
AT(sb_reply, n_groups, 28, 4);
AT(sb_reply, groups, 32, 1024);
AT(sb_reply, to_user, 1056, 160);
AT(sb_reply, to_log, 1216, 256);
AT(sb_reply, bounding, 1472, 8);

SIZE(sb_init_request, 12);
AT(sb_init_request, version, 0, 4);
AT(sb_init_request, op, 4, 4);
AT(sb_init_request, session, 8, 4);

SIZE(sb_init_reply, 12);
AT(sb_init_reply, version, 0, 4);
AT(sb_init_reply, state, 4, 4);
AT(sb_init_reply, sessions, 8, 4);

VALUE(SB_PROTO_MAGIC, 0x5e55b0c5U);
VALUE(SB_PROTO_VERSION, 1);
VALUE(SB_INIT_VERSION, 1);
VALUE(SB_HELPER_SOCKET, 3);
VALUE(SB_INIT_SOCKET, 3);
VALUE(SB_INIT_CALLER, 4);
VALUE(SB_OP_ACCOUNT, 1);
VALUE(SB_OP_OPEN, 2);
VALUE(SB_OP_CLOSE, 3);
VALUE(SB_REQUEST_GROUPS, 1);
VALUE(SB_REQUEST_TTY, 2);
VALUE(SB_GROUPS_SENT_MAX, 1024);
VALUE(SB_VERDICT_WAIT, 1);
VALUE(SB_VERDICT_IGNORE, 2);
VALUE(SB_VERDICT_CONTAIN, 3);
VALUE(SB_VERDICT_DENY, 4);
VALUE(SB_VERDICT_FAIL, 5);
VALUE(SB_VERDICT_UNCONTAINED, 6);
VALUE(SB_REPLY_UTMP, 1);
VALUE(SB_REPLY_WTMP, 2);
VALUE(SB_REPLY_ALLOW_FAILURE, 4);
VALUE(SB_REPLY_FD_INIT, 0);
VALUE(SB_REPLY_DEVPTS, 8);
VALUE(SB_REPLY_FD_MORE, 1);
VALUE(SB_GROUPS_MAX, 256);
VALUE(SB_INIT_PING, 1);
VALUE(SB_INIT_JOIN, 2);
VALUE(SB_INIT_LEAVE, 3);
VALUE(SB_INIT_TERMINATE, 4);
VALUE(SB_INIT_RUNNING, 1);
VALUE(SB_INIT_RETIRING, 2);
VALUE(SB_INIT_FULL, 3);

/* Nothing but the members crosses: no padding that could carry the helper's memory along. */
_Static_assert(sizeof(struct sb_request) == 7 * 4 + 256 + 1024 + 256 + 64 + 256 + 256, "padding");
_Static_assert(sizeof(struct sb_reply) == 8 * 4 + SB_GROUPS_MAX * 4 + 160 + 256 + 8, "padding");

/* A message of another release is longer or shorter, and is told from one of ours. */
static void other_sizes(void **state)
{
	static const int differences[] = { -4, 0, 4 };
	(void)state;
	for (size_t i = 0; i < SB_ARRAY_SIZE(differences); i++) {
		char out[sizeof(struct sb_request) + 4] = "";
		struct sb_request in;
		int s[2];
		size_t n = 0;
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
		size_t size = (size_t)((int)sizeof(in) + differences[i]);
		assert_int_equal(sb_msg_send(s[0], out, size, NULL, 0), 0);
		assert_int_equal(sb_msg_recv(s[1], &in, sizeof(in), NULL, &n),
				 differences[i] ? -EPROTO : 0);
		/* Where the reader takes more than one version, the length says which. */
		assert_int_equal(sb_msg_send(s[0], out, size, NULL, 0), 0);
		assert_int_equal(sb_msg_recv_most(s[1], &in, sizeof(in), NULL, &n),
				 differences[i] > 0 ? -EPROTO : (int)size);
		close(s[0]);
		close(s[1]);
	}
}

static void sizes(void **state)
{
	struct sb_proto_sizes found = { 0 };
	(void)state;
	assert_true(sb_proto_sizes(1, &found));
	assert_int_equal(found.version, 1);
	assert_int_equal(found.request, 2140);
	assert_int_equal(found.reply, 1480);
	/* The newest is the struct as it stands. */
	assert_true(sb_proto_sizes(SB_PROTO_VERSION, &found));
	assert_int_equal(found.request, sizeof(struct sb_request));
	assert_int_equal(found.reply, sizeof(struct sb_reply));
	assert_false(sb_proto_sizes(SB_PROTO_VERSION + 1, &found));
	assert_false(sb_proto_sizes(0, &found));
}

/* A descriptor that came with a message of the wrong length is closed, not kept. */
static void descriptor_of_a_refused_message(void **state)
{
	char byte = 0, in[4];
	int s[2], fd = -1;
	size_t n = 1;
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	int next = fcntl(s[0], F_DUPFD_CLOEXEC, 0);
	close(next);
	assert_int_equal(sb_msg_send(s[0], &byte, 1, &s[0], 1), 0);
	assert_int_equal(sb_msg_recv(s[1], in, sizeof(in), &fd, &n), -EPROTO);
	assert_int_equal(n, 0);
	assert_int_equal(fcntl(next, F_GETFD), -1);
	n = 1;
	assert_int_equal(sb_msg_send(s[0], &byte, 1, &s[0], 1), 0);
	assert_int_equal(sb_msg_recv_most(s[1], in, sizeof(in), &fd, &n), 1);
	assert_int_equal(n, 1);
	assert_int_equal(fd, next);
	close(fd);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_sizes),
		cmocka_unit_test(sizes),
		cmocka_unit_test(descriptor_of_a_refused_message),
	};
	return cmocka_run_group_tests_name("proto", tests, NULL, NULL);
}
