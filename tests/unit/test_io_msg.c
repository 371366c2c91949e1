/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scratch.h"

#include <signal.h>
#include <sys/socket.h>

struct pair {
	int a, b;
};

static struct pair make_pair(void)
{
	int s[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	return (struct pair){ s[0], s[1] };
}

static void drop_pair(struct pair *p)
{
	sb_close(&p->a);
	sb_close(&p->b);
}

/* n descriptors of different files. */
static void open_files(const struct scratch *s, int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char name[16];
		sb_format(name, sizeof(name), "f%zu", i);
		fds[i] = openat(s->fd, name, O_RDWR | O_CREAT, 0600);
		assert_true(fds[i] >= 0);
	}
}

static void close_files(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sb_close(&fds[i]);
}

static void assert_same_file(int a, int b)
{
	struct stat x, y;
	assert_int_equal(fstat(a, &x), 0);
	assert_int_equal(fstat(b, &y), 0);
	assert_int_equal(x.st_ino, y.st_ino);
}

/* What is sent comes, with its descriptors in their order, and they are closed on exec. */
static void round_trips(void **state)
{
	static const size_t numbers[] = { 0, 1, 2, 3, SB_MSG_FDS_MAX - 1, SB_MSG_FDS_MAX };
	(void)state;
	struct scratch s = make_scratch();
	int sent[SB_MSG_FDS_MAX], got[SB_MSG_FDS_MAX];
	open_files(&s, sent, SB_MSG_FDS_MAX);
	for (size_t i = 0; i < SB_ARRAY_SIZE(numbers); i++) {
		struct pair p = make_pair();
		size_t n = SB_MSG_FDS_MAX, before = count_fds();
		char text[6] = "";
		assert_int_equal(sb_msg_send(p.a, "hello", 6, sent, numbers[i]), 0);
		assert_int_equal(sb_msg_recv(p.b, text, 6, got, &n), 0);
		assert_string_equal(text, "hello");
		assert_int_equal(n, numbers[i]);
		assert_int_equal(count_fds(), before + n);
		for (size_t k = 0; k < n; k++) {
			assert_same_file(got[k], sent[k]);
			assert_true(fcntl(got[k], F_GETFD) & FD_CLOEXEC);
		}
		close_files(got, n);
		drop_pair(&p);
	}
	close_files(sent, SB_MSG_FDS_MAX);
	drop_scratch(&s);
}

/* Messages that are not what was expected. */
struct odd {
	size_t sent, expected; /* bytes */
	size_t fds, room;
	int result;
};

static const struct odd odd_ones[] = {
	{ 8, 8, 1, 1, 0 },	  { 8, 8, 0, 1, 0 },
	{ 7, 8, 0, 0, -EPROTO },  { 9, 8, 0, 0, -EPROTO },
	{ 64, 8, 0, 0, -EPROTO }, { 7, 8, 3, 3, -EPROTO },
	{ 9, 8, 3, 3, -EPROTO },  { 8, 8, 1, 0, -EPROTO },
	{ 8, 8, 3, 2, -EPROTO },  { 8, 8, SB_MSG_FDS_MAX, 1, -EPROTO },
};

static void odd_messages(void **state)
{
	(void)state;
	struct scratch s = make_scratch();
	int sent[SB_MSG_FDS_MAX], got[SB_MSG_FDS_MAX];
	open_files(&s, sent, SB_MSG_FDS_MAX);
	for (size_t i = 0; i < SB_ARRAY_SIZE(odd_ones); i++) {
		const struct odd *o = &odd_ones[i];
		struct pair p = make_pair();
		char out[64] = "", in[64] = "";
		size_t n = o->room, before = count_fds();
		assert_int_equal(sb_msg_send(p.a, out, o->sent, sent, o->fds), 0);
		int r = sb_msg_recv(p.b, in, o->expected, got, &n);
		if (r != o->result || n != (r == 0 ? o->fds : 0))
			fail_msg("row %zu: %d, %zu descriptors", i, r, n);
		close_files(got, n);
		assert_int_equal(count_fds(), before);
		drop_pair(&p);
	}
	close_files(sent, SB_MSG_FDS_MAX);
	drop_scratch(&s);
}

