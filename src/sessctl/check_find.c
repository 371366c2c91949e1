/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What each check looks at the host with, and says what it finds. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "sessctl.h"

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
