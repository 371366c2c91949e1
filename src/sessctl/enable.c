/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Our lines into a service's PAM file, and out of it. A service whose file others of the table
 * include (su: su-l) is one piece with them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pam_edit.h"
#include "pam_file.h"
#include "prove.h"
#include "sessbox/config.h"
#include "sessbox/io.h"
#include "sessctl.h"

#define FAMILY_MAX 4
#define KEPT SB_STATE_DIR "/pam.d"

/* A file of the family. */
struct member {
	const struct sb_service *service;
	struct ctl_pam_file file;
	char *text; /* the new one; NULL = as it is */
};

/* The service that is included, and those that do it. */
struct family {
	const char *name;
	struct member v[FAMILY_MAX];
	size_t n;
};

struct work {
	const struct ctl_args *args;
	const struct sb_config *config; /* NULL = not asked for */
	int root;
	int dir;
	bool in; /* enable */
};

static const char *head_of(const struct sb_service *service)
{
	return service->includes ? service->includes : service->name;
}

static void clear_family(struct family *f)
{
	for (size_t i = 0; i < f->n; i++) {
		ctl_pam_file_clear(&f->v[i].file);
		free(f->v[i].text);
	}
}
#define cleanup_family __attribute__((cleanup(clear_family)))

/* ---- reading ---- */

static int say_missing(const struct work *w, const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "usr/lib/pam.d/%s", name);
	bool vendors = faccessat(w->root, path, F_OK, 0) == 0;
	return ctl_fail(CTL_FAILED, "%s: there is no /etc/pam.d/%s%s", name, name,
			vendors ? ": copy that of /usr/lib/pam.d there" : "");
}

/* The head is the first of the table's rows of a family. One that includes it may be missing. */
static int open_family(const struct work *w, struct family *f)
{
	for (size_t i = 0; i < SB_SERVICES_N; i++) {
		const struct sb_service *service = &sb_services[i];
		struct sb_err err = { 0 };
		if (strcmp(head_of(service), f->name) != 0 || f->n == FAMILY_MAX)
			continue;
		struct member *m = &f->v[f->n++];
		m->service = service;
		int r = ctl_pam_file_open(w->dir, service->name, 0, &m->file, &err);
		if (r == -ENOENT && !service->includes && !(w->args->set & CTL_ALL))
			return say_missing(w, f->name);
		if (r == -ENOENT)
			ctl_pam_file_clear(&f->v[--f->n].file);
		else if (r < 0)
			return ctl_fail(CTL_FAILED, "%s: %s", f->name, err.msg);
	}
	return CTL_OK;
}

/* ---- the new texts ---- */

static void warn(const struct ctl_findings *notes)
{
	for (size_t i = 0; i < notes->n; i++)
		if (notes->v[i].severity == CTL_WARNING)
			ctl_warn("warning: %s", notes->v[i].what);
}

static int plan(const struct work *w, struct family *f)
{
	struct sb_pam_text texts[FAMILY_MAX];
	for (size_t i = 0; i < f->n; i++) {
		struct member *m = &f->v[i];
		const struct sb_pam_source from = { w->root, texts, i };
		struct ctl_findings notes = { .check = "services" };
		struct sb_err err = { 0 };
		int r = w->in ? ctl_pam_put(&from, m->service, m->file.text, &m->text, &notes, &err)
			      : ctl_pam_take(&from, m->service, m->file.text, &m->text, &err);
		if (r >= 0)
			warn(&notes);
		ctl_findings_clear(&notes);
		if (r < 0)
			return ctl_fail(CTL_FAILED, "%s: not %s: %s", f->name,
					w->in ? "enabled" : "disabled", err.msg);
		texts[i] =
			(struct sb_pam_text){ m->service->name, m->text ? m->text : m->file.text };
	}
	return CTL_OK;
}

static size_t count_changed(const struct family *f)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].text != NULL;
	return n;
}

