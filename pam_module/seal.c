/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A tenant whose open failed is to read why. sshd tells him by itself: to each session that is
 * asked for it shows what modules said, and ends it. But the process that does so is the tenant's,
 * and with -N would stay and forward. So it is let go nowhere: no network, an empty root, no
 * groups, no capabilities, and a few seconds to live.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "module.h"

#define LIFE_SEC 10
/* There on every host; what it holds does not matter. */
#define PLACE "/run"

/* No handler of the application's can catch it, and no process of the tenant's is there to stop it.
 */
static int limit_life(struct box_error *error)
{
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	const struct itimerspec end = { .it_value = { .tv_sec = LIFE_SEC } };
	return timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
			       timer_settime(timer, 0, &end, NULL) < 0
		       ? box_fail(error, "limit the life of the refused process")
		       : 0;
}

static int leave_host(struct box_error *error)
{
	const unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", PLACE, "tmpfs", flags, "size=4k,nr_inodes=2,mode=555") < 0 ||
	    chdir(PLACE) < 0 || chroot(".") < 0)
		return box_fail(error, "take the refused process off the host");
	return 0;
}

int box_seal(struct box *box, struct box_error *error)
{
	if (!box->leash.on) {
		errno = EPERM;
		return box_fail(error, "no leash to take off");
	}
	if (box_leash_slip(&box->leash, error) < 0 || box_reset_inherited(error) < 0 ||
	    limit_life(error) < 0 || leave_host(error) < 0 || box_drop_privileges(box, error) < 0 ||
	    box_leash_settle(&box->leash, error) < 0)
		return -1;
	box->in = true;
	return 0;
}
