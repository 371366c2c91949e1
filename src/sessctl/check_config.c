/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account.h"
#include "check.h"
#include "pam_lines.h"
#include "rows.h"
#include "sessbox/proto.h"
#include "sessbox/service.h"

const struct sb_entry *ctl_class_entry(const struct sb_class *class, const char *key)
{
	const struct sb_entry *found = NULL;
	for (size_t i = 0; i < class->n; i++)
		if (strcmp(class->entries[i].key->name, key) == 0)
			found = &class->entries[i];
	return found;
}

static bool can_be_contained(const char *name)
{
	const struct sb_service *service = sb_service_find(name);
	return service && service->join != SB_JOIN_NONE;
}

/* Keys that give tenants back what containment takes, by the class. */
static void check_privileges(const struct ctl_host *host, const struct sb_class *class,
			     struct ctl_findings *findings)
{
	static const struct {
		const char *key, *preset, *what;
	} rows[] = {
		{ "NoNewPrivileges", "NoNewPrivileges=yes",
		  "set-user-ID programs are held back by nosuid alone" },
		{ "CapabilityBoundingSet",
		  "CapabilityBoundingSet=", "programs may give tenants capabilities" },
		{ "AllowGroups", "AllowGroups=", "tenants keep groups with power on the host" },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++) {
		const struct sb_entry *e = ctl_class_entry(class, rows[i].key);
		struct sb_settings set = { .no_new_privileges = true };
		if (e)
			sb_config_parse_value(e->key, e->text, &set, NULL);
		if (!set.no_new_privileges || set.capability_bounding_set || set.allow_groups.n)
			ctl_find(findings, CTL_WARNING, rows[i].preset, "%s:%u: [%s] %s: %s",
				 host->config->files.v[e->file], e->line, class->name, rows[i].key,
				 rows[i].what);
		sb_settings_clear(&set);
	}
}

static void check_class(const struct ctl_host *host, const struct sb_class *class,
			struct ctl_findings *findings)
{
	char fix[160];
	struct sb_settings set = { 0 };
	snprintf(fix, sizeof(fix), "leave it out; those that can be are %s", SB_SERVICE_NAMES);
	const struct sb_entry *e = ctl_class_entry(class, "OnFailure");
	if (e && sb_config_parse_value(e->key, e->text, &set, NULL) == 0 &&
	    set.on_failure == SB_ON_FAILURE_ALLOW)
		ctl_find(findings, CTL_WARNING, "OnFailure=deny",
			 "%s:%u: [%s] lets tenants onto the host when containment fails",
			 host->config->files.v[e->file], e->line, class->name);
	e = ctl_class_entry(class, "AllowServices");
	if (e && sb_config_parse_value(e->key, e->text, &set, NULL) == 0)
		for (size_t i = 0; i < set.allow_services.n; i++)
			if (!can_be_contained(set.allow_services.v[i]))
				ctl_find(findings, CTL_WARNING, fix,
					 "%s:%u: [%s] allows '%s', whose sessions cannot be "
					 "contained",
					 host->config->files.v[e->file], e->line, class->name,
					 set.allow_services.v[i]);
	sb_settings_clear(&set);
}

/* A class's entries over what it would have without them. */
static bool class_allows(const struct sb_class *class, const char *service, bool allowed)
{
	for (size_t i = 0; i < class->n; i++) {
		const struct sb_entry *e = &class->entries[i];
		struct sb_settings set = { 0 };
		if (strcmp(e->key->name, "AllowServices") != 0 ||
		    sb_config_parse_value(e->key, e->text, &set, NULL) < 0)
			continue;
		allowed = sb_strv_has(&set.allow_services, service) || (e->append && allowed);
		sb_settings_clear(&set);
	}
	return allowed;
}

bool ctl_class_contains(const struct sb_class *class)
{
	struct sb_settings set = { 0 };
	const struct sb_entry *e = ctl_class_entry(class, "Contain");
	return e && sb_config_parse_value(e->key, e->text, &set, NULL) == 0 && set.contain;
}

