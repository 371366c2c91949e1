/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/pam.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "sessbox/parse.h"

/* In the order of their numbers in <security/_pam_types.h>. */
static const char *const results[SB_PAM_RESULTS] = {
	"success",
	"open_err",
	"symbol_err",
	"service_err",
	"system_err",
	"buf_err",
	"perm_denied",
	"auth_err",
	"cred_insufficient",
	"authinfo_unavail",
	"user_unknown",
	"maxtries",
	"new_authtok_reqd",
	"acct_expired",
	"session_err",
	"cred_unavail",
	"cred_expired",
	"cred_err",
	"no_module_data",
	"conv_err",
	"authtok_err",
	"authtok_recover_err",
	"authtok_lock_busy",
	"authtok_disable_aging",
	"try_again",
	"ignore",
	"abort",
	"authtok_expired",
	"module_unknown",
	"bad_item",
	"conv_again",
	"incomplete",
};

static const struct {
	const char *name;
	enum sb_pam_action action;
} actions_by_name[] = {
	{ "ignore", SB_PAM_IGNORE }, { "ok", SB_PAM_OK },   { "done", SB_PAM_DONE },
	{ "bad", SB_PAM_BAD },	     { "die", SB_PAM_DIE }, { "reset", SB_PAM_RESET },
};

/* The four words, in the long form that pam.conf(5) gives for each. */
static const struct {
	const char *name, *text;
} words[] = {
	{ "required", "success=ok new_authtok_reqd=ok ignore=ignore default=bad" },
	{ "requisite", "success=ok new_authtok_reqd=ok ignore=ignore default=die" },
	{ "sufficient", "success=done new_authtok_reqd=done default=ignore" },
	{ "optional", "success=ok new_authtok_reqd=ok default=ignore" },
};

static int parse_action(const char *text, int *ret)
{
	uint64_t jump;
	for (size_t i = 0; i < SB_ARRAY_SIZE(actions_by_name); i++) {
		if (strcasecmp(actions_by_name[i].name, text) != 0)
			continue;
		*ret = actions_by_name[i].action;
		return 0;
	}
	if (sb_parse_u64(text, &jump) < 0 || jump == 0 || jump > INT16_MAX)
		return -EINVAL;
	*ret = (int)jump;
	return 0;
}

/* What has no action of its own yet. */
static void set_default(int *actions, bool *given, int action)
{
	for (size_t i = 0; i < SB_PAM_RESULTS; i++)
		if (!given[i])
			actions[i] = action;
}

static int set_one(const char *pair, const char *value, int *actions, bool *given)
{
	int action;
	size_t len = (size_t)(value - pair) - 1;
	if (parse_action(value, &action) < 0)
		return -EINVAL;
	if (len == 7 && strncasecmp(pair, "default", 7) == 0) {
		set_default(actions, given, action);
		return 0;
	}
	for (size_t i = 0; i < SB_PAM_RESULTS; i++) {
		if (strncasecmp(results[i], pair, len) != 0 || results[i][len])
			continue;
		actions[i] = action;
		given[i] = true;
		return 0;
	}
	return -EINVAL;
}

static int parse_pairs(const char *text, int *actions)
{
	bool given[SB_PAM_RESULTS] = { false };
	char copy[512], *save = NULL;
	if (sb_copy(copy, sizeof(copy), text) < 0)
		return -EINVAL;
	for (size_t i = 0; i < SB_PAM_RESULTS; i++)
		actions[i] = SB_PAM_BAD;
	for (char *pair = strtok_r(copy, " \t", &save); pair; pair = strtok_r(NULL, " \t", &save)) {
		char *equals = strchr(pair, '=');
		if (!equals || set_one(pair, equals + 1, actions, given) < 0)
			return -EINVAL;
	}
	return 0;
}

int sb_pam_control(const char *text, int actions[SB_PAM_RESULTS])
{
	for (size_t i = 0; i < SB_ARRAY_SIZE(words); i++)
		if (strcasecmp(words[i].name, text) == 0)
			return parse_pairs(words[i].text, actions);
	return strchr(text, '=') ? parse_pairs(text, actions) : -EINVAL;
}
