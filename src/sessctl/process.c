/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "process.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "sessbox/str.h"

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
	return x < y ? -1 : x > y;
}

uint64_t ctl_process_pidns(pid_t pid)
{
	char path[48];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

int ctl_processes_read(pid_t *pids, size_t n, struct ctl_processes *ret)
{
	struct ctl_processes list = { calloc(n + 1, sizeof(*list.v)), 0 };
	if (!list.v)
		return -ENOMEM;
	if (n > 1)
		qsort(pids, n, sizeof(*pids), compare_pids);
	for (size_t i = 0; i < n; i++) {
		struct ctl_process *p = &list.v[list.n];
		if (sb_proc_read(pids[i], &p->proc) < 0 || p->proc.state == 'Z')
			continue;
		p->audit = sb_proc_audit_session(pids[i]);
		p->pidns = ctl_process_pidns(pids[i]);
		list.n++;
	}
	*ret = list;
	return 0;
}

int ctl_processes_read_all(struct ctl_processes *ret)
{
	cleanup_dir DIR *dir = opendir("/proc");
	cleanup_free pid_t *pids = NULL;
	size_t n = 0;
	if (!dir)
		return -errno;
	for (struct dirent *e; (e = readdir(dir));) {
		long pid = isdigit((unsigned char)e->d_name[0]) ? strtol(e->d_name, NULL, 10) : 0;
		if (pid <= 1)
			continue;
		pid_t *more = reallocarray(pids, n + 1, sizeof(*pids));
		if (!more)
			return -ENOMEM;
		pids = more;
		pids[n++] = (pid_t)pid;
	}
	return ctl_processes_read(pids, n, ret);
}

void ctl_processes_clear(struct ctl_processes *list)
{
	free(list->v);
	*list = (struct ctl_processes){ 0 };
}

static int compare_pid_to_process(const void *key, const void *member)
{
	pid_t x = *(const pid_t *)key, y = ((const struct ctl_process *)member)->proc.pid;
	return x < y ? -1 : x > y;
}

const struct ctl_process *ctl_process_find(const struct ctl_processes *list, pid_t pid)
{
	return list->n ? bsearch(&pid, list->v, list->n, sizeof(*list->v), compare_pid_to_process)
		       : NULL;
}

int ctl_process_distance(const struct ctl_processes *list, const struct ctl_process *p,
			 pid_t ancestor)
{
	/* Read one after the other, the parents may form a ring. */
	for (size_t steps = 0; p && steps <= list->n; steps++) {
		if (p->proc.pid == ancestor)
			return (int)steps;
		p = ctl_process_find(list, p->proc.ppid);
	}
	return -1;
}

const struct ctl_process *ctl_process_child(const struct ctl_processes *list, pid_t parent,
					    uint32_t audit)
{
	const struct ctl_process *oldest = NULL;
	for (size_t i = 0; i < list->n; i++) {
		const struct ctl_process *p = &list->v[i];
		if (p->proc.ppid != parent || (audit != UINT32_MAX && p->audit != audit))
			continue;
		if (!oldest || p->proc.start < oldest->proc.start)
			oldest = p;
	}
	return oldest;
}

bool ctl_process_is_member(const struct ctl_processes *list, const struct ctl_process *p,
			   const struct ctl_membership *m)
{
	if (m->leader > 0 && p->proc.pid == m->leader)
		return true;
	if (m->pidns)
		return p->pidns == m->pidns;
	if (m->audit != UINT32_MAX)
		return p->audit == m->audit;
	return m->leader > 0 && ctl_process_distance(list, p, m->leader) >= 0;
}

void ctl_process_tty(const struct ctl_processes *list, pid_t leader, char *buf, size_t size)
{
	int nearest = -1, tty = 0;
	for (size_t i = 0; i < list->n; i++) {
		const struct ctl_process *p = &list->v[i];
		int distance = p->proc.tty_nr ? ctl_process_distance(list, p, leader) : -1;
		if (distance < 0 || (nearest >= 0 && distance >= nearest))
			continue;
		nearest = distance;
		tty = p->proc.tty_nr;
	}
	sb_proc_tty_name(tty, buf, size);
}
