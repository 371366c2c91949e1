// SPDX-License-Identifier: MIT
/* Fork tokens, pidfds, fds over sockets, exec and keyrings. */
#include "kernel.h"

#include <linux/keyctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static char *token_new(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED, "mmap: %s", strerror(errno));
	MUST(madvise(page, 4096, MADV_WIPEONFORK));
	memcpy(page, "token", 6);
	return page;
}

static void token_gone(void *arg)
{
	char *page = arg;

	CHECK(page[0] == 0, "the child has '%s'", page);
	/* Its own children get an empty page again, whatever it writes. */
	memcpy(page, "mine", 5);
}

static void grandchild_gone(void *arg)
{
	token_gone(arg);
	apart(token_gone, arg);
}

static void wipe(void)
{
	char *page = token_new();
	int status;
	pid_t pid;

	apart(grandchild_gone, page);
	CHECK(!strcmp(page, "token"), "the parent has lost it");
	pid = vfork();
	if (pid == 0)
		_exit(page[0] == 't' ? 0 : 1);
	MUST(pid);
	MUST(waitpid(pid, &status, 0));
	CHECK(status == 0, "a vfork child, which shares the page, does not see it");
}

struct far {
	struct child child;
	struct line line;
	pid_t pid;
};

static void has_child(void *arg)
{
	struct far *far = arg;
	struct child child = start(0, -1, idle, NULL);

	MUST(write(far->line.fd[1], &child.pid, sizeof(child.pid)));
	/* Not reaped: the pidfd has to tell of a zombie, too. */
	idle(NULL);
}

static void pidfd_far(void)
{
	struct far far = { .line = line_new() };
	int pidfd;

	/* What is left when its parent ends comes to us. */
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
	far.child = start(0, -1, has_child, &far);
	CHECK(read(far.line.fd[0], &far.pid, sizeof(far.pid)) == sizeof(far.pid), "no pid");
	pidfd = MUST(syscall(SYS_pidfd_open, far.pid, 0));
	CHECK(!ends_within(pidfd, 100), "readable while it lives");
	MUST(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0));
	CHECK(ends_within(pidfd, 2000), "not readable after its end");
	REFUSED(ECHILD, waitid(P_PIDFD, pidfd, &(siginfo_t){ 0 }, WEXITED | WNOHANG));
	end(far.child);
	MUST(waitpid(far.pid, NULL, 0));
	CHECK(ends_within(pidfd, 0), "not readable when reaped");
	REFUSED(ESRCH, syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
}

#define FDS 20

union fd_message {
	struct cmsghdr header;
	char space[CMSG_SPACE(FDS * sizeof(int))];
};

static void send_fds(int sock, const int *fds)
{
	union fd_message control = { 0 };
	char text[] = "fds";
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(FDS * sizeof(int));
	memcpy(CMSG_DATA(header), fds, FDS * sizeof(int));
	CHECK(MUST(sendmsg(sock, &msg, MSG_NOSIGNAL)) == sizeof(text), "a short send");
}

static void receive_fds(int sock, int *fds)
{
	union fd_message control;
	char text[64];
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;

	CHECK(MUST(recvmsg(sock, &msg, MSG_CMSG_CLOEXEC)) == 4, "not one whole message");
	CHECK(!(msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)), "truncated: %#x", msg.msg_flags);
	header = CMSG_FIRSTHDR(&msg);
	CHECK(header && header->cmsg_type == SCM_RIGHTS, "no fds came");
	CHECK(header->cmsg_len == CMSG_LEN(FDS * sizeof(int)), "%zu bytes of fds came",
	      (size_t)header->cmsg_len);
	memcpy(fds, CMSG_DATA(header), FDS * sizeof(int));
}

struct fd_pass {
	int sock[2];
};

static void passes(void *arg)
{
	struct fd_pass *pass = arg;
	char name[16];
	int fds[FDS], i;

	for (i = 0; i < FDS; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		touch(name);
		fds[i] = MUST(open(name, O_PATH | O_CLOEXEC));
	}
	send_fds(pass->sock[1], fds);
}

