/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pack.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "sessbox/io.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define ROUNDS 8
#define BATCH 128 /* descriptors open at once */
#define PAUSE_US 20000

static struct ctl_pack_member *find(const struct ctl_pack *pack, const struct ctl_process *p)
{
	for (size_t i = 0; i < pack->n; i++)
		if (pack->v[i].pid == p->proc.pid && pack->v[i].start == p->proc.start)
			return &pack->v[i];
	return NULL;
}

/* Itself, or somebody above it? */
static bool is_related(const struct ctl_pack *pack, const struct ctl_processes *list,
		       const struct ctl_process *p)
{
	for (size_t steps = 0; p && steps <= list->n; steps++) {
		if (find(pack, p))
			return true;
		p = ctl_process_find(list, p->proc.ppid);
	}
	return false;
}

static int add(struct ctl_pack *pack, const struct ctl_process *p)
{
	struct ctl_pack_member *m = find(pack, p);
	if (m) {
		m->alive = true;
		return 0;
	}
	struct ctl_pack_member *v = reallocarray(pack->v, pack->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	pack->v = v;
	v[pack->n++] = (struct ctl_pack_member){ p->proc.pid, p->proc.start, 0, true };
	return 0;
}

ssize_t ctl_pack_look(struct ctl_pack *pack)
{
	cleanup_free pid_t *pids = NULL;
	struct ctl_processes list = { 0 };
	ssize_t n = sb_cgroup_tenant_pids(pack->cg, pack->uid, !pack->inside, &pids), living = 0;
	int r = n < 0 ? (int)n : ctl_processes_read(pids, (size_t)n, &list);
	for (size_t i = 0; i < pack->n; i++)
		pack->v[i].alive = false;
	for (size_t i = 0; r == 0 && i < list.n; i++) {
		const struct ctl_process *p = &list.v[i];
		if (!pack->whole && !ctl_process_is_member(&list, p, &pack->who) &&
		    !is_related(pack, &list, p))
			continue;
		r = add(pack, p);
		living++;
	}
	ctl_processes_clear(&list);
	return r < 0 ? r : living;
}

static bool is_spared(const struct ctl_pack *pack, pid_t pid)
{
	for (size_t i = 0; i < pack->n_spared; i++)
		if (pack->spared[i] == pid)
			return true;
	return false;
}

static bool has_pid(const pid_t *pids, ssize_t n, pid_t pid)
{
	for (ssize_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* Those held by fds[]: still in the cgroup? Then the signal hits the right ones. */
static ssize_t signal_held(struct ctl_pack *pack, const size_t *held, const int *fds, size_t n,
			   int sig)
{
	cleanup_free pid_t *pids = NULL;
	ssize_t there = sb_cgroup_tenant_pids(pack->cg, pack->uid, !pack->inside, &pids), done = 0;
	for (size_t i = 0; i < n; i++) {
		struct ctl_pack_member *m = &pack->v[held[i]];
		if (there > 0 && has_pid(pids, there, m->pid) &&
		    sys_pidfd_send_signal(fds[i], sig) == 0)
			done++;
		close(fds[i]);
	}
	return there < 0 ? there : done;
}

/* One round: everybody who is there and has not got it yet. */
static ssize_t send_round(struct ctl_pack *pack, int sig)
{
	int fds[BATCH];
	size_t held[BATCH], n = 0;
	ssize_t done = 0;
	for (size_t i = 0; done >= 0 && i < pack->n; i++) {
		struct ctl_pack_member *m = &pack->v[i];
		if (m->alive && m->sent != sig && !is_spared(pack, m->pid)) {
			m->sent = sig;
			fds[n] = sb_proc_open(m->pid, m->start);
			held[n] = i;
			n += fds[n] >= 0;
		}
		if (n < BATCH && i + 1 < pack->n)
			continue;
		ssize_t some = signal_held(pack, held, fds, n, sig);
		done = some < 0 ? some : done + some;
		n = 0;
	}
	return done;
}

/* What runs on the host for him holds locks of the host's: it is ended, or left alone. */
static bool ends(int sig)
{
	static const int those[] = { SIGTERM, SIGKILL, SIGHUP, SIGINT, SIGQUIT };
	for (size_t i = 0; i < SB_ARRAY_SIZE(those); i++)
		if (those[i] == sig)
			return true;
	return false;
}

ssize_t ctl_pack_send(struct ctl_pack *pack, int sig)
{
	pack->inside = !ends(sig);
	ssize_t done = 0;
	for (int round = 0; round < ROUNDS; round++) {
		ssize_t r = ctl_pack_look(pack);
		ssize_t some = r < 0 ? r : send_round(pack, sig);
		if (some < 0)
			return some;
		if (some == 0)
			break;
		done += some;
	}
	return done;
}

bool ctl_pack_wait(struct ctl_pack *pack, int64_t deadline)
{
	while (ctl_pack_look(pack) != 0) {
		if (sb_left_ms(deadline) == 0)
			return false;
		usleep(PAUSE_US);
	}
	return true;
}

void ctl_pack_clear(struct ctl_pack *pack)
{
	free(pack->v);
	pack->v = NULL;
	pack->n = 0;
}
