/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The one table of keys. Parser, check, policy, completion and the man page's list come from it. */
#include "sessbox/config.h"

#include <string.h>
#include <strings.h>

#include "sessbox/parse.h"
#include "sessbox/path.h"
#include "sessbox/proxy.h"
#include "sessbox/service.h"

/* What other programs separate by commas; a directory's group may have one within its name. */
static bool is_comma_list(const char *text)
{
	return *text == ',' || (*text && text[strlen(text) - 1] == ',');
}

/* A name of the user database. Which ones exist is not asked here: that may be slow. */
static bool is_account(const char *text)
{
	text += *text == '!';
	/* No pattern matches here: "*" would be nobody. */
	return *text && *text != '!' && !strpbrk(text, ":/*?") && !is_comma_list(text) &&
	       !sb_parse_has_control(text);
}

static bool is_user(const char *text)
{
	return is_account(text) && !strchr(text, ',');
}

static bool is_group(const char *text)
{
	return *text != '!' && is_account(text);
}

static bool is_uid_range(const char *text)
{
	uid_t first, last;
	return sb_parse_uid_range(text + (*text == '!'), &first, &last) == 0;
}

/* A file name in /etc/pam.d. */
static bool is_service(const char *text)
{
	return *text && *text != '.' && *text != '!' && !strpbrk(text, "/, \t") &&
	       !sb_parse_has_control(text);
}

static bool is_service_match(const char *text)
{
	return is_service(text + (*text == '!'));
}

static bool is_path(const char *text)
{
	return !sb_parse_has_control(text) && strlen(text) < SB_BIND_PATH_MAX &&
	       sb_path_is_normal(text);
}

static bool is_utc(const char *text)
{
	uint64_t t;
	return sb_parse_utc(text, &t) == 0;
}

static bool is_plain(const char *text)
{
	return !sb_parse_has_control(text);
}

static bool is_bind(const char *text)
{
	struct sb_bind bind;
	return !sb_parse_has_control(text) && sb_parse_bind(text, &bind) == 0;
}

static bool is_inside(const char *text)
{
	const char *path;
	bool optional;
	return !sb_parse_has_control(text) && sb_parse_inside(text, &path, &optional) == 0;
}

static bool is_tmpfs(const char *text)
{
	struct sb_tmpfs tmpfs;
	return !sb_parse_has_control(text) && sb_parse_tmpfs(text, &tmpfs) == 0;
}

static bool is_share(const char *text)
{
	uint64_t v;
	return sb_parse_size(text, 10000, &v) == 0 && v > 0 && v != SB_INFINITY;
}

static bool is_hostname(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-.";
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text == '%') {
			text++;
			if (!*text || !strchr("uUH%", *text))
				return false;
		} else if (!strchr(plain, *text)) {
			return false;
		}
	}
	return true;
}

static const char *const scope_words[] = { "user", "session", NULL };
static const char *const on_failure_words[] = { "deny", "allow", NULL };
static const char *const overlay_words[] = { "no", "tmpfs", "persistent", NULL };
static const char *const home_words[] = { "bind", "private", "tmpfs", NULL };
static const char *const proc_words[] = { "default", "invisible", NULL };

#define YES_NO "yes or no"
#define BYTES "bytes such as 512M, a share of the machine's memory such as 25%, or infinity"
#define COUNT "a number from 1, a share of the machine's such as 10%, or infinity"
#define QUOTA "a percentage of one CPU above 0 such as 50% or 200%, or infinity"
#define RATES "pairs of a path and a number above 0 such as /dev/sda 5M, or infinity"
#define PLAIN "without . or .., or a slash at the end"
#define BINDS "SOURCE[:DEST][:rbind|norbind] with absolute paths " PLAIN
#define INSIDE "absolute paths but / " PLAIN ", each may have a leading -"
#define MINUTE UINT64_C(60000)
#define DAY (24 * 60 * MINUTE)
#define MIB (UINT64_C(1) << 20)

#define MATCH(field) .kind = SB_KEY_MATCH, .offset = offsetof(struct sb_match, field)
#define CONTAINER(field) .kind = SB_KEY_CONTAINER, .offset = offsetof(struct sb_settings, field)
#define SESSION(field) .kind = SB_KEY_SESSION, .offset = offsetof(struct sb_settings, field)
#define BUDGET(field) .kind = SB_KEY_BUDGET, .offset = offsetof(struct sb_settings, budget.field)
#define LIMIT(field) .kind = SB_KEY_LIMIT, .offset = offsetof(struct sb_settings, limits.field)

