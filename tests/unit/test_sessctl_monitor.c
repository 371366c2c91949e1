/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor: whose terminals it writes to, and when it looks next. */
#include "scratch.h"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "monitor.h"
#include "sessbox/proc.h"
#include "sessbox/record.h"

/* A devpts of this process' own, as every host has one and every container. */
static bool make_devpts(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666") == 0;
}

static int make_terminal(int *ret_slave)
{
	int unlock = 0;
	int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_true(master >= 0 && ioctl(master, TIOCSPTLCK, &unlock) == 0);
	*ret_slave = open("/dev/pts/0", O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*ret_slave >= 0);
	return master;
}

static bool was_written_to(int master, int wait_ms)
{
	struct pollfd p = { .fd = master, .events = POLLIN };
	return poll(&p, 1, wait_ms) == 1;
}

static void record_session(int user_fd, pid_t caller)
{
	struct sb_proc proc;
	assert_int_equal(sb_proc_read(caller, &proc), 0);
	struct sb_session_record rec = {
		.id = 7, .caller = (uint32_t)caller, .caller_start = proc.start, .service = "sshd"
	};
	assert_int_equal(sb_session_save(user_fd, &rec, getgid()), 0);
}

/* A caller that has the container's devpts already. Exits with 0 if something is written there. */
static pid_t start_caller(void)
{
	int ready[2], slave;
	char c;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!make_devpts())
			_exit(2);
		int master = make_terminal(&slave);
		if (write(ready[1], "", 1) != 1)
			_exit(3);
		_exit(!was_written_to(master, 5000));
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

/* On a host without login records all the terminals of a session's devpts are the tenant's; one
 * whose caller has the host's own still is told nothing. */
static void hosts_terminals(void **state)
{
	struct scratch s = make_scratch();
	int status, slave;
	(void)state;
	if (!make_devpts()) {
		drop_scratch(&s);
		skip();
	}
	int master = make_terminal(&slave);
	record_session(s.fd, getpid());
	ctl_tell(s.fd, "of a tenant's");
	assert_false(was_written_to(master, 0));
	pid_t caller = start_caller();
	record_session(s.fd, caller);
	ctl_tell(s.fd, "of a tenant's");
	assert_int_equal(waitpid(caller, &status, 0), caller);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_false(was_written_to(master, 0));
	close(master);
	close(slave);
	drop_scratch(&s);
}

/* Whoever has gone since the last survey must not keep us busy until the next. */
static void gone(void **state)
{
	struct scratch s = make_scratch();
	struct ctl_watched w = { .uid = 5, .collect_at = CTL_NEVER };
	struct ctl_tenants tenants = { .run = s.fd, .inotify = -1, .v = &w, .n = 1 };
	(void)state;
	assert_true(ctl_tenants_look(&tenants) > sb_now_ms());
	assert_int_equal(mkdirat(s.fd, "u5", 0700), 0);
	w.look_at = 0;
	assert_true(ctl_tenants_look(&tenants) > sb_now_ms());
	drop_scratch(&s);
}

/* One watch for all of a class. */
static void a_class_is_looked_at_as_a_whole(void **state)
{
	struct ctl_watched v[] = { { .uid = 5, .look_at = CTL_NEVER, .class_wd = 3 },
				   { .uid = 6, .look_at = CTL_NEVER, .wds = { 4 }, .n_wds = 1 },
				   { .uid = 7, .look_at = CTL_NEVER, .class_wd = 3 } };
	struct ctl_tenants tenants = { .run = -1, .inotify = -1, .v = v, .n = 3 };
	(void)state;
	ctl_tenants_event(&tenants, 3);
	assert_true(v[0].look_at != CTL_NEVER && v[2].look_at != CTL_NEVER);
	assert_true(v[1].look_at == CTL_NEVER && v[0].class_wd == 0 && v[2].class_wd == 0);
	ctl_tenants_event(&tenants, 4);
	assert_true(v[1].look_at != CTL_NEVER && v[1].n_wds == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_terminals),
		cmocka_unit_test(gone),
		cmocka_unit_test(a_class_is_looked_at_as_a_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
