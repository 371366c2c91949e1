/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "gc.h"
#include "monitor.h"
#include "sessbox/container.h"
#include "sessbox/io.h"
#include "sessbox/notice.h"
#include "sessbox/parse.h"
#include "sessbox/str.h"
#include "sessctl.h"

/* He is told at most once in that time. */
#define PAUSE_SEC 60
/* Where the kernel does not tell: all are looked at together. */
#define POLL_MS 3000
/* What comes at once is told at once. */
#define SETTLE_MS 300
#define MISSING_MS 1000
#define MISSING_MAX_MS 60000

/* Who closes a session, or waits for the end of a container, has the first turn. */
#define LITTER_LOOK_MS 30000
#define LITTER_AGE_MS 5000
#define COLLECT_PAUSE_MS 30000
#define COLLECT_PAUSE_MAX_MS 600000

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- who is in ---- */

static struct ctl_watched *find(const struct ctl_tenants *tenants, uid_t uid)
{
	for (size_t i = 0; i < tenants->n; i++)
		if (tenants->v[i].uid == uid)
			return &tenants->v[i];
	return NULL;
}

/* Most watches have gone with their files; the kernel says so, and means no harm. That on a class'
 * group is others', too, and goes with it. */
static void unwatch(struct ctl_tenants *tenants, struct ctl_watched *w)
{
	while (w->n_wds > 0)
		inotify_rm_watch(tenants->inotify, w->wds[--w->n_wds]);
}

/* The new list, with what is known of those who were in the old one. */
static void take_list(struct ctl_tenants *tenants, const uid_t *uids, size_t n)
{
	struct ctl_watched *v = calloc(n + 1, sizeof(*v));
	if (!v)
		return;
	for (size_t i = 0; i < n; i++) {
		struct ctl_watched *known = find(tenants, uids[i]);
		v[i] = known ? *known
			     : (struct ctl_watched){ .uid = uids[i], .collect_at = CTL_NEVER };
		if (known)
			known->n_wds = 0; /* handed on */
	}
	for (size_t i = 0; i < tenants->n; i++)
		unwatch(tenants, &tenants->v[i]);
	free(tenants->v);
	tenants->v = v;
	tenants->n = n;
}

/* Anew: the base goes and comes with a unit. */
static void open_cgroups(struct ctl_tenants *tenants)
{
	struct sb_err err = { 0 };
	bool was_blind = tenants->blind;
	sb_cgroup_close(tenants->cg);
	tenants->cg = NULL;
	tenants->blind = sb_cgroup_open(NULL, &tenants->cg, &err) < 0;
	if (!tenants->blind)
		tenants->base_wd = sb_cgroup_watch_base(tenants->cg, tenants->inotify);
	else if (!was_blind)
		ctl_warn("tenants are not told what goes wrong: %s", err.msg);
}

void ctl_tenants_survey(struct ctl_tenants *tenants)
{
	cleanup_free uid_t *uids = NULL;
	ssize_t n = sb_user_list(tenants->run, &uids);
	open_cgroups(tenants);
	if (n >= 0)
		take_list(tenants, uids, (size_t)n);
}

void ctl_tenants_clear(struct ctl_tenants *tenants)
{
	take_list(tenants, NULL, 0);
	free(tenants->v);
	sb_cgroup_close(tenants->cg);
}

/* ---- what goes wrong ---- */

static void look_soon(struct ctl_watched *w)
{
	if (w->look_at == CTL_NEVER)
		w->look_at = sb_now_ms() + SETTLE_MS;
}

/* The watch is gone with its event. */
void ctl_tenants_event(struct ctl_tenants *tenants, int wd)
{
	for (size_t i = 0; i < tenants->n; i++) {
		struct ctl_watched *w = &tenants->v[i];
		if (w->class_wd == wd) {
			w->class_wd = 0;
			look_soon(w);
		}
		for (size_t k = 0; k < w->n_wds; k++) {
			if (w->wds[k] != wd)
				continue;
			w->wds[k] = w->wds[--w->n_wds];
			look_soon(w);
			return;
		}
	}
}

void ctl_tenants_group_made(struct ctl_tenants *tenants, const char *name)
{
	uint64_t uid;
	if ((name[0] != 'r' && name[0] != 'u') || sb_parse_u64(name + 1, &uid) < 0)
		return;
	struct ctl_watched *w = find(tenants, (uid_t)uid);
	if (w)
		look_soon(w);
}

