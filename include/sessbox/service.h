/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_SERVICE_H
#define SESSBOX_SERVICE_H

/*
 * The one table of PAM services and of how the child that becomes the tenant's is reached in each.
 * The module accepts what stands here, AllowServices= begins with it, `sessctl check` looks at each
 * row's file. Header only: the module links nothing of the core.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum sb_join {
	SB_JOIN_NONE, /* never contained */
	SB_JOIN_CRED, /* pam_setcred, called once more in the child, still as root */
	SB_JOIN_FORK, /* fork(3) itself: the caller's next child is the tenant's */
};

enum sb_service_bit {
	/* A failed open does not stop it: its child tells the user what modules said. */
	SB_SERVICE_GOES_ON = 1 << 0,
	/* It waits for its own children alone: a helper may rest beside it. */
	SB_SERVICE_PATIENT = 1 << 1,
	/* It makes terminals after open: its /dev/pts is the container's. */
	SB_SERVICE_MAKES_PTS = 1 << 2,
	/* It hands on the terminal that it was started on. */
	SB_SERVICE_BRINGS_TTY = 1 << 3,
	/* Its login records would name terminals it has made: they go to scratch files, and the
	 * host's are ours, under a line of our own. */
	SB_SERVICE_SCRATCH = 1 << 4,
	/* Its login record is the terminal's that it brings. It may be written inside, where it is
	 * lost: the host's is ours. */
	SB_SERVICE_LINE = 1 << 5,
	/* When the tenant's process is in, it forks again, for mail: that child stays outside. */
	SB_SERVICE_MAILS = 1 << 6,
	/* It has no account phase. */
	SB_SERVICE_NO_ACCOUNT = 1 << 7,
	/* It calls the modules' setcred after open, or again then. */
	SB_SERVICE_LATE_CRED = 1 << 8,
	/* It opens as many sessions at once as its user's table has lines for that minute. */
	SB_SERVICE_JOBS = 1 << 9,
};

/* The programs a service is accepted from: paths as /proc/PID/exe shows them, blank-separated. */
#ifndef SB_PROGRAMS_SSHD
#define SB_PROGRAMS_SSHD "/usr/sbin/sshd /usr/lib/openssh/sshd-session"
#endif
#ifndef SB_PROGRAMS_SU
#define SB_PROGRAMS_SU "/usr/bin/su /bin/su"
#endif
#ifndef SB_PROGRAMS_RUNUSER
#define SB_PROGRAMS_RUNUSER "/usr/sbin/runuser /sbin/runuser"
#endif
#ifndef SB_PROGRAMS_LOGIN
#define SB_PROGRAMS_LOGIN "/usr/bin/login /bin/login"
#endif
#ifndef SB_PROGRAMS_CRON
#define SB_PROGRAMS_CRON "/usr/sbin/cron"
#endif
#ifndef SB_PROGRAMS_ATD
#define SB_PROGRAMS_ATD "/usr/sbin/atd"
#endif

/*
 * name, how it is joined, its programs, the service whose file its own includes (lines that stand
 * there act for both), its bits.
 */
#define SB_SERVICES(X)                                                                             \
	X("sshd", CRED, SB_PROGRAMS_SSHD, NULL,                                                    \
	  SB_SERVICE_GOES_ON | SB_SERVICE_PATIENT | SB_SERVICE_MAKES_PTS | SB_SERVICE_SCRATCH)     \
	X("su", FORK, SB_PROGRAMS_SU, NULL, SB_SERVICE_MAKES_PTS | SB_SERVICE_BRINGS_TTY)          \
	X("su-l", FORK, SB_PROGRAMS_SU, "su", SB_SERVICE_MAKES_PTS | SB_SERVICE_BRINGS_TTY)        \
	X("runuser", FORK, SB_PROGRAMS_RUNUSER, NULL,                                              \
	  SB_SERVICE_MAKES_PTS | SB_SERVICE_BRINGS_TTY | SB_SERVICE_NO_ACCOUNT)                    \
	X("runuser-l", FORK, SB_PROGRAMS_RUNUSER, "runuser",                                       \
	  SB_SERVICE_MAKES_PTS | SB_SERVICE_BRINGS_TTY | SB_SERVICE_NO_ACCOUNT)                    \
	X("login", FORK, SB_PROGRAMS_LOGIN, NULL,                                                  \
	  SB_SERVICE_BRINGS_TTY | SB_SERVICE_LINE | SB_SERVICE_LATE_CRED)                          \
	X("cron", CRED, SB_PROGRAMS_CRON, NULL, SB_SERVICE_MAILS | SB_SERVICE_JOBS)                \
	X("atd", FORK, SB_PROGRAMS_ATD, NULL, SB_SERVICE_LATE_CRED | SB_SERVICE_JOBS)

/* Those that are never joined, and are no default of AllowServices=. */
#define SB_SERVICES_NEVER(X)                                                                       \
	X("sudo", NONE, "", NULL, 0)                                                               \
	X("sudo-i", NONE, "", "sudo", 0)

struct sb_service {
	const char *name;
	enum sb_join join;
	const char *programs;
	const char *includes; /* NULL = nothing of the table */
	unsigned int flags;   /* enum sb_service_bit */
};

#define SB_SERVICE_ROW(name_, join_, programs_, includes_, flags_)                                 \
	{ .name = name_,                                                                           \
	  .join = SB_JOIN_##join_,                                                                 \
	  .programs = programs_,                                                                   \
	  .includes = includes_,                                                                   \
	  .flags = flags_ },
static const struct sb_service sb_services[] = { SB_SERVICES(SB_SERVICE_ROW)
							 SB_SERVICES_NEVER(SB_SERVICE_ROW) };
#define SB_SERVICES_N (sizeof(sb_services) / sizeof(sb_services[0]))

/* The names of those that are joined, as a list in the configuration. */
#define SB_SERVICE_NAME(name_, join_, programs_, includes_, flags_) " " name_
#define SB_SERVICE_NAMES (&(SB_SERVICES(SB_SERVICE_NAME))[1])

/* The row of a service; NULL = there is none. */
static inline const struct sb_service *sb_service_find(const char *name)
{
	for (size_t i = 0; name && i < SB_SERVICES_N; i++)
		if (strcmp(sb_services[i].name, name) == 0)
			return &sb_services[i];
	return NULL;
}

/* Is the bit set? False for a service without a row. */
static inline bool sb_service_has(const struct sb_service *service, enum sb_service_bit bit)
{
	return service && (service->flags & (unsigned int)bit);
}

/* Is exe, as /proc/PID/exe shows it, one of the service's programs? An upgrade while logins run
 * leaves us on a deleted file. */
static inline bool sb_service_runs(const struct sb_service *service, const char *exe)
{
	const char *at = service->programs;
	while (*at) {
		size_t len = strcspn(at, " ");
		if (strncmp(exe, at, len) == 0 &&
		    (exe[len] == '\0' || strcmp(exe + len, " (deleted)") == 0))
			return true;
		at += len + (at[len] == ' ');
	}
	return false;
}

#endif
