/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dropin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sessbox/parse.h"

int ctl_escape_word(const char *word, char *buf, size_t size)
{
	size_t len = 0;
	for (; *word; word++) {
		unsigned char c = (unsigned char)*word;
		bool plain = c > ' ' && c != 0x7f && !strchr("\"'\\#;", c);
		if (len + 5 > size)
			return -ENAMETOOLONG;
		len += (size_t)snprintf(buf + len, size - len, plain ? "%c" : "\\x%02x", c);
	}
	buf[len] = '\0';
	return len ? 0 : -EINVAL;
}

static int add(struct ctl_dropin *dropin, const char *key, const char *text, bool append)
{
	struct ctl_setting *v = reallocarray(dropin->v, dropin->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	dropin->v = v;
	v[dropin->n] = (struct ctl_setting){ strdup(key), strdup(text), append };
	dropin->n++;
	return v[dropin->n - 1].key && v[dropin->n - 1].text ? 0 : -ENOMEM;
}

static void release(struct ctl_setting *setting)
{
	free(setting->key);
	free(setting->text);
}

void ctl_dropin_clear(struct ctl_dropin *dropin)
{
	for (size_t i = 0; i < dropin->n; i++)
		release(&dropin->v[i]);
	free(dropin->v);
	*dropin = (struct ctl_dropin){ 0 };
}

static int load_class(struct ctl_dropin *dropin, const struct sb_class *class, size_t file)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < class->n; i++) {
		const struct sb_entry *e = &class->entries[i];
		if (e->file == file && e->key->kind != SB_KEY_MATCH)
			r = add(dropin, e->key->name, e->text, e->append);
	}
	return r;
}

static bool is_in_file(const struct sb_class *class, size_t file)
{
	for (size_t i = 0; i < class->n; i++)
		if (class->entries[i].file == file)
			return true;
	return false;
}

/*
 * Is the section the user's, as `sessctl limit` writes it? 1; 0 = somebody's who had the uid before
 * him; -EEXIST = it says more than that.
 */
static int is_of(const struct sb_class *class, size_t file, const char *user, const char *path,
		 struct sb_err *err)
{
	char word[1100];
	int is = 0;
	if (ctl_escape_word(user, word, sizeof(word)) < 0)
		return 0;
	for (size_t i = 0; i < class->n; i++) {
		const struct sb_entry *e = &class->entries[i];
		if (e->file != file || e->key->kind != SB_KEY_MATCH)
			continue;
		if (strcmp(e->key->name, "MatchUsers") == 0)
			is = strcmp(e->text, word) == 0;
		else if (strcmp(e->key->name, "MatchUntil") != 0)
			return sb_fail_plain(err, EEXIST,
					     "'%s' is edited by hand: %s= belongs into a file of "
					     "its own",
					     path, e->key->name);
	}
	return is;
}

int ctl_dropin_load(struct ctl_dropin *dropin, const struct sb_config *config, const char *path,
		    uid_t uid, const char *user, struct sb_err *err)
{
	char own[32];
	size_t file = 0;
	snprintf(own, sizeof(own), dropin->temporary ? SB_CLASS_FOR : "limit-%u", uid);
	while (file < config->files.n && strcmp(config->files.v[file], path) != 0)
		file++;
	for (size_t i = 0; file < config->files.n && i < config->n; i++) {
		const struct sb_class *class = &config->classes[i];
		if (!is_in_file(class, file))
			continue;
		if (strcmp(class->name, own) != 0)
			return sb_fail_plain(
				err, EEXIST,
				"'%s' is edited by hand: it has a section [%s], which belongs into "
				"a file of its own",
				path, class->name);
		int own_user = is_of(class, file, user, path, err);
		if (own_user < 0)
			return own_user;
		if (own_user && load_class(dropin, class, file) < 0)
			return sb_fail(err, ENOMEM, "read '%s'", path);
	}
	return 0;
}

int ctl_dropin_set(struct ctl_dropin *dropin, const char *key, const char *text)
{
	size_t kept = 0;
	for (size_t i = 0; i < dropin->n; i++) {
		if (strcasecmp(dropin->v[i].key, key) == 0)
			release(&dropin->v[i]);
		else
			dropin->v[kept++] = dropin->v[i];
	}
	dropin->n = kept;
	return *text ? add(dropin, key, text, false) : 0;
}

/* Blanks between words stay what they are; everything else is a word of a list. */
static void print_reason(FILE *out, const char *reason)
{
	char text[CTL_REASON_MAX + 1], word[4 * CTL_REASON_MAX + 8];
	char *save = NULL;
	const char *gap = "";
	snprintf(text, sizeof(text), "%s", reason);
	fputs("Reason=", out);
	for (char *w = strtok_r(text, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
		if (ctl_escape_word(w, word, sizeof(word)) < 0)
			continue;
		fprintf(out, "%s%s", gap, word);
		gap = " ";
	}
	putc('\n', out);
}

static void print_end(FILE *out, const struct ctl_dropin *dropin)
{
	char until[SB_UTC_MAX];
	sb_print_utc(until, sizeof(until), dropin->until);
	fprintf(out, "MatchUntil=%s\n", until);
	print_reason(out, dropin->reason);
}

int ctl_dropin_print(const struct ctl_dropin *dropin, uid_t uid, const char *user, char **ret,
		     struct sb_err *err)
{
	char word[1100];
	char *text = NULL;
	size_t size = 0;
	if (*user == '!' || ctl_escape_word(user, word, sizeof(word)) < 0)
		return sb_fail_plain(err, EINVAL, "MatchUsers= cannot name the user '%s'", user);
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return sb_fail(err, ENOMEM, "write the drop-in");
	fputs("# Written by `sessctl limit`, which replaces this file whole.\n", out);
	fprintf(out, dropin->temporary ? "[" SB_CLASS_FOR "]\n" : "[limit-%u]\n", uid);
	fprintf(out, "MatchUsers=%s\n", word);
	if (dropin->temporary)
		print_end(out, dropin);
	for (size_t i = 0; i < dropin->n; i++)
		fprintf(out, "%s%s=%s\n", dropin->v[i].key, dropin->v[i].append ? "+" : "",
			dropin->v[i].text);
	if (fclose(out) != 0) {
		free(text);
		return sb_fail(err, ENOMEM, "write the drop-in");
	}
	*ret = text;
	return 0;
}
