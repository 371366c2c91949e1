/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which terminals are a user's his sessions' records say: one that su or login was started on, by
 * its name on the host; those that sshd made, by the scratch file that it wrote them into. The
 * latter are in the container's devpts, which sshd's own process on the host has for its /dev/pts:
 * nothing is looked up in the tenant's tree.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "monitor.h"
#include "sessbox/proc.h"
#include "sessbox/record.h"
#include "sessbox/service.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"
#include "sessbox/utmp.h"

#define TEXT_MAX 256

#define TERMINALS_MAX 64

/* The containers all of whose terminals have been told. */
struct told {
	uint32_t *containers;
	size_t n;
};

struct telling {
	int dir; /* that the names are below */
	const char *text;
};

/* One that is full, or has been stopped, gets nothing. */
static void write_to(const struct telling *t, const char *name)
{
	const struct open_how how = { .flags = O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC,
				      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
						 RESOLVE_NO_MAGICLINKS };
	struct stat st;
	cleanup_fd int node = openat(t->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (node < 0 || fstat(node, &st) < 0 || !S_ISCHR(st.st_mode))
		return;
	cleanup_fd int tty = sys_openat2(t->dir, name, &how);
	if (tty >= 0 && isatty(tty))
		(void)!write(tty, t->text, strlen(t->text));
}

static void write_to_line(const char *line, void *ctx)
{
	if (strncmp(line, "pts/", 4) == 0 && line[4] &&
	    strspn(line + 4, "0123456789") == strlen(line + 4))
		write_to(ctx, line + 4);
}

/* The host's: a caller who is only just getting the container's has still got that one, with
 * everybody's terminals in it. */
static bool is_ours(int pts)
{
	struct stat theirs, ours;
	return fstat(pts, &theirs) < 0 ||
	       (stat("/dev/pts", &ours) == 0 && ours.st_dev == theirs.st_dev);
}

/* The caller's, as long as he is who he was. */
static int open_devpts(const struct sb_session_record *rec)
{
	const struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
						 RESOLVE_NO_MAGICLINKS };
	char path[32];
	struct sb_proc proc;
	snprintf(path, sizeof(path), "/proc/%u/root", rec->caller);
	cleanup_fd int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	if (sb_proc_read((pid_t)rec->caller, &proc) < 0 || proc.start != rec->caller_start)
		return -ESRCH;
	cleanup_fd int pts = sys_openat2(root, "dev/pts", &how);
	if (pts < 0)
		return -errno;
	return is_ours(pts) ? -ENOENT : sb_steal_fd(&pts);
}

/* Where the host has no utmp there is no scratch file: all that there are in his devpts, within
 * reason, since he makes as many as he likes. */
static void tell_all(struct telling *t)
{
	int fd = fcntl(t->dir, F_DUPFD_CLOEXEC, 3), n = 0;
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; dir && n < TERMINALS_MAX && (e = readdir(dir));) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		write_to(t, e->d_name);
		n++;
	}
}

/* A container whose terminals have all been told already is told by no other session of it. */
static bool was_told(struct told *told, uint32_t container)
{
	for (size_t i = 0; i < told->n; i++)
		if (told->containers[i] == container)
			return true;
	told->containers[told->n++] = container;
	return false;
}

static void tell_made(int user_fd, const struct sb_session_record *rec, const char *text,
		      struct told *told)
{
	char name[48];
	struct telling t = { open_devpts(rec), text };
	if (t.dir < 0)
		return;
	snprintf(name, sizeof(name), "sessions/%u-utmp", rec->id);
	cleanup_fd int scratch = openat(user_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (scratch >= 0)
		sb_utmp_terminals(scratch, write_to_line, &t);
	else if (errno == ENOENT && !was_told(told, rec->container))
		tell_all(&t);
	close(t.dir);
}

static void tell_brought(const struct sb_session_record *rec, const char *text)
{
	struct sb_proc proc;
	cleanup_fd int dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct telling t = { dev, text };
	if (dev >= 0 && sb_proc_read((pid_t)rec->caller, &proc) == 0 &&
	    proc.start == rec->caller_start)
		write_to(&t, rec->terminal);
}

void ctl_tell(int user_fd, const char *text)
{
	char line[TEXT_MAX];
	cleanup_free uint32_t *ids = NULL;
	ssize_t n = sb_session_list(user_fd, &ids);
	cleanup_free uint32_t *containers = calloc(n > 0 ? (size_t)n : 1, sizeof(*containers));
	struct told told = { containers, 0 };
	snprintf(line, sizeof(line), "\a\r\n%s\r\n", text);
	for (ssize_t i = 0; containers && i < n; i++) {
		struct sb_session_record rec;
		if (sb_session_load(user_fd, "sessions", ids[i], &rec) < 0)
			continue;
		if (*rec.terminal)
			tell_brought(&rec, line);
		else if (sb_service_has(sb_service_find(rec.service), SB_SERVICE_SCRATCH))
			tell_made(user_fd, &rec, line, &told);
	}
}
