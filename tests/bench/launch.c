/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * launch CMD... - run CMD with its output thrown away and print how many nanoseconds passed from
 * its exec to its end. The fork is not in it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

int main(int argc, char **argv)
{
	static volatile int64_t from; /* the child of a vfork writes it here */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), status;
	if (argc < 2 || null < 0)
		die("usage: launch CMD...");
	pid_t pid = vfork();
	if (pid == 0) {
		dup2(null, 0);
		dup2(null, 1);
		from = now_ns();
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		die("launch");
	int64_t to = now_ns();
	printf("total %" PRId64 "\n", to - from);
	return status == 0 ? 0 : 1;
}
