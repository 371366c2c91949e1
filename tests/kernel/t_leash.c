// SPDX-License-Identifier: MIT
/*
 * The leash: the caller gives up CAP_SETUID in its effective set, so that a child which did not
 * come through the hook cannot become the tenant. Each way round it is tried with the securebits
 * and, to know that the test can fail, without.
 */
#include "kernel.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

#define TENANT 54321
#define DAEMON 1

#define LEASH_BITS (SECBIT_NO_SETUID_FIXUP | SECBIT_NOROOT)

struct caps {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[2];
};

static struct caps caps_get(void)
{
	struct caps caps = { .header.version = _LINUX_CAPABILITY_VERSION_3 };

	MUST(syscall(SYS_capget, &caps.header, caps.data));
	return caps;
}

static void caps_set(struct caps *caps)
{
	MUST(syscall(SYS_capset, &caps->header, caps->data));
}

static void leash(int bits)
{
	struct caps caps = caps_get();

	MUST(prctl(PR_SET_SECUREBITS, prctl(PR_GET_SECUREBITS) | bits));
	caps.data[0].effective &= ~(1U << CAP_SETUID);
	caps_set(&caps);
}

static void unleash(void)
{
	struct caps caps = caps_get();

	caps.data[0].effective = caps.data[0].permitted;
	caps.data[1].effective = caps.data[1].permitted;
	caps_set(&caps);
	MUST(prctl(PR_SET_SECUREBITS, prctl(PR_GET_SECUREBITS) & ~LEASH_BITS));
}

static void becomes_tenant(void *arg)
{
	(void)arg;
	MUST(setresuid(TENANT, TENANT, TENANT));
	CHECK(caps_get().data[0].permitted == 0, "the tenant has capabilities");
}

static void stopped(void *arg)
{
	(void)arg;
	REFUSED(EPERM, setresuid(TENANT, TENANT, TENANT));
	REFUSED(EPERM, setuid(TENANT));
	REFUSED(EPERM, setreuid(TENANT, TENANT));
	REFUSED(EPERM, seteuid(TENANT));
}

static void child_stopped(void)
{
	leash(LEASH_BITS);
	apart(stopped, NULL);
}

static void hook(void *arg)
{
	(void)arg;
	unleash();
	apart(becomes_tenant, NULL);
	becomes_tenant(NULL);
}

static void hook_lifts(void)
{
	leash(LEASH_BITS);
	apart(hook, NULL);
	apart(stopped, NULL);
	unleash();
	apart(becomes_tenant, NULL);
}

/* What atd does: real and effective uid change places, before open, before fork and after. */
static void swap(void *arg)
{
	int bits = *(int *)arg;

	MUST(setreuid(DAEMON, 0));
	leash(bits);
	MUST(setreuid(0, DAEMON));
	apart(stopped, NULL);
	MUST(setreuid(DAEMON, 0));
	apart(bits ? stopped : becomes_tenant, NULL);
}

static void euid_swap(void)
{
	int with = LEASH_BITS, without = 0;

	apart(swap, &with);
	apart(swap, &without);
}

int exec_part(const char *word)
{
	(void)word;
	return setresuid(TENANT, TENANT, TENANT) == 0 ? 0 : errno;
}

static int exec_result(void)
{
	int status;
	pid_t pid = MUST(fork());

	if (pid == 0) {
		execl("/proc/self/exe", "t_leash", "exec", "setuid", NULL);
		_exit(126);
	}
	MUST(waitpid(pid, &status, 0));
	CHECK(WIFEXITED(status), "the program ended with status %#x", status);
	return WEXITSTATUS(status);
}

static void exec_with(void *arg)
{
	int bits = *(int *)arg;
	int want = bits ? EPERM : 0;
	int rc;

	leash(bits);
	rc = exec_result();
	CHECK(rc == want, "bits %#x: the program's setresuid gives %d, expected %d", bits, rc,
	      want);
}

static void root_program(void)
{
	int with = LEASH_BITS, without = 0;

	apart(exec_with, &with);
	apart(exec_with, &without);
}

static void groups_work(void)
{
	gid_t group = TENANT;

	leash(LEASH_BITS);
	MUST(setgroups(1, &group));
	MUST(setresgid(TENANT, TENANT, TENANT));
	apart(stopped, NULL);
}

/* Its fork comes with euid daemon; the hook works there all the same. */
static void atd_hook(void)
{
	struct caps caps;

	MUST(setreuid(DAEMON, 0));
	leash(LEASH_BITS);
	MUST(setreuid(0, DAEMON));
	caps = caps_get();
	CHECK(!(caps.data[0].effective & 1U << CAP_SETUID), "daemon has CAP_SETUID in effect");
	CHECK(caps.data[0].permitted & 1U << CAP_SETUID, "CAP_SETUID is not in permitted");
	apart(hook, NULL);
	apart(stopped, NULL);
}

/* Without the leash the swap takes every effective capability, but leaves permitted. */
static void bare_swap(void)
{
	MUST(setreuid(DAEMON, 0));
	MUST(setreuid(0, DAEMON));
	CHECK(caps_get().data[0].effective == 0, "daemon has effective capabilities");
	REFUSED(EPERM, unshare(CLONE_NEWNS));
	unleash();
	MUST(unshare(CLONE_NEWNS));
	becomes_tenant(NULL);
}

const struct test tests[] = {
	{ "leash-child", "a child without CAP_SETUID in effect cannot change its uid (EPERM)",
	  child_stopped },
	{ "leash-hook", "permitted to effective lifts it, in the child or in the caller",
	  hook_lifts },
	{ "leash-euid-swap",
	  "an euid swap does not bring CAP_SETUID back; without the bits it does", euid_swap },
	{ "leash-exec", "an exec'd root program has no CAP_SETUID; without the bits it has",
	  root_program },
	{ "leash-groups", "gid and groups can still be set", groups_work },
	{ "leash-atd", "with euid daemon the hook takes what it needs from permitted", atd_hook },
	{ "leash-bare-swap",
	  "without a leash, too: daemon has no effective capability, all permitted", bare_swap },
	{},
};
