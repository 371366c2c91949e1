/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "module.h"
#include "sessbox/sys.h"

/* Without the first, an euid swap brings the capability back; without the second, exec does. */
#define LEASH_BITS (SECBIT_NO_SETUID_FIXUP | SECBIT_NOROOT)
#define BIT(cap) (1U << ((cap) % 32))
#define WORD(cap) ((cap) / 32)

#define IOPRIO_CLASS_SHIFT 13
#define IOPRIO_CLASS_RT 1

int box_fail(struct box_error *error, const char *what)
{
	if (error) {
		error->num = errno ? errno : EIO;
		snprintf(error->what, sizeof(error->what), "%s", what);
	}
	return -1;
}

static int get_caps(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	return (int)syscall(SYS_capget, &header, data);
}

static int set_caps(const struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	return (int)syscall(SYS_capset, &header, data);
}

int box_leash_put(struct box_leash *leash, struct box_error *error)
{
	struct __user_cap_data_struct caps[2];
	int bits = prctl(PR_GET_SECUREBITS);
	if (bits < 0 || get_caps(caps) < 0)
		return box_fail(error, "read the caller's capabilities");
	/* Missing already: a leash of an earlier open, whose bits would be saved as the caller's.
	 */
	if (!(caps[WORD(CAP_SETUID)].effective & BIT(CAP_SETUID))) {
		errno = EPERM;
		return box_fail(error, "the caller lacks CAP_SETUID");
	}
	*leash = (struct box_leash){ .securebits = bits,
				     .euid = geteuid(),
				     .effective = { caps[0].effective, caps[1].effective } };
	if (prctl(PR_SET_SECUREBITS, bits | LEASH_BITS) < 0)
		return box_fail(error, "set the leash's securebits");
	leash->on = true;
	caps[WORD(CAP_SETUID)].effective &= ~BIT(CAP_SETUID);
	if (set_caps(caps) < 0)
		return box_fail(error, "put the leash on");
	return 0;
}

int box_leash_take(struct box_leash *leash, struct box_error *error)
{
	if (!leash->on)
		return 0;
	if (box_leash_slip(leash, error) < 0 || box_leash_settle(leash, error) < 0)
		return -1;
	leash->on = false;
	return 0;
}

int box_leash_slip(const struct box_leash *leash, struct box_error *error)
{
	struct __user_cap_data_struct caps[2];
	if (get_caps(caps) < 0)
		return box_fail(error, "read the capabilities");
	for (int i = 0; i < 2; i++)
		caps[i].effective = caps[i].permitted;
	if (set_caps(caps) < 0)
		return box_fail(error, "raise the capabilities");
	/* In a child before the program's setuid, or the tenant would keep root's capabilities. */
	if (prctl(PR_SET_SECUREBITS, leash->securebits) < 0 ||
	    prctl(PR_GET_SECUREBITS) != leash->securebits)
		return box_fail(error, "restore the securebits");
	return 0;
}

/* The bits of which an euid other than root's has none. */
static bool loses_caps(const struct box_leash *leash)
{
	return geteuid() != leash->euid && geteuid() != 0 &&
	       !(leash->securebits & SECBIT_NO_SETUID_FIXUP);
}

int box_leash_settle(const struct box_leash *leash, struct box_error *error)
{
	struct __user_cap_data_struct caps[2];
	if (get_caps(caps) < 0)
		return box_fail(error, "read the capabilities");
	for (int i = 0; i < 2; i++) {
		uint32_t had = geteuid() == leash->euid ? leash->effective[i] : caps[i].permitted;
		caps[i].effective = loses_caps(leash) ? 0 : had & caps[i].permitted;
	}
	return set_caps(caps) < 0 ? box_fail(error, "lower the capabilities again") : 0;
}

/* ---- what a child inherits ---- */

static int refuse_directories(struct box_error *error)
{
	struct stat st;
	for (int fd = 0; fd < 3; fd++) {
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
			errno = EISDIR;
			return box_fail(error, "a directory of the host on descriptors 0-2");
		}
	}
	return sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0
		       ? box_fail(error, "close descriptors on exec")
		       : 0;
}