/* The kernel says who has sent it, if it is asked to. */
static void senders(void **state)
{
	const int on = 1;
	(void)state;
	struct pair p = make_pair();
	int fd = -1;
	for (int asked = 0; asked < 2; asked++) {
		struct sb_msg_more more = { .fds = &fd, .n = 1 };
		char byte;
		if (asked)
			assert_int_equal(setsockopt(p.b, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)),
					 0);
		pid_t pid = fork();
		if (pid == 0)
			_exit(sb_msg_send(p.a, "x", 1, &p.a, 1) != 0);
		assert_int_equal(wait_for(pid), 0);
		assert_int_equal(sb_msg_recv_more(p.b, &byte, 1, &more), 1);
		assert_int_equal(more.n, 1);
		assert_int_equal(more.from.pid, asked ? pid : 0);
		assert_int_equal(more.from.uid, asked ? getuid() : (uid_t)-1);
		close(fd);
	}
	drop_pair(&p);
}

static void too_many_to_send(void **state)
{
	(void)state;
	struct pair p = make_pair();
	int fds[SB_MSG_FDS_MAX + 1], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < SB_ARRAY_SIZE(fds); i++)
		fds[i] = null;
	assert_int_equal(sb_msg_send(p.a, "x", 1, fds, SB_ARRAY_SIZE(fds)), -E2BIG);
	assert_int_equal(sb_wait_readable(p.b, sb_now_ms()), -ETIMEDOUT);
	close(null);
	drop_pair(&p);
}

#define MANY (2 * SB_MSG_FDS_MAX)

static void send_many(int sock, int fd)
{
	union {
		char buf[CMSG_SPACE(MANY * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char byte = 'x';
	int fds[MANY];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	for (size_t i = 0; i < MANY; i++)
		fds[i] = fd;
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	assert_int_equal(sendmsg(sock, &msg, 0), 1);
}

/* More than the receiver's control buffer takes: the kernel cuts it. */
static void cut_control(void **state)
{
	(void)state;
	struct pair p = make_pair();
	int got[SB_MSG_FDS_MAX];
	char byte;
	size_t n = SB_MSG_FDS_MAX, before = count_fds();
	send_many(p.a, p.a);
	assert_int_equal(sb_msg_recv(p.b, &byte, 1, got, &n), -EPROTO);
	assert_int_equal(n, 0);
	assert_int_equal(count_fds(), before);
	drop_pair(&p);
}

static void ends(void **state)
{
	(void)state;
	struct pair p = make_pair();
	char byte;
	size_t n = 0;
	sb_close(&p.a);
	assert_int_equal(sb_msg_recv(p.b, &byte, 1, NULL, &n), -ECONNRESET);
	assert_int_equal(sb_wait_readable(p.b, sb_now_ms()), 0);
	assert_int_equal(sb_msg_send(p.b, "x", 1, NULL, 0), -EPIPE);
	drop_pair(&p);
	n = 1;
	assert_int_equal(sb_msg_recv(-1, &byte, 1, NULL, &n), -EBADF);
	assert_int_equal(n, 0);
	assert_int_equal(sb_msg_send(-1, &byte, 1, NULL, 0), -EBADF);
}

/* A message that was sent before the end is still there. */
static void last_words(void **state)
{
	(void)state;
	struct pair p = make_pair();
	char byte = 0;
	size_t n = 0;
	assert_int_equal(sb_msg_send(p.a, "x", 1, NULL, 0), 0);
	sb_close(&p.a);
	assert_int_equal(sb_msg_recv(p.b, &byte, 1, NULL, &n), 0);
	assert_int_equal(byte, 'x');
	assert_int_equal(sb_msg_recv(p.b, &byte, 1, NULL, &n), -ECONNRESET);
	drop_pair(&p);
}

static void ignore(int sig)
{
	(void)sig;
}

/* A signal while it waits is no end of the wait. */
static void interrupted(void **state)
{
	(void)state;
	const struct sigaction act = { .sa_handler = ignore };
	struct pair p = make_pair();
	char byte = 0;
	size_t n = 0;
	assert_int_equal(sigaction(SIGUSR1, &act, NULL), 0);
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 10; i++) {
			usleep(2000);
			kill(parent, SIGUSR1);
		}
		_exit(sb_msg_send(p.a, "x", 1, NULL, 0) != 0);
	}
	assert_int_equal(sb_msg_recv(p.b, &byte, 1, NULL, &n), 0);
	assert_int_equal(byte, 'x');
	assert_int_equal(wait_for(pid), 0);
	drop_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips), cmocka_unit_test(odd_messages),
		cmocka_unit_test(senders),     cmocka_unit_test(too_many_to_send),
		cmocka_unit_test(cut_control), cmocka_unit_test(ends),
		cmocka_unit_test(last_words),  cmocka_unit_test(interrupted),
	};
	return cmocka_run_group_tests_name("io messages", tests, NULL, NULL);
}
