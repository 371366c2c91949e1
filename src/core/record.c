/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/record.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "sessbox/io.h"
#include "sessbox/proc.h"
#include "sessbox/str.h"

enum field_type { FIELD_U32, FIELD_U64, FIELD_TEXT };

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	size_t size;
};

#define FIELD(type_, struct_, member, name_)                                                       \
	{                                                                                          \
		name_, type_, offsetof(struct struct_, member),                                    \
			sizeof(((struct struct_ *)0)->member)                                      \
	}

static const struct field container_fields[] = {
	FIELD(FIELD_U32, sb_container_record, number, "Container"),
	FIELD(FIELD_U32, sb_container_record, init, "Init"),
	FIELD(FIELD_U64, sb_container_record, init_start, "InitStart"),
	FIELD(FIELD_U64, sb_container_record, created, "Created"),
	FIELD(FIELD_U32, sb_container_record, uid, "UID"),
	FIELD(FIELD_U32, sb_container_record, ns_flags, "Namespaces"),
	FIELD(FIELD_U32, sb_container_record, stop_ms, "StopMs"),
	FIELD(FIELD_U32, sb_container_record, scope, "Scope"),
	FIELD(FIELD_TEXT, sb_container_record, user, "User"),
	FIELD(FIELD_TEXT, sb_container_record, class_name, "Class"),
	FIELD(FIELD_TEXT, sb_container_record, hostname, "Hostname"),
	FIELD(FIELD_TEXT, sb_container_record, container_hash, "ContainerHash"),
	FIELD(FIELD_TEXT, sb_container_record, limits_hash, "LimitsHash"),
	FIELD(FIELD_TEXT, sb_container_record, groups, "Groups"),
};

static const struct field session_fields[] = {
	FIELD(FIELD_U32, sb_session_record, id, "Session"),
	FIELD(FIELD_U32, sb_session_record, container, "Container"),
	FIELD(FIELD_U32, sb_session_record, uid, "UID"),
	FIELD(FIELD_U32, sb_session_record, caller, "Caller"),
	FIELD(FIELD_U64, sb_session_record, caller_start, "CallerStart"),
	FIELD(FIELD_U64, sb_session_record, since, "Since"),
	FIELD(FIELD_U32, sb_session_record, audit_session, "AuditSession"),
	FIELD(FIELD_TEXT, sb_session_record, user, "User"),
	FIELD(FIELD_TEXT, sb_session_record, class_name, "Class"),
	FIELD(FIELD_TEXT, sb_session_record, service, "Service"),
	FIELD(FIELD_TEXT, sb_session_record, from, "From"),
	FIELD(FIELD_TEXT, sb_session_record, terminal, "Terminal"),
};

static const struct field told_fields[] = {
	FIELD(FIELD_U64, sb_told_record, at, "At"),
	FIELD(FIELD_U64, sb_told_record, kills, "Kills"),
	FIELD(FIELD_U64, sb_told_record, refusals, "Refusals"),
	FIELD(FIELD_U64, sb_told_record, hits, "Hits"),
	FIELD(FIELD_U64, sb_told_record, lane_kills, "LaneKills"),
	FIELD(FIELD_U64, sb_told_record, lane_refusals, "LaneRefusals"),
	FIELD(FIELD_U64, sb_told_record, class_hits, "ClassHits"),
	FIELD(FIELD_U64, sb_told_record, class_refusals, "ClassRefusals"),
};

static const struct field quota_fields[] = {
	FIELD(FIELD_U64, sb_quota_record, cpu_quota, "CPUQuota"),
};

static const struct field notice_fields[] = {
	FIELD(FIELD_U64, sb_notice_record, at, "At"),
	FIELD(FIELD_U32, sb_notice_record, shown, "Shown"),
	FIELD(FIELD_TEXT, sb_notice_record, text, "Text"),
};

#define RECORD_MAX 8192

struct table {
	const struct field *fields;
	size_t n;
};
static const struct table container_table = { container_fields, SB_ARRAY_SIZE(container_fields) };
static const struct table session_table = { session_fields, SB_ARRAY_SIZE(session_fields) };
static const struct table told_table = { told_fields, SB_ARRAY_SIZE(told_fields) };
static const struct table quota_table = { quota_fields, SB_ARRAY_SIZE(quota_fields) };
static const struct table notice_table = { notice_fields, SB_ARRAY_SIZE(notice_fields) };

/* A value is one line: what a remote name may bring along must not make a second one. */
static void put_text(char *buf, size_t size, const char *text)
{
	size_t i;
	for (i = 0; text[i] && i + 1 < size; i++)
		buf[i] = iscntrl((unsigned char)text[i]) ? '?' : text[i];
	buf[i] = '\0';
}

static int print_record(char *buf, size_t size, const struct table *table, const void *rec)
{
	size_t len = 0;
	for (size_t i = 0; i < table->n; i++) {
		const struct field *f = &table->fields[i];
		const char *at = (const char *)rec + f->offset;
		char value[4096];
		if (f->type == FIELD_TEXT)
			put_text(value, sizeof(value), at);
		else
			snprintf(value, sizeof(value), "%" PRIu64,
				 f->type == FIELD_U32 ? *(const uint32_t *)(const void *)at
						      : *(const uint64_t *)(const void *)at);
		int n = snprintf(buf + len, size - len, "%s=%s\n", f->name, value);
		if (n < 0 || (size_t)n >= size - len)
			return -EFBIG;
		len += (size_t)n;
	}
	return 0;
}

