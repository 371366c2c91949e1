/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_PARSE_H
#define SESSBOX_PARSE_H

/*
 * Strict parsers of single values, in the syntax and units of systemd.exec(5) and
 * systemd.resource-control(5). Each takes the whole text: anything left over, an empty text or a
 * number out of range is -EINVAL or -ERANGE, and *ret is untouched. Blanks around are not stripped.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sessbox/limits.h"
#include "sessbox/str.h"

#define SB_INFINITY UINT64_MAX

/* yes/no, true/false, on/off, 1/0, in any case. */
int sb_parse_bool(const char *text, bool *ret);

/* Decimal digits only. */
int sb_parse_u64(const char *text, uint64_t *ret);

/*
 * Bytes: decimal number with an optional suffix K, M, G, T (base 1024), "infinity", or a
 * percentage ("25%", "12.5%", at most 100%) of `whole` bytes. whole 0: no percentages allowed.
 */
int sb_parse_size(const char *text, uint64_t whole, uint64_t *ret);

/* A count, "infinity", or a percentage of `whole` (0: none allowed). At least 1. */
int sb_parse_count(const char *text, uint64_t whole, uint64_t *ret);

/* Does the text end in "%"? Then the two above need `whole`, which may cost a look-up. */
bool sb_parse_is_percent(const char *text);

/*
 * CPU time per second of wall time: "50%", "200%" (two CPUs), or "infinity"; the result is in
 * microseconds per second, rounded up to 10 ms as systemd does. More than 0.
 */
int sb_parse_cpu_quota(const char *text, uint64_t *ret);

/*
 * Time span: "5", "5s", "500ms", "2min", "1h", "1h 30min", with systemd's names of units up to
 * days; "infinity". A number without a unit stands alone and means seconds. Result in milliseconds.
 */
int sb_parse_span(const char *text, uint64_t *ret_ms);

/* A time by ISO 8601 in UTC, "2026-01-31T23:59:59Z", in seconds since the epoch; and back. */
#define SB_UTC_MAX 32
int sb_parse_utc(const char *text, uint64_t *ret);
void sb_print_utc(char *buf, size_t size, uint64_t seconds);

/*
 * Blank-separated words. "double" or 'single' quotes keep blanks; text right after a closing quote
 * or a quote within a word is an error; \x20 style escapes (two hex digits) and \\ are decoded. NUL
 * cannot be written. The words are appended to list, all of them or none.
 */
int sb_parse_words(const char *text, struct sb_strv *list);

/* "2000-2999" or "2500"; both ends belong to the range. (uid_t)-1 is no uid. */
int sb_parse_uid_range(const char *text, uid_t *ret_first, uid_t *ret_last);

/*
 * One word of BindPaths=: [-]SOURCE[:DEST][:rbind|norbind]. Both paths are absolute and normalized
 * (no empty, "." or ".." component, no "/" at the end), DEST is not "/".
 */
#define SB_BIND_PATH_MAX 1024
struct sb_bind {
	char source[SB_BIND_PATH_MAX];
	char dest[SB_BIND_PATH_MAX]; /* SOURCE if none is given */
	bool recursive;		     /* rbind, the default */
	bool optional;		     /* leading "-": a missing source is no error */
};
int sb_parse_bind(const char *text, struct sb_bind *ret);

/*
 * One word of ReadOnlyPaths= and InaccessiblePaths=: [-]PATH, a normalized path but "/". *ret_path
 * points into text.
 */
int sb_parse_inside(const char *text, const char **ret_path, bool *ret_optional);

/* One word of TemporaryFileSystem=: PATH[:OPTION[,OPTION...]], see systemd.exec(5) and tmpfs(5). */
struct sb_tmpfs {
	char path[SB_BIND_PATH_MAX];
	uint64_t size;	 /* SB_INFINITY = not given */
	uint64_t inodes; /* SB_INFINITY = not given */
	uint64_t mode;	 /* 0755 */
	uint64_t uid, gid;
	bool ro, noexec;
	bool hardened; /* nosuid or nodev was asked for, which always holds */
};
int sb_parse_tmpfs(const char *text, struct sb_tmpfs *ret);

/* Absolute, and the only way to write this path: no empty, "." or ".." component. */
bool sb_parse_is_plain_path(const char *text);

/* A byte that a terminal would obey rather than show. */
bool sb_parse_has_control(const char *text);

/*
 * CPUs: "0-3", "0,2", "0 2-3"; "" is the empty set. What sb_print_cpus writes is the shortest such
 * list, with commas.
 */
int sb_parse_cpus(const char *text, struct sb_cpus *ret);
void sb_print_cpus(char *buf, size_t size, const struct sb_cpus *cpus);

/*
 * Pairs "DEVICE VALUE": an absolute path, and a number above 0 with an optional suffix K, M, G, T
 * to the base 1000, or "infinity". The owner clears *ret.
 */
int sb_parse_rates(const char *text, struct sb_rates *ret);
void sb_print_rate(char *buf, size_t size, uint64_t value);

/*
 * Devices, each "[-]/dev/NAME", and behind it, if it is not to be read and written, what may be
 * done with it: letters of "rwm". The result is filtered. The owner clears *ret.
 */
int sb_parse_devices(const char *text, struct sb_devices *ret);

/* The letters of "rwm" that name these kinds of access, and back; none or another is -EINVAL. */
#define SB_ACCESS_MAX 4
int sb_parse_access(const char *text, unsigned int *ret);
void sb_print_access(char buf[SB_ACCESS_MAX], unsigned int access);

/*
 * Capabilities by libcap's names, "CAP_NET_RAW CAP_CHOWN", as a mask; behind a "~" all but these.
 */
int sb_parse_capabilities(const char *text, uint64_t *ret);

/* Writes a size the way sb_parse_size reads it, shortest exact suffix ("512M", "infinity"). */
void sb_print_size(char *buf, size_t size, uint64_t bytes);

#endif