/* Has the kernel tell? Those that are watched already stay so. */
static bool watch(struct ctl_tenants *tenants, struct ctl_watched *w)
{
	char group[SB_CGROUP_NAME_MAX], class[SB_CGROUP_NAME_MAX];
	sb_cgroup_find(tenants->cg, w->uid, group);
	int of_class = sb_cgroup_above(group, class)
			       ? sb_cgroup_watch_class(tenants->cg, class, tenants->inotify)
			       : 0;
	w->class_wd = of_class > 0 ? of_class : 0;
	int own = sb_cgroup_watch(tenants->cg, group, tenants->inotify, w->wds);
	sb_cgroup_rescue(group, w->uid);
	int lane =
		own > 0 ? sb_cgroup_watch(tenants->cg, group, tenants->inotify, w->wds + own) : 0;
	w->n_wds = own > 0 ? (size_t)(own + (lane > 0 ? lane : 0)) : 0;
	return own > 0;
}

static int64_t next_poll(int64_t now)
{
	return (now / POLL_MS + 1) * POLL_MS;
}

/* Watched before it is looked at: what happens in between is told by the one or the other. */
static void look_at(struct ctl_tenants *tenants, struct ctl_watched *w, int64_t now)
{
	struct sb_notice_record notice;
	struct sb_container_record rec = { .user = "" };
	struct sb_user_dir user;
	cleanup_free uint32_t *numbers = NULL;
	char text[SB_NOTICE_MAX];
	int r = sb_user_open(tenants->run, w->uid, &user);
	if (r < 0) {
		/* He is out, and the next survey forgets him. */
		w->look_at = next_poll(now);
		return;
	}
	bool told_by_kernel = tenants->cg && watch(tenants, w);
	r = tenants->cg
		    ? sb_notice_look(tenants->run, user.fd, tenants->cg, w->uid, PAUSE_SEC, &notice)
		    : -ENOENT;
	if (r == 1) {
		if (sb_container_list(user.fd, &numbers) > 0)
			sb_container_load(user.fd, numbers[0], &rec);
		sb_notice_print(text, sizeof(text), notice.text, 0, rec.user);
		printf("uid %u: %s\n", w->uid, notice.text);
		ctl_tell(user.fd, text);
	}
	sb_user_close(&user);
	w->missing = r != -ENOENT  ? 0
		     : !w->missing ? MISSING_MS
				   : earlier(w->missing * 2, MISSING_MAX_MS);
	w->look_at = r == 1	      ? now + PAUSE_SEC * 1000
		     : r == -ENOENT   ? now + w->missing
		     : r == -EAGAIN   ? next_poll(now + PAUSE_SEC * 1000 / 4)
		     : told_by_kernel ? CTL_NEVER
				      : next_poll(now);
}

int64_t ctl_tenants_look(struct ctl_tenants *tenants)
{
	int64_t now = sb_now_ms(), next = CTL_NEVER;
	for (size_t i = 0; i < tenants->n; i++) {
		struct ctl_watched *w = &tenants->v[i];
		if (w->look_at <= now)
			look_at(tenants, w, now);
		next = earlier(next, w->look_at);
	}
	return next;
}

/* ---- what is left ---- */

static void collect(struct ctl_tenants *tenants, struct ctl_watched *w, int64_t now)
{
	if (!sb_user_is_littered(tenants->run, w->uid)) {
		w->collect_at = CTL_NEVER;
		w->collect_pause = 0;
	} else if (w->collect_at == CTL_NEVER) {
		w->collect_at = now + LITTER_AGE_MS;
	} else if (w->collect_at <= now) {
		/* What cannot be collected must not keep us busy. */
		ctl_gc_user(tenants->run, w->uid);
		w->collect_pause = w->collect_pause
					   ? earlier(w->collect_pause * 2, COLLECT_PAUSE_MAX_MS)
					   : COLLECT_PAUSE_MS;
		w->collect_at = now + w->collect_pause;
	}
}

int64_t ctl_tenants_collect(struct ctl_tenants *tenants)
{
	int64_t now = sb_now_ms(), next = tenants->n ? now + LITTER_LOOK_MS : CTL_NEVER;
	for (size_t i = 0; i < tenants->n; i++) {
		collect(tenants, &tenants->v[i], now);
		next = earlier(next, tenants->v[i].collect_at);
	}
	return next;
}