#define WORDS(is) .type = SB_TYPE_WORDS, .check = is
#define STRING(is) .type = SB_TYPE_STRING, .check = is
#define BOOL .type = SB_TYPE_BOOL, .expected = YES_NO
#define CHOICE(words) .type = SB_TYPE_CHOICE, .choices = words
#define NUMBER(what, from, to) .type = what, .min = from, .max = to

const struct sb_key sb_keys[] = {
	{ "MatchUsers", MATCH(users), WORDS(is_user), .preset = "",
	  .expected = "names of users separated by blanks, each may have a leading !",
	  .help = "users in the class; !name is never in it" },
	{ "MatchGroups", MATCH(groups), WORDS(is_account), .preset = "",
	  .expected = "names of groups separated by blanks, each may have a leading !",
	  .help = "groups whose members are in the class" },
	{ "MatchUIDs", MATCH(uids), WORDS(is_uid_range), .preset = "",
	  .expected = "uids such as 2500 or 2000-2999, each may have a leading !",
	  .help = "uids and ranges of uids in the class" },
	{ "MatchServices", MATCH(services), WORDS(is_service_match), .preset = "",
	  .expected = "names of PAM services separated by blanks, each may have a leading !",
	  .help = "PAM services the class is limited to" },
	{ "MatchUntil", MATCH(until), WORDS(is_utc), .preset = "",
	  .expected = "a time in UTC such as 2026-01-31T23:59:59Z",
	  .help = "when the class matches nobody any more" },

	{ "Contain", SESSION(contain), BOOL, .preset = "no",
	  .help = "put the logins into a container" },
	{ "Scope", CONTAINER(scope), CHOICE(scope_words), .preset = "user",
	  .expected = "user or session",
	  .help = "one container for all logins of a user, or one for each" },
	{ "OnFailure", SESSION(on_failure), CHOICE(on_failure_words), .preset = "deny",
	  .expected = "deny or allow", .help = "what happens to a login that cannot be contained" },
	{ "AllowServices", SESSION(allow_services), WORDS(is_service), .preset = SB_SERVICE_NAMES,
	  .expected = "names of PAM services separated by blanks",
	  .help = "PAM services a contained user may log in through" },
	{ "TimeoutSec", SESSION(timeout_ms), NUMBER(SB_TYPE_SPAN, 1000, 10 * MINUTE),
	  .preset = "10", .expected = "a time from 1s to 10min",
	  .help = "deadline of a login's preparation" },
	{ "SessionsMax", SESSION(sessions_max), NUMBER(SB_TYPE_NUMBER, 1, SB_INFINITY),
	  .preset = "infinity", .expected = "a number from 1, or infinity",
	  .help = "sessions a user may have open at the same time" },
	{ "Reason", SESSION(reason), WORDS(is_plain), .preset = "", .expected = "words",
	  .help = "why somebody has what he has, for those who ask" },
	{ "TimeoutStopSec", CONTAINER(timeout_stop_ms), NUMBER(SB_TYPE_SPAN, 100, 10 * MINUTE),
	  .preset = "5", .expected = "a time from 100ms to 10min",
	  .help = "time between SIGTERM and SIGKILL when a container ends" },
	{ "KillUserProcesses", CONTAINER(kill_user_processes), BOOL, .preset = "yes",
	  .help = "end all processes with the last session; no: the container stays while there "
		  "are some" },
	{ "RuntimeMaxSec", CONTAINER(runtime_max_ms), NUMBER(SB_TYPE_SPAN, 1000, SB_INFINITY),
	  .preset = "infinity", .expected = "a time from 1s, or infinity",
	  .help = "how long a container lasts at most, with all sessions in it" },
	{ "LingerSec", CONTAINER(linger_ms), NUMBER(SB_TYPE_SPAN, 0, 30 * DAY), .preset = "0",
	  .expected = "a time from 0 to 30d",
	  .help = "how long a container stays that has no session, or no process, left" },

	{ "RootDirectory", CONTAINER(root_directory), STRING(is_path), .preset = "/",
	  .expected = "an absolute path " PLAIN,
	  .help = "file tree of the container; / is a view of the host's" },
	{ "RootOverlay", CONTAINER(root_overlay), CHOICE(overlay_words), .preset = "no",
	  .expected = "no, tmpfs or persistent",
	  .help = "where changes to a RootDirectory of one's own are kept" },
	{ "RootOverlaySize", CONTAINER(root_overlay_size),
	  NUMBER(SB_TYPE_SIZE, MIB, UINT64_C(1) << 44), .preset = "1G",
	  .expected = "bytes from 1M to 16T such as 512M, or a share of the machine's memory",
	  .help = "how much a RootOverlay takes at most" },
	{ "Home", CONTAINER(home), CHOICE(home_words), .preset = "bind",
	  .expected = "bind, private or tmpfs", .help = "where the home directory comes from" },
	{ "BindPaths", CONTAINER(bind_paths), WORDS(is_bind), .preset = "", .expected = BINDS,
	  .help = "paths of the host that are shown in the container" },
	{ "BindReadOnlyPaths", CONTAINER(bind_read_only_paths), WORDS(is_bind), .preset = "",
	  .expected = BINDS, .help = "paths of the host that are shown read-only" },
	{ "TemporaryFileSystem", CONTAINER(temporary_file_system), WORDS(is_tmpfs), .preset = "",
	  .expected = "PATH[:OPTION,...] with size=, nr_inodes=, mode=, uid=, gid=, ro or noexec",
	  .help = "empty file systems in memory" },
	{ "ReadOnlyPaths", CONTAINER(read_only_paths), WORDS(is_inside), .preset = "",
	  .expected = INSIDE, .help = "paths inside that cannot be written below" },
	{ "InaccessiblePaths", CONTAINER(inaccessible_paths), WORDS(is_inside), .preset = "",
	  .expected = INSIDE, .help = "paths inside that are shown empty" },
	{ "DeviceAllow", CONTAINER(limits.devices), .type = SB_TYPE_DEVICES, .preset = "",
	  .expected = "device nodes such as /dev/fuse, each may have a leading -, and letters of "
		      "rwm behind it",
	  .help = "device nodes of the host that /dev has, too, and that can be opened" },
	{ "ProtectProc", CONTAINER(protect_proc), CHOICE(proc_words), .preset = "default",
	  .expected = "default or invisible",
	  .help = "whether /proc hides the container's processes of other users" },
	{ "PrivateTmp", CONTAINER(private_tmp), BOOL, .preset = "yes",
	  .help = "a /tmp and /var/tmp of its own" },
	{ "TmpSize", CONTAINER(tmp_size), STRING(is_share), .preset = "25%",
	  .expected = "bytes such as 512M, or a share of MemoryMax such as 25%",
	  .help = "what /tmp, /var/tmp, /dev/shm and /run may hold in all; a share is one of "
		  "MemoryMax, or of the machine's memory when that is infinity" },
	{ "Hostname", CONTAINER(hostname), STRING(is_hostname), .preset = "%H",
	  .expected = "letters, digits, - and . with %u, %U, %H or %%",
	  .help = "host name inside; %u user, %U uid, %H the host's" },

	{ "PrivateIPC", CONTAINER(private_ipc), BOOL, .preset = "yes",
	  .help = "System V IPC and POSIX message queues of its own" },
	{ "PrivateUTS", CONTAINER(private_uts), BOOL, .preset = "yes",
	  .help = "a host name of its own" },
	{ "PrivateNetwork", CONTAINER(private_network), BOOL, .preset = "no",
	  .help = "no network but a loopback device" },

	{ "NoNewPrivileges", SESSION(no_new_privileges), BOOL, .preset = "yes",
	  .help = "no program gives its user more than he has" },
	{ "RestrictAbstractSockets", SESSION(restrict_abstract_sockets), BOOL, .preset = "no",
	  .help = "no sockets without a file but those of the session, by Landlock" },
	{ "CapabilityBoundingSet", SESSION(capability_bounding_set), .type = SB_TYPE_CAPS,
	  .preset = "", .expected = "capabilities such as CAP_NET_RAW, or all but these behind a ~",
	  .help = "capabilities that programs could give their user" },
	{ "AllowGroups", CONTAINER(allow_groups), WORDS(is_group), .preset = "",
	  .expected = "names of groups separated by blanks",
	  .help = "supplementary groups that are kept though they give power on the host" },
	{ "ProxyCommands", CONTAINER(proxy_commands), WORDS(sb_proxy_is_key), .preset = "",
	  .expected = "at, crontab, passwd or quota",
	  .help = "programs that run on the host when they are called inside" },

	{ "MemoryMax", LIMIT(memory_max), NUMBER(SB_TYPE_SIZE, 1, SB_INFINITY),
	  .preset = "infinity", .expected = BYTES, .help = "memory of all of a user's processes" },
	{ "MemoryHigh", LIMIT(memory_high), NUMBER(SB_TYPE_SIZE, 1, SB_INFINITY),
	  .preset = "infinity", .expected = BYTES,
	  .help = "memory from which on a user's processes are slowed down" },
	{ "MemorySwapMax", LIMIT(memory_swap_max), NUMBER(SB_TYPE_SIZE, 0, SB_INFINITY),
	  .preset = "infinity", .expected = BYTES, .help = "swap of all of a user's processes" },
	{ "TasksMax", LIMIT(tasks_max), NUMBER(SB_TYPE_COUNT, 1, SB_INFINITY), .preset = "4096",
	  .expected = COUNT, .help = "processes and threads of a user" },
	{ "CPUQuota", LIMIT(cpu_quota), NUMBER(SB_TYPE_QUOTA, 1, SB_INFINITY), .preset = "infinity",
	  .expected = QUOTA, .help = "CPU time of a user; 100% is one CPU" },
	{ "CPUWeight", LIMIT(cpu_weight), NUMBER(SB_TYPE_WEIGHT, 1, 10000), .preset = "100",
	  .expected = "a number from 1 to 10000",
	  .help = "a user's share of a busy CPU against the others'" },
	{ "AllowedCPUs", LIMIT(allowed_cpus), .type = SB_TYPE_CPUS, .preset = "",
	  .expected = "numbers of CPUs such as 0-3 or 0,2",
	  .help = "CPUs a user's processes may run on" },
	{ "IOWeight", LIMIT(io_weight), NUMBER(SB_TYPE_WEIGHT, 1, 10000), .preset = "100",
	  .expected = "a number from 1 to 10000",
	  .help = "a user's share of a busy disk against the others'" },
	{ "IOReadBandwidthMax", LIMIT(io_read_bandwidth_max), .type = SB_TYPE_RATES, .preset = "",
	  .expected = RATES, .help = "bytes a user reads from a device per second" },
	{ "IOWriteBandwidthMax", LIMIT(io_write_bandwidth_max), .type = SB_TYPE_RATES, .preset = "",
	  .expected = RATES, .help = "bytes a user writes to a device per second" },
	{ "IOReadIOPSMax", LIMIT(io_read_iops_max), .type = SB_TYPE_RATES, .preset = "",
	  .expected = RATES, .help = "reads of a user from a device per second" },
	{ "IOWriteIOPSMax", LIMIT(io_write_iops_max), .type = SB_TYPE_RATES, .preset = "",
	  .expected = RATES, .help = "writes of a user to a device per second" },

	{ "ClassMemoryMax", BUDGET(memory_max), NUMBER(SB_TYPE_SIZE, 1, SB_INFINITY),
	  .preset = "infinity", .expected = BYTES, .help = "memory of a class as a whole" },
	{ "ClassTasksMax", BUDGET(tasks_max), NUMBER(SB_TYPE_COUNT, 1, SB_INFINITY),
	  .preset = "infinity", .expected = COUNT, .help = "processes and threads of a class" },
	{ "ClassCPUQuota", BUDGET(cpu_quota), NUMBER(SB_TYPE_QUOTA, 1, SB_INFINITY),
	  .preset = "infinity", .expected = QUOTA, .help = "CPU time of a class" },
};

const size_t sb_keys_n = SB_ARRAY_SIZE(sb_keys);

bool sb_key_is_list(const struct sb_key *key)
{
	return key->type == SB_TYPE_WORDS || key->type == SB_TYPE_CPUS ||
	       key->type == SB_TYPE_RATES || key->type == SB_TYPE_DEVICES;
}

const struct sb_key *sb_key_find(const char *name)
{
	for (size_t i = 0; i < sb_keys_n; i++)
		if (strcasecmp(sb_keys[i].name, name) == 0)
			return &sb_keys[i];
	return NULL;
}

const char *sb_key_near(const char *name, const enum sb_key_kind *kind)
{
	struct sb_near near = { .text = name };
	for (size_t i = 0; i < sb_keys_n; i++)
		if (!kind || sb_keys[i].kind == *kind)
			sb_near_try(&near, sb_keys[i].name);
	return near.best;
}
