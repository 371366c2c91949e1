/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_PROXY_H
#define SESSBOX_PROXY_H

/*
 * ProxyCommands=: set-user-ID programs, which no_new_privs stops inside, run for a tenant on the
 * host. Inside, the client sessbox-proxy lies over the program; it asks the broker, `sessbox-helper
 * proxy`, over a SOCK_SEQPACKET socket. Here is what both of them know: the one table of commands,
 * what of a command line is let through, and the messages. The client links this and no more.
 *
 *   broker   sb_proxy_reply HELLO, with a nonce, or REFUSED
 *   client   sb_proxy_request with that nonce, and the descriptors 0, 1 and 2
 *   client   any number of sb_proxy_signal; to hang up ends the program
 *   broker   sb_proxy_reply EXITED, KILLED or REFUSED
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SB_PROXY SB_LIBEXECDIR "/sessbox-proxy"
#define SB_PROXY_DIR "/run/sessbox/proxy" /* shown inside under the same name */
#define SB_PROXY_SOCKET SB_PROXY_DIR "/socket"

/* ---- the table ---- */

/* What words may follow a command's options. */
enum sb_proxy_words {
	SB_PROXY_FILE, /* a file, which the client opens: to the broker it is "-" */
	SB_PROXY_TIME, /* words of a time, or numbers of jobs */
	SB_PROXY_JOBS, /* numbers */
	SB_PROXY_SELF, /* the user's own name */
};

struct sb_proxy_command {
	const char *name;
	const char *key;     /* its word in ProxyCommands= */
	const char *path;    /* the program on the host, and what the client lies over inside */
	const char *options; /* let through, as getopt(3) writes them; no long ones */
	const char *inside;  /* the client's own, which the broker refuses */
	enum sb_proxy_words words;
	/* What it leaves on the host: bytes of a file at most (0 = as many as it likes), and the
	 * directories in which its user may have so many files. One that is killed leaves some,
	 * too. */
	uint64_t file_max;
	const char *spools; /* blank-separated, NULL = none */
	unsigned int spool_max;
	unsigned int spool_days; /* older ones do not count; 0 = they all do */
	const char *leaves_none; /* letters of options with which it makes no file */
	const char *service;	 /* the PAM service that carries it out later, which must contain */
	bool keeps_env;		 /* writes its environment down for that */
};

extern const struct sb_proxy_command sb_proxy_commands[];
extern const size_t sb_proxy_commands_n;

/* NULL = there is none. */
const struct sb_proxy_command *sb_proxy_find(const char *name);

/* Is it a word of ProxyCommands=? */
bool sb_proxy_is_key(const char *text);

/* ---- a command line ---- */

#define SB_PROXY_OPTIONS_MAX 16
#define SB_PROXY_OPERANDS_MAX 64
#define SB_PROXY_WORDS_MAX (1 + 2 * SB_PROXY_OPTIONS_MAX + SB_PROXY_OPERANDS_MAX)
#define SB_PROXY_WORD_MAX 256 /* bytes of one, with its end */

struct sb_proxy_option {
	char text[3]; /* "-x" */
	const char *arg;
};

/* Borrows the words it was parsed from. */
struct sb_proxy_call {
	const struct sb_proxy_command *command;
	struct sb_proxy_option options[SB_PROXY_OPTIONS_MAX];
	size_t n_options;
	const char *operands[SB_PROXY_OPERANDS_MAX];
	size_t n_operands;
	char why[96]; /* it was refused */
};

/*
 * Takes a command line apart. argv[0] is the command's name, a path before it does not matter.
 * inside: by the client's rules, which open files and edit; otherwise by the broker's. -EPERM: not
 * let through, and ret->why says what; -E2BIG: too many words.
 */
int sb_proxy_parse(size_t argc, const char *const *argv, bool inside, struct sb_proxy_call *ret);

/*
 * The command line the program gets: the name, each option as a word of its own, then the operands,
 * none of which looks like an option. words has SB_PROXY_WORDS_MAX places. Returns their number.
 */
size_t sb_proxy_words(const struct sb_proxy_call *call, const char **words);

/* Has it an option with which the command makes no file? */
bool sb_proxy_leaves_none(const struct sb_proxy_call *call);

/* Is this "NAME=value" one that the program gets? TERM, LANG and LC_*, with plain values. */
bool sb_proxy_is_env(const char *pair);

/*
 * ---- messages ----
 *
 * A container keeps the client it was made with over any number of releases: what is here stays as
 * it is.
 */
#define SB_PROXY_MAGIC 0x5e55b0caU
#define SB_PROXY_VERSION 1
#define SB_PROXY_NONCE 16
#define SB_PROXY_ENV_MAX 16
#define SB_PROXY_TEXT_MAX 4096

struct sb_proxy_request {
	uint32_t magic;
	uint32_t version;
	unsigned char nonce[SB_PROXY_NONCE];
	uint32_t umask; /* at writes it into its job */
	uint32_t n_words;
	uint32_t n_env;
	char text[SB_PROXY_TEXT_MAX]; /* the words, then the environment; each ends with NUL */
};

enum sb_proxy_kind {
	SB_PROXY_HELLO = 1,
	SB_PROXY_REFUSED, /* text is a sentence for the user */
	SB_PROXY_EXITED,  /* value is the exit status */
	SB_PROXY_KILLED,  /* value is the signal */
};

struct sb_proxy_reply {
	uint32_t magic;
	uint32_t version;
	uint32_t kind; /* enum sb_proxy_kind */
	int32_t value;
	unsigned char nonce[SB_PROXY_NONCE];
	char text[160];
};

/* One of those that sb_proxy_passes() lets through. */
struct sb_proxy_signal {
	uint32_t magic;
	int32_t signal;
};

bool sb_proxy_passes(int sig);

/* Writes a call and of the environment what goes with it. -E2BIG: it does not fit. */
int sb_proxy_pack(const struct sb_proxy_call *call, const char *const *env,
		  struct sb_proxy_request *ret);

/* What a request asks for; all pointers are into the request. */
struct sb_proxy_wanted {
	struct sb_proxy_call call;
	const char *env[SB_PROXY_ENV_MAX];
	size_t n_env;
};

/*
 * Believes a request nothing. 0; -EPROTO: it is none; or as sb_proxy_parse by the broker's rules,
 * and then ret->call.why says what.
 */
int sb_proxy_unpack(const struct sb_proxy_request *q, struct sb_proxy_wanted *ret);

#endif
