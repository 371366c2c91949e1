/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_MODULE_H
#define SESSBOX_MODULE_H

/*
 * pam_sessbox.so: a guest in somebody else's process. glue.c speaks PAM, ask.c runs the helper,
 * join.c prepares the caller and takes its child in, fork.c is called at the caller's forks,
 * seal.c shuts a refused tenant's off, harden.c holds the leash and drops privileges, ticket.c
 * finds Kerberos tickets that have to go in with the tenant.
 *
 * The caller stays on the host; its child that becomes the tenant's goes in. Between open and close
 * the caller wears the leash: without CAP_SETUID in effect, a child that did not come through our
 * hook dies at its setresuid instead of running on the host as the tenant.
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sessbox/io.h"
#include "sessbox/proto.h"
#include "sessbox/service.h"

/* A reason, in the caller's own words. */
struct box_error {
	int num; /* positive errno, 0 = none */
	char what[80];
};

/* What the child tells the caller, in a MAP_SHARED page. */
struct box_shared {
	struct box_error error; /* why it could not join */
	volatile bool joined;	/* it is in */
	volatile bool terminal; /* and has made a terminal */
};

enum box_phase {
	BOX_IDLE,
	BOX_OPEN,   /* leash on, the next child with the hook goes in */
	BOX_DOOMED, /* a tenant's open failed: leash on for good, no child gets anywhere */
};

struct box_leash {
	int securebits;
	uid_t euid;
	uint32_t effective[2];
	bool on;
};

/* A helper at work; sock -1: none. From start to end signals are held and SIGCHLD is at its
 * default, but while it rests. */
struct box_call {
	int sock;
	pid_t pid;
	int pidfd;  /* while it rests somebody else may reap it, and its pid be another's */
	bool late;  /* no answer: kill it */
	bool heard; /* it is at work on what it was asked last */
	bool resting;
	sigset_t mask;
	struct sigaction chld;
};

/* One session a process: PAM applications we accept have no second one. */
struct box {
	enum box_phase phase;
	const struct sb_service *service; /* the opened one's row; NULL = none */
	uint32_t expected;    /* uid of a tenant whom the account phase let pass; 0 = none */
	bool opened;	      /* our open line ran, whatever it said */
	struct box_call call; /* his account phase's helper, which waits for the open */
	bool in;	      /* this process is inside, or comes from one that is */
	bool lifted;	      /* the tenant's process is in: the caller is free again */
	/* 1 in the caller, 0 in every child: a MADV_WIPEONFORK page. Never a pid: a tenant can
	 * drive the child's, a number of the container, to equal the caller's. */
	volatile char *token;
	struct box_shared *shared;
	struct box_leash leash;
	uint32_t session;
	uint32_t uid;
	uint32_t ns_flags;
	int init; /* pidfd of the container's init */
	int cgroup[SB_MSG_FDS_MAX];
	size_t n_cgroup;
	int host_mnt; /* the caller's own namespaces, to return to */
	int host_pid;
	uint32_t groups[SB_GROUPS_MAX];
	size_t n_groups;
	uint32_t bounding[2]; /* capabilities that stay in the bounding set */
	bool new_privileges;  /* NoNewPrivileges=no */
	bool own_sockets;     /* RestrictAbstractSockets=yes */
	bool tells_terminal;  /* no scratch utmp will show whether there was one */
	int ticket;	      /* his Kerberos tickets on the host, -1 = none */
	int ticket_copy;      /* and the copy that the container got of them */
};

/* Fills error (may be NULL) from errno. Returns -1. */
int box_fail(struct box_error *error, const char *what);

/* ---- ask.c ---- */

/* What we keep stays off 0-2: these are the application's, also if it has closed them for now.
 * Takes fd and returns it, or the one in its place, or -1. */
int box_above_stdio(int fd);

struct box_reply {
	struct sb_reply reply;
	int fds[SB_MSG_FDS_MAX];
	size_t n;
};

/* Descriptors that go with a request, in the order of its bits. */
struct box_brought {
	int fds[SB_REQUEST_FDS_MAX];
	size_t n;
};

