/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The last good configuration: one file that holds all files of a configuration that loaded, as
 * they were. First a line with the boot it is from, then for each file "<length of its path>
 * <length of its text>\n", path and text.
 */
#include "config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sessbox/io.h"
#include "sessbox/parse.h"

#define NAME "last-good"
#define MAGIC "sessbox 1 "
#define COPY_MAX (8 * SB_CONFIG_FILE_MAX)

/* "" if it cannot be told: then no file is taken for one of this boot. */
static void read_boot_id(char *buf, size_t size)
{
	ssize_t n = sb_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", buf, size);
	buf[n > 0 ? strcspn(buf, "\n") : 0] = '\0';
}

/* ---- writing ---- */

static char *compose(const struct sb_config *config, size_t *ret_size)
{
	cleanup_free char *text = NULL;
	char boot[64];
	FILE *out = open_memstream(&text, ret_size);
	if (!out)
		return NULL;
	read_boot_id(boot, sizeof(boot));
	fprintf(out, MAGIC "%s\n", boot);
	for (size_t i = 0; i < config->files.n; i++)
		fprintf(out, "%zu %zu\n%s%s", strlen(config->files.v[i]),
			strlen(config->texts.v[i]), config->files.v[i], config->texts.v[i]);
	return fclose(out) == 0 ? sb_steal_ptr(&text) : NULL;
}

static bool is_kept(int dir, const char *text, size_t size)
{
	cleanup_free char *old = malloc(size + 2);
	return old && sb_read_file(dir, NAME, old, size + 2) == (ssize_t)size &&
	       memcmp(old, text, size) == 0;
}

int sb_config_keep_as(const char *state_dir, uid_t owner, const struct sb_config *config,
		      struct sb_err *err)
{
	const struct sb_file_attr attr = { .mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	size_t size = 0;
	cleanup_free char *text = compose(config, &size);
	if (!text)
		return sb_fail(err, ENOMEM, "keep the configuration");
	cleanup_fd int made = sb_open_dir(AT_FDCWD, state_dir, 0700);
	if (made < 0)
		return sb_fail(err, made, "make '%s'", state_dir);
	cleanup_fd int dir = sb_config_dir_open(state_dir, owner, err);
	if (dir < 0 || is_kept(dir, text, size))
		return dir < 0 ? dir : 0;
	if (size > COPY_MAX)
		return sb_fail_plain(err, EFBIG, "the configuration is too large to be kept");
	/* Somebody else writes it at this moment. */
	if (flock(dir, LOCK_EX | LOCK_NB) < 0)
		return 0;
	int r = sb_replace_file(dir, NAME, text, &attr);
	return r < 0 ? sb_fail(err, r, "write '%s/" NAME "'", state_dir) : 0;
}

int sb_config_keep(const struct sb_config *config, struct sb_err *err)
{
	return config->kept ? 0 : sb_config_keep_as(SB_STATE_DIR, 0, config, err);
}

/* ---- reading ---- */

struct reader {
	const char *at;
	const char *end;
	const char *runtime_dir; /* NULL = its files are of this boot */
};

static int take_number(struct reader *in, char ends, size_t *ret)
{
	char digits[24];
	uint64_t value;
	const char *stop = memchr(in->at, ends, (size_t)(in->end - in->at));
	size_t len = stop ? (size_t)(stop - in->at) : sizeof(digits);
	if (len >= sizeof(digits))
		return -EBADMSG;
	memcpy(digits, in->at, len);
	digits[len] = '\0';
	if (sb_parse_u64(digits, &value) < 0 || value > COPY_MAX)
		return -EBADMSG;
	in->at = stop + 1;
	*ret = (size_t)value;
	return 0;
}

static char *take_text(struct reader *in, size_t size)
{
	char *text = size <= (size_t)(in->end - in->at) ? strndup(in->at, size) : NULL;
	in->at += text ? size : 0;
	return text;
}

/* iniparser reads from a descriptor's name. */
static int text_as_file(char **text, struct sb_config_file *ret)
{
	cleanup_fd int fd = memfd_create("sessbox", MFD_CLOEXEC);
	size_t size = strlen(*text);
	if (fd < 0)
		return -errno;
	int r = sb_write_all(fd, *text, size);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return r < 0 ? r : -errno;
	*ret = (struct sb_config_file){ sb_steal_fd(&fd), sb_steal_ptr(text), size };
	return 0;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);
	return strncmp(path, dir, len) == 0 && path[len] == '/';
}

static int load_part(struct reader *in, struct sb_loader *l, const char *where)
{
	struct sb_config_file file = { .fd = -1 };
	size_t path_len, text_len;
	int r = take_number(in, ' ', &path_len);
	if (r == 0)
		r = take_number(in, '\n', &text_len);
	cleanup_free char *path = r == 0 ? take_text(in, path_len) : NULL;
	cleanup_free char *text = path ? take_text(in, text_len) : NULL;
	if (!text)
		return sb_fail_plain(l->err, EBADMSG, "'%s' is damaged", where);
	if (in->runtime_dir && is_below(path, in->runtime_dir))
		return 0;
	r = text_as_file(&text, &file);
	if (r < 0)
		return sb_fail(l->err, r, "read '%s'", where);
	r = sb_config_load_text(l, &file, path);
	sb_config_file_close(&file);
	return r;
}

static int load_parts(struct sb_loader *l, const struct sb_config_file *copy,
		      const char *runtime_dir, const char *where)
{
	struct reader in = { copy->text, copy->text + copy->size, runtime_dir };
	char boot[64], now[64];
	const char *line_end = strchr(copy->text, '\n');
	size_t len = strlen(MAGIC);
	if (!line_end || strncmp(copy->text, MAGIC, len) != 0)
		return sb_fail_plain(l->err, EBADMSG, "'%s' is damaged", where);
	snprintf(boot, sizeof(boot), "%.*s", (int)(line_end - copy->text - (ptrdiff_t)len),
		 copy->text + len);
	read_boot_id(now, sizeof(now));
	if (*now && strcmp(boot, now) == 0)
		in.runtime_dir = NULL;
	in.at = line_end + 1;
	int r = 0;
	while (r == 0 && in.at < in.end)
		r = load_part(&in, l, where);
	return r;
}

struct source {
	const char *state_dir;
	const char *runtime_dir;
};

static int load_copy(struct sb_loader *l, const void *ctx)
{
	const struct source *from = ctx;
	struct sb_config_file copy = { .fd = -1 };
	char path[256];
	if (sb_format(path, sizeof(path), "%s/" NAME, from->state_dir) < 0)
		return sb_fail(l->err, ENAMETOOLONG, "read '%s'", from->state_dir);
	cleanup_fd int dir = sb_config_dir_open(from->state_dir, l->owner, l->err);
	if (dir < 0)
		return dir;
	int r = sb_config_file_open(dir, path, l->owner, COPY_MAX, &copy, l->err);
	if (r < 0)
		return r;
	r = load_parts(l, &copy, from->runtime_dir, path);
	sb_config_file_close(&copy);
	l->config->kept = true;
	return r;
}

int sb_config_load_kept_as(const char *state_dir, const char *runtime_dir, uid_t owner,
			   struct sb_config **ret, struct sb_err *err)
{
	const struct source from = { state_dir, runtime_dir };
	return sb_config_load_with(load_copy, &from, owner, ret, err);
}

int sb_config_load_kept(struct sb_config **ret, struct sb_err *err)
{
	return sb_config_load_kept_as(SB_STATE_DIR, SB_CONFIG_RUNTIME, 0, ret, err);
}
