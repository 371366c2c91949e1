/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_CHECK_H
#define SESSCTL_CHECK_H

/* What `sessctl check` finds: each check looks at one thing and appends its findings. */
#include <stdbool.h>
#include <stddef.h>

#include "sessbox/cgroup.h"
#include "sessbox/config.h"
#include "sessbox/pam.h"
#include "sessbox/service.h"

enum ctl_severity {
	CTL_NOTE,    /* worth knowing */
	CTL_WARNING, /* weakens containment, or fails for some */
	CTL_ERROR,   /* tenants are not contained, or do not get in */
};

struct ctl_finding {
	enum ctl_severity severity;
	const char *check;
	char *what;
	char *fix; /* NULL = nothing to do */
};

struct ctl_findings {
	struct ctl_finding *v;
	size_t n;
	const char *check; /* the one that runs */
};

/* The host, or a test's imitation of it: every path below is looked up from `root`. */
struct ctl_host {
	int root;
	const struct sb_config *config; /* NULL = it does not load */
	struct sb_cgroup *cg;		/* NULL = no base */
};

/* fix may be NULL. What does not fit into memory is printed at once. */
void ctl_find(struct ctl_findings *findings, enum ctl_severity severity, const char *fix,
	      const char *what, ...) __attribute__((format(printf, 4, 5)));
void ctl_findings_clear(struct ctl_findings *findings);

/* A file of the host whole, NUL-ended; a longer one is cut. Its length, or a negative errno. */
long ctl_host_read(const struct ctl_host *host, const char *path, char *buf, size_t size);
bool ctl_host_has(const struct ctl_host *host, const char *path);

/* Does a drop-in of user@.service ask us before a user's manager starts? */
bool ctl_host_guards_managers(const struct ctl_host *host);

/* Does some class that contains users let them use the service? config NULL: as built in. */
bool ctl_config_allows(const struct sb_config *config, const char *service);

/* Our lines in a service's stack, each in its place; service: a row that is joined. */
void ctl_check_lines(const struct sb_service *service, const struct sb_pam_stack *stack,
		     struct ctl_findings *findings);

/* Does it say Contain=yes? */
bool ctl_class_contains(const struct sb_class *class);

/* Does one of its classes? config NULL: no. */
bool ctl_config_contains(const struct sb_config *config);

/* The entry that has the last word in a class, or NULL. */
const struct sb_entry *ctl_class_entry(const struct sb_class *class, const char *key);

void ctl_check_configuration(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_classes(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_programs(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_services(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_others(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_sshd(const struct ctl_host *host, struct ctl_findings *findings);
/* One ChrootDirectory line of a file of sshd's. */
void ctl_check_chroot(const struct ctl_host *host, const char *file, const char *text,
		      struct ctl_findings *findings);
void ctl_check_kernel(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_cgroup(const struct ctl_host *host, struct ctl_findings *findings);
/* Part of it: the mount options. */
void ctl_check_cgroup_mount(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_settings(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_roots(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_directory(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_proxies(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_mail(const struct ctl_host *host, struct ctl_findings *findings);
void ctl_check_host(const struct ctl_host *host, struct ctl_findings *findings);

#endif
