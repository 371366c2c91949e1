/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An NSS source, "half": a directory behind a cache. The cache always has the user dora and the
 * group pupils, without its members; who is in which group is asked of the directory, which does
 * not answer while DOWN exists.
 */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#define DOWN "/run/sessbox-half-is-down"
#define PUPILS 2300

enum nss_status _nss_half_getpwnam_r(const char *name, struct passwd *ret, char *buf, size_t size,
				     int *error);
enum nss_status _nss_half_getpwuid_r(uid_t uid, struct passwd *ret, char *buf, size_t size,
				     int *error);
enum nss_status _nss_half_getgrnam_r(const char *name, struct group *ret, char *buf, size_t size,
				     int *error);
enum nss_status _nss_half_getgrgid_r(gid_t gid, struct group *ret, char *buf, size_t size,
				     int *error);
enum nss_status _nss_half_initgroups_dyn(const char *user, gid_t group, long *start, long *size,
					 gid_t **groups, long limit, int *error);

static const struct passwd users[] = {
	{ .pw_name = (char *)"dora", .pw_uid = 3150, .pw_dir = (char *)"/home/dora" },
	{ .pw_name = (char *)"nora", .pw_uid = 950, .pw_dir = (char *)"/home/nora" },
};

static enum nss_status find(const char *name, uid_t uid, struct passwd *ret)
{
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		if (name ? strcmp(name, users[i].pw_name) != 0 : uid != users[i].pw_uid)
			continue;
		*ret = users[i];
		ret->pw_passwd = (char *)"*";
		ret->pw_gid = 100;
		ret->pw_gecos = (char *)"";
		ret->pw_shell = (char *)"/bin/bash";
		return NSS_STATUS_SUCCESS;
	}
	return NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_half_getpwnam_r(const char *name, struct passwd *ret, char *buf, size_t size,
				     int *error)
{
	(void)buf, (void)size, (void)error;
	return find(name, 0, ret);
}

enum nss_status _nss_half_getpwuid_r(uid_t uid, struct passwd *ret, char *buf, size_t size,
				     int *error)
{
	(void)buf, (void)size, (void)error;
	return find(NULL, uid, ret);
}

static enum nss_status pupils(struct group *ret)
{
	static char *nobody[] = { NULL };
	*ret = (struct group){ .gr_name = (char *)"pupils",
			       .gr_passwd = (char *)"x",
			       .gr_gid = PUPILS,
			       .gr_mem = nobody };
	return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_half_getgrnam_r(const char *name, struct group *ret, char *buf, size_t size,
				     int *error)
{
	(void)buf, (void)size, (void)error;
	return strcmp(name, "pupils") == 0 ? pupils(ret) : NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_half_getgrgid_r(gid_t gid, struct group *ret, char *buf, size_t size,
				     int *error)
{
	(void)buf, (void)size, (void)error;
	return gid == PUPILS ? pupils(ret) : NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_half_initgroups_dyn(const char *user, gid_t group, long *start, long *size,
					 gid_t **groups, long limit, int *error)
{
	(void)group, (void)limit;
	if (access(DOWN, F_OK) == 0) {
		*error = ECONNREFUSED;
		return NSS_STATUS_UNAVAIL;
	}
	struct passwd pw;
	if (find(user, 0, &pw) != NSS_STATUS_SUCCESS)
		return NSS_STATUS_NOTFOUND;
	if (*start >= *size) {
		*error = ENOMEM;
		return NSS_STATUS_TRYAGAIN;
	}
	(*groups)[(*start)++] = PUPILS;
	return NSS_STATUS_SUCCESS;
}