bool ctl_config_contains(const struct sb_config *config)
{
	for (size_t i = 0; config && i < config->n; i++)
		if (ctl_class_contains(&config->classes[i]))
			return true;
	return false;
}

bool ctl_config_allows(const struct sb_config *config, const char *service)
{
	bool base = can_be_contained(service), any = false, some = false;
	for (size_t i = 0; config && i < config->n; i++)
		if (strcmp(config->classes[i].name, "defaults") == 0)
			base = class_allows(&config->classes[i], service, base);
	/* One that does not contain may add to what a tenant has from one that does. */
	for (size_t i = 0; config && i < config->n; i++) {
		bool contains = ctl_class_contains(&config->classes[i]);
		any = any || contains;
		some = some || class_allows(&config->classes[i], service, contains && base);
	}
	return any ? some : base;
}

/* What is wrong, and what logins go by until it is corrected. */
static void check_broken(struct ctl_findings *findings)
{
	cleanup_config struct sb_config *config = NULL, *kept = NULL;
	struct sb_err err = { 0 }, why = { 0 };
	sb_config_load(NULL, NULL, &config, &err);
	bool has_copy = sb_config_load_kept(&kept, &why) == 0;
	ctl_find(findings, CTL_ERROR,
		 has_copy ? "correct it: until then tenants cannot log in"
			  : "correct it: until then uids from 1000 on cannot log in",
		 "%s", *err.msg ? err.msg : "it was changed a moment ago, look again");
	if (has_copy)
		ctl_find(findings, CTL_WARNING, NULL,
			 "the last good configuration, kept in " SB_STATE_DIR
			 ", decides who is a tenant and what OnFailure says");
	else
		ctl_find(findings, CTL_WARNING, NULL,
			 "there is no last good configuration to decide who is a tenant: %s",
			 why.msg);
}

/* A check is a load by root as a login is. */
static void check_kept(const struct ctl_host *host, struct ctl_findings *findings)
{
	struct sb_err err = { 0 };
	if (geteuid() == 0 && sb_config_keep(host->config, &err) < 0)
		ctl_find(findings, CTL_WARNING, "let root write to " SB_STATE_DIR,
			 "the last good configuration cannot be kept: %s", err.msg);
}

void ctl_check_configuration(const struct ctl_host *host, struct ctl_findings *findings)
{
	if (!host->config) {
		check_broken(findings);
		return;
	}
	check_kept(host, findings);
	if (!ctl_config_contains(host->config))
		ctl_find(findings, CTL_NOTE, "Contain=yes in a class",
			 "the configuration contains nobody");
	for (size_t i = 0; i < host->config->n; i++)
		check_class(host, &host->config->classes[i], findings);
	for (size_t i = 0; i < host->config->n; i++)
		check_privileges(host, &host->config->classes[i], findings);
}

static void check_file(const struct ctl_host *host, const char *path, const char *missing,
		       bool is_program, struct ctl_findings *findings)
{
	struct stat st;
	const char *fix = "install sessbox again";
	if (fstatat(host->root, path + 1, &st, 0) < 0)
		ctl_find(findings, CTL_ERROR, fix, "'%s' is missing: %s", path, missing);
	else if (!S_ISREG(st.st_mode) || (is_program && !(st.st_mode & S_IXUSR)))
		ctl_find(findings, CTL_ERROR, fix, "'%s' cannot be executed", path);
	else if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
		ctl_find(findings, CTL_ERROR, "chown root and chmod 0755",
			 "'%s' can be written by others than root", path);
}

void ctl_check_programs(const struct ctl_host *host, struct ctl_findings *findings)
{
	static const char *const programs[] = { SB_HELPER, SB_INIT };
	for (size_t i = 0; i < SB_ARRAY_SIZE(programs); i++)
		check_file(host, programs[i], "tenants are refused", true, findings);
	check_file(host, SB_PAMDIR "/" SB_PAM_MODULE, "a PAM line that names it refuses everybody",
		   false, findings);
}