static int show(const struct family *f)
{
	int r = 0;
	for (size_t i = 0; i < f->n && r == 0; i++) {
		char path[128];
		snprintf(path, sizeof(path), "/etc/pam.d/%s", f->v[i].service->name);
		if (f->v[i].text)
			r = ctl_pam_diff(stdout, path, f->v[i].file.text, f->v[i].text);
	}
	return r < 0 ? ctl_fail(CTL_FAILED, "out of memory") : CTL_OK;
}

/* ---- the proof ---- */

static int prove(const struct family *f)
{
	struct sb_pam_text texts[FAMILY_MAX];
	char why[1024];
	for (size_t i = 0; i < f->n; i++)
		texts[i] = (struct sb_pam_text){ f->v[i].service->name,
						 f->v[i].text ? f->v[i].text : f->v[i].file.text };
	switch (ctl_prove(texts, f->n, why, sizeof(why))) {
	case CTL_PROVED:
		return CTL_OK;
	case CTL_DISPROVED:
		return ctl_fail(CTL_FAILED, "%s: not enabled: tried in a copy of this host, %s",
				f->name, why);
	default:
		return ctl_fail(CTL_REFUSED,
				"%s: not enabled, since it cannot be tried in a copy of this host: "
				"%s. With --no-proof it is enabled all the same",
				f->name, why);
	}
}

/* ---- writing ---- */

