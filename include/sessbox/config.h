/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_CONFIG_H
#define SESSBOX_CONFIG_H

/*
 * The configuration as written: sections ("classes") with their keys, read through iniparser and
 * checked key by key against the one table below. What a login gets out of it is policy.h's.
 *
 * Files, later ones win: <dir>/sessbox.conf, <dir>/sessbox.d/<name>.conf in name order, then
 * <runtime>/<name>.conf, where `sessctl limit --runtime` writes; names with a leading "." are
 * ignored. Files and directories must be root's and closed to other writers, and no symbolic
 * links. The first bad byte in any of them refuses the whole.
 *
 * Stricter than INI at large: a comment has a line of its own, a value with "#" or ";" stands in
 * quotes as a whole, a line has at most 1022 bytes and is never continued, a section occurs once in
 * a file, and a key once in a section (or "Key=" followed by one "Key+=").
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sessbox/err.h"
#include "sessbox/limits.h"
#include "sessbox/str.h"

#define SB_CONFIG_DIR "/etc/security"
#define SB_CONFIG_FILE "sessbox.conf"
#define SB_CONFIG_DROPINS "sessbox.d"
#define SB_CONFIG_RUNTIME "/run/sessbox/sessbox.d"
#define SB_STATE_DIR "/var/lib/sessbox"

#define SB_CLASS_DEFAULTS "defaults"
#define SB_CLASS_FOR "limit-%u-for" /* of `sessctl limit --for`; %u is the uid */
#define SB_CLASS_FOR_MAX 32
#define SB_CONFIG_FOR "95-limit-%u-for.conf" /* the drop-in it is in */

enum sb_key_kind {
	SB_KEY_MATCH,	  /* who is in the class; MatchUsers, ... */
	SB_KEY_CONTAINER, /* fixed when the container is made */
	SB_KEY_SESSION,	  /* judged at each login */
	SB_KEY_LIMIT,	  /* of the cgroup, changed live */
	SB_KEY_BUDGET,	  /* of a class as a whole */
};

/* A parsed value. Which member is used follows from the key's type. */
enum sb_key_type {
	SB_TYPE_BOOL,
	SB_TYPE_SIZE,	 /* bytes, SB_INFINITY = none */
	SB_TYPE_COUNT,	 /* SB_INFINITY = none */
	SB_TYPE_QUOTA,	 /* microseconds per second, SB_INFINITY = none */
	SB_TYPE_NUMBER,	 /* a count that is no share of anything; SB_INFINITY = none */
	SB_TYPE_WEIGHT,	 /* 1-10000 */
	SB_TYPE_SPAN,	 /* milliseconds */
	SB_TYPE_WORDS,	 /* struct sb_strv, each word checked by the key */
	SB_TYPE_STRING,	 /* char *, one word */
	SB_TYPE_CHOICE,	 /* index into the key's choices */
	SB_TYPE_CPUS,	 /* struct sb_cpus */
	SB_TYPE_RATES,	 /* struct sb_rates */
	SB_TYPE_CAPS,	 /* mask of capabilities */
	SB_TYPE_DEVICES, /* struct sb_devices */
};

struct sb_key {
	const char *name; /* as documented: "MemoryMax" */
	enum sb_key_kind kind;
	enum sb_key_type type;
	const char *preset; /* default, in the syntax of the file */
	size_t offset;	    /* of the value in struct sb_settings; MATCH: in struct sb_match */
	uint64_t min, max;  /* bounds of a number */
	const char *const *choices; /* NULL-terminated, for SB_TYPE_CHOICE */
	/* Is this word or string, quotes and escapes decoded, one for the key? NULL = any. */
	bool (*check)(const char *text);
	const char *expected; /* completes "expected ..." in messages */
	const char *help;     /* one line for the man page, `sessctl help` and completion */
};

/* The one table of keys; sb_keys_n rows. */
extern const struct sb_key sb_keys[];
extern const size_t sb_keys_n;

/* Can "Key+=" add to a value of this type? */
bool sb_key_is_list(const struct sb_key *key);

/* Case-insensitive; NULL if there is no such key. */
const struct sb_key *sb_key_find(const char *name);

/* The key that a name which is none's may be meant for, of all or of one kind; NULL = who knows. */
const char *sb_key_near(const char *name, const enum sb_key_kind *kind);

enum sb_scope { SB_SCOPE_USER, SB_SCOPE_SESSION };

enum sb_on_failure { SB_ON_FAILURE_DENY, SB_ON_FAILURE_ALLOW };
enum sb_home { SB_HOME_BIND, SB_HOME_PRIVATE, SB_HOME_TMPFS };
enum sb_protect_proc { SB_PROTECT_PROC_DEFAULT, SB_PROTECT_PROC_INVISIBLE };
enum sb_root_overlay { SB_OVERLAY_NO, SB_OVERLAY_TMPFS, SB_OVERLAY_PERSISTENT };

