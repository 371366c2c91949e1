/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The whole loader, iniparser and all: what passes it is resolved into a policy, and what it keeps
 * of a file is accepted again when it is written out.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_internal.h"
#include "sessbox/io.h"
#include "sessbox/policy.h"

static char dir[] = "sbfuzzXXXXXX";

static void remove_dir(void)
{
	sb_remove_tree(AT_FDCWD, dir);
}

static void write_config(const void *data, size_t size)
{
	static int fd = -1;
	if (fd < 0) {
		char path[64];
		CLAIM(mkdtemp(dir));
		atexit(remove_dir);
		sb_format(path, sizeof(path), "%s/%s", dir, SB_CONFIG_FILE);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		CLAIM(fd >= 0);
	}
	CLAIM(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
}

static int load(struct sb_config **config)
{
	struct sb_err err = { 0 };
	int r = sb_config_load_as(dir, "/nonexistent", geteuid(), config, &err);
	CLAIM(r == 0 || (err.num == -r && *err.msg));
	return r;
}

static int in_group(const struct sb_login *login, const char *group, void *ctx)
{
	(void)login;
	(void)ctx;
	return group[0] % 2;
}

static void resolve(const struct sb_config *config)
{
	static const struct sb_login logins[] = {
		{ .user = "ann",
		  .uid = 2500,
		  .gid = 2500,
		  .service = "sshd",
		  .in_group = in_group },
		{ .user = "root", .uid = 0, .gid = 0, .service = "sshd", .in_group = in_group },
		{ .user = "bob", .uid = 1, .gid = 1 },
	};
	for (size_t i = 0; i < SB_ARRAY_SIZE(logins); i++) {
		cleanup_policy struct sb_policy *policy = NULL;
		struct sb_err err = { 0 };
		char host[65];
		if (sb_policy_resolve(config, &logins[i], &policy, &err) < 0) {
			CLAIM(err.num > 0 && *err.msg);
			continue;
		}
		CLAIM(logins[i].uid != 0 || !policy->set.contain);
		sb_policy_hostname(policy, "host", host, sizeof(host), NULL);
		sb_policy_tmp_size(policy, 1U << 30);
	}
}

static char *print(const struct sb_config *config, size_t *size)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, size);
	CLAIM(f);
	for (size_t i = 0; i < config->n; i++) {
		const struct sb_class *class = &config->classes[i];
		fprintf(f, "[%s]\n", class->name);
		for (size_t k = 0; k < class->n; k++)
			fprintf(f, "%s%s=%s\n", class->entries[k].key->name,
				class->entries[k].append ? "+" : "", class->entries[k].text);
	}
	fclose(f);
	return text;
}

static void check_same(const struct sb_config *a, const struct sb_config *b)
{
	CLAIM(a->n == b->n);
	for (size_t i = 0; i < a->n; i++) {
		CLAIM(strcmp(a->classes[i].name, b->classes[i].name) == 0);
		CLAIM(a->classes[i].n == b->classes[i].n);
		for (size_t k = 0; k < a->classes[i].n; k++)
			CLAIM(strcmp(a->classes[i].entries[k].text,
				     b->classes[i].entries[k].text) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_config struct sb_config *config = NULL, *again = NULL;
	write_config(data, size);
	if (load(&config) < 0)
		return 0;
	resolve(config);
	size_t n = 0;
	char *text = print(config, &n);
	write_config(text, n);
	CLAIM(load(&again) == 0);
	check_same(config, again);
	free(text);
	return 0;
}
