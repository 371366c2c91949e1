/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_BENCH_H
#define SESSBOX_BENCH_H

/*
 * What the benchmark's programs share: the clock, and the timeline, a file that all processes of
 * one login map and note events in. An event is the beginning of something; it lasts until the next
 * one of its strand.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMELINE_FILE "/run/sessbox-bench/timeline"
#define TIMELINE_EVENTS 256

/* Module and helper wait for each other and are one strand; what goes on beside them are others. */
enum strand { STRAND_LOGIN = 'l', STRAND_INIT = 'i', STRAND_NSS = 'n' };

struct timeline {
	uint64_t n;
	struct {
		int64_t ns;
		char strand;
		char name[47];
	} events[TIMELINE_EVENTS];
};

static inline int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Maps the timeline if the file is there; otherwise notes go nowhere. */
void timeline_open(void);
void timeline_note(enum strand strand, const char *table, const char *name);

/* Says why and ends: a benchmark with a step that failed measures nothing. */
__attribute__((noreturn)) static inline void die(const char *what)
{
	fprintf(stderr, "%s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
	exit(1);
}

#endif