/* A negative score would shield the tenant from the OOM killer at the cost of others. */
static int reset_oom_score(struct box_error *error)
{
	char text[16] = "";
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : box_fail(error, "open oom_score_adj");
	bool ok = read(fd, text, sizeof(text) - 1) > 0;
	if (ok && text[0] == '-')
		ok = pwrite(fd, "0\n", 2, 0) == 2 && pread(fd, text, sizeof(text) - 1, 0) > 0 &&
		     text[0] != '-';
	close(fd);
	return ok ? 0 : box_fail(error, "reset oom_score_adj");
}

/* Back to what a process has by default. A positive nice value is the administrator's wish
 * (pam_limits' `priority`) and stays; a negative one is the caller's privilege. */
static int reset_scheduling(struct box_error *error)
{
	const struct sched_param none = { 0 };
	if (sched_getscheduler(0) != SCHED_OTHER && sched_setscheduler(0, SCHED_OTHER, &none) < 0)
		return box_fail(error, "reset the scheduling policy");
	errno = 0;
	int nice_value = getpriority(PRIO_PROCESS, 0);
	if (errno || (nice_value < 0 && setpriority(PRIO_PROCESS, 0, 0) < 0))
		return box_fail(error, "reset the nice value");
	if (syscall(SYS_ioprio_set, SB_IOPRIO_WHO_PROCESS, 0, 0 << IOPRIO_CLASS_SHIFT) < 0)
		return box_fail(error, "reset the IO priority");
	if (prctl(PR_SET_TIMERSLACK, SB_TIMER_SLACK_NS) < 0)
		return box_fail(error, "reset the timer slack");
	if (sched_getscheduler(0) != SCHED_OTHER || getpriority(PRIO_PROCESS, 0) < 0 ||
	    syscall(SYS_ioprio_get, SB_IOPRIO_WHO_PROCESS, 0) >> IOPRIO_CLASS_SHIFT ==
		    IOPRIO_CLASS_RT ||
	    prctl(PR_GET_TIMERSLACK) != SB_TIMER_SLACK_NS)
		return box_fail(error, "the scheduling of the caller stayed");
	return 0;
}

/* All CPUs; the kernel cuts the set to those that the tenant's cgroup may use. */
static int reset_affinity(struct box_error *error)
{
	cpu_set_t all;
	memset(&all, 0xff, sizeof(all));
	return sched_setaffinity(0, sizeof(all), &all) < 0
		       ? box_fail(error, "reset the CPU affinity")
		       : 0;
}

/*
 * A core_pattern pipe runs on the host, as root, on the tenant's data. The kernel does not apply a
 * limit of 0 to pipes but gives a dump up at exactly 1 byte (do_coredump); a file of 1 byte is
 * none.
 */
static int forbid_cores(struct box_error *error)
{
	const struct rlimit none = { 1, 1 };
	struct rlimit now;
	if (getrlimit(RLIMIT_CORE, &now) < 0)
		return box_fail(error, "read the limit of core dumps");
	/* A hard limit of 0 can be raised by CAP_SYS_RESOURCE alone, which a container's root
	 * lacks. */
	if (setrlimit(RLIMIT_CORE, &none) < 0 && (errno != EPERM || now.rlim_max != 0))
		return box_fail(error, "forbid core dumps");
	if (getrlimit(RLIMIT_CORE, &now) < 0 || now.rlim_cur > 1 || now.rlim_max > 1)
		return box_fail(error, "forbid core dumps");
	return 0;
}

