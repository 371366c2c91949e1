/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A PAM application on strings: carries out the words of its command line one after the other and
 * tells on descriptor FD, a line each, what came of them. The tests bind it over /usr/sbin/sshd,
 * since the module asks /proc/self/exe who its caller is.
 *
 *   driver FD start=sshd:ann:DIR account open fork setcred state=child done close
 *
 * The words between fork and done are the child's; its end is reported by the parent.
 */
#include "driver.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE(a) (sizeof(a) / sizeof((a)[0]))

static int report_fd;
static pam_handle_t *pamh;
static char **rest; /* the words that are still to come; NULL at the end */
static int flags;
static volatile sig_atomic_t caught[NSIG];

void report(const char *fmt, ...)
{
	char line[8192];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(line) - 1 ? (size_t)n : sizeof(line) - 2;
	for (size_t i = 0; i < len; i++)
		line[i] = iscntrl((unsigned char)line[i]) ? ' ' : line[i];
	line[len] = '\n';
	for (size_t at = 0; at <= len;) {
		ssize_t done = write(report_fd, line + at, len + 1 - at);
		if (done < 0 && errno != EINTR)
			_exit(120);
		at += done < 0 ? 0 : (size_t)done;
	}
}

/* ---- PAM ---- */

static int converse(int n, const struct pam_message **messages, struct pam_response **ret,
		    void *data)
{
	(void)data;
	for (int i = 0; i < n; i++)
		report("say %d %s", messages[i]->msg_style, messages[i]->msg);
	*ret = calloc((size_t)n, sizeof(**ret));
	return *ret ? PAM_SUCCESS : PAM_BUF_ERR;
}

/* SERVICE:USER:DIR */
static void start(char *arg)
{
	static const struct pam_conv conv = { converse, NULL };
	char *save = NULL, *service = strtok_r(arg, ":", &save);
	char *user = strtok_r(NULL, ":", &save), *dir = strtok_r(NULL, ":", &save);
	if (!dir)
		_exit(121);
	int r = pam_start_confdir(service, user, &conv, dir, &pamh);
	if (r == PAM_SUCCESS)
		pam_set_item(pamh, PAM_RHOST, "client.example");
	report("start %d", r);
}

static void silent(char *arg)
{
	flags = atoi(arg) ? PAM_SILENT : 0;
}

static void account(char *arg)
{
	(void)arg;
	report("account %d", pam_acct_mgmt(pamh, flags));
}

static void authenticate(char *arg)
{
	(void)arg;
	report("authenticate %d", pam_authenticate(pamh, flags));
}

static void setcred(char *arg)
{
	(void)arg;
	report("setcred %d", pam_setcred(pamh, flags | PAM_ESTABLISH_CRED));
}

static void put_env(char *arg)
{
	report("putenv %d", pam_putenv(pamh, arg));
}

static void open_session(char *arg)
{
	(void)arg;
	report("open %d", pam_open_session(pamh, flags));
}

static void close_session(char *arg)
{
	(void)arg;
	report("close %d", pam_close_session(pamh, flags));
}

static void end(char *arg)
{
	(void)arg;
	report("end %d", pam_end(pamh, PAM_SUCCESS));
	pamh = NULL;
}

static void state(char *arg)
{
	report_state(arg, pamh);
}

/* ---- processes ---- */

static char **past_done(char **words)
{
	int depth = 1;
	for (; *words && depth > 0; words++)
		depth += (strcmp(*words, "fork") == 0 || strcmp(*words, "rawfork") == 0) -
			 (strcmp(*words, "done") == 0);
	return words;
}

static void fork_child(char *arg)
{
	int status;
	(void)arg;
	pid_t pid = fork();
	if (pid == 0)
		return; /* goes on with the words that follow */
	int error = errno;
	rest = past_done(rest);
	if (pid < 0) {
		report("fork %d", error);
		return;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			report("child lost %d", errno);
			return;
		}
	if (WIFEXITED(status))
		report("child exit %d", WEXITSTATUS(status));
	else
		report("child signal %d", WTERMSIG(status));
}

/* A child that the C library knows nothing of. */
static void fork_raw(char *arg)
{
	int status;
	(void)arg;
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		return;
	rest = past_done(rest);
	waitpid(pid, &status, 0);
	report("child exit %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* What a child of vfork gets when it becomes the user. */
static void fork_light(char *arg)
{
	int status;
	uid_t uid = (uid_t)atoi(arg);
	pid_t pid = vfork();
	if (pid == 0)
		_exit(syscall(SYS_setresuid, uid, uid, uid) < 0 ? errno : 0);
	waitpid(pid, &status, 0);
	report("setuid %d", WEXITSTATUS(status));
}

/* Another program of root's, which becomes the user. */
static void spawn(char *arg)
{
	char fd[16], word[32];
	char *argv[] = { (char *)"driver", fd, word, NULL };
	int status;
	pid_t pid;
	snprintf(fd, sizeof(fd), "%d", report_fd);
	snprintf(word, sizeof(word), "setuid=%s", arg);
	fcntl(report_fd, F_SETFD, 0);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, NULL) == 0)
		waitpid(pid, &status, 0);
}

