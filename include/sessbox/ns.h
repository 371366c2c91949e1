/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_NS_H
#define SESSBOX_NS_H

/*
 * Namespaces as a table, and the template mount namespace from which containers are built.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "sessbox/err.h"

struct sb_ns {
	const char *name; /* below /proc/PID/ns */
	int flag;	  /* CLONE_NEW* */
};
extern const struct sb_ns sb_namespaces[];
extern const size_t sb_namespaces_n;

/* Opens /proc/PID/ns/NAME. A descriptor or a negative errno. */
int sb_ns_open(pid_t pid, const char *name);

/*
 * Enters the mount namespace of PID 1 if this process is in another one (a unit with PrivateTmp=
 * has its own): all of our state and every mount source belongs to the host's.
 */
int sb_ns_enter_host(struct sb_err *err);

/* Brings up the loopback device of this process' network namespace. 0 or a negative errno. */
int sb_ns_loopback_up(void);

/*
 * The template: a mount namespace whose root is an empty read-only tmpfs. A container's mount
 * namespace is a copy of it, so making one costs the same at any number of host mounts, and nothing
 * has to be unmounted. It is held by one nsfs bind at <run>/ns/template; <run>/ns is bound onto
 * itself and private, since the kernel refuses to bind a namespace below a shared mount.
 *
 * sb_ns_template_open returns a descriptor of the namespace and makes it when it is missing or not
 * what it should be. run_fd: /run/sessbox, run_path: its name, for mount(2). The caller holds the
 * lock of the run directory.
 */
int sb_ns_template_open(int run_fd, const char *run_path, struct sb_err *err);

/* Is the template there? A descriptor of it, or a negative errno; makes nothing. */
int sb_ns_template_find(int run_fd);

/* Takes the template down, for `make uninstall` and package removal. Missing is fine. */
int sb_ns_template_remove(const char *run_path, struct sb_err *err);

#endif
