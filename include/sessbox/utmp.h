/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_UTMP_H
#define SESSBOX_UTMP_H

/*
 * The host's login records of contained sessions. Every container's first terminal is pts/0, so
 * sshd's own records go to scratch files in the caller's private tree, and the host's are ours:
 * in utmp one a session, with the line ":sb-<id>" and an id nobody else uses; in wtmp, and in
 * wtmp.db where that is used, a login and logout pair, written at the end if a terminal was given.
 * That is what the scratch utmp shows, or, on a host without utmp, what the caller says at its
 * close.
 *
 * A login on a terminal of the host's (login) has that terminal's own line, in the record that is
 * there for it; wtmp is written by the login program and its PAM modules, on the host.
 *
 * The files are locked as glibc does, but waited for 0.2 s at most: whoever may read them can hold
 * the lock. A record that cannot be written is no reason to refuse a login.
 *
 * Where the host keeps no utmp (the file is missing) these do nothing and succeed.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SB_UTMP_FILE "/run/utmp"
#define SB_WTMP_FILE "/var/log/wtmp"
#define SB_WTMPDB_FILE "/var/log/wtmp.db"

struct sb_utmp_login {
	uint32_t session;
	pid_t caller;
	const char *user;
	const char *host; /* PAM_RHOST, may be NULL */
	const char *line; /* a terminal of the host's, or NULL = one of our own */
};

/* Writes the record of a session that begins. Takes the place of a dead record of ours. */
int sb_utmp_login(const struct sb_utmp_login *login);

/* Marks the session's record dead, unless its line is another caller's by now. Missing is fine. */
int sb_utmp_logout(const struct sb_utmp_login *login);

/* Does a scratch utmp show that the session had a terminal? */
bool sb_utmp_had_tty(int scratch_fd);

/*
 * Writes a login and logout pair to the host's wtmp, from `since` (seconds since the epoch) to now.
 * Both records stand together, so that last(1) never matches one with a stranger's.
 */
int sb_utmp_history(const struct sb_utmp_login *login, uint64_t since);

/*
 * The same in wtmp.db, by the system's libwtmpdb, if the file is there. service: NULL = none. May
 * take ten seconds when somebody holds the file's lock. 0 or a negative errno.
 */
int sb_utmp_history_db(const struct sb_utmp_login *login, const char *service, uint64_t since);

/* Calls each with every terminal that the scratch utmp shows in use, "pts/0". */
void sb_utmp_terminals(int scratch_utmp_fd, void (*each)(const char *line, void *ctx), void *ctx);

#endif
