/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Linked into the test builds of helper and sessctl alone, around sb_config_load: the key that
 * IGNORE_FILE names is read as always and then forgotten, as if they did not look at it. tests/keys
 * shows with it that some test notices.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sessbox/config.h"
#include "sessbox/io.h"

#define IGNORE_FILE "/run/sessbox-ignored-key"

int __real_sb_config_load(const char *conf_dir, const char *runtime_dir, struct sb_config **ret,
			  struct sb_err *err);
int __wrap_sb_config_load(const char *conf_dir, const char *runtime_dir, struct sb_config **ret,
			  struct sb_err *err);

static void forget(struct sb_class *class, const struct sb_key *key)
{
	size_t kept = 0;
	for (size_t i = 0; i < class->n; i++) {
		if (class->entries[i].key == key)
			free(class->entries[i].text);
		else
			class->entries[kept++] = class->entries[i];
	}
	class->n = kept;
	if (key->kind == SB_KEY_MATCH)
		sb_strv_clear((struct sb_strv *)(void *)((char *)&class->match + key->offset));
}

int __wrap_sb_config_load(const char *conf_dir, const char *runtime_dir, struct sb_config **ret,
			  struct sb_err *err)
{
	char name[64];
	int r = __real_sb_config_load(conf_dir, runtime_dir, ret, err);
	if (r < 0 || sb_read_file(AT_FDCWD, IGNORE_FILE, name, sizeof(name)) <= 0)
		return r;
	name[strcspn(name, "\n")] = '\0';
	const struct sb_key *key = sb_key_find(name);
	if (!key)
		abort(); /* a test that names no key shows nothing */
	for (size_t i = 0; i < (*ret)->n; i++)
		forget(&(*ret)->classes[i], key);
	return r;
}
