/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_PROTO_H
#define SESSBOX_PROTO_H

/*
 * What module and helper, and helper and init, say to each other. Header only: the module and init
 * link nothing of the core.
 *
 * Module -> helper: one struct sb_request over a SOCK_SEQPACKET socketpair that is the helper's
 * descriptor 3, with the descriptors that its flags name. Helper -> module: any number of
 * SB_VERDICT_WAIT, then one final struct sb_reply with its descriptors by SCM_RIGHTS. Strings end
 * with NUL.
 *
 * While logins run the programs on the disk may become a later release's. A PAM application keeps
 * the module it has loaded, to its close; each call spawns the helper of the moment. So a helper
 * takes the requests of its own version and of the one before, and answers in the asker's; a module
 * takes its own alone. Fields are only ever added, at the end, with a new version and a new row in
 * sb_proto_sizes(); so is a verdict or a bit, which a helper says to no version that does not know
 * it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SB_PROTO_MAGIC 0x5e55b0c5U
/* The tests' next release: a version further, and something at the end of each struct. */
#ifdef SB_TEST_NEXT_RELEASE
#define SB_PROTO_VERSION 2
#define SB_PROTO_ADDED uint32_t added[25];
#else
#define SB_PROTO_VERSION 1
#define SB_PROTO_ADDED
#endif
#define SB_HELPER_SOCKET 3
#define SB_HELPER SB_LIBEXECDIR "/sessbox-helper"
#define SB_INIT SB_LIBEXECDIR "/sessbox-init"

/* Seconds a helper has to start, and then as many until it knows TimeoutSec=: on a busy host both
 * may be slow. */
#define SB_TIMEOUT_START 30
/* What the module adds to the helper's own deadline before it kills it. */
#define SB_TIMEOUT_MARGIN 2

enum sb_op {
	SB_OP_ACCOUNT = 1, /* what would open say? changes nothing */
	SB_OP_OPEN,
	SB_OP_CLOSE,
};

enum sb_request_bit {
	SB_REQUEST_GROUPS = 1 << 0, /* a struct sb_groups follows, as a message of its own */
	SB_REQUEST_TTY = 1 << 1,    /* the terminal the caller was started on comes with it */
	SB_REQUEST_TICKET =
		1 << 2, /* a file of the tenant's Kerberos tickets, O_PATH, comes with it */
	SB_REQUEST_HAD_TTY = 1 << 3, /* SB_OP_CLOSE: the caller made a terminal for its child */
};
#define SB_REQUEST_FDS_MAX 2 /* in the order of the bits */

struct sb_request {
	uint32_t magic;
	uint32_t version;
	uint32_t op;	  /* enum sb_op */
	uint32_t session; /* SB_OP_CLOSE */
	uint32_t uid;
	uint32_t gid;
	uint32_t flags; /* enum sb_request_bit */
	char user[256];
	char home[1024];
	char shell[256];
	char service[64];
	char rhost[256];
	char conf_dir[256]; /* the module's conf=, "" = built-in */
	SB_PROTO_ADDED
};

/*
 * The user's groups, as the module found them while it loaded the NSS sources, which it has to do
 * in any case: the helper, which would load them a second time, takes them from here.
 */
#define SB_GROUPS_SENT_MAX 1024
struct sb_groups {
	uint32_t magic;
	uint32_t n;
	uint32_t gids[SB_GROUPS_SENT_MAX];
};

enum sb_verdict {
	SB_VERDICT_WAIT = 1,	/* the helper's deadline is wait_sec from now: wait longer */
	SB_VERDICT_IGNORE,	/* not a tenant */
	SB_VERDICT_CONTAIN,	/* SB_OP_OPEN: the container is there, descriptors follow.
				   SB_OP_ACCOUNT: a tenant, and welcome. SB_OP_CLOSE: done */
	SB_VERDICT_DENY,	/* a tenant who may not: policy */
	SB_VERDICT_FAIL,	/* could not be contained, or the configuration is broken */
	SB_VERDICT_UNCONTAINED, /* could not, but OnFailure=allow */
};

