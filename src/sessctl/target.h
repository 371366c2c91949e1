/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_TARGET_H
#define SESSCTL_TARGET_H

/* Whom a verb is about: "USER|ID" on its command line. */
#include "account.h"
#include "view.h"

struct ctl_target {
	const char *name;
	uid_t uid;
	struct ctl_user *user;	     /* NULL = not logged in; then account is filled */
	struct ctl_session *session; /* NULL = the whole user */
	struct ctl_account account;
};

/*
 * Loads who is in, and finds whom the verb is about.
 *
 * A number is a session's id; else, or if there is no such session, it is a user: one who is in,
 * also when his account is gone, or one of the name service. An ordinary user finds himself alone.
 * An exit status; what is wrong is said. The target points into users, which are the owner's to
 * clear, also after a failure.
 */
int ctl_target_load(struct ctl_users *users, const char *text, struct ctl_target *ret);

/*
 * The same for verbs that end processes: they take no uid. A number that was a session's until a
 * moment ago would mean all that somebody else has.
 */
int ctl_target_load_to_end(struct ctl_users *users, const char *text, struct ctl_target *ret);

#endif
