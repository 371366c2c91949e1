/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A record's file, of either kind: what is loaded is the same when it is saved and loaded again. */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sessbox/io.h"
#include "sessbox/record.h"
#include "sessbox/str.h"

static char path[] = "sbfuzzXXXXXX";
static int user_fd = -1, container_fd = -1;

static void remove_dir(void)
{
	sb_remove_tree(AT_FDCWD, path);
}

static void make_dir(void)
{
	CLAIM(mkdtemp(path));
	atexit(remove_dir);
	user_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	container_fd = sb_open_dir(user_fd, "c1", 0700);
	close(sb_open_dir(user_fd, "sessions", 0700));
	CLAIM(user_fd >= 0 && container_fd >= 0);
}

static void write_file(const char *name, const uint8_t *data, size_t size)
{
	int fd = openat(user_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CLAIM(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static void check_result(int r)
{
	CLAIM(r == 0 || r == -EBADMSG || r == -EFBIG);
}

static void container(const uint8_t *data, size_t size)
{
	struct sb_container_record rec, again;
	write_file("c1/record", data, size);
	int r = sb_container_load(user_fd, 1, &rec);
	check_result(r);
	if (r < 0)
		return;
	CLAIM(sb_container_save(container_fd, &rec) == 0);
	CLAIM(sb_container_load(user_fd, 1, &again) == 0);
	/* Control characters, which no writer of ours leaves there, are the one thing that changes.
	 */
	CLAIM(sb_container_save(container_fd, &again) == 0);
	CLAIM(sb_container_load(user_fd, 1, &rec) == 0);
	CLAIM(memcmp(&rec, &again, sizeof(rec)) == 0);
}

static void session(const uint8_t *data, size_t size)
{
	struct sb_session_record rec, again;
	write_file("sessions/1", data, size);
	int r = sb_session_load(user_fd, "sessions", 1, &rec);
	check_result(r);
	if (r < 0)
		return;
	rec.id = 1;
	CLAIM(sb_session_save(user_fd, &rec, getegid()) == 0);
	CLAIM(sb_session_load(user_fd, "sessions", 1, &again) == 0);
	CLAIM(sb_session_save(user_fd, &again, getegid()) == 0);
	CLAIM(sb_session_load(user_fd, "self", 1, &rec) == 0);
	CLAIM(memcmp(&rec, &again, sizeof(rec)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (user_fd < 0)
		make_dir();
	container(data, size);
	session(data, size);
	return 0;
}
