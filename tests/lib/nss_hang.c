/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An NSS source of groups, "hang", whose directory does not answer: each question takes a minute.
 */
#include <grp.h>
#include <nss.h>
#include <unistd.h>

#define HANG_SEC 60

enum nss_status _nss_hang_getgrnam_r(const char *name, struct group *ret, char *buf, size_t size,
				     int *error);
enum nss_status _nss_hang_getgrgid_r(gid_t gid, struct group *ret, char *buf, size_t size,
				     int *error);
enum nss_status _nss_hang_initgroups_dyn(const char *user, gid_t group, long *start, long *size,
					 gid_t **groups, long limit, int *error);

static enum nss_status hang(void)
{
	sleep(HANG_SEC);
	return NSS_STATUS_UNAVAIL;
}

enum nss_status _nss_hang_getgrnam_r(const char *name, struct group *ret, char *buf, size_t size,
				     int *error)
{
	(void)name, (void)ret, (void)buf, (void)size, (void)error;
	return hang();
}

enum nss_status _nss_hang_getgrgid_r(gid_t gid, struct group *ret, char *buf, size_t size,
				     int *error)
{
	(void)gid, (void)ret, (void)buf, (void)size, (void)error;
	return hang();
}

enum nss_status _nss_hang_initgroups_dyn(const char *user, gid_t group, long *start, long *size,
					 gid_t **groups, long limit, int *error)
{
	(void)user, (void)group, (void)start, (void)size, (void)groups, (void)limit, (void)error;
	return hang();
}
