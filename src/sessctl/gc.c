/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gc.h"
#include "sessbox/container.h"
#include "sessbox/io.h"
#include "sessctl.h"

#define COLLECT_MS 5000

/* What there is of a user, to tell afterwards what is gone. */
struct stock {
	uint32_t *sessions, *containers;
	ssize_t n_sessions, n_containers;
};

static void clear_stock(struct stock *stock)
{
	free(stock->sessions);
	free(stock->containers);
}
#define cleanup_stock __attribute__((cleanup(clear_stock)))

static void take_stock(int run, uid_t uid, struct stock *stock)
{
	struct sb_user_dir dir;
	if (sb_user_open(run, uid, &dir) < 0)
		return;
	stock->n_sessions = sb_session_list(dir.fd, &stock->sessions);
	stock->n_containers = sb_container_list(dir.fd, &stock->containers);
	sb_user_close(&dir);
}

static bool has(const uint32_t *list, ssize_t n, uint32_t number)
{
	for (ssize_t i = 0; i < n; i++)
		if (list[i] == number)
			return true;
	return false;
}

static void tell(uid_t uid, const struct stock *before, const struct stock *after)
{
	for (ssize_t i = 0; i < before->n_sessions; i++)
		if (!has(after->sessions, after->n_sessions, before->sessions[i]))
			printf("removed session %u of uid %u\n", before->sessions[i], uid);
	for (ssize_t i = 0; i < before->n_containers; i++)
		if (!has(after->containers, after->n_containers, before->containers[i]))
			printf("removed container %u of uid %u\n", before->containers[i], uid);
}

int ctl_gc_user(int run_fd, uid_t uid)
{
	cleanup_stock struct stock before = { 0 }, after = { 0 };
	struct sb_err err = { 0 };
	take_stock(run_fd, uid, &before);
	int r = sb_user_collect(uid, sb_now_ms() + COLLECT_MS, &err);
	take_stock(run_fd, uid, &after);
	tell(uid, &before, &after);
	if (r > 0)
		printf("removed cgroup and records of uid %u\n", uid);
	return r < 0 ? ctl_fail(CTL_FAILED, "uid %u: %s", uid, err.msg) : CTL_OK;
}

static bool has_uid(const uid_t *uids, ssize_t n, uid_t uid)
{
	for (ssize_t i = 0; i < n; i++)
		if (uids[i] == uid)
			return true;
	return false;
}

int ctl_gc_orphans(int run_fd)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	cleanup_free uid_t *uids = NULL, *known = NULL;
	int status = CTL_OK;
	ssize_t n = sb_cgroup_open(NULL, &cg, NULL) < 0 ? 0 : sb_cgroup_tenants(cg, &uids);
	ssize_t n_known = sb_user_list(run_fd, &known);
	for (ssize_t i = 0; i < n; i++)
		if (!has_uid(known, n_known, uids[i]) && ctl_gc_user(run_fd, uids[i]) != CTL_OK)
			status = CTL_FAILED;
	return status;
}

static void tell_end(const char *sentence)
{
	puts(sentence);
}

/* What a killed `sessctl enable` has left. One that runs is in it, and keeps it. */
static void collect_replica(void)
{
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	if (sb_cgroup_open(NULL, &cg, NULL) == 0 &&
	    sb_cgroup_replica_remove(cg, sb_now_ms(), NULL) > 0)
		puts("removed the cgroup of a proof that was killed");
}

int ctl_gc(const struct ctl_args *args)
{
	cleanup_free uid_t *uids = NULL;
	struct sb_err err = { 0 };
	cleanup_fd int run = sb_run_open(&err);
	(void)args;
	if (run < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	ssize_t n = sb_user_list(run, &uids);
	if (n < 0)
		return ctl_fail(CTL_FAILED, "list the users: %s", strerror((int)-n));
	sb_run_sweep(run);
	int status = sb_limits_expire(true, tell_end, &err) < 0
			     ? ctl_fail(CTL_FAILED, "limits: %s", err.msg)
			     : CTL_OK;
	for (ssize_t i = 0; i < n; i++)
		if (ctl_gc_user(run, uids[i]) != CTL_OK)
			status = CTL_FAILED;
	int orphans = ctl_gc_orphans(run);
	collect_replica();
	return status != CTL_OK ? status : orphans;
}
