/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_CONTAINER_H
#define SESSBOX_CONTAINER_H

/*
 * Sessions and the containers they are in: the only place that knows the order of things. Every
 * function here takes the user's lock (record.h) itself unless it says that it is held.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sessbox/cgroup.h"
#include "sessbox/err.h"
#include "sessbox/notice.h"
#include "sessbox/policy.h"
#include "sessbox/proto.h"
#include "sessbox/record.h"
#include "sessbox/step.h"

/* ---- one login ---- */

struct sb_session_request {
	const struct sb_policy *policy;
	struct sb_cgroup *cgroup; /* borrowed; NULL = the session opens its own */
	const char *home;
	const char *shell;
	const char *service;
	const char *from; /* PAM_RHOST, "" = none */
	int tty;	  /* the terminal the caller was started on, -1 = none */
	int ticket;	  /* a file of the tenant's Kerberos tickets, -1 = none */
	pid_t caller;
	int64_t deadline; /* sb_now_ms */
	/* All groups of the user, the primary among them: their number or a negative errno. Asked
	 * once, when a container is made. */
	ssize_t (*list_groups)(const struct sb_session_request *request, gid_t *gids, size_t max);
	bool groups_follow; /* for list_groups: the caller sends them */
};

/* Limits that could not be set. */
struct sb_unsupported {
	unsigned int limits; /* SB_LIMIT_BIT */
	unsigned int budget; /* of his class */
	/* More memory is in use than they allow, which v1 refuses: the old ones stay. */
	bool limits_low, budget_low;
};

/* Why a session was put into the small cgroup beside the tenant's: that is full. */
enum sb_rescue { SB_RESCUE_NONE, SB_RESCUE_TASKS, SB_RESCUE_MEMORY };

/* What the caller needs to get its child in. Descriptors that are not there are -1. */
struct sb_session_grant {
	uint32_t session;
	int init;   /* pidfd of the container's init */
	int devpts; /* detached mount of the container's; for callers that make terminals */
	int utmp;   /* detached mounts of what stands in for the host's records */
	int wtmp;
	int wtmpdb;
	int ticket; /* the copy of his tickets that is inside */
	struct sb_cgroup_entry cgroup;
	uint32_t ns_flags;
	uint32_t groups[SB_GROUPS_MAX]; /* supplementary groups the tenant keeps */
	size_t n_groups;
	struct sb_unsupported unsupported;
	bool stays; /* in the budget of another class than he is in, until he is out */
	enum sb_rescue rescue;
	/* The user has, or may have, a container from before: what fails may be his doing. */
	bool known;
	bool homeless;	     /* see sb_plan */
	bool shares_sockets; /* RestrictAbstractSockets=yes, and the kernel cannot */
	bool unrecorded;     /* the host's utmp could not be written */
	int ticketless; /* why his tickets are not inside, a positive errno; 0 = they are, or none
			 */
	char notice[SB_NOTICE_MAX]; /* a sentence for the user, "" = none */
};

/* Errors that are no failures: the login is refused because somebody wants it so. */
#define SB_REFUSED_SESSIONS EUSERS  /* SessionsMax */
#define SB_REFUSED_FROZEN EHOSTDOWN /* sb_user_freeze, or a freezer state set by hand */
#define SB_REFUSED_TURN EXFULL	    /* too many jobs of his begin at once */

/*
 * What the user's rescue cgroup, if there is one, has of these limits: to be set with those of his
 * own. 0 or a negative errno.
 */
int sb_rescue_limits(struct sb_cgroup *cg, uid_t uid, const struct sb_limits *limits,
		     struct sb_err *err);

/*
 * Notes the CPU quota that a user's policy gives him, before it is set in his group: v1 cuts it to
 * that of a class with a budget, and somebody else's login may give it back. 0 or a negative errno.
 */
int sb_quota_note(const struct sb_cgroup *cg, const char *group, int user_fd, uint64_t quota,
		  struct sb_err *err);

/*
 * Opens a session: reconciles what earlier ones left, makes the user's container or joins the one
 * that is there, sets the limits, writes the records. On failure nothing of it is left; -EBUSY also
 * means that a container does not answer.
 */
int sb_session_open(const struct sb_session_request *request, struct sb_session_grant *ret,
		    struct sb_err *err);
void sb_session_grant_close(struct sb_session_grant *grant);

/*
 * What sb_session_open would refuse at once, without changing anything: a frozen cgroup,
 * too many sessions, a container that does not answer. 0 or a negative errno.
 */
int sb_session_check(struct sb_cgroup *cg, const struct sb_policy *policy, int64_t deadline,
		     struct sb_err *err);

/*
 * Ends a session: records, and if it was the last one, the container - which a reaper, cloned into
 * <base>/init, waits for and cleans up after. Never waits for a process. Needs no configuration.
 * had_tty: its caller made a terminal for it, which belongs into wtmp. A session that is not there
 * is no error.
 */
