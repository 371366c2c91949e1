/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What may be done to devices per second: in v1 a file for each limit with lines "8:16 1048576", in
 * v2 one for all with lines "8:16 rbps=1048576 wbps=max riops=max wiops=max". A row's key is the
 * word of v2, or NULL.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cgroup_internal.h"
#include "sessbox/io.h"
#include "sessbox/parse.h"
#include "sessbox/path.h"
#include "sessbox/str.h"

struct device {
	unsigned int major, minor;
};

/* "8:16", at the beginning of a text. */
static int parse_device(const char *text, struct device *ret)
{
	return sscanf(text, "%u:%u", &ret->major, &ret->minor) == 2 ? 0 : -EBADMSG;
}

/* A partition has no limits of its own: the kernel wants the disk. */
static void take_whole_disk(struct device *device)
{
	char path[80], text[32];
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", device->major,
		 device->minor);
	if (access(path, F_OK) < 0)
		return;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", device->major, device->minor);
	if (sb_read_file(AT_FDCWD, path, text, sizeof(text)) > 0)
		parse_device(text, device);
}

/* The device of a path that is its node, or lies on a file system of it. */
static int find_device(const char *path, struct device *ret)
{
	struct stat st;
	cleanup_fd int fd = sb_path_open(path, false, NULL);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -EOPNOTSUPP;
	dev_t dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	*ret = (struct device){ major(dev), minor(dev) };
	/* A tmpfs, an overlay, a file system over several devices. */
	if (ret->major == 0)
		return -EOPNOTSUPP;
	take_whole_disk(ret);
	return 0;
}

/* "/dev/sda", or "8:0" if there is no such node. */
static void name_device(const struct device *device, char *buf, size_t size)
{
	if (!sb_device_name('b', device->major, device->minor, buf, size))
		snprintf(buf, size, "%u:%u", device->major, device->minor);
}

/* Device names of the kernel have "!" for "/"; a value that is not there is SB_INFINITY. */
static uint64_t line_value(const char *line, const struct sb_cgroup_limit *row)
{
	char word[16], number[24];
	const char *at = strchr(line, ' ');
	uint64_t value = SB_INFINITY;
	snprintf(word, sizeof(word), " %s=", row->key ? row->key : "");
	if (at && row->key)
		at = (at = strstr(at, word)) ? at + strlen(word) : NULL;
	else if (at)
		at++;
	if (!at || sb_format(number, sizeof(number), "%.*s", (int)strcspn(at, " \n"), at) < 0)
		return SB_INFINITY;
	sb_parse_u64(number, &value);
	return value;
}

static int write_one(int dir, const struct sb_cgroup_limit *row, const struct device *device,
		     uint64_t value)
{
	char number[24], text[80];
	snprintf(number, sizeof(number), "%" PRIu64, value);
	if (value == SB_INFINITY)
		snprintf(number, sizeof(number), "%s", row->key ? "max" : "0");
	snprintf(text, sizeof(text), "%u:%u %s%s%s", device->major, device->minor,
		 row->key ? row->key : "", row->key ? "=" : "", number);
	int r = sb_write_file(dir, row->file, text);
	/* A group that is there cannot say this: the device is gone, or takes no limits. */
	return r == -ENODEV ? -EOPNOTSUPP : r;
}

/* Calls for each device that the file limits. */
static int each_line(int dir, const struct sb_cgroup_limit *row,
		     int (*call)(const struct device *device, uint64_t value, void *ctx), void *ctx)
{
	char text[4096];
	char *save = NULL;
	ssize_t n = sb_read_file(dir, row->file, text, sizeof(text));
	int r = n < 0 ? (int)n : 0;
	for (char *line = r == 0 ? strtok_r(text, "\n", &save) : NULL; r == 0 && line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct device device;
		uint64_t value = line_value(line, row);
		r = parse_device(line, &device);
		if (r == 0 && value != SB_INFINITY)
			r = call(&device, value, ctx);
	}
	return r;
}

/* A device that gets a limit. */
struct wanted {
	struct device device;
	uint64_t value;
};

struct writing {
	int dir;
	const struct sb_cgroup_limit *row;
	struct wanted *v;
	size_t n;
};

static struct wanted *find_wanted(const struct writing *w, const struct device *device)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].device.major == device->major && w->v[i].device.minor == device->minor)
			return &w->v[i];
	return NULL;
}

/* One that has a limit and is to have none. */
static int lift(const struct device *device, uint64_t value, void *ctx)
{
	const struct writing *w = ctx;
	(void)value;
	if (find_wanted(w, device))
		return 0;
	/* One that is gone keeps its line in v1, and limits nothing. */
	int r = write_one(w->dir, w->row, device, SB_INFINITY);
	return r == -EOPNOTSUPP ? 0 : r;
}

