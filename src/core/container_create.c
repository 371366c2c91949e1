/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/ns.h"
#include "sessbox/proc.h"
#include "sessbox/proxy.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define ETC_TREE SB_RUN_DIR "/etc"
#define INIT_BACKLOG 128
#define KILL_WAIT_MS 2000

static int make_record_dir(void *ctx, struct sb_err *err)
{
	struct sb_creation *c = ctx;
	char name[16];
	snprintf(name, sizeof(name), "c%u", c->number);
	c->dir = sb_open_dir(c->user_fd, name, 0711);
	c->etc = c->dir < 0 ? c->dir : sb_open_dir(c->dir, "etc", 0755);
	return c->etc < 0 ? sb_fail(err, c->etc, "make '%s'", name) : 0;
}

static void remove_record_dir(void *ctx)
{
	struct sb_creation *c = ctx;
	char name[16];
	snprintf(name, sizeof(name), "c%u", c->number);
	sb_remove_tree(c->user_fd, name);
}

static int prepare_shared(void *ctx, struct sb_err *err)
{
	struct sb_creation *c = ctx;
	c->host_ns = sb_ns_open(getpid(), "mnt");
	if (c->host_ns < 0)
		return sb_fail(err, c->host_ns, "open the host's mount namespace");
	c->template_ns = sb_ns_template_find(c->run_fd);
	if (c->template_ns >= 0 && sb_etc_is_fresh(c->run_fd))
		return 0;
	cleanup_fd int lock = sb_run_lock(c->run_fd, c->request->deadline, err);
	if (lock < 0)
		return lock;
	int r = sb_etc_refresh(c->run_fd, err);
	if (r < 0)
		return r;
	sb_close(&c->template_ns);
	c->template_ns = sb_ns_template_open(c->run_fd, SB_RUN_DIR, err);
	return c->template_ns < 0 ? c->template_ns : 0;
}

static int write_accounts(void *ctx, struct sb_err *err)
{
	struct sb_creation *c = ctx;
	return sb_accounts_write(c->request, c->hostname, c->tree, c->etc, &c->accounts, err);
}

static int choose_hostname(struct sb_creation *c, struct sb_err *err)
{
	char host[65];
	if (gethostname(host, sizeof(host)) < 0)
		return sb_fail(err, errno, "read the host's name");
	return sb_policy_hostname(c->request->policy, host, c->hostname, sizeof(c->hostname), err);
}

static int open_sources(void *ctx, struct sb_err *err)
{
	struct sb_creation *c = ctx;
	const struct sb_policy *policy = c->request->policy;
	char self[64], accounts[64];
	const char *v1[SB_CGROUP_FDS_MAX];
	int r = choose_hostname(c, err);
	if (r < 0)
		return r;
	if (policy->set.proxy_commands.n) {
		/* The broker's socket may come and go in it. */
		cleanup_fd int proxy = sb_open_dir(c->run_fd, "proxy", 0711);
		if (proxy < 0)
			return sb_fail(err, proxy, "make '%s'", SB_PROXY_DIR);
	}
	snprintf(self, sizeof(self), "%s/u%u/self", SB_RUN_DIR, policy->uid);
	snprintf(accounts, sizeof(accounts), "%s/u%u/c%u/etc", SB_RUN_DIR, policy->uid, c->number);
	size_t n_v1 = sb_cgroup_shown(c->cg, v1, SB_ARRAY_SIZE(v1) - 1);
	v1[n_v1] = NULL;
	const struct sb_plan_spec spec = {
		.policy = policy,
		.home = c->request->home,
		.account_dir = accounts,
		.self_dir = self,
		.etc_tree = ETC_TREE,
		.tmp_size = sb_policy_tmp_size(policy, sb_proc_memory_total()),
		.v1 = sb_cgroup_mode(c->cg) == SB_CGROUP_V2 ? NULL : v1,
	};
	r = sb_plan_make(&spec, &c->plan, err);
	if (r < 0)
		return r;
	c->homeless = c->plan->homeless;
	r = sb_plan_open(c->plan, c->request->deadline, err);
	c->tree = r < 0 ? -1 : sb_steal_fd(&c->plan->tree);
	return r;
}

