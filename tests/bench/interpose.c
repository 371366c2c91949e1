/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The module's calls into the C library, seen on the way. The driver is the main program, so its
 * symbols win over the library's in everything it loads later; the module needs no change for this.
 */
#include <dlfcn.h>
#include <grp.h>
#include <sched.h>
#include <shadow.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"
#include "sessbox/proto.h"

static struct {
	long (*syscall)(long nr, ...);
	int (*unshare)(int flags);
	int (*setns)(int fd, int flags);
	ssize_t (*write)(int fd, const void *buf, size_t size);
	int (*socketpair)(int domain, int type, int protocol, int fds[2]);
	int (*execve)(const char *path, char *const argv[], char *const envp[]);
	ssize_t (*sendmsg)(int fd, const struct msghdr *msg, int flags);
	ssize_t (*recvmsg)(int fd, struct msghdr *msg, int flags);
	pid_t (*waitpid)(pid_t pid, int *status, int options);
	int (*getgrouplist)(const char *user, gid_t gid, gid_t *groups, int *n);
	int (*getspnam_r)(const char *name, struct spwd *sp, char *buf, size_t size,
			  struct spwd **ret);
} next;

/* Before main: nobody looks a symbol up between vfork and exec. */
__attribute__((constructor)) static void find_next(void)
{
	const struct {
		const char *name;
		void *at;
	} all[] = {
		{ "syscall", &next.syscall },	    { "unshare", &next.unshare },
		{ "setns", &next.setns },	    { "write", &next.write },
		{ "socketpair", &next.socketpair }, { "execve", &next.execve },
		{ "sendmsg", &next.sendmsg },	    { "recvmsg", &next.recvmsg },
		{ "waitpid", &next.waitpid },	    { "getgrouplist", &next.getgrouplist },
		{ "getspnam_r", &next.getspnam_r },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		*(void **)all[i].at = dlsym(RTLD_NEXT, all[i].name);
		if (!*(void **)all[i].at)
			die(all[i].name);
	}
}

static void note(const char *name)
{
	timeline_note(STRAND_LOGIN, "module", name);
}

/* ---- what is left out of the figures: the caller's private tree, the child's migration ---- */

int unshare(int flags)
{
	note("private tree");
	int64_t from = now_ns();
	int r = next.unshare(flags);
	figures->tree += now_ns() - from;
	return r;
}

long syscall(long nr, ...)
{
	long a[6];
	va_list ap;
	va_start(ap, nr);
	for (size_t i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	bool tree = nr == SYS_mount_setattr || nr == SYS_move_mount;
	int64_t from = tree ? now_ns() : 0;
	long r = next.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (tree)
		figures->tree += now_ns() - from;
	return r;
}

ssize_t write(int fd, const void *buf, size_t size)
{
	bool migration = size == 1 && *(const char *)buf == '0';
	if (migration && !figures->migrate)
		note("migration");
	int64_t from = migration ? now_ns() : 0;
	ssize_t r = next.write(fd, buf, size);
	if (migration)
		figures->migrate += now_ns() - from;
	return r;
}

/* ---- what is only noted ---- */

int setns(int fd, int flags)
{
	note(flags == CLONE_NEWPID ? "pid namespace, leash" : "setns");
	int r = next.setns(fd, flags);
	if (flags != CLONE_NEWPID)
		note("privileges");
	return r;
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
	note("prepare a helper");
	return next.socketpair(domain, type, protocol, fds);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (msg->msg_iov[0].iov_len == sizeof(struct sb_request))
		note("ask, wake or spawn the helper");
	return next.sendmsg(fd, msg, flags);
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	note("exec, dynamic start");
	return next.execve(path, argv, envp);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t r = next.recvmsg(fd, msg, flags);
	note("wait for the helper's end");
	return r;
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	pid_t r = next.waitpid(pid, status, options);
	note("reply, environment");
	return r;
}

/* The first and the last call of the module's NSS load, which runs while the helper works. */
int getgrouplist(const char *user, gid_t gid, gid_t *groups, int *n)
{
	timeline_note(STRAND_NSS, "module", "load NSS");
	return next.getgrouplist(user, gid, groups, n);
}

int getspnam_r(const char *name, struct spwd *sp, char *buf, size_t size, struct spwd **ret)
{
	int r = next.getspnam_r(name, sp, buf, size, ret);
	timeline_note(STRAND_NSS, "module", "end");
	return r;
}