int box_reset_inherited(struct box_error *error)
{
	static int (*const resets[])(struct box_error *) = {
		refuse_directories, reset_oom_score, reset_scheduling, reset_affinity, forbid_cores,
	};
	for (size_t i = 0; i < sizeof(resets) / sizeof(resets[0]); i++)
		if (resets[i](error) < 0)
			return -1;
	/* A process of a tenant already inside must not trace us across the setns. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_GET_DUMPABLE) != 0)
		return box_fail(error, "become undumpable");
	return 0;
}

/* ---- privileges ---- */

static bool is_kept(const struct box *box, gid_t gid)
{
	for (size_t i = 0; i < box->n_groups; i++)
		if (box->groups[i] == gid)
			return true;
	return false;
}

/* What the application gave, less what a tenant may not have. Never more. */
static int filter_groups(const struct box *box, struct box_error *error)
{
	static gid_t had[65536]; /* NGROUPS_MAX; too much for a stack */
	int n = getgroups(sizeof(had) / sizeof(had[0]), had), kept = 0;
	if (n < 0)
		return box_fail(error, "read the supplementary groups");
	for (int i = 0; i < n; i++)
		if (is_kept(box, had[i]))
			had[kept++] = had[i];
	if (setgroups((size_t)kept, had) < 0 || getgroups(0, NULL) != kept)
		return box_fail(error, "set the supplementary groups");
	return 0;
}

static int limit_bounding_set(const struct box *box, struct box_error *error)
{
	for (int cap = 0;; cap++) {
		int has = prctl(PR_CAPBSET_READ, cap);
		if (has < 0)
			return 0;
		if (WORD(cap) < 2 && box->bounding[WORD(cap)] & BIT(cap))
			continue;
		if (has && (prctl(PR_CAPBSET_DROP, cap) < 0 || prctl(PR_CAPBSET_READ, cap) != 0))
			return box_fail(error, "limit the capability bounding set");
	}
}

/* Permitted and effective stay: the application needs them to become the tenant. */
static int empty_inheritable_sets(const struct box *box, struct box_error *error)
{
	struct __user_cap_data_struct caps[2];
	(void)box;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || get_caps(caps) < 0)
		return box_fail(error, "clear the ambient capabilities");
	caps[0].inheritable = caps[1].inheritable = 0;
	if (set_caps(caps) < 0 || get_caps(caps) < 0 || caps[0].inheritable || caps[1].inheritable)
		return box_fail(error, "empty the inheritable capabilities");
	return 0;
}

static int forbid_new_privileges(const struct box *box, struct box_error *error)
{
	if (box->new_privileges)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return box_fail(error, "set no_new_privs");
	return 0;
}

/* Sockets without a file are the network namespace's: of the host's, and of other tenants, none can
 * be connected to from a Landlock domain that has this scope. The domain is the session's. */
static int restrict_sockets(const struct box *box, struct box_error *error)
{
	const struct sb_landlock_ruleset rules = { .scoped = SB_LANDLOCK_SCOPE_ABSTRACT };
	if (!box->own_sockets)
		return 0;
	int fd = sys_landlock_create_ruleset(&rules);
	if (fd < 0 || sys_landlock_restrict_self(fd) < 0)
		return box_fail(error, "restrict abstract sockets");
	close(fd);
	return 0;
}

/* An anonymous session keyring: keyrings know no namespace, and a named one could be joined. */
static int own_keyring(const struct box *box, struct box_error *error)
{
	long old = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
	if (old < 0 && errno == ENOSYS)
		return 0;
	long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	if (ring < 0 || ring == old)
		return box_fail(error, "join a session keyring");
	/* A user's keys are counted, for a while those of ended sessions, too. What is too much for
	 * him is root's, and not of whoever started su: he has it as its possessor. */
	if (syscall(SYS_keyctl, KEYCTL_CHOWN, ring, box->uid, (gid_t)-1) == 0 ||
	    (errno == EDQUOT && syscall(SYS_keyctl, KEYCTL_CHOWN, ring, 0, (gid_t)-1) == 0))
		return 0;
	return box_fail(error, "give the session keyring away");
}

int box_drop_privileges(const struct box *box, struct box_error *error)
{
	static int (*const drops[])(const struct box *, struct box_error *) = {
		filter_groups,	       limit_bounding_set, empty_inheritable_sets,
		forbid_new_privileges, restrict_sockets,   own_keyring,
	};
	for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++)
		if (drops[i](box, error) < 0)
			return -1;
	return 0;
}
