/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sessctl.h"

static void say(const char *fmt, va_list ap)
{
	fputs("sessctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	putc('\n', stderr);
}

int ctl_fail(int status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return status;
}

void ctl_warn(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

int ctl_columns(const struct ctl_table *table, const struct ctl_args *args, struct ctl_choice *ret)
{
	char bad[64], names[512];
	size_t len = 0;
	if (ctl_choose(table, args->output, ret, bad, sizeof(bad)) == 0)
		return CTL_OK;
	for (size_t i = 0; i < table->n_columns && len < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
					table->columns[i].name);
	return ctl_fail(CTL_USAGE, "no column '%s'; there are: %s", bad, names);
}

bool ctl_is_raw(const struct ctl_args *args)
{
	return args->set & (CTL_JSON | CTL_NO_HEADINGS | CTL_OUTPUT);
}

int ctl_show_table(const struct ctl_table *table, const struct ctl_args *args)
{
	struct ctl_choice choice;
	int status = ctl_columns(table, args, &choice);
	if (status != CTL_OK)
		return status;
	if (args->set & CTL_JSON) {
		struct ctl_json j;
		ctl_json_begin(&j, stdout);
		ctl_table_json(&j, table, &choice);
		ctl_json_end(&j);
		return CTL_OK;
	}
	int r = ctl_table_print(table, &choice, args->set & CTL_NO_HEADINGS ? CTL_RAW : CTL_HEADED);
	return r < 0 ? ctl_fail(CTL_FAILED, "print the table: %s", strerror(-r)) : CTL_OK;
}
