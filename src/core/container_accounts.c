/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The account files a container shows: the system's accounts, the tenant and the groups he keeps.
 * Other users' names are out of sight; that they are hard to find out is not promised.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>

#include "container_internal.h"
#include "sessbox/io.h"
#include "sessbox/str.h"
#include "sessbox/sys.h"

#define SYSTEM_ID_MAX 999
#define NOBODY 65534
#define USERS_GID 100
#define FILE_MAX (4U << 20)

/*
 * Groups that are as good as root or reach other users' data, and that often have an id of the
 * users' range. Groups of the system's range are dropped without being named.
 */
static const char *const risky_groups[] = {
	"docker",    "lxd",	"incus",	   "incus-admin",
	"podman",    "libvirt", "libvirt-qemu",	   "kvm",
	"vboxusers", "sudo",	"wheel",	   "admin",
	"adm",	     "disk",	"shadow",	   "root",
	"staff",     "kmem",	"systemd-journal", "wireshark",
};

static bool is_system(unsigned long id)
{
	return id <= SYSTEM_ID_MAX || id == NOBODY;
}

/* A directory may write its domain with it: docker@example.org, or EXAMPLE\docker. */
static bool is_risky(const char *name)
{
	const char *domain = strrchr(name, '\\');
	const char *bare = domain ? domain + 1 : name;
	size_t len = strcspn(bare, "@");
	for (size_t i = 0; i < SB_ARRAY_SIZE(risky_groups); i++)
		if (strlen(risky_groups[i]) == len && strncmp(risky_groups[i], bare, len) == 0)
			return true;
	return false;
}

/*
 * Reads a file of root's whole, through links (/etc/resolv.conf is often one). root: a tree that
 * they do not lead out of, -1 = the host's. What is no file reads as an empty one.
 */
