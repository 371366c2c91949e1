/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The files themselves: who may have written them, and their bytes. */
#include "config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_writers(const struct stat *st, const char *path, uid_t owner, struct sb_err *err)
{
	const struct sb_place at = { .file = path };
	if (st->st_uid != owner)
		return sb_config_fail(err, &at, "expected to be owned by uid %u, got uid %u", owner,
				      st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return sb_config_fail(err, &at,
				      "expected to be writable by its owner alone, got mode %04o",
				      st->st_mode & 07777);
	return 0;
}

static int check_file(const struct stat *st, const char *path, uid_t owner, int64_t max,
		      struct sb_err *err)
{
	const struct sb_place at = { .file = path };
	if (!S_ISREG(st->st_mode))
		return sb_config_fail(err, &at, "expected a regular file");
	if (st->st_size > max)
		return sb_config_fail(err, &at, "expected at most %lld bytes, got %lld",
				      (long long)max, (long long)st->st_size);
	return check_writers(st, path, owner, err);
}

static int fail_open(struct sb_err *err, const char *path)
{
	if (errno == ELOOP)
		return sb_config_fail(err, &(struct sb_place){ .file = path },
				      "expected a regular file, got a symbolic link");
	return sb_fail(err, errno, "open '%s'", path);
}

/* Reads what fstat promised; a file that grows meanwhile is caught by the comparison later. */
static int read_text(struct sb_config_file *file, size_t size)
{
	file->text = malloc(size + 1);
	if (!file->text)
		return -ENOMEM;
	while (file->size < size) {
		ssize_t n = read(file->fd, file->text + file->size, size - file->size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		file->size += (size_t)n;
	}
	file->text[file->size] = '\0';
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

int sb_config_file_open(int dfd, const char *path, uid_t owner, int64_t max,
			struct sb_config_file *ret, struct sb_err *err)
{
	struct sb_config_file file = { .fd = -1 };
	struct stat st;
	/* Not to hang on a FIFO. */
	file.fd = openat(dfd, base_name(path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (file.fd < 0)
		return fail_open(err, path);
	int r = fstat(file.fd, &st) < 0 ? sb_fail(err, errno, "stat '%s'", path)
					: check_file(&st, path, owner, max, err);
	if (r == 0) {
		r = read_text(&file, (size_t)st.st_size);
		if (r < 0)
			sb_fail(err, r, "read '%s'", path);
	}
	if (r < 0)
		sb_config_file_close(&file);
	else
		*ret = file;
	return r;
}

void sb_config_file_close(struct sb_config_file *file)
{
	sb_close(&file->fd);
	free(file->text);
	file->text = NULL;
}

int sb_config_dir_open(const char *path, uid_t owner, struct sb_err *err)
{
	struct stat st;
	cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return sb_fail(err, errno, "open directory '%s'", path);
	if (fstat(fd, &st) < 0)
		return sb_fail(err, errno, "stat '%s'", path);
	int r = check_writers(&st, path, owner, err);
	return r < 0 ? r : sb_steal_fd(&fd);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_config_name(const char *name)
{
	static const char suffix[] = ".conf";
	size_t len = strlen(name);
	return name[0] != '.' && len >= sizeof(suffix) &&
	       strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0;
}

static int add_path(struct sb_strv *list, const char *dir, const char *name)
{
	cleanup_free char *path = NULL;
	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return sb_strv_add(list, path);
}

int sb_config_dir_list(int dfd, const char *path, struct sb_strv *list, struct sb_err *err)
{
	size_t before = list->n;
	struct dirent *e;
	int fd = fcntl(dfd, F_DUPFD_CLOEXEC, 3);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;
	if (!dir) {
		r = sb_fail(err, errno, "read directory '%s'", path);
		sb_close(&fd);
		return r;
	}
	while (r == 0 && (errno = 0, e = readdir(dir)))
		if (is_config_name(e->d_name))
			r = add_path(list, path, e->d_name);
	if (r == 0)
		r = -errno;
	if (r < 0)
		return sb_fail(err, r, "read directory '%s'", path);
	if (list->n > before)
		qsort(list->v + before, list->n - before, sizeof(*list->v), compare);
	return 0;
}
