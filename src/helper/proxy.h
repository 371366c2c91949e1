/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_HELPER_PROXY_H
#define SESSBOX_HELPER_PROXY_H

/*
 * The broker of ProxyCommands=. proxy.c takes connections and forks for each; proxy_ask.c, in that
 * process, finds out who asks and whether he may, with proxy_later.c for what a command leaves;
 * proxy_run.c runs the program and stays with it.
 */
#include <pwd.h>
#include <stdint.h>
#include <sys/socket.h>

#include "sessbox/container.h"
#include "sessbox/proxy.h"

/* A connection, and what is known of it by now. */
struct sb_asking {
	int sock;
	struct ucred peer; /* who connected */
	int peer_fd;	   /* his pidfd */
	struct sb_proxy_request request;
	int fds[3];
	struct sb_container_record container;
	const struct passwd *account;
	struct sb_config *config;
	struct sb_policy *policy;
	struct sb_proxy_wanted wanted;
	struct sb_err err; /* why something of ours failed, for the log */
};

/* Seconds that finding out may take, and the program. */
#define SB_PROXY_ASK_SEC 15
#define SB_PROXY_RUN_SEC 600

/* What a user is told when it is not his doing. */
#define SB_PROXY_BROKEN "it cannot be run right now: please tell the administrator"

/* Never return. Serves the connection, or says on each of these that there are too many. */
_Noreturn void sb_proxy_serve(int sock, const struct ucred *peer);
_Noreturn void sb_proxy_turn_away(const int *socks, size_t n);

/* Tells the client; one that does not listen is left alone. */
void sb_proxy_say(int sock, enum sb_proxy_kind kind, int value, const char *text);

/* Does what it leaves run inside, and may it leave more? NULL, or a sentence for the user. */
const char *sb_proxy_check_service(struct sb_asking *a);
const char *sb_proxy_check_room(struct sb_asking *a);

/* Runs what has been allowed, relays signals and tells the client how it ended. NULL, or a sentence
 * for the user. */
const char *sb_proxy_run(struct sb_asking *a);

#endif
