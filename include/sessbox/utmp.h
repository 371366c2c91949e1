/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_UTMP_H
#define SESSBOX_UTMP_H

/*
 * The host's login records of contained sessions. Every container's first terminal is pts/0, so
 * sshd's own records go to scratch files in the caller's private tree, and the host's are ours:
 * in utmp one a session, with the line ":sb-<id>" and an id nobody else uses; in wtmp a login and
 * logout pair, written at the end if the scratch utmp shows that a terminal was given.
 *
 * A login on a terminal of the host's (login) has that terminal's own line, in the record that is
 * there for it; wtmp is written by the login program and its PAM modules, on the host.
 *
 * The files are locked as glibc does, but waited for 0.2 s at most: whoever may read them can hold
 * the lock. A record that cannot be written is no reason to refuse a login.
 *
 * Where the host keeps no utmp (the file is missing) these do nothing and succeed.
 */
#include <stdint.h>
#include <sys/types.h>

#define SB_UTMP_FILE "/run/utmp"
#define SB_WTMP_FILE "/var/log/wtmp"

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

/*
 * Writes a login and logout pair to the host's wtmp, from `since` (seconds since the epoch) to now,
 * if the scratch utmp shows that the session had a terminal. Both records stand together, so that
 * last(1) never matches one with a stranger's.
 */
int sb_utmp_history(const struct sb_utmp_login *login, uint64_t since, int scratch_utmp_fd);

/* Calls each with every terminal that the scratch utmp shows in use, "pts/0". */
void sb_utmp_terminals(int scratch_utmp_fd, void (*each)(const char *line, void *ctx), void *ctx);

#endif
