/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_HELPER_H
#define SESSBOX_HELPER_H

#include <pwd.h>

#include "sessbox/container.h"
#include "sessbox/proto.h"

/* Accounts of the host's own below this enter when nobody can say who is a tenant; a directory's,
 * and the rest, are refused. */
#define SB_FIRST_USER_UID 1000

/*
 * The configuration, which is kept as the last good one; or, if it does not load, the last good
 * one, and why in *broken. A negative errno: there is none.
 */
int sb_helper_load(struct sb_config **ret, struct sb_err *broken, struct sb_err *err);

/*
 * What it comes to for a login, by all that may know its groups: who needs user, uid, gid and
 * service alone; or for an account, service NULL = none.
 */
int sb_helper_resolve(const struct sb_config *config, const struct sb_login *who,
		      struct sb_policy **ret, struct sb_err *err);
int sb_helper_resolve_account(const struct sb_config *config, const struct passwd *pw,
			      const char *service, struct sb_policy **ret, struct sb_err *err);

/* May systemd run a manager for this user on the host? Nobody's who is a tenant in any service. */
bool sb_helper_may_have_manager(uid_t uid);

/* A reply being made, and the descriptors that go with it. */
struct sb_answer {
	struct sb_reply reply;
	struct sb_session_grant grant;
	/* What came with the request, or -1. */
	int tty;
	int ticket;
};

/* The version of the answers from now on: the asker's. */
void sb_answer_speak(struct sb_proto_sizes sizes);

void sb_answer_init(struct sb_answer *answer);
void sb_answer_clear(struct sb_answer *answer);

/* Decides and acts; whatever happens, the answer holds a final verdict afterwards. */
void sb_answer_request(const struct sb_request *request, struct sb_answer *answer);

/* Writes into the answer, for the log, what the session lacks that was granted. */
void sb_answer_note(struct sb_answer *answer);

/* Tells the module how long to wait from now on, before the work begins. */
void sb_answer_announce(uint64_t timeout_ms);

/* Sends the answer to the module. 0 or a negative errno. */
int sb_answer_send(const struct sb_answer *answer);

/* Is the user in the group? For struct sb_login. */
int sb_answer_in_group(const struct sb_login *login, const char *group, void *ctx);
bool sb_answer_in_local_group(const struct sb_login *login, const char *group);

/* The broker of ProxyCommands=: its exit status. */
int sb_proxy_listen(void);

/* All of the user's groups, for struct sb_session_request: as the module sent them, or looked up.
 */
ssize_t sb_answer_groups(const struct sb_session_request *request, gid_t *gids, size_t max);

/*
 * Takes the module's list if nobody has: a socket that is closed with something unread in it resets
 * the connection, and our answer with it.
 */
void sb_answer_drain(const struct sb_request *request);

#endif