int sb_session_close(uid_t uid, uint32_t session, bool had_tty, int64_t deadline,
		     struct sb_err *err);

/*
 * Lets the session's caller go on if it stands still. su stops with its child, and while it does it
 * takes no note of that one's end: no close, and the container's init waits for its last process.
 */
void sb_session_wake(const struct sb_session_record *rec);

/* The step tables, for tests that fail each step and for `sessbox-helper --steps`. */
struct sb_step_table {
	const char *name;
	const struct sb_step *steps;
	size_t n;
};
extern const struct sb_step_table sb_session_tables[];
extern const size_t sb_session_tables_n;

/* ---- a program that runs on the host for a tenant ---- */

/* The supplementary groups that a container's tenant has in it; groups has SB_GROUPS_MAX places.
 * Returns their number. */
size_t sb_container_groups(const struct sb_container_record *rec, uint32_t *groups);

/*
 * The container of the user that a process is in, itself and not in a pid namespace further down.
 * The caller makes sure that the pid stays this process' until he has the answer. 0; -ESRCH: in
 * none; or another negative errno. Needs no lock.
 */
int sb_container_find(uid_t uid, pid_t pid, struct sb_container_record *ret, struct sb_err *err);

/*
 * As fork(2), for a process on the host that belongs to the tenant: born in a small cgroup beside
 * his own, that is for such alone, with its limits; killed, at the latest, when no container of his
 * is left. inside: a process of the container it is for, as above. *ret_pidfd is the child's.
 * -ESRCH: the container has gone; -EAGAIN: that cgroup is full.
 */
struct sb_outside {
	uid_t uid;
	pid_t inside;
	int64_t deadline;
};
pid_t sb_outside_fork(const struct sb_outside *outside, int *ret_pidfd, struct sb_err *err);

/* ---- all of a user ---- */

enum sb_container_state {
	SB_CONTAINER_DEAD, /* init is gone */
	SB_CONTAINER_RUNNING,
	SB_CONTAINER_LINGERING, /* without a session; is joined like a running one */
	SB_CONTAINER_RETIRING,	/* ends everybody */
	SB_CONTAINER_SILENT,	/* init is there and does not answer: stopped, or frozen */
};
const char *sb_container_state_name(enum sb_container_state state);

/*
 * Asks a container's init. request NULL = ping. ret_init, if not NULL, gets init's pidfd (or -1).
 * Waits for an answer until the deadline.
 */
enum sb_container_state sb_container_ask(int user_fd, uint32_t number,
					 const struct sb_init_request *request, int caller_fd,
					 int64_t deadline, int *ret_init);

/*
 * Removes what is dead: containers without init, sessions without caller, and, when nothing is
 * left, cgroup and records of the user. Returns 1 if the user is gone altogether, 0 if something
 * lives, or a negative errno.
 */
int sb_user_collect(uid_t uid, int64_t deadline, struct sb_err *err);

/*
 * Ends all containers of a user: SIGTERM, TimeoutStopSec, then the kernel. One that does not answer
 * is killed by its recorded pid and start time; a frozen user's processes get no more turn. Waits
 * for the end and collects. Returns as above.
 */
int sb_user_terminate(uid_t uid, struct sb_err *err);

/*
 * Stops all processes of a user, or lets them go on, once no login of his is on its way in. While
 * he is frozen, he gets no new session. -ENOENT: he has no container; -EAGAIN: a login did not come
 * to its end within the deadline; others as sb_cgroup_freeze.
 */
int sb_user_freeze(uid_t uid, bool on, int64_t deadline, struct sb_err *err);

/*
 * Ends what `sessctl limit --for` has set and whose time is up: its files go, and limits in force
 * that are no longer what the configuration says are set anew, for every user. That is the last
 * good one, for the files may be in the midst of an edit; anew: what they say now, which is kept if
 * it loads, and is an error, for which nobody's limits wait, if not. Nobody's lock is held while a
 * directory is asked. told hears of each file that went. The first error, or 0.
 */
int sb_limits_expire(bool anew, void (*told)(const char *sentence), struct sb_err *err);

/*
 * When it has to be done next, in seconds since the epoch: 0 = never. A moment that is past and of
 * which files are left counts, too.
 */
int sb_limits_next(uint64_t *ret, struct sb_err *err);

/* Has a process wait for that time to do so then, unless there is a monitor. 0 or -errno. */
int sb_limits_watch(uint64_t until);

/* Is there anything for sb_user_collect? Reads a few files, asks nobody, and takes no lock: what is
 * just coming or going looks like litter, too, for a moment. */
bool sb_user_is_littered(int run_fd, uid_t uid);

/* sb_user_collect for every user there is a record of. The last error, or 0. */
int sb_collect_all(struct sb_err *err);

#endif
