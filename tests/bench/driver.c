/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Does what sshd does around a login, and nothing else; with a SERVICE, what that one's program
 * does: su's child, say, is the tenant's when fork returns. It is bound over the program, since the
 * module asks /proc/self/exe who its caller is. One run is one connection.
 *
 *   sshd once USER PAM_DIR    one login; prints its figures
 *   sshd open USER PAM_DIR    the same without an account phase in this process, as sshd has it
 * with keyboard-interactive authentication
 *   sshd hold USER PAM_DIR    prints "ready" inside a login and ends it when its input ends
 *   PROGRAM once USER PAM_DIR SERVICE
 */
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <security/pam_appl.h>

#include "driver.h"
#include "sessbox/service.h"

struct figures *figures;
static const struct sb_service *service;

static int converse(int n, const struct pam_message **messages, struct pam_response **ret,
		    void *data)
{
	(void)data;
	for (int i = 0; i < n; i++)
		fprintf(stderr, "driver: %s\n", messages[i]->msg);
	*ret = calloc((size_t)n, sizeof(**ret));
	return *ret ? PAM_SUCCESS : PAM_BUF_ERR;
}

static void check(pam_handle_t *pamh, const char *what, int r)
{
	if (r == PAM_SUCCESS)
		return;
	fprintf(stderr, "driver: %s: %s\n", what, pam_strerror(pamh, r));
	exit(1);
}

/* sshd's own order: the account is checked and setcred called before the session is opened. */
static pam_handle_t *begin(const char *user, const char *dir, bool account)
{
	static const struct pam_conv conv = { converse, NULL };
	pam_handle_t *pamh = NULL;
	check(NULL, "pam_start", pam_start_confdir(service->name, user, &conv, dir, &pamh));
	check(pamh, "PAM_RHOST", pam_set_item(pamh, PAM_RHOST, "127.0.0.1"));
	check(pamh, "PAM_TTY", pam_set_item(pamh, PAM_TTY, "ssh"));
	int64_t from = now_ns();
	if (account)
		check(pamh, "pam_acct_mgmt", pam_acct_mgmt(pamh, 0));
	figures->account = now_ns() - from;
	check(pamh, "pam_setcred", pam_setcred(pamh, PAM_ESTABLISH_CRED));
	return pamh;
}

static void open_session(pam_handle_t *pamh)
{
	figures->tree = 0;
	timeline_open();
	timeline_note(STRAND_LOGIN, "module", "request");
	int64_t from = now_ns();
	int r = pam_open_session(pamh, 0);
	figures->open = now_ns() - from;
	timeline_note(STRAND_LOGIN, "driver", "fork (not counted)");
	check(pamh, "pam_open_session", r);
}

static void become_tenants(pam_handle_t *pamh, const struct passwd *pw, int64_t forked)
{
	figures->fork = now_ns() - forked;
	if (initgroups(pw->pw_name, pw->pw_gid) < 0)
		die("initgroups");
	timeline_note(STRAND_LOGIN, "module", "inherited state");
	int64_t from = now_ns();
	int r = service->join == SB_JOIN_CRED ? pam_setcred(pamh, PAM_ESTABLISH_CRED) : PAM_SUCCESS;
	figures->child = now_ns() - from;
	timeline_note(STRAND_LOGIN, "driver", "end");
	_exit(r == PAM_SUCCESS ? 0 : 1);
}

static void run_child(pam_handle_t *pamh, const char *user)
{
	int status;
	const struct passwd *pw = getpwnam(user);
	if (!pw)
		die(user);
	figures->migrate = 0;
	int64_t from = now_ns();
	pid_t pid = fork();
	if (pid == 0)
		become_tenants(pamh, pw, from);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		die("fork");
	if (status != 0) {
		fprintf(stderr, "driver: the child did not get in (status %#x)\n", status);
		exit(1);
	}
}

static void close_session(pam_handle_t *pamh)
{
	timeline_note(STRAND_LOGIN, "close", "begin");
	int64_t from = now_ns();
	check(pamh, "pam_close_session", pam_close_session(pamh, 0));
	figures->close = now_ns() - from;
	timeline_note(STRAND_LOGIN, "close", "end");
	pam_end(pamh, PAM_SUCCESS);
}

static void hold(void)
{
	char byte;
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	if (argc != 4 && argc != 5)
		die("usage: sshd once|open|hold USER PAM_DIR [SERVICE]");
	service = sb_service_find(argc == 5 ? argv[4] : "sshd");
	if (!service)
		die("no such service");
	figures = mmap(NULL, sizeof(*figures), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (figures == MAP_FAILED)
		die("mmap");
	pam_handle_t *pamh = begin(argv[2], argv[3], strcmp(argv[1], "open") != 0);
	open_session(pamh);
	run_child(pamh, argv[2]);
	if (strcmp(argv[1], "hold") == 0)
		hold();
	close_session(pamh);
	printf("account %" PRId64 " open %" PRId64 " fork %" PRId64 " child %" PRId64
	       " close %" PRId64 " tree %" PRId64 " migrate %" PRId64 "\n",
	       figures->account, figures->open, figures->fork, figures->child, figures->close,
	       figures->tree, figures->migrate);
	return 0;
}
