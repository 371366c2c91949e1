/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_PROVE_H
#define SESSCTL_PROVE_H

/*
 * Does a new PAM file work? Tried in a copy of the machine that ends with the question: namespaces
 * of its own, /etc and /var as overlays, /run, /home and /root empty, everything else read-only, a
 * network with lo alone, cgroups below ours. Nothing of the host is written, no daemon of it is
 * asked, and nobody gets in. What is done there is a script's, sessbox-prove.
 */
#include <stdbool.h>
#include <stddef.h>

#include "sessbox/cgroup.h"
#include "sessbox/err.h"
#include "sessbox/pam.h"

enum ctl_proof {
	CTL_PROVED,
	CTL_DISPROVED,	/* the new files do not do what they should */
	CTL_UNPROVABLE, /* it cannot be tried here */
};

/*
 * texts: the new files, by the services' names. *why gets the reason of any other result than
 * CTL_PROVED. A signal that would end the program does so when the copy has been taken down.
 */
enum ctl_proof ctl_prove(const struct sb_pam_text *texts, size_t n, char *why, size_t size);

/* ---- prove_copy.c ---- */

struct ctl_copy {
	const struct sb_cgroup_replica *cgroups;
	bool v2;		       /* its one mount is /sys/fs/cgroup itself */
	int mounts[SB_CGROUP_FDS_MAX]; /* of cgroups->dirs, detached */
	const struct sb_pam_text *texts;
	size_t n;
	int from, out; /* what the script says */
	int log;       /* socket of the copy's syslog */
};

#define CTL_COPY_TEXTS 8
#define CTL_COPY_DIR "/run/sessbox-proof"

/* The first process of the copy makes it out of what it has been born with. */
int ctl_copy_make(struct ctl_copy *copy, struct sb_err *err);

#endif
