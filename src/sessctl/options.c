/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "sessbox/str.h"
#include "sessctl.h"

/* Every option of every verb; a verb names those it takes. */
static const struct row {
	enum ctl_option bit;
	const char *name;
	char letter;	     /* 0 = none */
	const char *operand; /* NULL = none; "[X]" = --name=X, or left out */
	size_t offset;	     /* of the operand in struct ctl_args */
	const char *help;
} rows[] = {
	{ CTL_CONTAINERS, "containers", 0, NULL, 0, "a row per container, not per session" },
	{ CTL_RUNTIME, "runtime", 0, NULL, 0, "only until the next boot" },
	{ CTL_FOR, "for", 0, "DURATION", offsetof(struct ctl_args, duration),
	  "ends by itself after 30min, 2h, 3d and the like; 0 ends it now" },
	{ CTL_REASON, "reason", 0, "TEXT", offsetof(struct ctl_args, reason),
	  "why; goes with --for" },
	{ CTL_FORCE, "force", 0, NULL, 0, "even if processes may be killed" },
	{ CTL_DRY_RUN, "dry-run", 0, NULL, 0, "show what would be changed, and change nothing" },
	{ CTL_NO_PROOF, "no-proof", 0, NULL, 0, "without trying it in a copy of this host first" },
	{ CTL_SERVICE, "service", 0, "SERVICE", offsetof(struct ctl_args, service),
	  "a login through this PAM service (default: sshd)" },
	{ CTL_MOUNTS, "mounts", 0, NULL, 0, "print the mount plan instead" },
	{ CTL_SIGNAL, "signal", 's', "SIGNAL", offsetof(struct ctl_args, signal),
	  "name or number (default: TERM)" },
	{ CTL_ALL, "all", 0, NULL, 0, "all users, or all services" },
	{ CTL_WATCH, "watch", 0, "[SECONDS]", offsetof(struct ctl_args, watch),
	  "again and again, until Ctrl-C" },
	{ CTL_OUTPUT, "output", 'o', "COLUMNS", offsetof(struct ctl_args, output),
	  "columns to print, separated by commas" },
	{ CTL_NO_HEADINGS, "no-headings", 0, NULL, 0, "for scripts: bare lines" },
	{ CTL_JSON, "json", 0, NULL, 0, "for programs" },
	{ CTL_HELP, "help", 'h', NULL, 0, "this" },
};

#define FIRST_LONG 256

static int operands(const struct row *row)
{
	return !row->operand	      ? no_argument
	       : *row->operand == '[' ? optional_argument
				      : required_argument;
}

static void make_tables(struct option *options, char *letters)
{
	*letters++ = ':'; /* our own messages */
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		*options++ = (struct option){ rows[i].name, operands(&rows[i]), NULL,
					      FIRST_LONG + (int)i };
		if (!rows[i].letter)
			continue;
		*letters++ = rows[i].letter;
		if (rows[i].operand)
			*letters++ = ':';
	}
	*options = (struct option){ 0 };
	*letters = '\0';
}

static const struct row *find_row(int code)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++)
		if (code == FIRST_LONG + (int)i || (code == rows[i].letter && code))
			return &rows[i];
	return NULL;
}

static int check_count(const struct ctl_verb *verb, const struct ctl_args *args)
{
	/* --all stands for the names. */
	int min = args->set & CTL_ALL ? 0 : verb->min;
	int max = args->set & CTL_ALL ? 0 : verb->max;
	if (args->n >= min && (max < 0 || args->n <= max))
		return CTL_OK;
	return ctl_fail(CTL_USAGE, "usage: sessctl %s%s%s, see: sessctl help %s", verb->name,
			*verb->synopsis ? " " : "", verb->synopsis, verb->name);
}

static bool takes(const struct ctl_verb *verb, const struct row *row)
{
	return (verb->options | CTL_HELP) & row->bit;
}

static int fail_unknown(const struct ctl_verb *verb, const char *option)
{
	char name[32];
	struct sb_near near = { .text = name };
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(option, "="), option);
	if (strncmp(name, "--", 2) == 0)
		memmove(name, name + 2, strlen(name + 2) + 1);
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++)
		if (takes(verb, &rows[i]))
			sb_near_try(&near, rows[i].name);
	if (near.best)
		return ctl_fail(CTL_USAGE, "unknown option '%s', is --%s meant?", option,
				near.best);
	return ctl_fail(CTL_USAGE, "unknown option '%s', see: sessctl help %s", option, verb->name);
}

int ctl_args_parse(const struct ctl_verb *verb, int argc, char **argv, struct ctl_args *ret)
{
	struct option options[SB_ARRAY_SIZE(rows) + 1];
	char letters[2 * SB_ARRAY_SIZE(rows) + 2];
	struct ctl_args args = { 0 };
	int code;
	make_tables(options, letters);
	opterr = 0;
	while ((code = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		const struct row *row = find_row(code);
		if (code == ':')
			return ctl_fail(CTL_USAGE, "'%s' needs an operand", argv[optind - 1]);
		if (!row)
			return fail_unknown(verb, argv[optind - 1]);
		if (!takes(verb, row))
			return ctl_fail(CTL_USAGE, "'%s' takes no --%s, see: sessctl help %s",
					verb->name, row->name, verb->name);
		args.set |= row->bit;
		if (row->operand)
			*(const char **)(void *)((char *)&args + row->offset) = optarg;
	}
	args.v = argv + optind;
	args.n = argc - optind;
	*ret = args;
	return args.set & CTL_HELP ? CTL_OK : check_count(verb, ret);
}

void ctl_options_help(const struct ctl_verb *verb)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		char text[64];
		if (!takes(verb, &rows[i]))
			continue;
		const char *operand = rows[i].operand ? rows[i].operand : "";
		const char *gap = *operand == '[' ? "[=" : *operand ? " " : "";
		snprintf(text, sizeof(text), "%s%c%s--%s%s%s", rows[i].letter ? "-" : "",
			 rows[i].letter ? rows[i].letter : ' ', rows[i].letter ? ", " : "   ",
			 rows[i].name, gap, operand + (*operand == '['));
		printf("  %-24s %s\n", text, rows[i].help);
	}
}
