/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_TESTS_CONFIG_TREE_H
#define SESSBOX_TESTS_CONFIG_TREE_H

/* A configuration in a directory of its own, for the tests of config and policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/core/config_internal.h"
#include "sessbox/io.h"

/* A fresh directory "t" with the configuration in it; the runtime directory is t/run. */
struct tree {
	char path[32];
	int fd;
	char run[40];
};

static inline void write_bytes(const struct tree *t, const char *name, const char *text,
			       size_t size)
{
	int fd = openat(t->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(sb_write_all(fd, text, size), 0);
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
}

static inline void write_text(const struct tree *t, const char *name, const char *text)
{
	write_bytes(t, name, text, strlen(text));
}

static inline struct tree make_tree(void)
{
	struct tree t = { .path = "/tmp/sbconfigXXXXXX" };
	assert_non_null(mkdtemp(t.path));
	t.fd = open(t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(t.fd >= 0);
	assert_int_equal(mkdirat(t.fd, "sessbox.d", 0755), 0);
	assert_int_equal(mkdirat(t.fd, "run", 0755), 0);
	assert_int_equal(sb_format(t.run, sizeof(t.run), "%s/run", t.path), 0);
	return t;
}

static inline void drop_tree(struct tree *t)
{
	close(t->fd);
	assert_int_equal(sb_remove_tree(AT_FDCWD, t->path), 0);
}

static inline int load(const struct tree *t, struct sb_config **ret, struct sb_err *err)
{
	return sb_config_load_as(t->path, t->run, geteuid(), ret, err);
}

/* Expects a refusal that names all the parts. */
static inline void refuse(const struct tree *t, const char *const parts[], size_t n)
{
	struct sb_err err = { 0 };
	struct sb_config *const untouched = (struct sb_config *)(uintptr_t)&err;
	struct sb_config *config = untouched;
	assert_true(load(t, &config, &err) < 0);
	assert_ptr_equal(config, untouched);
	assert_true(err.num > 0);
	for (size_t i = 0; i < n; i++)
		if (parts[i] && !strstr(err.msg, parts[i]))
			fail_msg("no '%s' in '%s'", parts[i], err.msg);
}

#endif
