/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config_internal.h"

#include <errno.h>
#include <iniparser/iniparser.h>
#include <stdint.h>
#include <string.h>

static unsigned int complaints;

static int count_complaint(const char *format, ...)
{
	(void)format;
	complaints++;
	return 0;
}

/*
 * After a failed malloc iniparser mostly returns a dictionary with holes, so one complaint is a
 * failure, and the holes it keeps silent about are found by check_dictionary and add_entry.
 */
static int load_dictionary(int fd, const char *path, dictionary **ret, struct sb_err *err)
{
	char name[sizeof("/proc/self/fd/") + 3 * sizeof(fd)];
	sb_format(name, sizeof(name), "/proc/self/fd/%d", fd);
	complaints = 0;
	iniparser_set_error_callback(count_complaint);
	dictionary *dict = iniparser_load(name);
	iniparser_set_error_callback(NULL);
	if (dict && complaints == 0) {
		*ret = dict;
		return 0;
	}
	iniparser_freedict(dict);
	return sb_config_fail(err, &(struct sb_place){ .file = path }, "iniparser cannot read it");
}

static int check_dictionary(const dictionary *dict, const struct sb_scan *scan, const char *path,
			    struct sb_err *err)
{
	if ((size_t)dict->n == scan->n)
		return 0;
	return sb_config_fail(err, &(struct sb_place){ .file = path },
			      "expected %zu sections and keys, iniparser found %zu", scan->n,
			      (size_t)dict->n);
}