/* In a child of the tenant's cgroup: the exit status is the namespace's descriptor, which the
 * shared table holds for the parent; 0 = failed. */
static int unshare_cgroup(const struct sb_cgroup_entry *entry)
{
	if (sb_cgroup_entry_enter(entry) < 0 || unshare(CLONE_NEWCGROUP) < 0)
		return 0;
	int fd = open("/proc/self/ns/cgroup", O_RDONLY | O_CLOEXEC);
	return fd > 0 && fd < 256 ? fd : 0;
}

static int make_cgroup(void *ctx, struct sb_err *err)
{
	struct sb_creation *c = ctx;
	return sb_cgroup_create(c->cg, c->cgroup_name, err);
}

/* In force before the first process of the tenant is in. */
static int set_limits(void *ctx, struct sb_err *err)
{
	struct sb_creation *c = ctx;
	const struct sb_limiting what = { .cg = c->cg,
					  .group = c->cgroup_name,
					  .run_fd = c->run_fd,
					  .user_fd = c->user_fd,
					  .policy = c->request->policy };
	return sb_session_limits(&what, &c->unsupported, err);
}

/* The limits of his cgroup decide when it gets a turn, and what he has in it. -ETIMEDOUT, or as
 * ask_member. */
static int wait_for_member(pid_t pid, int pidfd, int64_t deadline)
{
	int status = 0;
	if (sb_wait_readable(pidfd, deadline) < 0) {
		sys_pidfd_send_signal(pidfd, SIGKILL);
		return -ETIMEDOUT;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

/*
 * The namespace's descriptor, 0 if the member failed, or -errno. migrate: into a group without room
 * for one more process nobody is born (v2), but anybody may move.
 */
static int ask_member(struct sb_creation *c, bool migrate, struct sb_err *err)
{
	struct sb_cgroup_entry entry;
	cleanup_fd int pidfd = -1;
	int r = sb_cgroup_entry_open(c->cg, c->cgroup_name, migrate, &entry, err);
	if (r < 0)
		return r;
	struct clone_args args = { .flags = CLONE_FILES | CLONE_PIDFD,
				   .pidfd = (uint64_t)(uintptr_t)&pidfd,
				   .exit_signal = SIGCHLD };
	if (entry.clone_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)entry.clone_fd;
	}
	pid_t pid = sys_clone3(&args);
	if (pid == 0)
		_exit(unshare_cgroup(&entry));
	r = pid < 0 ? -errno : wait_for_member(pid, pidfd, c->request->deadline);
	sb_cgroup_entry_close(&entry);
	return r;
}

static int make_cgroup_namespace(void *ctx, struct sb_err *err)
{
	struct sb_creation *c = ctx;
	int r = ask_member(c, false, err);
	if (r == -EAGAIN)
		r = ask_member(c, true, err);
	cleanup_fd int ns = r > 0 ? r : -1;
	/* What fails there he may have brought about, or who shares his class' budget. */
	if (r == 0 || r == -ETIMEDOUT)
		return sb_fail_plain(err, ELOOP, "no process could do its work in '%s'",
				     c->cgroup_name);
	if (r > 0)
		r = sb_msg_send(c->to_builder, "", 1, &ns, 1);
	/* The builder has failed by then, and knows why. */
	if (r == -EPIPE && (r = sb_creation_await(c, err)) < 0)
		return r;
	return r < 0 ? sb_fail(err, r, "make a cgroup namespace in '%s'", c->cgroup_name) : 0;
}

/* The helper's, before the clone: an init that listens only later refuses the first connects. */
static int listen_for_init(void *ctx, struct sb_err *err)
{
	struct sb_creation *c = ctx;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/init", c->dir);
	c->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (c->socket < 0 || bind(c->socket, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    fchmodat(c->dir, "init", 0600, 0) < 0 || listen(c->socket, INIT_BACKLOG) < 0)
		return sb_fail(err, errno, "listen on init's socket");
	c->program = open(SB_INIT, O_RDONLY | O_CLOEXEC);
	return c->program < 0 ? sb_fail(err, errno, "open '%s'", SB_INIT) : 0;
}

static uint32_t choose_namespaces(const struct sb_settings *set)
{
	const struct {
		bool wanted;
		uint32_t flag;
	} all[] = {
		{ true, CLONE_NEWNS },
		{ true, CLONE_NEWPID },
		{ true, CLONE_NEWCGROUP },
		{ set->private_ipc, CLONE_NEWIPC },
		{ set->private_uts, CLONE_NEWUTS },
		{ set->private_network, CLONE_NEWNET },
	};
	uint32_t flags = 0;
	for (size_t i = 0; i < SB_ARRAY_SIZE(all); i++)
		flags |= all[i].wanted ? all[i].flag : 0;
	return flags;
}

/* The cgroup namespace is not cloned but entered: it is the tenant's cgroup's. */
static pid_t clone_init(struct sb_creation *c, const struct sb_cgroup_entry *entry)
{
	struct clone_args args = { .flags = CLONE_PIDFD |
					    (c->record.ns_flags & ~(uint32_t)CLONE_NEWCGROUP),
				   .pidfd = (uint64_t)(uintptr_t)&c->init,
				   .exit_signal = SIGCHLD };
	if (entry->clone_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)entry->clone_fd;
	}
	return sys_clone3(&args);
}

/* What init's builder said, up to the end of its pipe: that is its exec, or its death. */
static int read_verdict(int pipe_fd, int64_t deadline, struct sb_err *err)
{
	char said[1 + sizeof(struct sb_err)];
	struct sb_err why;
	size_t len = 0;
	ssize_t n = 1;
	while (n > 0 && len < sizeof(said)) {
		if (sb_wait_readable(pipe_fd, deadline) < 0)
			return sb_fail_plain(err, ETIMEDOUT,
					     "building the container took too long");
		n = read(pipe_fd, said + len, sizeof(said) - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (len == 1)
		return 0;
	if (len < sizeof(why))
		return sb_fail_plain(err, EPIPE, "the container's builder died");
	memcpy(&why, said + len - sizeof(why), sizeof(why));
	why.msg[sizeof(why.msg) - 1] = '\0';
	return sb_fail_plain(err, why.num, "%s", why.msg);
}

/* Made by the first login, and then there. */
static int open_init_cgroup(struct sb_cgroup *cg, struct sb_cgroup_entry *ret, struct sb_err *err)
{
	int r = sb_cgroup_entry_open(cg, SB_CGROUP_INIT, false, ret, err);
	if (r != -ENOENT)
		return r;
	r = sb_cgroup_create(cg, SB_CGROUP_INIT, err);
	return r < 0 ? r : sb_cgroup_entry_open(cg, SB_CGROUP_INIT, false, ret, err);
}

/* The new mount namespace is a copy of the caller's: of the empty template. */
static int clone_builder(struct sb_creation *c, const struct sb_cgroup_entry *entry, int said,
			 struct sb_err *err)
{
	pid_t pid = setns(c->template_ns, CLONE_NEWNS) < 0 ? -1 : clone_init(c, entry);
	if (pid == 0) {
		struct sb_err why = { 0 };
		sb_close(&c->to_builder); /* or the helper's end would not be seen */
		sb_creation_become_init(c, entry, &said, &why);
		sb_write_all(said, &why, sizeof(why));
		_exit(1);
	}
	int r = pid < 0 ? sb_fail(err, errno, "clone init into the template") : 0;
	c->init_pid = pid;
	if (setns(c->host_ns, CLONE_NEWNS) < 0 && r == 0)
		r = sb_fail(err, errno, "return to the host's mount namespace");
	return r;
}

static int start_init(void *ctx, struct sb_err *err)
{
	struct sb_creation *c = ctx;
	struct sb_cgroup_entry entry;
	int said[2], pair[2], r = open_init_cgroup(c->cg, &entry, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		c->to_builder = pair[0];
		c->from_helper = pair[1];
	}
	if (c->to_builder < 0 || pipe2(said, O_CLOEXEC) < 0) {
		sb_cgroup_entry_close(&entry);
		return sb_fail(err, errno, "make a pipe");
	}
	c->verdict = said[0];
	r = clone_builder(c, &entry, said[1], err);
	close(said[1]);
	sb_cgroup_entry_close(&entry);
	/* Init's alone from here on: held by us, it would take connections of a dead init. */
	sb_close(&c->socket);
	/* The builder has its own of these; later descriptors get small numbers again. */
	sb_close(&c->from_helper);
	sb_plan_free(c->plan);
	c->plan = NULL;
	return r;
}

int sb_creation_await(struct sb_creation *c, struct sb_err *err)
{
	int r = read_verdict(c->verdict, c->request->deadline, err);
	sb_close(&c->verdict);
	return r;
}

static void kill_init(void *ctx)
{
	struct sb_creation *c = ctx;
	if (c->init < 0)
		return;
	sys_pidfd_send_signal(c->init, SIGKILL);
	/* Gone when the pidfd says so: only then is its cgroup empty. */
	sb_wait_readable(c->init, sb_now_ms() + KILL_WAIT_MS);
	waitpid(c->init_pid, NULL, WNOHANG);
}

static void print_groups(const struct sb_accounts *accounts, char *buf, size_t size)
{
	size_t len = 0;
	buf[0] = '\0';
	for (size_t i = 0; i < accounts->n_groups && len + 12 < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%u", len ? " " : "",
					accounts->groups[i]);
}

static int save_record(void *ctx, struct sb_err *err)
{
	struct sb_creation *c = ctx;
	struct sb_container_record *rec = &c->record;
	const struct sb_policy *policy = c->request->policy;
	struct sb_proc proc;
	int r = sb_proc_read(c->init_pid, &proc);
	if (r < 0)
		return sb_fail(err, r, "look at init");
	rec->number = c->number;
	rec->init = (uint32_t)c->init_pid;
	rec->init_start = proc.start;
	rec->created = (uint64_t)time(NULL);
	rec->uid = policy->uid;
	if (sb_copy(rec->user, sizeof(rec->user), policy->user) < 0 ||
	    sb_copy(rec->class_name, sizeof(rec->class_name), policy->class_name) < 0)
		return sb_fail_plain(err, ENAMETOOLONG, "the name of user or class is too long");
	memcpy(rec->hostname, c->hostname, sizeof(rec->hostname));
	memcpy(rec->container_hash, policy->container_hash, sizeof(rec->container_hash));
	/* One that is too low now is tried again by the next login. */
	snprintf(rec->limits_hash, sizeof(rec->limits_hash), "%s",
		 c->unsupported.limits_low ? "0000000000000000" : policy->limits_hash);
	print_groups(&c->accounts, rec->groups, sizeof(rec->groups));
	r = sb_container_save(c->dir, rec);
	return r < 0 ? sb_fail(err, r, "write the container's record") : 0;
}

const struct sb_step sb_create_steps[SB_CREATE_STEPS] = {
	{ "record directory", make_record_dir, remove_record_dir },
	{ "template and /etc", prepare_shared, NULL },
	{ "mount sources", open_sources, NULL },
	{ "init socket", listen_for_init, NULL },
	{ "init", start_init, kill_init },
	/* From here on its builder works beside the helper. */
	{ "cgroup", make_cgroup, NULL }, /* goes with the user */
	{ "cgroup namespace", make_cgroup_namespace, NULL },
	{ "limits", set_limits, NULL },
	{ "account files", write_accounts, NULL },
	{ "container record", save_record, NULL },
};

void sb_creation_init(struct sb_creation *c)
{
	c->tree = c->dir = c->etc = c->host_ns = c->template_ns = -1;
	c->to_builder = c->from_helper = -1;
	c->socket = c->program = c->init = c->verdict = c->caller = -1;
	c->record.ns_flags = choose_namespaces(&c->request->policy->set);
	c->record.scope = c->request->policy->set.scope;
	c->record.stop_ms = (uint32_t)c->request->policy->set.timeout_stop_ms;
}

void sb_creation_clear(struct sb_creation *c)
{
	int *fds[] = { &c->tree,	&c->dir,	&c->etc,	 &c->host_ns,
		       &c->template_ns, &c->to_builder, &c->from_helper, &c->socket,
		       &c->program,	&c->init,	&c->verdict };
	for (size_t i = 0; i < SB_ARRAY_SIZE(fds); i++)
		sb_close(fds[i]);
	sb_plan_free(c->plan);
	c->plan = NULL;
}