/* Descriptors of a reply to SB_OP_OPEN, in this order; those whose bit is missing are left out. */
enum sb_reply_bit {
	SB_REPLY_UTMP = 1 << 0,
	SB_REPLY_WTMP = 1 << 1,
	SB_REPLY_ALLOW_FAILURE = 1 << 2, /* OnFailure=allow: also for the module's own steps */
	SB_REPLY_DEVPTS = 1 << 3,
	SB_REPLY_NEW_PRIVILEGES = 1 << 4, /* NoNewPrivileges=no */
	SB_REPLY_TICKET = 1 << 5,	  /* for those alone who sent SB_REQUEST_TICKET */
	SB_REPLY_WTMPDB = 1 << 6,
	SB_REPLY_OWN_SOCKETS = 1 << 7, /* RestrictAbstractSockets=yes, and the kernel can */
};
/* init's pidfd, [the container's devpts], [what stands in for utmp], [for wtmp], [for wtmp.db] (all
 * four detached mounts), [the copy of the tickets that is inside], then the files of every cgroup
 * hierarchy to write "0" to. */
/* The mode of a copy that a later session's has taken the place of: nobody inside removed it. */
#define SB_TICKET_REPLACED 0
#define SB_REPLY_FD_INIT 0
#define SB_REPLY_FD_MORE 1

#define SB_GROUPS_MAX 256
#define SB_TO_USER_MAX 160

struct sb_reply {
	uint32_t magic;
	uint32_t version;
	uint32_t verdict; /* enum sb_verdict */
	uint32_t flags;	  /* enum sb_reply_bit */
	uint32_t session;
	uint32_t wait_sec;
	uint32_t ns_flags; /* CLONE_NEW* for the child's setns; NEWPID is the caller's */
	uint32_t n_groups;
	uint32_t groups[SB_GROUPS_MAX]; /* supplementary groups the tenant keeps */
	char to_user[SB_TO_USER_MAX];	/* one sentence, or "" */
	char to_log[256];
	uint32_t bounding[2]; /* capability bounding set, as capget(2) has it */
	SB_PROTO_ADDED
};

struct sb_proto_sizes {
	uint32_t version;
	uint32_t request;
	uint32_t reply;
};

/* How long the structs of a version are; false: it is none a helper speaks. */
static inline bool sb_proto_sizes(uint32_t version, struct sb_proto_sizes *ret)
{
#define SB_END(type, field) (offsetof(struct type, field) + sizeof(((struct type *)0)->field))
	static const struct sb_proto_sizes known[] = {
		{ 1, SB_END(sb_request, conf_dir), SB_END(sb_reply, bounding) },
#ifdef SB_TEST_NEXT_RELEASE
		{ 2, SB_END(sb_request, added), SB_END(sb_reply, added) },
#endif
	};
#undef SB_END
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].version != version)
			continue;
		*ret = known[i];
		return true;
	}
	return false;
}

/* Init's descriptors at birth: its socket, and the pidfd of the caller of its first session, whose
 * id is its second argument. */
#define SB_INIT_SOCKET 3
#define SB_INIT_CALLER 4

/*
 * Helper -> init, over SOCK_SEQPACKET at <user>/c<n>/init; root's only. A container, and its init,
 * outlives any number of releases: these two structs have a version of their own, which stays what
 * it is. A number that an init does not know is a ping to it.
 */
#define SB_INIT_VERSION 1
enum sb_init_op {
	SB_INIT_PING = 1,
	SB_INIT_JOIN,	   /* with the caller's pidfd: the session ends when it does */
	SB_INIT_LEAVE,	   /* the last one out retires the container */
	SB_INIT_TERMINATE, /* all sessions out */
};

struct sb_init_request {
	uint32_t version;
	uint32_t op; /* enum sb_init_op */
	uint32_t session;
};

enum sb_init_state {
	SB_INIT_RUNNING = 1,
	SB_INIT_RETIRING, /* ends everybody; nobody joins any more */
	SB_INIT_FULL,	  /* JOIN refused: SB_INIT_SESSIONS_MAX */
};
#define SB_INIT_SESSIONS_MAX 900

/* With a pidfd of init itself, which is how the helper knows whom it talks to. */
struct sb_init_reply {
	uint32_t version;
	uint32_t state; /* enum sb_init_state */
	uint32_t sessions;
};

#endif
