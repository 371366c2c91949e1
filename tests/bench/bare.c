/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 *   bare create USER SPEC NOTHING    a container and one process in it, as (c) of the table
 *   bare join PID FLAGS NOTHING      one more process into the container of init PID, as (c2)
 *   bare hold USER SPEC N            N containers at once, until standard input ends
 *   bare hold-empty USER SPEC N      the same, but nothing is mounted in them
 *
 * The first two print nanoseconds, the others "ready". NOTHING is the program whose start counts;
 * USER has a session. SPEC names the cgroups: lines "group BASE FILE-TO-ENTER" and
 * "set BASE FILE VALUE"; our group is below each base.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "bare.h"
#include "sessbox/sys.h"

#define TEMPLATE "/run/sessbox/ns/template"

static struct {
	struct {
		char base[PATH_MAX];
		char file[64]; /* that takes a "0" */
		bool v2;
	} groups[BARE_GROUPS_MAX];
	size_t n_groups;
	char group[32]; /* its name in each of them */
	struct {
		char base[PATH_MAX];
		char file[64]; /* in our group */
		char value[128];
	} limits[BARE_LIMITS_MAX];
	size_t n_limits;
	struct bare_plan plan;
	char *nothing;
	bool empty;
	int64_t *joined; /* shared with the child that joins */
} bare;

static void add_group(const char *base, const char *file)
{
	size_t i = bare.n_groups++;
	if (i >= BARE_GROUPS_MAX)
		die("too many hierarchies");
	snprintf(bare.groups[i].base, PATH_MAX, "%s", base);
	snprintf(bare.groups[i].file, sizeof(bare.groups[i].file), "%s", file);
	bare.groups[i].v2 = strcmp(file, "cgroup.procs") == 0;
}

static void add_limit(const char *base, const char *file, const char *value)
{
	size_t i = bare.n_limits++;
	if (i >= BARE_LIMITS_MAX)
		die("too many limits");
	snprintf(bare.limits[i].base, PATH_MAX, "%s", base);
	snprintf(bare.limits[i].file, sizeof(bare.limits[i].file), "%s", file);
	snprintf(bare.limits[i].value, sizeof(bare.limits[i].value), "%s", value);
}

static void read_spec(const char *path)
{
	char line[PATH_MAX + 256], a[PATH_MAX], b[64], c[128];
	FILE *f = fopen(path, "re");
	if (!f)
		die(path);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "group %4095s %63s", a, b) == 2) {
			add_group(a, b);
		} else if (sscanf(line, "set %4095s %63s %127[^\n]", a, b, c) == 3) {
			add_limit(a, b, c);
		}
	}
	fclose(f);
}

/* ---- under the clock ---- */

