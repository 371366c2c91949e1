/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Linked into the benchmark's build of the helper alone: notes on the timeline when each step of a
 * login begins. The functions below stand around the real ones by the linker's --wrap.
 */
#include <unistd.h>

#include "bench.h"
#include "helper.h"
#include "sessbox/ns.h"
#include "sessbox/rootfs.h"
#include "sessbox/step.h"

static int probe(const struct sb_step *steps, size_t index, struct sb_err *err)
{
	const char *table = "step";
	(void)err;
	for (size_t t = 0; t < sb_session_tables_n; t++)
		if (sb_session_tables[t].steps == steps)
			table = sb_session_tables[t].name;
	timeline_note(STRAND_LOGIN, table, steps[index].name);
	return 0;
}

__attribute__((constructor)) static void arm(void)
{
	timeline_open();
	timeline_note(STRAND_LOGIN, "helper", "read the request");
	sb_step_probe = probe;
}

/* What is counted begins with the call; what comes after it up to the next note is in it, too. */
#define WRAP(strand, table, name, type, function, params, args)                                    \
	extern __typeof__(function) __real_##function, __wrap_##function;                          \
	type __wrap_##function params                                                              \
	{                                                                                          \
		timeline_note(strand, table, name);                                                \
		return __real_##function args;                                                     \
	}

WRAP(STRAND_LOGIN, "helper", "host's namespace", int, sb_ns_enter_host, (struct sb_err * err),
     (err))
WRAP(STRAND_LOGIN, "helper", "load the configuration", int, sb_config_load,
     (const char *dir, const char *runtime, struct sb_config **ret, struct sb_err *err),
     (dir, runtime, ret, err))
WRAP(STRAND_LOGIN, "helper", "resolve the policy", int, sb_policy_resolve,
     (const struct sb_config *config, const struct sb_login *login, struct sb_policy **ret,
      struct sb_err *err),
     (config, login, ret, err))
WRAP(STRAND_LOGIN, "helper", "close", int, sb_session_close,
     (uid_t uid, uint32_t session, bool had_tty, int64_t deadline, struct sb_err *err),
     (uid, session, had_tty, deadline, err))
WRAP(STRAND_LOGIN, "helper", "answer", int, sb_answer_send, (const struct sb_answer *answer),
     (answer))
WRAP(STRAND_LOGIN, "create", "open the sources", int, sb_plan_open,
     (struct sb_plan * plan, int64_t deadline, struct sb_err *err), (plan, deadline, err))
WRAP(STRAND_LOGIN, "container", "ask init", enum sb_container_state, sb_container_ask,
     (int user_fd, uint32_t number, const struct sb_init_request *request, int caller_fd,
      int64_t deadline, int *ret_init),
     (user_fd, number, request, caller_fd, deadline, ret_init))
WRAP(STRAND_INIT, "init", "build the tree", int, sb_plan_build,
     (struct sb_plan * plan, int (*enter_cgroup)(void *, struct sb_err *), void *ctx,
      struct sb_err *err),
     (plan, enter_cgroup, ctx, err))

/* Also called by the child that makes the cgroup namespace. */
extern __typeof__(sb_cgroup_entry_enter) __real_sb_cgroup_entry_enter, __wrap_sb_cgroup_entry_enter;
int __wrap_sb_cgroup_entry_enter(const struct sb_cgroup_entry *entry)
{
	if (getpid() == 1)
		timeline_note(STRAND_INIT, "init", "enter the cgroups");
	return __real_sb_cgroup_entry_enter(entry);
}

extern __typeof__(sb_plan_verify) __real_sb_plan_verify, __wrap_sb_plan_verify;
int __wrap_sb_plan_verify(const struct sb_plan *plan, struct sb_err *err)
{
	timeline_note(STRAND_INIT, "init", "verify the tree");
	int r = __real_sb_plan_verify(plan, err);
	timeline_note(STRAND_INIT, "init", "end"); /* what follows is privileges and exec */
	return r;
}