/* Of two paths on one disk the smaller value counts: it is the one of the two that both keep. */
static int want(struct writing *w, const struct sb_rate *rate)
{
	struct device device;
	int r = find_device(rate->device, &device);
	if (r < 0 || rate->value == SB_INFINITY)
		return r;
	struct wanted *same = find_wanted(w, &device);
	if (!same)
		w->v[w->n++] = (struct wanted){ device, rate->value };
	else if (rate->value < same->value)
		same->value = rate->value;
	return 0;
}

static void note_first(int *first, int r)
{
	if (*first == 0)
		*first = r;
}

int sb_limit_write_rates(int dir, const struct sb_cgroup_limit *row, const void *value,
			 const struct sb_limits *limits)
{
	const struct sb_rates *rates = value;
	cleanup_free struct wanted *v = calloc(rates->n + 1, sizeof(*v));
	struct writing w = { dir, row, v, 0 };
	int first = 0;
	(void)limits;
	if (!v)
		return -ENOMEM;
	/* One that cannot be had does not keep the others. */
	for (size_t i = 0; i < rates->n; i++)
		note_first(&first, want(&w, &rates->v[i]));
	for (size_t i = 0; i < w.n; i++)
		note_first(&first, write_one(dir, row, &v[i].device, v[i].value));
	note_first(&first, each_line(dir, row, lift, &w));
	return first;
}

static int note(const struct device *device, uint64_t value, void *ctx)
{
	char name[128];
	name_device(device, name, sizeof(name));
	return sb_rates_set(ctx, name, value);
}

int sb_limit_read_rates(int dir, const struct sb_cgroup_limit *row, void *ret)
{
	struct sb_rates rates = { 0 };
	int r = each_line(dir, row, note, &rates);
	if (r < 0)
		sb_rates_clear(&rates);
	else
		*(struct sb_rates *)ret = rates;
	return r;
}

/* ---- weight ---- */

#define BFQ_MAX 1000
#define WEIGHT_MAX 10000
#define WEIGHT_PRESET 100

/* BFQ has weights from 1 to 1000 with the same default; above it the scale is another. */
static uint64_t to_bfq(uint64_t weight)
{
	if (weight <= WEIGHT_PRESET)
		return weight;
	return WEIGHT_PRESET +
	       (weight - WEIGHT_PRESET) * (BFQ_MAX - WEIGHT_PRESET) / (WEIGHT_MAX - WEIGHT_PRESET);
}

static uint64_t from_bfq(uint64_t weight)
{
	if (weight <= WEIGHT_PRESET)
		return weight;
	return WEIGHT_PRESET + ((weight - WEIGHT_PRESET) * (WEIGHT_MAX - WEIGHT_PRESET) +
				(BFQ_MAX - WEIGHT_PRESET) / 2) /
				       (BFQ_MAX - WEIGHT_PRESET);
}

static int write_default(int dir, const char *file, const char *word, uint64_t value)
{
	char text[40];
	snprintf(text, sizeof(text), "%s%" PRIu64, word, value);
	return sb_write_file(dir, file, text);
}

/* A number, or the first line "default 100". */
static int read_default(int dir, const char *file, uint64_t *ret)
{
	char text[4096];
	ssize_t n = sb_read_file(dir, file, text, sizeof(text));
	if (n < 0)
		return (int)n;
	text[strcspn(text, "\n")] = '\0';
	const char *number = strncmp(text, "default ", 8) == 0 ? text + 8 : text;
	return sb_cgroup_number(number, ret);
}

/* The row's file is io.cost's, if it has one; BFQ's is there beside it or instead of it. */
int sb_limit_write_io_weight(int dir, const struct sb_cgroup_limit *row, const void *value,
			     const struct sb_limits *limits)
{
	uint64_t weight = *(const uint64_t *)value;
	bool v2 = strcmp(row->file, "io.weight") == 0;
	int r = v2 ? write_default(dir, row->file, "default ", weight) : -ENOENT;
	int bfq = write_default(dir, v2 ? "io.bfq.weight" : row->file, v2 ? "default " : "",
				to_bfq(weight));
	(void)limits;
	return r == -ENOENT ? bfq : r;
}

int sb_limit_read_io_weight(int dir, const struct sb_cgroup_limit *row, void *ret)
{
	bool v2 = strcmp(row->file, "io.weight") == 0;
	int r = v2 ? read_default(dir, row->file, ret) : -ENOENT;
	if (r != -ENOENT)
		return r;
	uint64_t weight;
	r = read_default(dir, v2 ? "io.bfq.weight" : row->file, &weight);
	if (r == 0)
		*(uint64_t *)ret = from_bfq(weight);
	return r;
}