static int parse_number(const char *text, const struct field *f, char *at)
{
	char *end;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno || *end || !isdigit((unsigned char)*text))
		return -EBADMSG;
	if (f->type == FIELD_U32 && n > UINT32_MAX)
		return -EBADMSG;
	if (f->type == FIELD_U32)
		*(uint32_t *)(void *)at = (uint32_t)n;
	else
		*(uint64_t *)(void *)at = n;
	return 0;
}

static int parse_line(const struct table *table, char *line, void *rec)
{
	char *value = strchr(line, '=');
	if (!value)
		return -EBADMSG;
	*value++ = '\0';
	for (size_t i = 0; i < table->n; i++) {
		const struct field *f = &table->fields[i];
		char *at = (char *)rec + f->offset;
		if (strcmp(f->name, line) != 0)
			continue;
		if (f->type != FIELD_TEXT)
			return parse_number(value, f, at);
		return sb_copy(at, f->size, value) < 0 ? -EBADMSG : 0;
	}
	return 0; /* a later version's field */
}

static int load(int dfd, const char *name, const struct table *table, void *rec, size_t size)
{
	char buf[RECORD_MAX], *save = NULL;
	ssize_t n = sb_read_file(dfd, name, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	memset(rec, 0, size);
	for (char *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int r = parse_line(table, line, rec);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Closed to all but root. */
static int save(int dfd, const char *name, const struct table *table, const void *rec)
{
	char buf[RECORD_MAX];
	const struct sb_file_attr attr = { .mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	int r = print_record(buf, sizeof(buf), table, rec);
	return r < 0 ? r : sb_replace_file(dfd, name, buf, &attr);
}

int sb_container_save(int dir_fd, const struct sb_container_record *rec)
{
	return save(dir_fd, "record", &container_table, rec);
}

int sb_container_load(int user_fd, uint32_t number, struct sb_container_record *ret)
{
	char name[32];
	snprintf(name, sizeof(name), "c%u/record", number);
	return load(user_fd, name, &container_table, ret, sizeof(*ret));
}

/* One file with two names: only the second's directory is open to the user. */
static int publish(int sessions, int self, const char *name)
{
	if (unlinkat(self, name, 0) < 0 && errno != ENOENT)
		return -errno;
	return linkat(sessions, name, self, name, 0) < 0 ? -errno : 0;
}

int sb_session_save(int user_fd, const struct sb_session_record *rec, gid_t gid)
{
	char buf[RECORD_MAX], name[16];
	const struct sb_file_attr attr = { .mode = 0640, .uid = (uid_t)-1, .gid = gid };
	int r = print_record(buf, sizeof(buf), &session_table, rec);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%u", rec->id);
	cleanup_fd int sessions = sb_open_dir(user_fd, "sessions", 0700);
	cleanup_fd int self = sb_open_dir(user_fd, "self", 0750);
	if (sessions < 0 || self < 0)
		return sessions < 0 ? sessions : self;
	if (fchownat(self, "", (uid_t)-1, gid, AT_EMPTY_PATH) < 0)
		return -errno;
	r = sb_replace_file(sessions, name, buf, &attr);
	return r < 0 ? r : publish(sessions, self, name);
}

int sb_session_load(int user_fd, const char *dir, uint32_t id, struct sb_session_record *ret)
{
	char name[64];
	snprintf(name, sizeof(name), "%s/%u", dir, id);
	return load(user_fd, name, &session_table, ret, sizeof(*ret));
}

bool sb_session_lives(const struct sb_session_record *rec)
{
	struct sb_proc proc;
	return sb_proc_read((pid_t)rec->caller, &proc) == 0 && proc.start == rec->caller_start &&
	       proc.state != 'Z';
}

void sb_session_remove(int user_fd, uint32_t id)
{
	static const struct {
		const char *dir, *suffix;
	} files[] = {
		{ "sessions", "" }, { "sessions", ".new" }, { "sessions", "-utmp" },
		{ "self", "" },	    { "self", ".new" },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(files); i++) {
		char name[32];
		snprintf(name, sizeof(name), "%s/%u%s", files[i].dir, id, files[i].suffix);
		unlinkat(user_fd, name, 0);
	}
}

int sb_quota_save(int user_fd, const struct sb_quota_record *rec)
{
	return save(user_fd, "quota", &quota_table, rec);
}

int sb_quota_load(int user_fd, struct sb_quota_record *ret)
{
	return load(user_fd, "quota", &quota_table, ret, sizeof(*ret));
}

int sb_told_save(int user_fd, const struct sb_told_record *rec)
{
	return save(user_fd, "told", &told_table, rec);
}

int sb_told_load(int user_fd, struct sb_told_record *ret)
{
	return load(user_fd, "told", &told_table, ret, sizeof(*ret));
}

static int open_notices(int run_fd)
{
	int fd = openat(run_fd, "notices", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void name_notice(char *name, size_t size, uid_t uid)
{
	snprintf(name, size, "%u", (unsigned int)uid);
}

int sb_notice_save(int run_fd, uid_t uid, const struct sb_notice_record *rec)
{
	char name[16];
	cleanup_fd int dir = sb_open_dir(run_fd, "notices", 0700);
	name_notice(name, sizeof(name), uid);
	return dir < 0 ? dir : save(dir, name, &notice_table, rec);
}

int sb_notice_load(int run_fd, uid_t uid, struct sb_notice_record *ret)
{
	char name[16];
	cleanup_fd int dir = open_notices(run_fd);
	name_notice(name, sizeof(name), uid);
	return dir < 0 ? dir : load(dir, name, &notice_table, ret, sizeof(*ret));
}

void sb_notice_remove(int run_fd, uid_t uid)
{
	char name[16];
	cleanup_fd int dir = open_notices(run_fd);
	name_notice(name, sizeof(name), uid);
	if (dir >= 0)
		unlinkat(dir, name, 0);
}
