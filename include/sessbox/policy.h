/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_POLICY_H
#define SESSBOX_POLICY_H

/*
 * What one login gets: the classes that match, merged. Pure but for the group look-up, which the
 * caller passes in and which is only used when a group rule can still change the result.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sessbox/config.h"

struct sb_policy {
	/* who */
	char *user;
	uid_t uid;
	gid_t gid;
	char *class_name; /* strongest class that matched; "defaults" if none did */

	/*
	 * The class whose budget he lives on: the strongest that sets one, from which all of it
	 * comes. NULL = none. Points into the configuration.
	 */
	const char *budget;

	struct sb_settings set;

	/* When one of the classes that matched ends to do so (MatchUntil), in seconds since the
	 * epoch; 0 = never. */
	uint64_t until;

	/* Hashes over the effective values, in hex: of the keys a container is made from and the
	 * class of the budget, and of his own limits. A container or cgroup whose stored hash
	 * differs is stale. (The budget's values are set at each login into the class.) */
	char container_hash[17];
	char limits_hash[17];

	/* Where each effective value came from: n = sb_keys_n, in the table's order. */
	struct sb_origin *origins;
};

/* One effective value and what it overrode, for `sessctl policy`. Match keys have no text. */
struct sb_origin {
	char *text; /* effective value in the file's syntax ("512M", "students staff") */
	const struct sb_class *class; /* who set or appended last; NULL = the built-in default */
	size_t file;		      /* index into sb_config.files, if class */
	/* "MemoryMax=512M from [students] in /etc/...", strongest first; what a Key+= appended to
	 * is here, too, and ends in ", extended". Built-in defaults that were replaced are not. */
	struct sb_strv overrode;
};

/* Who logs in through what. */
struct sb_login {
	const char *user;
	uid_t uid;
	gid_t gid;
	uint64_t now;	     /* seconds since the epoch; 0 = this moment */
	const char *service; /* PAM service; NULL = rules by service do not match */
	/*
	 * Is the user a member of this group? 1, 0 or a negative errno. A group that cannot be
	 * found is an error: it may be a directory that is down. May
	 * be slow or hang: called at most once for a group, and only if a group rule can still
	 * change the result. An error refuses the login. NULL: nobody is in any group.
	 */
	int (*in_group)(const struct sb_login *login, const char *group, void *ctx);
	void *ctx;
	/*
	 * Is he one by /etc/group alone? At once, and asked first, of all groups that may decide;
	 * in_group need not look there again. NULL: it looks there itself.
	 */
	bool (*in_local_group)(const struct sb_login *login, const char *group);
};

/*
 * Merges the policy of a login. MatchUsers, MatchGroups and MatchUIDs are OR-ed ("!name" excludes,
 * whatever else matched), MatchServices is AND-ed (of exclusions alone: every other service) and
 * may not change container keys; a class without Match keys matches nobody. By user beats by group
 * beats by uid range beats [Defaults]; among equals the later class wins. The owner frees *ret,
 * which points into config: config must outlive it.
 *
 * [limit-<uid>] and [limit-<uid>-for] are where `sessctl limit` writes: however they match, they
 * count as a match by user, and never are the class of a login. A class whose MatchUntil has passed
 * matches nobody.
 *
 * uid 0 is never contained: set.contain is false whatever the configuration says.
 *
 * When groups are looked up: users, uids and services are judged first, for all classes. A class
 * is then open if a group may add it (it has groups, and did not match by user) or take it away (it
 * has a !group, and matched or may match). Nothing is asked if no class is open, or if the login is
 * not contained however the open ones turn out: from the strongest match down, the first class
 * that surely matches and sets Contain= says no, and no open one before it says yes; or the uid is
 * 0. So an admin matched by MatchUsers= and Contain=no is never refused by a hanging directory,
 * though the same class lists groups - unless it excludes one and what remains says yes. Open
 * classes that set Contain= are asked for from the strongest down, and no further than the answer
 * is open: so nor is one of a local group in the last class that sets Contain=no. Without an
 * answer an open class counts as what users and uids made of it: for a login that is not contained
 * only class_name and origins can show that.
 */
int sb_policy_resolve(const struct sb_config *config, const struct sb_login *login,
		      struct sb_policy **ret, struct sb_err *err);

/* Expands %u (user), %U (uid), %H (the host's name), %% in Hostname= into buf. */
int sb_policy_hostname(const struct sb_policy *policy, const char *host, char *buf, size_t size,
		       struct sb_err *err);

/*
 * Makes hash (a record's) the limits' one, now that they have been set. unsupported: as
 * sb_cgroup_apply() says. With DeviceAllow in it the part of that stays as it was: the monitor has
 * not the right to set it, and the next login has to see that it differs.
 */
void sb_policy_note_limits(const struct sb_policy *policy, unsigned int unsupported, char hash[17]);

/*
 * TmpSize= in bytes: a percentage is one of MemoryMax, or of ram (bytes of the machine) when that
 * is infinity.
 */
uint64_t sb_policy_tmp_size(const struct sb_policy *policy, uint64_t ram);

/* The earliest MatchUntil of a class, in seconds since the epoch; 0 = none. */
uint64_t sb_class_until(const struct sb_class *class);

/* Is it the section that `sessctl limit --for` writes for somebody? */
bool sb_class_is_for(const struct sb_class *class, uid_t *ret_uid);

void sb_policy_free(struct sb_policy *policy);

static inline void sb_cleanup_policyp(struct sb_policy **policy)
{
	sb_policy_free(*policy);
}
#define cleanup_policy __attribute__((cleanup(sb_cleanup_policyp)))

#endif