static int open_kept(struct sb_err *err)
{
	static const char *const paths[] = { SB_STATE_DIR, KEPT };
	for (size_t i = 0; i < SB_ARRAY_SIZE(paths); i++) {
		cleanup_fd int made = sb_open_dir(AT_FDCWD, paths[i], 0700);
		if (made < 0)
			return sb_fail(err, made, "make '%s'", paths[i]);
	}
	int dir = open(KEPT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return dir < 0 ? sb_fail(err, errno, "open '" KEPT "'") : dir;
}

static int write_one(const struct work *w, const struct member *m)
{
	struct sb_err err = { 0 };
	char kept[96];
	cleanup_fd int dir = open_kept(&err);
	int r = dir < 0 ? dir : 0;
	snprintf(kept, sizeof(kept), "%s.before-%s", m->service->name,
		 w->in ? "enable" : "disable");
	if (r == 0)
		r = ctl_pam_file_copy(&m->file, dir, kept, &err);
	if (r == 0)
		r = ctl_pam_file_replace(&m->file, m->text, &err);
	if (r < 0)
		return ctl_fail(CTL_FAILED, "%s: %s", m->service->name, err.msg);
	printf("%s: %s. /etc/pam.d/%s as it was: " KEPT "/%s\n", m->service->name,
	       !w->in			     ? "disabled"
	       : w->args->set & CTL_NO_PROOF ? "enabled, not proved"
					     : "enabled; in a copy of this host a tenant was "
					       "contained and root was not",
	       m->service->name, kept);
	return CTL_OK;
}

/*
 * Those that include first where lines come in, last where they go out: su-l's close line alone
 * does no harm, su's lines without it would.
 */
static int write_all(const struct work *w, const struct family *f)
{
	int status = CTL_OK;
	for (size_t i = 0; i < f->n && status == CTL_OK; i++) {
		const struct member *m = &f->v[w->in ? f->n - 1 - i : i];
		if (m->text)
			status = write_one(w, m);
	}
	return status;
}

static void tell_denied(const struct work *w, const struct family *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (w->in && !ctl_config_allows(w->config, f->v[i].service->name))
			ctl_warn("tenants are refused: AllowServices= leaves '%s' out",
				 f->v[i].service->name);
}

static int change(const struct work *w, const char *name)
{
	cleanup_family struct family f = { .name = name };
	int status = open_family(w, &f);
	if (status == CTL_OK)
		status = plan(w, &f);
	if (status != CTL_OK)
		return status;
	bool changed = count_changed(&f) > 0;
	if (!changed && !(w->args->set & CTL_ALL))
		printf("%s: %s already\n", name, w->in ? "enabled" : "disabled");
	if (w->args->set & CTL_DRY_RUN)
		return show(&f);
	if (changed && w->in && !(w->args->set & CTL_NO_PROOF))
		status = prove(&f);
	if (status == CTL_OK)
		status = write_all(w, &f);
	if (status == CTL_OK)
		tell_denied(w, &f);
	return status;
}

/* ---- the verbs ---- */

static bool is_asked_for(const struct ctl_args *args, const char *head)
{
	for (int i = 0; i < args->n; i++)
		if (strcmp(head_of(sb_service_find(args->v[i])), head) == 0)
			return true;
	return args->set & CTL_ALL;
}

static int check_names(const struct ctl_args *args, bool in)
{
	for (int i = 0; i < args->n; i++) {
		const struct sb_service *service = sb_service_find(args->v[i]);
		if (!service)
			return ctl_fail(CTL_USAGE, "no service '%s'; there are: %s", args->v[i],
					SB_SERVICE_NAMES);
		if (in && service->join == SB_JOIN_NONE)
			return ctl_fail(CTL_FAILED, "%s: not enabled: it is never contained",
					service->name);
	}
	return CTL_OK;
}

static int change_each(const struct work *w)
{
	int status = CTL_OK;
	for (size_t i = 0; i < SB_SERVICES_N; i++) {
		if (sb_services[i].includes || !is_asked_for(w->args, sb_services[i].name))
			continue;
		int one = change(w, sb_services[i].name);
		status = status == CTL_OK ? one : status;
	}
	return status;
}

static int work_on(const struct ctl_args *args, bool in, const struct sb_config *config)
{
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sb_err err = { 0 };
	cleanup_fd int lock = ctl_pam_lock(root, &err);
	cleanup_fd int dir = lock < 0 ? -1 : ctl_pam_dir_open(root, 0, &err);
	if (dir < 0)
		return ctl_fail(CTL_FAILED, "%s", err.msg);
	const struct work w = { args, config, root, dir, in };
	return change_each(&w);
}

/* With one of these amiss, lines in a PAM file would keep people out. */
static int check_host(const struct sb_config *config, const struct ctl_args *args)
{
	static void (*const checks[])(const struct ctl_host *, struct ctl_findings *) = {
		ctl_check_configuration,
		ctl_check_programs,
		ctl_check_cgroup,
	};
	cleanup_cgroup struct sb_cgroup *cg = NULL;
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct ctl_findings findings = { .check = "enable" };
	int status = CTL_OK;
	sb_cgroup_open(NULL, &cg, NULL);
	const struct ctl_host host = { .root = root, .config = config, .cg = cg };
	for (size_t i = 0; i < SB_ARRAY_SIZE(checks) && !(args->set & CTL_DRY_RUN); i++)
		checks[i](&host, &findings);
	for (size_t i = 0; i < findings.n; i++) {
		const struct ctl_finding *f = &findings.v[i];
		if (f->severity == CTL_ERROR)
			status = ctl_fail(CTL_FAILED, "nothing is enabled: %s%s%s", f->what,
					  f->fix ? ". Fix: " : "", f->fix ? f->fix : "");
	}
	ctl_findings_clear(&findings);
	return status;
}

int ctl_enable(const struct ctl_args *args)
{
	cleanup_config struct sb_config *config = NULL;
	int status = check_names(args, true);
	if (status != CTL_OK)
		return status;
	sb_config_load(NULL, NULL, &config, NULL);
	status = check_host(config, args);
	return status != CTL_OK ? status : work_on(args, true, config);
}

int ctl_disable(const struct ctl_args *args)
{
	int status = check_names(args, false);
	return status != CTL_OK ? status : work_on(args, false, NULL);
}