static void many_fds(void)
{
	struct stat by_fd, by_name;
	struct fd_pass pass;
	char name[16];
	int fds[FDS], i;

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pass.sock));
	apart(passes, &pass);
	receive_fds(pass.sock[0], fds);
	for (i = 0; i < FDS; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		MUST(stat(name, &by_name));
		MUST(fstat(fds[i], &by_fd));
		CHECK(by_fd.st_ino == by_name.st_ino, "fd %d is another file", i);
		CHECK(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, "fd %d stays open over exec", i);
	}
}

static void connects(void *arg)
{
	struct sockaddr_un *address = arg;
	int fd = MUST(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	struct ucred peer;
	socklen_t size = sizeof(peer);

	MUST(connect(fd, (struct sockaddr *)address, sizeof(*address)));
	MUST(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size));
	CHECK(peer.pid == getppid(), "the peer is %d, not who called listen", peer.pid);
	CHECK(write(fd, "hello", 5) == 5, "write: %s", strerror(errno));
}

static void refused(void *arg)
{
	int fd = MUST(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));

	REFUSED(ECONNREFUSED, connect(fd, arg, sizeof(struct sockaddr_un)));
}

static void accepts(void *arg)
{
	int fd = MUST(accept4(*(int *)arg, NULL, NULL, SOCK_CLOEXEC));
	char text[8];

	CHECK(read(fd, text, sizeof(text)) == 5, "the early message is lost");
}

/* The one who answers need not be there yet, but must not be who listens. */
static void listen_early(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/tmp/init" };
	int fd = MUST(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));

	MUST(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	apart(refused, &address);
	MUST(listen(fd, 8));
	apart(connects, &address);
	apart(accepts, &fd);
}

int exec_part(const char *word)
{
	int fd;

	(void)word;
	for (fd = 3; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return 1;
	return 0;
}

static int exec_rc(void)
{
	int status;
	pid_t pid = MUST(fork());

	if (pid == 0) {
		execl("/proc/self/exe", "t_process", "exec", "fds", NULL);
		_exit(126);
	}
	MUST(waitpid(pid, &status, 0));
	return WEXITSTATUS(status);
}

static void cloexec_range(void)
{
	int fd = MUST(open("/", O_RDONLY | O_DIRECTORY));

	CHECK(exec_rc() == 1, "the program does not have the fd in the first place");
	MUST(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
	MUST(faccessat(fd, "tmp", F_OK, 0));
	CHECK(exec_rc() == 0, "the program has an fd");
}

static long join_anonymous(void)
{
	long id = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);

	if (id < 0 && errno == ENOSYS)
		skip("this kernel has no keys");
	return MUST(id);
}

static void other_session(void *arg)
{
	long *first = arg;

	CHECK(join_anonymous() != *first, "the same keyring again");
	REFUSED(ENOKEY, syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user",
				"sessbox-kernel", 0));
}

static void keyring(void)
{
	long first = join_anonymous();

	MUST(syscall(SYS_add_key, "user", "sessbox-kernel", "x", 1, KEY_SPEC_SESSION_KEYRING));
	MUST(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "sessbox-kernel",
		     0));
	apart(other_session, &first);
}

const struct test tests[] = {
	{ "process-wipeonfork", "a MADV_WIPEONFORK page is empty in a child, not in a vfork child",
	  wipe },
	{ "process-pidfd", "the pidfd of a non-child is readable once it ended, reaped or not",
	  pidfd_far },
	{ "process-scm-rights", "20 fds cross a SEQPACKET socket in order and close on exec",
	  many_fds },
	{ "process-listen-early",
	  "connect works before anyone accepts; SO_PEERCRED is who called listen", listen_early },
	{ "process-close-range", "CLOSE_RANGE_CLOEXEC: open until exec, closed after it",
	  cloexec_range },
	{ "process-keyring", "an anonymous session keyring hides the former one's keys", keyring },
	{},
};
