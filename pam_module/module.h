/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_MODULE_H
#define SESSBOX_MODULE_H

/*
 * pam_sessbox.so: a guest in somebody else's process. glue.c speaks PAM, ask.c runs the helper,
 * join.c prepares the caller and takes its child in, harden.c holds the leash and drops privileges.
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

/* A reason, in the caller's own words; shared with the child. */
struct box_error {
	int num; /* positive errno, 0 = none */
	char what[80];
};

enum box_phase {
	BOX_IDLE,
	BOX_OPEN,   /* leash on, the next child with the hook goes in */
	BOX_DOOMED, /* a tenant's open failed: leash on for good, every child ends */
};

struct box_leash {
	int securebits;
	uint32_t effective[2];
	bool on;
};

/* A helper at work; sock -1: none. From start to end signals are held and SIGCHLD is at its
 * default, but while it rests. */
struct box_call {
	int sock;
	pid_t pid;
	int pidfd; /* while it rests somebody else may reap it, and its pid be another's */
	bool late; /* no answer: kill it */
	bool resting;
	sigset_t mask;
	struct sigaction chld;
};

/* One session a process: PAM applications we accept have no second one. */
struct box {
	enum box_phase phase;
	uint32_t expected;    /* uid of a tenant whom the account phase let pass; 0 = none */
	bool opened;	      /* our open line ran, whatever it said */
	struct box_call call; /* his account phase's helper, which waits for the open */
	bool in;	      /* this process is inside, or comes from one that is */
	/* 1 in the caller, 0 in every child: a MADV_WIPEONFORK page. Never a pid: a tenant can
	 * drive the child's, a number of the container, to equal the caller's. */
	volatile char *token;
	struct box_error *said; /* MAP_SHARED: why the child could not join */
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

/*
 * Spawns the helper and asks. host_mnt: its mount namespace, or -1 for the caller's. 0, or -1 and
 * nothing is left to end.
 */
int box_call_start(struct box_call *call, const struct sb_request *request, int host_mnt,
		   struct box_error *error);

/* Waits for the final reply. 0, or -1: no answer in time, or nonsense. */
int box_call_receive(struct box_call *call, struct box_reply *ret, struct box_error *error);

/*
 * A helper that let a tenant pass in the account phase waits a while for his open. rest gives the
 * caller its signals back until then, again asks. After a failure of again: end.
 */
void box_call_rest(struct box_call *call);
int box_call_again(struct box_call *call, const struct sb_request *request,
		   struct box_error *error);

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
void box_forget(struct box *box);

/* Child, root: goes in and sheds everything. 0, or -1 and the process must end. */
int box_join(struct box *box, struct box_error *error);

/* ---- harden.c ---- */

int box_leash_put(struct box_leash *leash, struct box_error *error);
int box_leash_take(struct box_leash *leash, struct box_error *error);
/* The child's share of taking it off: all permitted capabilities, the old securebits. */
int box_leash_slip(const struct box_leash *leash, struct box_error *error);

/* Inherited state that is not a tenant's: scheduling, oom score, core dumps, open directories. */
int box_reset_inherited(struct box_error *error);
/* Supplementary groups, capabilities, no_new_privs, keyring; each is verified. */
int box_drop_privileges(const struct box *box, struct box_error *error);

#endif
