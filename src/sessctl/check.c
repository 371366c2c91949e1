/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "prose.h"
#include "sessctl.h"

static const struct {
	const char *name;
	void (*run)(const struct ctl_host *host, struct ctl_findings *findings);
} checks[] = {
	{ "configuration", ctl_check_configuration },
	{ "classes", ctl_check_classes },
	{ "programs", ctl_check_programs },
	{ "services", ctl_check_services },
	{ "others", ctl_check_others },
	{ "sshd", ctl_check_sshd },
	{ "kernel", ctl_check_kernel },
	{ "cgroup", ctl_check_cgroup },
	{ "settings", ctl_check_settings },
	{ "roots", ctl_check_roots },
	{ "directory", ctl_check_directory },
	{ "proxies", ctl_check_proxies },
	{ "mail", ctl_check_mail },
	{ "host", ctl_check_host },
};

static const char *const severities[] = {
	[CTL_NOTE] = "note",
	[CTL_WARNING] = "warning",
	[CTL_ERROR] = "error",
};

struct row {
	const char *severity;
	const char *check;
	const char *what;
	const char *fix;
};

static const struct ctl_column columns[] = {
	{ "severity", CTL_TEXT, offsetof(struct row, severity), 0 },
	{ "check", CTL_TEXT, offsetof(struct row, check), 0 },
	{ "what", CTL_TEXT, offsetof(struct row, what), CTL_WRAP },
	{ "fix", CTL_TEXT, offsetof(struct row, fix), CTL_WRAP },
};

static int show_table(const struct ctl_findings *findings, const struct ctl_args *args)
{
	cleanup_free struct row *rows = calloc(findings->n + 1, sizeof(*rows));
	if (!rows)
		return ctl_fail(CTL_FAILED, "out of memory");
	for (size_t i = 0; i < findings->n; i++)
		rows[i] = (struct row){ severities[findings->v[i].severity], findings->v[i].check,
					findings->v[i].what, findings->v[i].fix };
	const struct ctl_table table = { "findings", columns,	  SB_ARRAY_SIZE(columns),
					 rows,	     findings->n, sizeof(*rows) };
	return ctl_show_table(&table, args);
}

static int show_prose(const struct ctl_findings *findings)
{
	size_t width = ctl_prose_width();
	for (size_t i = 0; i < findings->n; i++) {
		const struct ctl_finding *f = &findings->v[i];
		char lead[16];
		snprintf(lead, sizeof(lead), "%-9s", severities[f->severity]);
		ctl_prose(stdout, width, lead, f->what);
		if (f->fix)
			ctl_prose(stdout, width, "         Fix: ", f->fix);
	}
	if (findings->n == 0)
		puts("Nothing found.");
	return CTL_OK;
}

/* The worst first; what is equally bad in the order of the checks. */
static int compare(const void *a, const void *b)
{
	const struct ctl_finding *x = a, *y = b;
	if (x->severity != y->severity)
		return x->severity > y->severity ? -1 : 1;
	return x < y ? -1 : x > y;
}

static bool is_bad(const struct ctl_findings *findings)
{
	for (size_t i = 0; i < findings->n; i++)
		if (findings->v[i].severity >= CTL_WARNING)
			return true;
	return false;
}

int ctl_check(const struct ctl_args *args)
{
	cleanup_config struct sb_config *config = NULL;
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct ctl_findings findings = { 0 };
	/* Both failures are findings of a check. */
	sb_config_load(NULL, NULL, &config, NULL);
	sb_cgroup_open(NULL, &cg, NULL);
	const struct ctl_host host = { .root = root, .config = config, .cg = cg };
	for (size_t i = 0; i < SB_ARRAY_SIZE(checks); i++) {
		findings.check = checks[i].name;
		checks[i].run(&host, &findings);
	}
	if (findings.n > 1)
		qsort(findings.v, findings.n, sizeof(*findings.v), compare);
	int status = ctl_is_raw(args) ? show_table(&findings, args) : show_prose(&findings);
	if (status == CTL_OK && is_bad(&findings))
		status = CTL_FAILED;
	ctl_findings_clear(&findings);
	return status;
}
