/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"
#include "sessbox/parse.h"

#define WATCH_PRESET "2"
#define WATCH_MIN_MS 100
#define CLEAR "\033[H\033[2J"

static int list(const struct ctl_args *args)
{
	cleanup_users struct ctl_users users = { 0 };
	struct ctl_table table = { 0 };
	struct sb_err err = { 0 };
	if (ctl_users_load(&users, &err) < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	if (users.self && users.n == 0)
		ctl_warn("you are not contained");
	int r = args->set & CTL_CONTAINERS ? ctl_container_table(&users, NULL, &table)
					   : ctl_session_table(&users, NULL, NULL, &table);
	if (r < 0)
		return ctl_fail(CTL_FAILED, "%s", strerror(-r));
	int status = ctl_show_table(&table, args);
	free((void *)table.rows);
	return status;
}

/* What stands between one look and the next: a terminal starts anew, a file gets a blank line. */
static void begin_look(const struct ctl_args *args, bool first)
{
	char now[32] = "";
	time_t t = time(NULL);
	struct tm tm;
	if (isatty(STDOUT_FILENO)) {
		if (localtime_r(&t, &tm))
			strftime(now, sizeof(now), "%H:%M:%S", &tm);
		printf(CLEAR "sessctl list, %s; every %s, Ctrl-C ends it\n\n", now, args->watch);
	} else if (!first && !(args->set & CTL_JSON)) {
		putchar('\n');
	}
}

static int watch(const struct ctl_args *args, uint64_t ms)
{
	const struct timespec pause = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
	int status = CTL_OK;
	for (bool first = true; status == CTL_OK; first = false) {
		begin_look(args, first);
		status = list(args);
		if (fflush(stdout) != 0)
			return ctl_fail(CTL_FAILED, "cannot write to the standard output");
		if (status == CTL_OK)
			nanosleep(&pause, NULL);
	}
	return status;
}

int ctl_list(const struct ctl_args *args)
{
	struct ctl_args with_preset = *args;
	uint64_t ms;
	if (!(args->set & CTL_WATCH))
		return list(args);
	if (!with_preset.watch)
		with_preset.watch = WATCH_PRESET "s";
	if (sb_parse_span(with_preset.watch, &ms) < 0 || ms < WATCH_MIN_MS || ms > INT32_MAX)
		return ctl_fail(CTL_USAGE, "--watch=%s: expected seconds, or a time like 500ms",
				with_preset.watch);
	return watch(&with_preset, ms);
}
