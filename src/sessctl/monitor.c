/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "monitor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

#include "gc.h"
#include "sessbox/container.h"
#include "sessbox/io.h"
#include "sessbox/str.h"
#include "sessctl.h"

/* What changes once mostly changes several times. */
#define SETTLE_MS 500
/* After an end of limits that could not be brought about. */
#define AGAIN_SEC 60

enum job { JOB_SURVEY, JOB_LOOK, JOB_COLLECT, JOB_CONFIG, JOB_EXPIRE, JOBS_N };

struct monitor {
	struct ctl_tenants tenants;
	int lock, signals, timer;
	int run_wd;
	int64_t due[JOBS_N]; /* sb_now_ms */
	bool unreadable;     /* the configuration; said once */
};

static void bring_forward(struct monitor *m, enum job job, int64_t at)
{
	if (at < m->due[job])
		m->due[job] = at;
}

/* ---- the jobs; each returns when it is due next ---- */

static int64_t survey(struct monitor *m)
{
	ctl_tenants_survey(&m->tenants);
	bring_forward(m, JOB_LOOK, 0);
	/* It goes on as long as there is anybody. */
	if (m->due[JOB_COLLECT] == CTL_NEVER)
		m->due[JOB_COLLECT] = sb_now_ms() + SETTLE_MS;
	return CTL_NEVER;
}

static int64_t look(struct monitor *m)
{
	return ctl_tenants_look(&m->tenants);
}

static int64_t collect(struct monitor *m)
{
	return ctl_tenants_collect(&m->tenants);
}

/* Directories that come later are seen in those above. */
static void watch_configuration(const struct monitor *m)
{
	static const char *const directories[] = {
		SB_CONFIG_DIR,
		SB_CONFIG_DIR "/" SB_CONFIG_DROPINS,
		SB_CONFIG_RUNTIME,
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(directories); i++)
		inotify_add_watch(m->tenants.inotify, directories[i],
				  IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM |
					  IN_DELETE | IN_ONLYDIR);
}