static void start_nothing(void)
{
	char *argv[] = { bare.nothing, NULL }, *envp[] = { NULL };
	int status;
	pid_t pid = vfork();
	if (pid == 0) {
		execve(bare.nothing, argv, envp);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		die(bare.nothing);
}

static const char *group_path(const char *base, const char *file)
{
	static char path[PATH_MAX + 128];
	snprintf(path, sizeof(path), "%s/%s/%s", base, bare.group, file);
	return path;
}

static void put(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die(file);
	close(fd);
}

static void make_groups(void)
{
	for (size_t i = 0; i < bare.n_groups; i++)
		if (mkdir(group_path(bare.groups[i].base, ""), 0755) < 0)
			die(bare.groups[i].base);
	for (size_t i = 0; i < bare.n_limits; i++)
		put(group_path(bare.limits[i].base, bare.limits[i].file), bare.limits[i].value);
}

/* How to get into a group: a directory to be cloned into (v2), and files to write to (v1). */
struct entry {
	int dir;
	int files[BARE_GROUPS_MAX];
	size_t n;
};

static struct entry open_entry(const char *name)
{
	struct entry entry = { .dir = -1 };
	char path[PATH_MAX * 2];
	for (size_t i = 0; i < bare.n_groups; i++) {
		bool v2 = bare.groups[i].v2;
		snprintf(path, sizeof(path), "%s/%s/%s", bare.groups[i].base, name,
			 v2 ? "" : bare.groups[i].file);
		int fd = open(path, v2 ? O_PATH | O_CLOEXEC : O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			die(path);
		if (v2)
			entry.dir = fd;
		else
			entry.files[entry.n++] = fd;
	}
	return entry;
}

static void enter(const struct entry *entry)
{
	for (size_t i = 0; i < entry->n; i++)
		if (write(entry->files[i], "0", 1) != 1)
			die("enter a cgroup");
}

static pid_t clone_into(const struct entry *entry, struct clone_args *args)
{
	if (entry->dir >= 0) {
		args->flags |= CLONE_INTO_CGROUP;
		args->cgroup = (uint64_t)entry->dir;
	}
	pid_t pid = sys_clone3(args);
	if (pid < 0)
		die("clone3");
	return pid;
}

static int make_cgroup_namespace(void)
{
	struct clone_args args = { .flags = CLONE_FILES, .exit_signal = SIGCHLD };
	const struct entry entry = open_entry(bare.group);
	int status;
	pid_t pid = clone_into(&entry, &args);
	if (pid == 0) {
		enter(&entry);
		if (unshare(CLONE_NEWCGROUP) < 0)
			_exit(0);
		_exit(open("/proc/self/ns/cgroup", O_RDONLY | O_CLOEXEC));
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || !WEXITSTATUS(status))
		die("make a cgroup namespace");
	return WEXITSTATUS(status);
}

static void become_init(const struct entry *entry, int cgroup_ns, int said)
{
	enter(entry);
	if (setns(cgroup_ns, CLONE_NEWCGROUP) < 0 ||
	    sethostname(bare.plan.hostname, strlen(bare.plan.hostname)) < 0)
		die("become init");
	setsid();
	if (!bare.empty)
		bare_tree_build(&bare.plan);
	if (write(said, "1", 1) != 1)
		die("say so");
	for (;;)
		pause();
}

static pid_t make_container(int *ret_pidfd)
{
	int said[2];
	char byte;
	make_groups();
	int cgroup_ns = make_cgroup_namespace();
	bare_tree_open(&bare.plan);
	/* From the template nothing of the host can be opened. */
	const struct entry entry = open_entry("init");
	int host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int template = open(TEMPLATE, O_RDONLY | O_CLOEXEC);
	struct clone_args args = { .flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWPID |
					    CLONE_NEWUTS | CLONE_NEWIPC,
				   .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
				   .exit_signal = SIGCHLD };
	if (host < 0 || pipe2(said, O_CLOEXEC) < 0 || setns(template, CLONE_NEWNS) < 0)
		die("enter the template");
	pid_t pid = clone_into(&entry, &args);
	if (pid == 0)
		become_init(&entry, cgroup_ns, said[1]);
	close(said[1]);
	if (setns(host, CLONE_NEWNS) < 0 || read(said[0], &byte, 1) != 1)
		die("build the container");
	return pid;
}

static void join(int pidfd, int flags)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		int64_t from = now_ns();
		if (setns(pidfd, flags) < 0)
			die("setns");
		*bare.joined = now_ns() - from;
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		die("join");
}

/* ---- the two programs ---- */

static void remove_groups(void)
{
	for (size_t i = 0; i < bare.n_groups; i++)
		while (rmdir(group_path(bare.groups[i].base, "")) < 0) {
			if (errno != EBUSY)
				die(bare.groups[i].base);
			usleep(1000);
		}
}

static void name_group(unsigned long i)
{
	snprintf(bare.group, sizeof(bare.group), BARE_GROUP "%lu", i);
}

static int create(const char *user, const char *spec)
{
	int pidfd = -1,
	    flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
	read_spec(spec);
	bare_plan_make(user, &bare.plan);
	snprintf(bare.group, sizeof(bare.group), BARE_GROUP);
	int64_t from = now_ns();
	start_nothing();
	pid_t init = make_container(&pidfd);
	int64_t made = now_ns();
	join(pidfd, flags);
	printf("total %" PRId64 "\n", made - from + *bare.joined);
	if (kill(init, SIGKILL) < 0 || waitpid(init, NULL, 0) < 0)
		die("end the container");
	remove_groups();
	return 0;
}

static int join_again(pid_t init, int flags)
{
	int64_t from = now_ns();
	start_nothing();
	int pidfd = sys_pidfd_open(init, 0);
	int64_t opened = now_ns();
	if (pidfd < 0)
		die("pidfd_open");
	join(pidfd, flags);
	printf("total %" PRId64 "\n", opened - from + *bare.joined);
	return 0;
}

/* By a process of its own, with which the descriptors go; init is then a child of ours. */
static pid_t hold_one(void)
{
	int pidfd, told[2];
	pid_t init = -1;
	if (pipe2(told, O_CLOEXEC) < 0)
		die("pipe");
	pid_t pid = fork();
	if (pid == 0) {
		init = make_container(&pidfd);
		_exit(write(told[1], &init, sizeof(init)) != sizeof(init));
	}
	close(told[1]);
	if (read(told[0], &init, sizeof(init)) != sizeof(init) || waitpid(pid, NULL, 0) != pid)
		die("hold a container");
	close(told[0]);
	return init;
}

static int hold(const char *user, const char *spec, unsigned long n, bool empty)
{
	char byte;
	read_spec(spec);
	bare.empty = empty;
	bare_plan_make(user, &bare.plan);
	pid_t *inits = calloc(n, sizeof(*inits));
	if (!inits || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		die("hold");
	for (unsigned long i = 0; i < n; i++) {
		name_group(i);
		inits[i] = hold_one();
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	for (unsigned long i = 0; i < n; i++)
		if (kill(inits[i], SIGKILL) < 0 || waitpid(inits[i], NULL, 0) < 0)
			die("end a container");
	for (unsigned long i = 0; i < n; i++) {
		name_group(i);
		remove_groups();
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		die("usage: bare create USER SPEC NOTHING | join PID FLAGS NOTHING | "
		    "hold USER SPEC N | hold-empty USER SPEC N");
	if (strncmp(argv[1], "hold", 4) == 0)
		return hold(argv[2], argv[3], strtoul(argv[4], NULL, 10),
			    strcmp(argv[1], "hold-empty") == 0);
	bare.nothing = argv[4];
	bare.joined = mmap(NULL, sizeof(*bare.joined), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (bare.joined == MAP_FAILED)
		die("mmap");
	return strcmp(argv[1], "create") == 0 ? create(argv[2], argv[3])
					      : join_again(atoi(argv[2]), atoi(argv[3]));
}
