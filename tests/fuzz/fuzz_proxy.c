/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A tenant's request: the input is its text, behind a byte each for its numbers of words and pairs.
 */
#include "fuzz.h"

#include <errno.h>

#include "sessbox/proxy.h"
#include "sessbox/str.h"

static bool is_within(const struct sb_proxy_request *q, const char *text)
{
	return text >= q->text && text < q->text + sizeof(q->text) &&
	       memchr(text, '\0', (size_t)(q->text + sizeof(q->text) - text));
}

/* Each word is one of the request's, or an option of the table; nothing else looks like one. */
static void check_words(const struct sb_proxy_request *q, const struct sb_proxy_call *call)
{
	const char *words[SB_PROXY_WORDS_MAX];
	size_t n = sb_proxy_words(call, words), at = 1;
	CLAIM(n <= SB_PROXY_WORDS_MAX && sb_proxy_find(words[0]) == call->command);
	for (size_t i = 0; i < call->n_options; i++) {
		const char *letter = strchr(call->command->options, words[at][1]);
		CLAIM(words[at][0] == '-' && words[at][1] && words[at][1] != ':' && letter);
		at++;
		if (letter[1] != ':')
			continue;
		CLAIM(is_within(q, words[at]) && words[at][0] != '-' && words[at][0] != '/');
		at++;
	}
	for (; at < n; at++) {
		CLAIM(is_within(q, words[at]) && words[at][0] && words[at][0] != '/');
		CLAIM(words[at][0] != '-' || words[at][1] == '\0');
		CLAIM(!strpbrk(words[at], "\n\t;|&`'\"<>*?"));
	}
}

/* What it means is the same when it is said again. */
static void check_again(const struct sb_proxy_wanted *wanted)
{
	static struct sb_proxy_request again;
	static struct sb_proxy_wanted ours;
	const char *a[SB_PROXY_WORDS_MAX], *b[SB_PROXY_WORDS_MAX];
	const char *env[SB_PROXY_ENV_MAX + 1] = { 0 };
	memcpy(env, wanted->env, sizeof(wanted->env));
	if (sb_proxy_pack(&wanted->call, env, &again) < 0)
		return; /* "-VVV" is longer as it is passed on */
	CLAIM(sb_proxy_unpack(&again, &ours) == 0 && ours.n_env <= wanted->n_env);
	size_t n = sb_proxy_words(&wanted->call, a);
	CLAIM(sb_proxy_words(&ours.call, b) == n);
	for (size_t i = 0; i < n; i++)
		CLAIM(strcmp(a[i], b[i]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct sb_proxy_request *q = calloc(1, sizeof(*q));
	static struct sb_proxy_wanted wanted;
	CLAIM(q);
	q->magic = SB_PROXY_MAGIC;
	q->version = SB_PROXY_VERSION;
	q->n_words = data[0];
	q->n_env = data[1];
	memcpy(q->text, data + 2, size - 2 < sizeof(q->text) ? size - 2 : sizeof(q->text));
	int r = sb_proxy_unpack(q, &wanted);
	CLAIM(r == 0 || r == -EPROTO || r == -EPERM || r == -E2BIG);
	for (size_t i = 0; r == 0 && i < wanted.n_env; i++)
		CLAIM(is_within(q, wanted.env[i]) && sb_proxy_is_env(wanted.env[i]));
	if (r == 0) {
		check_words(q, &wanted.call);
		check_again(&wanted);
	}
	free(q);
	return 0;
}