/*
 * Spawns the helper and asks. brought may be NULL. host_mnt: the helper's mount namespace, or -1
 * for the caller's. 0, or -1 and nothing is left to end.
 */
int box_call_start(struct box_call *call, const struct sb_request *request,
		   const struct box_brought *brought, int host_mnt, struct box_error *error);

/* Waits for the final reply. 0, or -1: no answer in time, or nonsense. */
int box_call_receive(struct box_call *call, struct box_reply *ret, struct box_error *error);

/*
 * A helper that let a tenant pass in the account phase waits a while for his open. rest gives the
 * caller its signals back until then, again asks. After a failure of again: end.
 */
void box_call_rest(struct box_call *call);
int box_call_again(struct box_call *call, const struct sb_request *request,
		   const struct box_brought *brought, struct box_error *error);

/* Reaps the helper (kills it, if it is late) and puts signals back. Also after a failure. */
void box_call_end(struct box_call *call);

/* The three in one. */
int box_ask(const struct sb_request *request, int host_mnt, struct box_reply *ret,
	    struct box_error *error);
void box_reply_close(struct box_reply *reply);

/* ---- join.c ---- */

/* Makes the token and the shared page. 0 or -1. */
int box_token_make(struct box *box, struct box_error *error);
bool box_is_child(const struct box *box);

/* Both load NSS sources on the host, so that no child loads one from the tenant's tree: those of
 * groups, and those of the other databases. */
void box_list_groups(const char *user, gid_t gid, struct sb_groups *ret);
void box_load_nss(void);

/* Caller: takes over the reply's descriptors, makes the private tree, points pid_for_children at
 * the container, puts the leash on. On failure all of it is undone but the descriptors. */
int box_prepare(struct box *box, struct box_reply *reply, struct box_error *error);

/* Caller: what is left to undo at close, before anything is spawned. */
int box_release(struct box *box, struct box_error *error);
/* The same in the midst of a session, once the tenant's process is in. */
void box_lift(struct box *box);
void box_forget(struct box *box);

/* Child, root: goes in and sheds everything. 0, or -1 and the process must end. */
int box_join(struct box *box, struct box_error *error);

/* ---- fork.c ---- */

/*
 * Makes each fork of this process call us, once and for all: a child that is to become the tenant's
 * joins (SB_JOIN_FORK), a caller whose job is in is set free (SB_SERVICE_MAILS), and a child that
 * is in tells of the terminal it has made (SB_SERVICE_SCRATCH). 0 or -1.
 */
int box_fork_watch(struct box *box, struct box_error *error);

/* The end of a child that must not become the tenant. sentence: for its standard error, or "". */
void box_refuse_child(const char *sentence) __attribute__((noreturn));

/* ---- ticket.c ---- */

/* The tenant's file in /tmp that a KRB5CCNAME (or NULL) leads to, O_PATH, or -1. */
int box_ticket_find(const char *ccache, uid_t uid);

/*
 * At close. sshd has its child remove the file if the client just went away, and the child does so
 * inside: a copy that is gone takes the host's file with it, if that is the one it is of.
 */
void box_ticket_follow(const struct box *box, const char *ccache);

/* Without a session. */
void box_ticket_drop(struct box *box);

/* ---- seal.c ---- */

/*
 * Child, root: becomes a process that can say its sentence, and nothing else; the kernel ends it
 * soon. 0, or -1 and the process must end.
 */
int box_seal(struct box *box, struct box_error *error);

/* ---- harden.c ---- */

int box_leash_put(struct box_leash *leash, struct box_error *error);
int box_leash_take(struct box_leash *leash, struct box_error *error);
/* Taking it off in two steps, in a child: all permitted capabilities and the old securebits; then
 * the effective ones that a process of this euid has without us. */
int box_leash_slip(const struct box_leash *leash, struct box_error *error);
int box_leash_settle(const struct box_leash *leash, struct box_error *error);

/* Inherited state that is not a tenant's: scheduling, oom score, core dumps, open directories. */
int box_reset_inherited(struct box_error *error);
/* Supplementary groups, capabilities, no_new_privs, keyring; each is verified. */
int box_drop_privileges(const struct box *box, struct box_error *error);

#endif
