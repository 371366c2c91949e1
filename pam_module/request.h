/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_REQUEST_H
#define SESSBOX_REQUEST_H

/* From PAM's words to the helper's and back: arguments, requests, what a verdict means. */
#include <pwd.h>

#include <security/pam_modules.h>

#include "module.h"

struct box_args {
	bool open, close, debug;
	enum sb_join join;
	const char *conf;
	const char *unknown; /* an argument we do not know: tenants are refused, never root */
};

struct box_args box_parse_args(int argc, const char **argv);

/* The row of the service that this is about, NULL = none. */
const struct sb_service *box_service(pam_handle_t *pamh);
/* Is it joined this way, and are we in one of its programs? */
bool box_service_joins(const struct sb_service *service, enum sb_join join);

void box_log_unknown(pam_handle_t *pamh, const struct box_args *args);

/* NULL = there is no such user, or nobody can say. */
const struct passwd *box_find_user(pam_handle_t *pamh);

struct sb_request box_make_request(pam_handle_t *pamh, const struct passwd *pw,
				   const struct box_args *args, enum sb_op op);

/* Adds what an open brings to the request, in its order: the caller's terminal, if the service has
 * one, and the tenant's tickets, if there are any. */
void box_bring(pam_handle_t *pamh, int ticket, struct sb_request *q, struct box_brought *brought);

/* One sentence to the user, unless PAM_SILENT. */
extern const char box_cannot_contain[];
void box_tell(pam_handle_t *pamh, int flags, const char *sentence);
/* The one for a refused login. */
const char *box_sentence(const struct sb_reply *reply);

/* Logs and tells what the verdict asks for, and returns what it is to PAM. */
int box_interpret(pam_handle_t *pamh, int flags, const struct passwd *pw,
		  const struct sb_reply *reply);

/* May a failure be forgiven? Not where a user has started the caller (su): by its limits, or by
 * signals, he could bring the failure about. atd's real uid is daemon's. */
bool box_may_forgive(void);

/* No answer: the system's own accounts enter and the others are refused. tenant: he is known to be
 * one, and none of the system's then. */
int box_without_answer(pam_handle_t *pamh, int flags, const struct passwd *pw, bool tenant,
		       const struct box_error *error);

/* The account phase's question, answered in PAM's words. The call is the caller's to end. */
int box_check_account(pam_handle_t *pamh, int flags, const struct passwd *pw,
		      const struct box_args *args, struct box_call *call);

/*
 * While the helper works, which may need the user's groups: loads NSS, once, since a child must not
 * load a source from the tenant's tree, and sends the groups. sock -1: nobody waits for them.
 */
void box_share_nss(const struct passwd *pw, int sock);

/* Is he one? For refusals that must not hit anybody else. */
bool box_is_tenant(pam_handle_t *pamh, const struct passwd *pw, const struct box_args *args);

#endif
