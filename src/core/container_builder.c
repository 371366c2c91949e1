/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What runs in the process that becomes a container's init, between its clone and its exec. */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/ns.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

/* Leaves init CAP_KILL alone: exec as root under no_new_privs gives what the bounding set holds. */
static int drop_privileges(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (cap != CAP_KILL && prctl(PR_CAPBSET_DROP, cap) < 0)
			return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	data[0].inheritable = data[1].inheritable = 0;
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/*
 * Leaves open: 0-2 on the container's /dev/null, 3 the socket, 4 the caller's pidfd, and above,
 * close-on-exec, the error pipe and the program. Returns the program's new descriptor.
 */
static int arrange_fds(const struct sb_creation *c, int *error_pipe)
{
	int high[4] = { c->socket, c->caller, c->program, *error_pipe };
	for (size_t i = 0; i < SB_ARRAY_SIZE(high); i++) {
		high[i] = fcntl(high[i], F_DUPFD_CLOEXEC, 100);
		if (high[i] < 0)
			return -errno;
	}
	*error_pipe = high[3];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return -errno;
	if (dup2(high[0], SB_INIT_SOCKET) < 0 || dup2(high[1], SB_INIT_CALLER) < 0 ||
	    sys_close_range(SB_INIT_CALLER + 1, 99, 0) < 0)
		return -errno;
	/* The four stand next to each other. */
	if (sys_close_range((unsigned int)high[3] + 1, ~0U, 0) < 0)
		return -errno;
	return high[2];
}

#define INIT_OPTION_MAX 40

struct init_options {
	char text[3][INIT_OPTION_MAX];
	char *argv[4];
	size_t n;
};

static void add_option(struct init_options *o, const char *fmt, uint64_t value)
{
	snprintf(o->text[o->n], INIT_OPTION_MAX, fmt, value);
	o->argv[o->n] = o->text[o->n];
	o->n++;
}

/* Only what differs from what an init of an earlier version does by itself: it takes no options. */
static void add_options(const struct sb_settings *set, struct init_options *o)
{
	if (!set->kill_user_processes)
		add_option(o, "keep", 0);
	if (set->linger_ms)
		add_option(o, "linger=%" PRIu64, set->linger_ms);
	if (set->runtime_max_ms < SB_FOREVER_MS)
		add_option(o, "runtime=%" PRIu64, set->runtime_max_ms);
}

static int exec_init(const struct sb_creation *c, int *error_pipe, struct sb_err *err)
{
	char stop_ms[16], session[16];
	struct init_options options = { .n = 0 };
	snprintf(stop_ms, sizeof(stop_ms), "%u", c->record.stop_ms);
	snprintf(session, sizeof(session), "%u", c->session);
	add_options(&c->request->policy->set, &options);
	char *argv[] = { (char *)"sessbox-init", stop_ms,	  session, options.argv[0],
			 options.argv[1],	 options.argv[2], NULL };
	char *envp[] = { NULL };
	int program = arrange_fds(c, error_pipe);
	if (program < 0)
		return sb_fail(err, program, "arrange init's descriptors");
	if (prctl(PR_SET_PDEATHSIG, 0) < 0)
		return sb_fail(err, errno, "let init outlive the helper");
	/* The pipe ends with the exec, as it would with a builder that is killed. */
	int r = sb_write_all(*error_pipe, "", 1);
	if (r < 0)
		return sb_fail(err, r, "tell of the exec");
	sys_execveat(program, "", argv, envp, AT_EMPTY_PATH);
	return sb_fail(err, errno, "execute '%s'", SB_INIT);
}

/* The helper makes the namespace while the tree is built here. */
static int enter_cgroup_namespace(void *ctx, struct sb_err *err)
{
	const struct sb_creation *c = ctx;
	char byte;
	int fd = -1;
	size_t n = 1;
	/* Now, while there may be time: mounts need nothing of what is dropped, which counts from
	 * the next exec on. */
	int r = drop_privileges();
	if (r < 0)
		return sb_fail(err, r, "drop init's privileges");
	r = sb_msg_recv(c->from_helper, &byte, sizeof(byte), &fd, &n);
	if (r == 0 && n != 1)
		r = -EPROTO;
	if (r == 0 && setns(fd, CLONE_NEWCGROUP) < 0)
		r = -errno;
	sb_close(&fd);
	return r < 0 ? sb_fail(err, r, "enter the cgroup namespace") : 0;
}

int sb_creation_become_init(struct sb_creation *c, const struct sb_cgroup_entry *entry,
			    int *error_pipe, struct sb_err *err)
{
	int r = sb_cgroup_entry_enter(entry);
	if (r < 0)
		return sb_fail(err, r, "enter the cgroup 'init'");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return sb_fail(err, errno, "end with the helper");
	umask(022);
	setsid();
	if ((c->record.ns_flags & CLONE_NEWUTS) &&
	    sethostname(c->hostname, strlen(c->hostname)) < 0)
		return sb_fail(err, errno, "set the host name '%s'", c->hostname);
	if (c->record.ns_flags & CLONE_NEWNET && (r = sb_ns_loopback_up()) < 0)
		return sb_fail(err, r, "raise the loopback interface");
	if ((r = sb_plan_build(c->plan, enter_cgroup_namespace, c, err)) < 0 ||
	    (r = sb_plan_verify(c->plan, err)) < 0)
		return r;
	return exec_init(c, error_pipe, err);
}