/* The first index row whose name is not below. */
static size_t index_position(const struct sb_loader *l, const char *name)
{
	size_t low = 0, high = l->config->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(l->config->classes[l->index[middle].class].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int add_class(struct sb_loader *l, const char *name, size_t position)
{
	struct sb_config *config = l->config;
	struct sb_class *classes =
		reallocarray(config->classes, config->n + 1, sizeof(*config->classes));
	if (!classes)
		return -ENOMEM;
	config->classes = classes;
	struct sb_index_row *rows = reallocarray(l->index, config->n + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	l->index = rows;
	classes[config->n] = (struct sb_class){ .name = strdup(name) };
	if (!classes[config->n].name)
		return -ENOMEM;
	memmove(&rows[position + 1], &rows[position], (config->n - position) * sizeof(*rows));
	rows[position] = (struct sb_index_row){ .class = config->n, .file = SIZE_MAX };
	config->n++;
	return 0;
}

/* Finds or makes the class of a section's line. */
static int enter_section(struct sb_loader *l, struct sb_scan_line *line, const struct sb_place *at)
{
	struct sb_config *config = l->config;
	size_t position = index_position(l, line->section);
	bool known = position < config->n &&
		     strcmp(config->classes[l->index[position].class].name, line->section) == 0;
	if (!known && add_class(l, line->section, position) < 0)
		return sb_fail(l->err, ENOMEM, "read '%s'", at->file);
	struct sb_index_row *row = &l->index[position];
	if (row->file == config->files.n - 1)
		return sb_config_fail(l->err, at, "the section is in this file twice, see line %u",
				      row->line);
	row->file = config->files.n - 1;
	row->line = line->number;
	memset(l->seen, 0, sb_keys_n * sizeof(*l->seen));
	line->class = row->class;
	return 0;
}

static int fail_unknown(struct sb_loader *l, const struct sb_place *at)
{
	const char *near = sb_key_near(at->key, NULL);
	return near ? sb_config_fail(l->err, at, "unknown key, is %s meant?", near)
		    : sb_config_fail(l->err, at, "unknown key, sessbox.conf(5) has all there are");
}

static int check_key(struct sb_loader *l, struct sb_scan_line *line, const struct sb_place *at)
{
	const struct sb_key *key = line->row = sb_key_find(line->key);
	if (!key)
		return fail_unknown(l, at);
	if (key->kind == SB_KEY_MATCH && strcmp(line->section, SB_CLASS_DEFAULTS) == 0)
		return sb_config_fail(l->err, at, "[Defaults] is for all, it has no Match keys");
	if (line->append && !sb_key_is_list(key))
		return sb_config_fail(l->err, at, "'+=' is for lists, this key takes one value");
	struct sb_seen *seen = &l->seen[key - sb_keys];
	unsigned int before = seen->append || line->append ? seen->append : seen->set;
	if (before)
		return sb_config_fail(l->err, at, "the key is in this section twice, see line %u",
				      before);
	*(line->append ? &seen->append : &seen->set) = line->number;
	return 0;
}

static int check_lines(struct sb_loader *l, struct sb_scan *scan, const char *path)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < scan->n; i++) {
		struct sb_scan_line *line = &scan->v[i];
		const struct sb_place at = { path, line->number, line->section, line->key };
		r = line->key ? check_key(l, line, &at) : enter_section(l, line, &at);
	}
	return r;
}

/* The value as iniparser has it, in the quotes it took off. */
static int fetch_value(const dictionary *dict, const struct sb_scan_line *line, char **ret)
{
	char name[SB_SECTION_MAX + SB_CONFIG_LINE_MAX];
	int r = sb_format(name, sizeof(name), "%s:%s%s", line->section, line->key,
			  line->append ? "+" : "");
	if (r < 0)
		return r;
	const char *value = iniparser_getstring(dict, name, NULL);
	if (!value || strcmp(value, line->value) != 0)
		return -EINVAL;
	if (!line->quote)
		*ret = strdup(value);
	else if (asprintf(ret, "%c%s%c", line->quote, value, line->quote) < 0)
		*ret = NULL;
	return *ret ? 0 : -ENOMEM;
}

static int add_entry(struct sb_loader *l, const dictionary *dict, const struct sb_scan_line *line,
		     struct sb_class *class)
{
	const char *path = l->config->files.v[l->config->files.n - 1];
	const struct sb_place at = { path, line->number, line->section, line->key };
	cleanup_free char *text = NULL;
	int r = fetch_value(dict, line, &text);
	if (r == -EINVAL)
		return sb_config_fail(l->err, &at, "iniparser does not find this line's value");
	struct sb_entry *entries =
		r < 0 ? NULL : reallocarray(class->entries, class->n + 1, sizeof(*entries));
	if (!entries)
		return sb_fail(l->err, ENOMEM, "read '%s'", path);
	class->entries = entries;
	if (sb_config_check_value(line->row, text, l->err) < 0)
		return sb_config_fail_within(l->err, &at);
	class->entries[class->n++] = (struct sb_entry){ .key = line->row,
							.append = line->append,
							.text = sb_steal_ptr(&text),
							.file = l->config->files.n - 1,
							.line = line->number };
	return 0;
}

static int merge(struct sb_loader *l, const dictionary *dict, const struct sb_scan *scan,
		 const char *path)
{
	struct sb_class *class = NULL;
	int r = check_dictionary(dict, scan, path, l->err);
	for (size_t i = 0; r == 0 && i < scan->n; i++) {
		if (scan->v[i].key)
			r = add_entry(l, dict, &scan->v[i], class);
		else
			class = &l->config->classes[scan->v[i].class];
	}
	return r;
}

int sb_config_load_text(struct sb_loader *l, struct sb_config_file *file, const char *path)
{
	struct sb_scan scan = { 0 };
	dictionary *dict = NULL;
	int r = 0;
	/* The scan writes into the text; one with a NUL byte in it does not get past the scan. */
	if (sb_strv_add(&l->config->files, path) < 0 ||
	    sb_strv_add(&l->config->texts, file->text) < 0)
		r = sb_fail(l->err, ENOMEM, "read '%s'", path);
	if (r == 0)
		r = sb_config_scan(file->text, file->size, path, &scan, l->err);
	if (r == 0)
		r = check_lines(l, &scan, path);
	if (r == 0)
		r = load_dictionary(file->fd, path, &dict, l->err);
	if (r == 0)
		r = merge(l, dict, &scan, path);
	iniparser_freedict(dict);
	free(scan.v);
	return r;
}

static int load_file(struct sb_loader *l, int dfd, const char *path)
{
	struct sb_config_file file = { .fd = -1 };
	int r = sb_config_file_open(dfd, path, l->owner, SB_CONFIG_FILE_MAX, &file, l->err);
	if (r < 0)
		return r;
	r = sb_config_load_text(l, &file, path);
	sb_config_file_close(&file);
	return r;
}

/* All <dir>/<name>.conf; a missing directory has none. */
static int load_dropins(struct sb_loader *l, const char *dir)
{
	struct sb_strv paths = { 0 };
	cleanup_fd int fd = sb_config_dir_open(dir, l->owner, l->err);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	int r = sb_config_dir_list(fd, dir, &paths, l->err);
	for (size_t i = 0; r == 0 && i < paths.n; i++) {
		r = load_file(l, fd, paths.v[i]);
		/* Removed since the directory was read: `sessctl limit` may do that. */
		if (r == -ENOENT)
			r = 0;
	}
	sb_strv_clear(&paths);
	return r;
}

static int load_main(struct sb_loader *l, const char *dir)
{
	cleanup_free char *path = NULL;
	cleanup_fd int fd = sb_config_dir_open(dir, l->owner, l->err);
	if (fd < 0)
		return fd;
	if (asprintf(&path, "%s/%s", dir, SB_CONFIG_FILE) < 0) {
		path = NULL;
		return sb_fail(l->err, ENOMEM, "read '%s'", dir);
	}
	return load_file(l, fd, path);
}

struct source {
	const char *conf_dir;
	const char *runtime_dir;
};

static int load_all(struct sb_loader *l, const void *ctx)
{
	const struct source *from = ctx;
	cleanup_free char *dropins = NULL;
	int r = load_main(l, from->conf_dir);
	if (r < 0)
		return r;
	if (asprintf(&dropins, "%s/%s", from->conf_dir, SB_CONFIG_DROPINS) < 0) {
		dropins = NULL;
		return sb_fail(l->err, ENOMEM, "read '%s'", from->conf_dir);
	}
	r = load_dropins(l, dropins);
	return r < 0 ? r : load_dropins(l, from->runtime_dir);
}

int sb_config_load_with(int (*load)(struct sb_loader *l, const void *ctx), const void *ctx,
			uid_t owner, struct sb_config **ret, struct sb_err *err)
{
	cleanup_config struct sb_config *config = calloc(1, sizeof(*config));
	struct sb_err scratch;
	struct sb_loader l = { .config = config, .owner = owner, .err = err ? err : &scratch };
	l.seen = calloc(sb_keys_n, sizeof(*l.seen));
	int r = config && l.seen ? load(&l, ctx) : sb_fail(err, ENOMEM, "load the configuration");
	if (r == 0)
		r = sb_config_finish(config, err);
	free(l.index);
	free(l.seen);
	if (r == 0)
		*ret = sb_steal_ptr(&config);
	return r;
}

int sb_config_load_as(const char *conf_dir, const char *runtime_dir, uid_t owner,
		      struct sb_config **ret, struct sb_err *err)
{
	const struct source from = { conf_dir, runtime_dir };
	return sb_config_load_with(load_all, &from, owner, ret, err);
}

int sb_config_load(const char *conf_dir, const char *runtime_dir, struct sb_config **ret,
		   struct sb_err *err)
{
	return sb_config_load_as(conf_dir ? conf_dir : SB_CONFIG_DIR,
				 runtime_dir ? runtime_dir : SB_CONFIG_RUNTIME, 0, ret, err);
}
