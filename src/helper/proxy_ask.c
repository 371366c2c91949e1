/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who asks, and whether he may. Each check returns NULL, or a sentence for the user. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "helper.h"
#include "proxy.h"
#include "sessbox/io.h"
#include "sessbox/log.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define REQUEST_MS 5000

static const char not_yours[] = "it runs for processes of a contained login alone";
static const char no_request[] = "the request is none";

static int greet(struct sb_asking *a, unsigned char *nonce)
{
	struct sb_proxy_reply hello = { .magic = SB_PROXY_MAGIC,
					.version = SB_PROXY_VERSION,
					.kind = SB_PROXY_HELLO };
	const int on = 1;
	if (getrandom(hello.nonce, sizeof(hello.nonce), 0) != sizeof(hello.nonce) ||
	    setsockopt(a->sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return -errno;
	memcpy(nonce, hello.nonce, sizeof(hello.nonce));
	return sb_msg_send(a->sock, &hello, sizeof(hello), NULL, 0);
}

/* By its pid, which may be another's by now; then what has been found is another's, too. */
static const char *find_container(struct sb_asking *a)
{
	int r = sb_container_find(a->peer.uid, a->peer.pid, &a->container, &a->err);
	if (r == -ESRCH)
		a->err.num = 0; /* nobody's fault but his */
	return r == -ESRCH ? not_yours : r < 0 ? SB_PROXY_BROKEN : NULL;
}

/* Strangers are sent away before they can make anybody wait. */
static const char *find_asker(struct sb_asking *a)
{
	a->peer_fd = a->peer.pid > 0 ? sys_pidfd_open(a->peer.pid, 0) : -1;
	return a->peer_fd < 0 || a->peer.uid == 0 ? not_yours : find_container(a);
}

/*
 * A pid is nobody's name: who connected may be gone, and the pid another's. So the request has to
 * repeat what it could not know before the pidfd was there, the kernel says which pid it was sent
 * by, and check_still_there() sees at the end that the pidfd's process lives: it had that pid all
 * the time, and has sent the request.
 */
static const char *take_request(struct sb_asking *a)
{
	unsigned char nonce[SB_PROXY_NONCE];
	struct sb_msg_more more = { .fds = a->fds, .n = SB_ARRAY_SIZE(a->fds) };
	if (greet(a, nonce) < 0 || sb_wait_readable(a->sock, sb_now_ms() + REQUEST_MS) < 0 ||
	    sb_msg_recv_more(a->sock, &a->request, sizeof(a->request), &more) !=
		    sizeof(a->request) ||
	    more.n != SB_ARRAY_SIZE(a->fds) || memcmp(nonce, a->request.nonce, sizeof(nonce)) != 0)
		return no_request;
	return more.from.pid == a->peer.pid && more.from.uid == a->peer.uid ? NULL : not_yours;
}

static const char *check_still_there(struct sb_asking *a)
{
	return sb_wait_readable(a->peer_fd, 0) == -ETIMEDOUT ? NULL : not_yours;
}

static const char *read_command(struct sb_asking *a)
{
	int r = sb_proxy_unpack(&a->request, &a->wanted);
	return r == 0 ? NULL : r == -EPERM ? a->wanted.call.why : no_request;
}

static const char *find_account(struct sb_asking *a)
{
	errno = 0;
	a->account = getpwnam(a->container.user);
	if (a->account && a->account->pw_uid == a->peer.uid)
		return NULL;
	sb_fail(&a->err, errno ? errno : ENOENT, "look up '%s'", a->container.user);
	return SB_PROXY_BROKEN;
}

/* As it is now. A last good one only says who is a tenant, and is not asked here. */
static const char *resolve_policy(struct sb_asking *a)
{
	if (sb_config_load(NULL, NULL, &a->config, &a->err) < 0 ||
	    sb_helper_resolve_account(a->config, a->account, NULL, &a->policy, &a->err) < 0)
		return SB_PROXY_BROKEN;
	return a->policy->set.contain && sb_strv_has(&a->policy->set.proxy_commands,
						     a->wanted.call.command->key)
		       ? NULL
		       : "it is not open to you: please ask the administrator";
}

static const char *check_name(struct sb_asking *a)
{
	const struct sb_proxy_call *call = &a->wanted.call;
	for (size_t i = 0; call->command->words == SB_PROXY_SELF && i < call->n_operands; i++)
		if (strcmp(call->operands[i], a->account->pw_name) != 0)
			return "it is for your own account alone";
	return NULL;
}

static const char *check_program(struct sb_asking *a)
{
	return access(a->wanted.call.command->path, X_OK) == 0 ? NULL
							       : "it is not installed on this host";
}

/* The order matters: nothing costly before it is known who asks. */
static const char *(*const steps[])(struct sb_asking *) = {
	find_asker,    take_request,	       find_container,	    check_still_there,
	read_command,  find_account,	       resolve_policy,	    check_name,
	check_program, sb_proxy_check_service, sb_proxy_check_room, sb_proxy_run,
};

_Noreturn void sb_proxy_turn_away(const int *socks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sb_proxy_say(socks[i], SB_PROXY_REFUSED, 0,
			     "too many are running: try again later");
	_exit(0);
}

_Noreturn void sb_proxy_serve(int sock, const struct ucred *peer)
{
	struct sb_asking a = { .sock = sock, .peer = *peer, .peer_fd = -1, .fds = { -1, -1, -1 } };
	const char *refused = NULL;
	alarm(SB_PROXY_ASK_SEC);
	for (size_t i = 0; i < SB_ARRAY_SIZE(steps) && !refused; i++)
		refused = steps[i](&a);
	if (refused)
		sb_proxy_say(sock, SB_PROXY_REFUSED, 0, refused);
	if (refused && a.err.num)
		sb_log(LOG_ERR, "uid %u: %s", peer->uid, a.err.msg);
	_exit(refused != NULL);
}