/* The parsed values of all keys but the Match ones. */
struct sb_settings {
	/* containment */
	bool contain;
	unsigned int scope;	 /* enum sb_scope */
	unsigned int on_failure; /* enum sb_on_failure */
	struct sb_strv allow_services;
	uint64_t timeout_ms;
	uint64_t sessions_max;
	struct sb_strv reason;
	uint64_t timeout_stop_ms;
	bool kill_user_processes;
	uint64_t linger_ms;
	uint64_t runtime_max_ms;

	/* root */
	char *root_directory;	   /* "/" = the view of the host */
	unsigned int root_overlay; /* enum sb_root_overlay */
	uint64_t root_overlay_size;
	unsigned int home; /* enum sb_home */
	struct sb_strv bind_paths;
	struct sb_strv bind_read_only_paths;
	struct sb_strv temporary_file_system;
	struct sb_strv read_only_paths;
	struct sb_strv inaccessible_paths;
	unsigned int protect_proc; /* enum sb_protect_proc */
	bool private_tmp;
	char *tmp_size; /* bytes or a percentage: see sb_policy_tmp_size() */
	char *hostname; /* template with %u %U %H %% */

	/* namespaces */
	bool private_ipc;
	bool private_uts;
	bool private_network;

	/* privileges */
	bool no_new_privileges;
	bool restrict_abstract_sockets;
	uint64_t capability_bounding_set; /* mask */
	struct sb_strv allow_groups;
	struct sb_strv proxy_commands;

	struct sb_limits limits;
	struct sb_limits budget; /* of the class; what has no key limits nothing */
};

/* Who is in a class, as words; "!name" excludes. */
struct sb_match {
	struct sb_strv users;
	struct sb_strv groups;
	struct sb_strv uids;
	struct sb_strv services;
	struct sb_strv until; /* the earliest counts */
};

/* One "Key=value" as written. */
struct sb_entry {
	const struct sb_key *key;
	bool append;	   /* Key+= */
	char *text;	   /* the value, quotes and escapes as in the file */
	size_t file;	   /* index into sb_config.files */
	unsigned int line; /* of that file, from 1 */
};

struct sb_class {
	char *name; /* section name, lower case; "defaults" is the base of all */
	struct sb_entry *entries;
	size_t n;
	struct sb_match match; /* the Match keys' effective values, parsed */
};

struct sb_config {
	struct sb_strv files;	  /* those read, in order */
	struct sb_strv texts;	  /* what was in each */
	struct sb_class *classes; /* in order of first appearance */
	size_t n;
	bool kept; /* the last good one, not what the files say now */
};

/*
 * Loads the configuration of conf_dir (NULL = SB_CONFIG_DIR) and of runtime_dir (NULL =
 * SB_CONFIG_RUNTIME). A section that occurs in several files is one class: later keys replace
 * earlier ones, Key+= appends. A missing <dir>/sessbox.conf is an error, missing directories are
 * not. On error err says file, section, key and what was expected; *ret is untouched.
 */
int sb_config_load(const char *conf_dir, const char *runtime_dir, struct sb_config **ret,
		   struct sb_err *err);

/*
 * Keeps a configuration that has loaded as the last good one: all of its files in one of ours,
 * replaced whole, in SB_STATE_DIR. Writes only if it has changed. Root's only.
 */
int sb_config_keep(const struct sb_config *config, struct sb_err *err);

/*
 * Loads the last good one, with the names its files had. Those of SB_CONFIG_RUNTIME are left out
 * after the boot they were made in. As sb_config_load; -ENOENT: none has been kept.
 */
int sb_config_load_kept(struct sb_config **ret, struct sb_err *err);

/*
 * Checks one "Key=value" pair as the loader does (for `sessctl limit`): a text that passes can be
 * written into a file as it is.
 */
int sb_config_check_value(const struct sb_key *key, const char *text, struct sb_err *err);

/*
 * Parses a value into base + key->offset. base: a struct sb_match for MATCH keys, else a struct
 * sb_settings; a value that is there already is released (base is zeroed at first).
 */
int sb_config_parse_value(const struct sb_key *key, const char *text, void *base,
			  struct sb_err *err);

/* The longest TimeoutSec= that somebody may have, in milliseconds. */
uint64_t sb_config_timeout(const struct sb_config *config);

/* Releases what the settings hold and zeroes them. */
void sb_settings_clear(struct sb_settings *settings);

void sb_config_free(struct sb_config *config);

static inline void sb_cleanup_configp(struct sb_config **config)
{
	sb_config_free(*config);
}
#define cleanup_config __attribute__((cleanup(sb_cleanup_configp)))

#endif
