/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sessbox/config.h"
#include "sessbox/ns.h"
#include "sessctl.h"

static int help(const struct ctl_args *args);

static const struct ctl_verb verbs[] = {
	{ "list", "[--containers]", "sessions, or containers",
	  CTL_CONTAINERS | CTL_WATCH | CTL_OUTPUT | CTL_NO_HEADINGS | CTL_JSON, 0, 0, true,
	  ctl_list },
	{ "show", "USER|ID", "everything about a user or a session",
	  CTL_OUTPUT | CTL_NO_HEADINGS | CTL_JSON, 1, 1, true, ctl_show },
	{ "limit", "USER [KEY=VALUE...]", "show a user's limits, or change them",
	  CTL_RUNTIME | CTL_FOR | CTL_REASON | CTL_FORCE | CTL_OUTPUT | CTL_NO_HEADINGS | CTL_JSON,
	  1, -1, true, ctl_limit },
	{ "policy", "USER", "what the configuration says for a user, and where",
	  CTL_SERVICE | CTL_MOUNTS | CTL_OUTPUT | CTL_NO_HEADINGS | CTL_JSON, 1, 1, false,
	  ctl_policy },
	{ "check", "", "look for mistakes in the set-up of this host",
	  CTL_OUTPUT | CTL_NO_HEADINGS | CTL_JSON, 0, 0, false, ctl_check },
	{ "enable", "SERVICE...", "contain logins through PAM services", CTL_DRY_RUN | CTL_NO_PROOF,
	  1, -1, false, ctl_enable },
	{ "disable", "SERVICE...|--all", "take the lines out of PAM services again",
	  CTL_DRY_RUN | CTL_ALL, 1, -1, false, ctl_disable },
	{ "kill", "USER|ID", "send a signal to what runs inside", CTL_SIGNAL, 1, 1, false,
	  ctl_kill },
	{ "freeze", "USER", "stop all of a user's processes, and refuse him logins", 0, 1, 1, false,
	  ctl_freeze },
	{ "thaw", "USER", "let them go on", 0, 1, 1, false, ctl_thaw },
	{ "terminate", "USER|ID|--all", "end a user's containers, or one session", CTL_ALL, 1, 1,
	  false, ctl_terminate },
	{ "gc", "", "remove what dead sessions have left", 0, 0, 0, false, ctl_gc },
	{ "monitor", "", "tell tenants which limit they hit, end limits, collect; runs on", 0, 0, 0,
	  false, ctl_monitor },
	{ "help", "[VERB]", "this, or more about a verb", 0, 0, 1, true, help },
};

static const struct ctl_verb *find_verb(const char *name)
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int fail_unknown(const char *name)
{
	struct sb_near near = { .text = name };
	for (size_t i = 0; i < SB_ARRAY_SIZE(verbs); i++)
		sb_near_try(&near, verbs[i].name);
	return near.best ? ctl_fail(CTL_USAGE, "no verb '%s', is '%s' meant? See: sessctl help",
				    name, near.best)
			 : ctl_fail(CTL_USAGE, "no verb '%s', see: sessctl help", name);
}

static void list_verbs(FILE *out)
{
	fputs("usage: sessctl VERB [ARGUMENT...] [OPTION...]\n\n", out);
	for (size_t i = 0; i < SB_ARRAY_SIZE(verbs); i++)
		fprintf(out, "  %-9s %-21s %s\n", verbs[i].name, verbs[i].synopsis, verbs[i].help);
	fputs("\nMore in sessctl(8), or: sessctl help VERB\n", out);
}

static void list_limits(void)
{
	puts("\nKEY=VALUE, an empty VALUE takes an earlier change back:");
	for (size_t i = 0; i < sb_keys_n; i++)
		if (sb_keys[i].kind == SB_KEY_LIMIT)
			printf("  %-14s %s\n  %-14s (%s)\n", sb_keys[i].name, sb_keys[i].help, "",
			       sb_keys[i].expected);
}

static int describe(const struct ctl_verb *verb)
{
	printf("usage: sessctl %s%s%s\n\n%s\n\n", verb->name, *verb->synopsis ? " " : "",
	       verb->synopsis, verb->help);
	ctl_options_help(verb);
	if (verb->run == ctl_limit)
		list_limits();
	return CTL_OK;
}

static int help(const struct ctl_args *args)
{
	if (args->n == 0) {
		list_verbs(stdout);
		return CTL_OK;
	}
	const struct ctl_verb *verb = find_verb(args->v[0]);
	return verb ? describe(verb) : fail_unknown(args->v[0]);
}

/* Also what root does by hand in a shell of another mount namespace is about the host. */
static int enter_host(void)
{
	struct sb_err err = { 0 };
	umask(022);
	return sb_ns_enter_host(&err) < 0 ? ctl_fail(CTL_FAILED, "%s", err.msg) : CTL_OK;
}

static int run(const struct ctl_verb *verb, int argc, char **argv)
{
	struct ctl_args args;
	int status = ctl_args_parse(verb, argc, argv, &args);
	if (status == CTL_OK && args.set & CTL_HELP)
		return describe(verb);
	if (status != CTL_OK || verb->run == help)
		return status != CTL_OK ? status : help(&args);
	if (geteuid() != 0 && !verb->anyone)
		return ctl_fail(CTL_NOT_PERMITTED, "only root may use '%s'", verb->name);
	/* Its unit gives the monitor a view of the host that is all it needs. */
	if (geteuid() == 0 && verb->run != ctl_monitor)
		status = enter_host();
	return status != CTL_OK ? status : verb->run(&args);
}

int main(int argc, char **argv)
{
	static const char *const help_words[] = { "--help", "-h" };
	setlocale(LC_CTYPE, "");
	if (argc < 2) {
		list_verbs(stderr);
		return CTL_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("sessctl " SB_VERSION);
		return CTL_OK;
	}
	for (size_t i = 0; i < SB_ARRAY_SIZE(help_words); i++)
		if (strcmp(argv[1], help_words[i]) == 0)
			argv[1] = (char *)"help";
	const struct ctl_verb *verb = find_verb(argv[1]);
	if (!verb)
		return fail_unknown(argv[1]);
	int status = run(verb, argc - 1, argv + 1);
	if (fflush(stdout) != 0 || ferror(stdout))
		return ctl_fail(CTL_FAILED, "cannot write to the standard output");
	return status;
}