/* By the clock on the wall, which may be set: that wakes us, too. 0 = never. */
static void set_timer(const struct monitor *m, uint64_t at)
{
	const struct itimerspec when = { .it_value = { .tv_sec = (time_t)at } };
	timerfd_settime(m->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

static int64_t read_configuration(struct monitor *m)
{
	struct sb_err err = { 0 };
	uint64_t next = 0;
	watch_configuration(m);
	bool unreadable = sb_limits_next(&next, &err) < 0;
	if (unreadable && !m->unreadable)
		ctl_warn("limits that end are not watched: %s", err.msg);
	m->unreadable = unreadable;
	if (!unreadable)
		set_timer(m, next);
	return CTL_NEVER;
}

static void say_end(const char *sentence)
{
	printf("%s\n", sentence);
}

/* Too early, when it was the clock that was set. */
static int64_t expire(struct monitor *m)
{
	struct sb_err err = { 0 };
	uint64_t next = 0, now = (uint64_t)time(NULL);
	if (sb_limits_next(&next, NULL) == 0 && next && next <= now &&
	    sb_limits_expire(false, say_end, &err) < 0)
		ctl_warn("limits that end: %s", err.msg);
	if (sb_limits_next(&next, NULL) == 0)
		set_timer(m, next && next <= now ? now + AGAIN_SEC : next);
	return CTL_NEVER;
}

static int64_t (*const jobs[JOBS_N])(struct monitor *m) = {
	[JOB_SURVEY] = survey,	 [JOB_LOOK] = look,
	[JOB_COLLECT] = collect, [JOB_CONFIG] = read_configuration,
	[JOB_EXPIRE] = expire,
};

/* ---- what happens ---- */

/* A directory of the configuration is what no other watch is on. */
static void take_event(struct monitor *m, const struct inotify_event *e)
{
	int64_t soon = sb_now_ms() + SETTLE_MS;
	const char *name = e->len ? e->name : "";
	if (e->mask & IN_Q_OVERFLOW)
		m->due[JOB_SURVEY] = m->due[JOB_CONFIG] = soon;
	if (e->mask & (IN_Q_OVERFLOW | IN_IGNORED))
		return;
	if (e->wd == m->tenants.base_wd)
		ctl_tenants_group_made(&m->tenants, name);
	else if (e->mask & IN_MODIFY)
		ctl_tenants_event(&m->tenants, e->wd);
	else if (e->wd == m->run_wd && *name == 'u') {
		/* Who comes back before a survey is known, and has another cgroup. */
		ctl_tenants_group_made(&m->tenants, name);
		bring_forward(m, JOB_SURVEY, soon);
	} else
		bring_forward(m, JOB_CONFIG, soon);
	bring_forward(m, JOB_LOOK, soon);
}

static void read_events(struct monitor *m)
{
	char buf[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;
	while ((n = read(m->tenants.inotify, buf, sizeof(buf))) > 0)
		for (char *at = buf; at < buf + n;) {
			const struct inotify_event *e = (const struct inotify_event *)(void *)at;
			take_event(m, e);
			at += sizeof(*e) + e->len;
		}
}

static bool is_readable(const struct pollfd *p)
{
	return p->revents != 0;
}

static void run_jobs(struct monitor *m)
{
	for (enum job job = 0; job < JOBS_N; job++) {
		if (m->due[job] > sb_now_ms())
			continue;
		/* What a job brings forward while it runs counts, too. */
		m->due[job] = CTL_NEVER;
		bring_forward(m, job, jobs[job](m));
	}
	fflush(stdout);
}

static int time_left(const struct monitor *m)
{
	int64_t next = CTL_NEVER;
	for (enum job job = 0; job < JOBS_N; job++)
		next = m->due[job] < next ? m->due[job] : next;
	return next == CTL_NEVER ? -1 : sb_left_ms(next);
}

static int serve(struct monitor *m)
{
	struct pollfd fds[] = { { .fd = m->signals, .events = POLLIN },
				{ .fd = m->tenants.inotify, .events = POLLIN },
				{ .fd = m->timer, .events = POLLIN } };
	uint64_t times;
	for (;;) {
		run_jobs(m);
		if (poll(fds, SB_ARRAY_SIZE(fds), time_left(m)) < 0 && errno != EINTR)
			return ctl_fail(CTL_FAILED, "poll: %s", strerror(errno));
		if (is_readable(&fds[0]))
			return CTL_OK;
		if (is_readable(&fds[1]))
			read_events(m);
		if (is_readable(&fds[2])) {
			(void)!read(m->timer, &times, sizeof(times));
			bring_forward(m, JOB_EXPIRE, 0);
		}
	}
}

/* ---- beginning and end ---- */

static int open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int start(struct monitor *m)
{
	struct sb_err err = { 0 };
	m->tenants.run = sb_run_open(&err);
	if (m->tenants.run < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	m->lock = sb_monitor_lock(m->tenants.run);
	if (m->lock < 0)
		return ctl_fail(CTL_FAILED, "%s",
				m->lock == -EBUSY ? "there is a monitor already"
						  : strerror(-m->lock));
	m->signals = open_signals();
	m->timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	m->tenants.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	m->run_wd = inotify_add_watch(m->tenants.inotify, SB_RUN_DIR,
				      IN_CREATE | IN_DELETE | IN_MOVE | IN_ONLYDIR);
	if (m->signals < 0 || m->timer < 0 || m->run_wd < 0)
		return ctl_fail(CTL_FAILED, "watch '%s': %s", SB_RUN_DIR, strerror(errno));
	ctl_gc_orphans(m->tenants.run);
	return CTL_OK;
}

static void clear(struct monitor *m)
{
	int *fds[] = { &m->signals, &m->timer, &m->tenants.inotify, &m->lock, &m->tenants.run };
	ctl_tenants_clear(&m->tenants);
	for (size_t i = 0; i < SB_ARRAY_SIZE(fds); i++)
		sb_close(fds[i]);
}

int ctl_monitor(const struct ctl_args *args)
{
	struct monitor m = { .tenants = { .run = -1, .inotify = -1, .base_wd = -1 },
			     .lock = -1,
			     .signals = -1,
			     .timer = -1,
			     .run_wd = -1,
			     .due = { [JOB_LOOK] = CTL_NEVER,
				      [JOB_COLLECT] = CTL_NEVER,
				      [JOB_EXPIRE] = CTL_NEVER } };
	(void)args;
	int status = start(&m);
	if (status == CTL_OK)
		status = serve(&m);
	clear(&m);
	return status;
}
