/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* wtmp.db, the SQLite database that Debian 13 has in the place of wtmp. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "sessbox/utmp.h"

#define USEC 1000000
#define TYPE_USER 3 /* of an entry that is a user's login */

/* What we use of libwtmpdb, which is loaded here alone: no other run of the helper pays for it. */
struct wtmpdb {
	void *library;
	int64_t (*login)(const char *file, int type, const char *user, uint64_t usec,
			 const char *tty, const char *host, const char *service, char **error);
	int (*logout)(const char *file, int64_t id, uint64_t usec, char **error);
};

static int load(struct wtmpdb *ret)
{
	ret->library = dlopen("libwtmpdb.so.0", RTLD_NOW);
	if (!ret->library)
		return -ENOSYS;
	*(void **)&ret->login = dlsym(ret->library, "wtmpdb_login");
	*(void **)&ret->logout = dlsym(ret->library, "wtmpdb_logout");
	return ret->login && ret->logout ? 0 : -ENOSYS;
}

static int write_pair(const struct wtmpdb *db, const struct sb_utmp_login *login,
		      const char *service, uint64_t since)
{
	char line[16], *error = NULL;
	const char *host = login->host && *login->host ? login->host : NULL;
	snprintf(line, sizeof(line), ":sb-%u", login->session);
	int64_t id = db->login(SB_WTMPDB_FILE, TYPE_USER, login->user, since * USEC, line, host,
			       service, &error);
	int r = id < 0 ? -1 : db->logout(SB_WTMPDB_FILE, id, (uint64_t)time(NULL) * USEC, &error);
	free(error);
	return r < 0 ? -EIO : 0;
}

int sb_utmp_history_db(const struct sb_utmp_login *login, const char *service, uint64_t since)
{
	struct wtmpdb db = { 0 };
	if (access(SB_WTMPDB_FILE, F_OK) < 0)
		return 0;
	int r = load(&db);
	if (r == 0)
		r = write_pair(&db, login, service, since);
	if (db.library)
		dlclose(db.library);
	return r;
}