/* Only a child comes to it: its parent went past. */
static void done(char *arg)
{
	(void)arg;
	_exit(0);
}

static void vanish(char *arg)
{
	(void)arg;
	kill(getpid(), SIGKILL);
}

/* A program of root's own, which a caller may start; it goes on with the words. */
static void exec_self(char *arg)
{
	char fd[16], *argv[64] = { (char *)"driver", fd };
	(void)arg;
	snprintf(fd, sizeof(fd), "%d", report_fd);
	fcntl(report_fd, F_SETFD, 0);
	for (size_t i = 2; *rest && i < SIZE(argv) - 1; i++)
		argv[i] = *rest++;
	execv("/proc/self/exe", argv);
	report("exec %d", errno);
	_exit(122);
}

/* ---- identities ---- */

static void set_uid(char *arg)
{
	uid_t uid = (uid_t)atoi(arg);
	report("setuid %d", setresuid(uid, uid, uid) < 0 ? errno : 0);
}

static void set_gid(char *arg)
{
	gid_t gid = (gid_t)atoi(arg);
	report("setgid %d", setresgid(gid, gid, gid) < 0 ? errno : 0);
}

/* atd's way: another euid for a while, and back. */
static void swap_uid(char *arg)
{
	int there = seteuid((uid_t)atoi(arg)) < 0 ? errno : 0;
	int back = seteuid(0) < 0 ? errno : 0;
	report("swap %d %d", there, back);
}

/* And stays there. */
static void lower_uid(char *arg)
{
	report("lower %d", seteuid((uid_t)atoi(arg)) < 0 ? errno : 0);
}

/* A saved uid to go to without a capability, as programs have that lower their euid for a while. */
static void save_uid(char *arg)
{
	report("saved %d", setresuid(0, 0, (uid_t)atoi(arg)) < 0 ? errno : 0);
}

/* Takes a capability out of the effective set. */
static void drop_cap(char *arg)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];
	int cap = atoi(arg);
	bool ok = syscall(SYS_capget, &header, caps) == 0;
	caps[cap / 32].effective &= ~(1U << cap % 32);
	report("drop %d", ok && syscall(SYS_capset, &header, caps) == 0 ? 0 : errno);
}

static void init_groups(char *arg)
{
	const struct passwd *pw = getpwnam(arg);
	report("initgroups %d", pw && initgroups(arg, pw->pw_gid) == 0 ? 0 : errno);
}

/* ---- the rest of a program's life ---- */

static void count_signal(int sig)
{
	caught[sig]++;
}

static void handle(char *arg)
{
	const struct sigaction act = { .sa_handler = count_signal };
	report("handle %d", sigaction(atoi(arg), &act, NULL) < 0 ? errno : 0);
}

static void tell_caught(char *arg)
{
	report("caught %s %d", arg, (int)caught[atoi(arg)]);
}

/* What sshd does with its pipes before it calls setcred. */
static void new_stdio(char *arg)
{
	int null = open("/dev/null", O_RDWR);
	(void)arg;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			_exit(123);
	if (null > 2)
		close(null);
}

/* Waits until the other side has looked. */
static void sync_with(char *arg)
{
	char byte;
	report("sync %s %d", arg, getpid());
	while (read(report_fd, &byte, 1) < 0 && errno == EINTR)
		;
}

static const struct {
	const char *name;
	void (*run)(char *arg);
} verbs[] = {
	{ "start", start },	  { "silent", silent },
	{ "account", account },	  { "authenticate", authenticate },
	{ "setcred", setcred },	  { "putenv", put_env },
	{ "open", open_session }, { "close", close_session },
	{ "end", end },		  { "state", state },
	{ "fork", fork_child },	  { "rawfork", fork_raw },
	{ "vfork", fork_light },  { "spawn", spawn },
	{ "done", done },	  { "vanish", vanish },
	{ "exec", exec_self },	  { "setuid", set_uid },
	{ "setgid", set_gid },	  { "swap", swap_uid },
	{ "lower", lower_uid },	  { "saved", save_uid },
	{ "drop", drop_cap },	  { "initgroups", init_groups },
	{ "handle", handle },	  { "caught", tell_caught },
	{ "stdio", new_stdio },	  { "sync", sync_with },
};

static void run(char *word)
{
	char *arg = strchr(word, '=');
	if (arg)
		*arg++ = '\0';
	for (size_t i = 0; i < SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, word) == 0) {
			verbs[i].run(arg ? arg : word + strlen(word));
			return;
		}
	}
	report("unknown word %s", word);
	_exit(124);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	report_fd = atoi(argv[1]);
	rest = argv + 2;
	while (*rest)
		run(*rest++);
	return 0;
}