static char *slurp(int root, const char *path)
{
	const struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
				      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	struct stat st;
	cleanup_fd int fd =
		root < 0 ? open(path, O_RDONLY | O_CLOEXEC) : sys_openat2(root, path, &how);
	if (root >= 0 && fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
		sb_close(&fd);
	size_t size = 0, len = 0;
	cleanup_free char *buf = NULL;
	while (fd >= 0 && len < FILE_MAX) {
		if (len + 1 >= size) {
			size = size ? size * 2 : 8192;
			char *more = realloc(buf, size);
			if (!more)
				return NULL;
			buf = more;
		}
		ssize_t n = read(fd, buf + len, size - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (!buf)
		return strdup("");
	buf[len] = '\0';
	return sb_steal_ptr(&buf);
}

/* name:password:id:... in place: the three fields, and what follows. NULL if it is no such line. */
struct account {
	const char *name;
	unsigned long id;
	const char *rest; /* after the id, from its colon on, or "" */
};

static bool parse_account(char *line, struct account *ret)
{
	char *password = strchr(line, ':'), *id = password ? strchr(password + 1, ':') : NULL, *end;
	if (!id || line == password)
		return false;
	*password = '\0';
	ret->name = line;
	ret->id = strtoul(id + 1, &end, 10);
	ret->rest = end;
	return end != id + 1 && (*end == ':' || !*end);
}

static char *make_passwd(const struct sb_session_request *q, int tree)
{
	cleanup_free char *host = slurp(tree, "/etc/passwd"), *text = NULL;
	const struct sb_policy *policy = q->policy;
	size_t size = 0;
	char *save = NULL;
	FILE *out = host ? open_memstream(&text, &size) : NULL;
	if (!out)
		return NULL;
	for (char *line = strtok_r(host, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct account a;
		if (parse_account(line, &a) && is_system(a.id) && strcmp(a.name, policy->user) != 0)
			fprintf(out, "%s:x:%lu%s\n", a.name, a.id, a.rest);
	}
	fprintf(out, "%s:x:%u:%u::%s:%s\n", policy->user, policy->uid, policy->gid, q->home,
		q->shell);
	return fclose(out) == 0 ? sb_steal_ptr(&text) : NULL;
}

static bool keeps(const struct sb_accounts *accounts, unsigned long gid)
{
	for (size_t i = 0; i < accounts->n_groups; i++)
		if (accounts->groups[i] == gid)
			return true;
	return false;
}

/* The system's groups without their members, but for the tenant in those that he keeps. */
static void print_system_groups(FILE *out, char *host, const struct sb_accounts *accounts,
				const struct sb_policy *policy)
{
	char *save = NULL;
	for (char *line = strtok_r(host, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct account a;
		if (parse_account(line, &a) && is_system(a.id) && a.id != policy->gid)
			fprintf(out, "%s:x:%lu:%s\n", a.name, a.id,
				keeps(accounts, a.id) ? policy->user : "");
	}
}

static void print_group(FILE *out, gid_t gid, const char *member)
{
	const struct group *g = getgrgid(gid);
	if (g)
		fprintf(out, "%s:x:%u:%s\n", g->gr_name, gid, member);
}

static char *make_group(const struct sb_policy *policy, const struct sb_accounts *accounts,
			int tree)
{
	cleanup_free char *host = slurp(tree, "/etc/group"), *text = NULL;
	size_t size = 0;
	FILE *out = host ? open_memstream(&text, &size) : NULL;
	if (!out)
		return NULL;
	print_system_groups(out, host, accounts, policy);
	print_group(out, policy->gid, "");
	for (size_t i = 0; i < accounts->n_groups; i++)
		if (!is_system(accounts->groups[i]) && accounts->groups[i] != policy->gid)
			print_group(out, accounts->groups[i], policy->user);
	return fclose(out) == 0 ? sb_steal_ptr(&text) : NULL;
}

static bool is_kept(gid_t gid, const struct sb_policy *policy)
{
	const struct sb_strv *allowed = &policy->set.allow_groups;
	if (gid == policy->gid || gid == USERS_GID)
		return true;
	if (is_system(gid) && allowed->n == 0)
		return false;
	const struct group *g = getgrgid(gid);
	/* A group that cannot be looked up cannot be judged, and files go by its number. */
	if (!g)
		return false;
	return sb_strv_has(allowed, g->gr_name) || (!is_system(gid) && !is_risky(g->gr_name));
}

static int choose_groups(const struct sb_session_request *q, struct sb_accounts *accounts)
{
	gid_t gids[SB_GROUPS_SENT_MAX];
	ssize_t n = q->list_groups(q, gids, SB_ARRAY_SIZE(gids));
	for (ssize_t i = 0; i < n && accounts->n_groups < SB_GROUPS_MAX; i++)
		if (is_kept(gids[i], q->policy) && !keeps(accounts, gids[i]))
			accounts->groups[accounts->n_groups++] = gids[i];
	return n < 0 ? (int)n : 0;
}

static int put_file(int dir, const char *name, const char *text)
{
	if (!text)
		return -ENOMEM;
	cleanup_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : sb_write_all(fd, text, strlen(text));
}

/* Whiteouts: in an overlay these names are not there, whatever the layer below has. */
static int blot_out_shadows(int dir)
{
	static const char *const names[] = { "shadow",	 "shadow-", "gshadow",
					     "gshadow-", "passwd-", "group-" };
	for (size_t i = 0; i < SB_ARRAY_SIZE(names); i++)
		if (mknodat(dir, names[i], S_IFCHR, 0) < 0)
			return -errno;
	return 0;
}

int sb_accounts_write(const struct sb_session_request *q, const char *hostname, int tree, int dir,
		      struct sb_accounts *ret, struct sb_err *err)
{
	int r = choose_groups(q, ret);
	if (r < 0)
		return sb_fail(err, r, "look up the groups of '%s'", q->policy->user);
	cleanup_free char *passwd = make_passwd(q, tree);
	cleanup_free char *group = make_group(q->policy, ret, tree);
	cleanup_free char *resolv_conf = slurp(-1, "/etc/resolv.conf");
	char name[80];
	snprintf(name, sizeof(name), "%s\n", hostname);
	const struct {
		const char *name;
		const char *text;
	} files[] = { { "passwd", passwd },
		      { "group", group },
		      { "resolv.conf", resolv_conf },
		      { "hostname", name } };
	for (size_t i = 0; i < SB_ARRAY_SIZE(files) && r == 0; i++)
		r = put_file(dir, files[i].name, files[i].text);
	if (r == 0 && tree >= 0)
		r = blot_out_shadows(dir);
	return r < 0 ? sb_fail(err, r, "write the account files of '%s'", q->policy->user) : 0;
}
