/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

static struct timeline *timeline;

void timeline_open(void)
{
	int fd = open(TIMELINE_FILE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof(*timeline), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		timeline = p;
}

void timeline_note(enum strand strand, const char *table, const char *name)
{
	if (!timeline)
		return;
	int64_t ns = now_ns();
	uint64_t i = __atomic_fetch_add(&timeline->n, 1, __ATOMIC_RELAXED);
	if (i >= TIMELINE_EVENTS)
		return;
	timeline->events[i].ns = ns;
	timeline->events[i].strand = (char)strand;
	snprintf(timeline->events[i].name, sizeof(timeline->events[i].name), "%s: %s", table, name);
}
