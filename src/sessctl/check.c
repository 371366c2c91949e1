/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static bool has(const struct ctl_findings *findings, const struct ctl_finding *f)
{
	for (size_t i = 0; i < findings->n; i++) {
		const struct ctl_finding *old = &findings->v[i];
		if (old->severity == f->severity && strcmp(old->what, f->what) == 0 &&
		    strcmp(old->fix ? old->fix : "", f->fix ? f->fix : "") == 0)
			return true;
	}
	return false;
}

void ctl_find(struct ctl_findings *findings, enum ctl_severity severity, const char *fix,
	      const char *what, ...)
{
	struct ctl_finding f = { .severity = severity, .check = findings->check };
	va_list ap;
	va_start(ap, what);
	if (vasprintf(&f.what, what, ap) < 0)
		f.what = NULL;
	va_end(ap);
	f.fix = fix ? strdup(fix) : NULL;
	/* A file that two services include is looked at for both. */
	if (f.what && has(findings, &f)) {
		free(f.what);
		free(f.fix);
		return;
	}
	struct ctl_finding *v = reallocarray(findings->v, findings->n + 1, sizeof(*v));
	if (!v || !f.what) {
		ctl_warn("%s: out of memory", findings->check);
		abort(); /* a check that forgets what it found is worse than none */
	}
	findings->v = v;
	v[findings->n++] = f;
}

void ctl_findings_clear(struct ctl_findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		free(findings->v[i].what);
		free(findings->v[i].fix);
	}
	free(findings->v);
	*findings = (struct ctl_findings){ 0 };
}

long ctl_host_read(const struct ctl_host *host, const char *path, char *buf, size_t size)
{
	cleanup_fd int fd = openat(host->root, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;
	ssize_t n = fd < 0 ? -errno : 1;
	while (n > 0 && len + 1 < size) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0)
			n = -errno;
		else
			len += (size_t)n;
	}
	if (n < 0)
		return n;
	buf[len] = '\0';
	return (long)len;
}

bool ctl_host_has(const struct ctl_host *host, const char *path)
{
	return faccessat(host->root, path, F_OK, 0) == 0;
}

/* ---- the verb ---- */

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
