/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessbox/pam.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "sessbox/io.h"

#define DEPTH_MAX 16 /* of includes and substacks; libpam's is 32 and 16 */
#define ANY_TYPE SB_PAM_TYPES
#define BLANKS " \t\n"

static const char *const type_names[] = {
	[SB_PAM_AUTH] = "auth",
	[SB_PAM_ACCOUNT] = "account",
	[SB_PAM_SESSION] = "session",
	[SB_PAM_PASSWORD] = "password",
};

/* Vendors' files are in the second; the admin's in the first take their place. */
static const char *const directories[] = { "etc/pam.d", "usr/lib/pam.d" };

const char *sb_pam_type_name(enum sb_pam_type type)
{
	return type_names[type];
}

bool sb_pam_is_ours(const struct sb_pam_rule *rule)
{
	return !rule->is_substack && strcmp(rule->module, SB_PAM_MODULE) == 0;
}

/* A file being read, and what called for it. */
struct reader {
	const struct sb_pam_source *source;
	struct sb_pam_stack *stack;
	const char *file;
	unsigned int line;
	unsigned int from, to; /* in the service's own file */
	enum sb_pam_type only; /* ANY_TYPE, or that of an include */
	int level;
	int depth;
};

static int read_named(const struct reader *from, const char *name, enum sb_pam_type only,
		      int level);

static int __attribute__((format(printf, 2, 3))) fail(const struct reader *r, const char *fmt, ...)
{
	char *problem = r->stack->problem;
	size_t size = sizeof(r->stack->problem), len = 0;
	if (r->file)
		len = (size_t)snprintf(problem, size, "%s:%u: ", r->file, r->line);
	va_list ap;
	va_start(ap, fmt);
	if (len < size)
		vsnprintf(problem + len, size - len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* The next word, or a text in [brackets] with \] for a bracket. NULL = no more. */
static char *next_word(char **at)
{
	char *word = *at + strspn(*at, BLANKS), *to = word;
	if (!*word)
		return NULL;
	if (*word != '[') {
		*at = word + strcspn(word, BLANKS);
		if (**at)
			*(*at)++ = '\0';
		return word;
	}
	char *from = ++word;
	for (to = word; *from && *from != ']'; from++) {
		if (from[0] == '\\' && from[1] == ']')
			from++;
		*to++ = *from;
	}
	*at = *from ? from + 1 : from;
	*to = '\0';
	return word;
}

static enum sb_pam_type find_type(const char *word)
{
	enum sb_pam_type type = SB_PAM_AUTH;
	while (type < SB_PAM_TYPES && strcasecmp(type_names[type], word) != 0)
		type++;
	return type;
}

static struct sb_pam_rule *add_rule(const struct reader *r, enum sb_pam_type type,
				    const char *module)
{
	struct sb_pam_stack *stack = r->stack;
	const char *slash = strrchr(module, '/');
	struct sb_pam_rule *v = reallocarray(stack->v, stack->n + 1, sizeof(*v));
	if (!v)
		return NULL;
	stack->v = v;
	v[stack->n] = (struct sb_pam_rule){ .type = type,
					    .level = r->level,
					    .line = r->line,
					    .from = r->from,
					    .to = r->to,
					    .is_own = r->depth == 1 };
	struct sb_pam_rule *rule = &v[stack->n++];
	rule->module = strdup(slash ? slash + 1 : module);
	rule->file = strdup(r->file);
	return rule->module && rule->file ? rule : NULL;
}

static int read_module(const struct reader *r, struct sb_pam_rule *rule, const char *control,
		       char *rest)
{
	if (sb_pam_control(control, rule->actions) < 0)
		return fail(r, "'%s' is no control", control);
	snprintf(rule->control, sizeof(rule->control), "%s", control);
	for (char *word; (word = next_word(&rest));)
		if (sb_strv_add(&rule->args, word) < 0)
			return -ENOMEM;
	return 0;
}

/* "TYPE include NAME" and "TYPE substack NAME". */
static int read_include(const struct reader *r, enum sb_pam_type type, bool substack,
			const char *name)
{
	if (!substack)
		return read_named(r, name, type, r->level);
	struct sb_pam_rule *head = add_rule(r, type, name);
	if (!head)
		return -ENOMEM;
	head->is_substack = true;
	return read_named(r, name, type, r->level + 1);
}

static int read_line(const struct reader *r, char *line)
{
	char *word = next_word(&line), *name;
	if (!word)
		return 0;
	if (strcasecmp(word, "@include") == 0) {
		name = next_word(&line);
		return name ? read_named(r, name, r->only, r->level) : fail(r, "@include what?");
	}
	bool may_be_gone = *word == '-';
	enum sb_pam_type type = find_type(word + may_be_gone);
	if (*word == '\r')
		return fail(r, "a carriage return: the file needs Unix line ends");
	if (type == SB_PAM_TYPES)
		return fail(r, "'%s' is no type of module", word);
	if (r->only != ANY_TYPE && r->only != type)
		return 0;
	char *control = next_word(&line);
	name = control ? next_word(&line) : NULL;
	if (!name)
		return fail(r, "the line ends too early");
	bool substack = strcasecmp(control, "substack") == 0;
	if (substack || strcasecmp(control, "include") == 0)
		return read_include(r, type, substack, name);
	struct sb_pam_rule *rule = add_rule(r, type, name);
	if (!rule)
		return -ENOMEM;
	rule->may_be_gone = may_be_gone;
	return read_module(r, rule, control, line);
}

/* The line read last ends one that began at `first`. */
static int read_whole(struct reader *r, unsigned int first, char *line)
{
	if (r->depth == 1) {
		r->from = first;
		r->to = r->line;
	}
	return read_line(r, line);
}

/* Where a line ends with a backslash, in some way. */
static void note_continued(const struct reader *r, const char *line)
{
	size_t len = strlen(line);
	while (len > 0 && strchr(" \t\r\n", line[len - 1]))
		len--;
	if (r->depth == 1 && !r->stack->continued && len > 0 && line[len - 1] == '\\')
		r->stack->continued = r->line;
}

/* A line ends at "#"; a "\" at its end is followed by the next one. */
static int read_lines(struct reader *r, FILE *in)
{
	cleanup_free char *line = NULL;
	size_t size = 0;
	char whole[4096] = "";
	unsigned int first = 1;
	int e = 0;
	while (e == 0 && getline(&line, &size, in) > 0) {
		r->line++;
		note_continued(r, line);
		line[strcspn(line, "#\n")] = '\0';
		size_t len = strlen(line), used = strlen(whole);
		bool goes_on = len > 0 && line[len - 1] == '\\';
		if (goes_on)
			line[len - 1] = ' ';
		if (used + len >= sizeof(whole))
			return fail(r, "the line is too long");
		memcpy(whole + used, line, len + 1);
		if (goes_on)
			continue;
		e = read_whole(r, first, whole);
		whole[0] = '\0';
		first = r->line + 1;
	}
	return e == 0 && whole[0] ? read_whole(r, first, whole) : e;
}

static FILE *open_text(const struct sb_pam_text *text)
{
	cleanup_fd int fd = memfd_create("pam.d", MFD_CLOEXEC);
	if (fd < 0 || sb_write_all(fd, text->text, strlen(text->text)) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0)
		return NULL;
	FILE *file = fdopen(fd, "re");
	if (file)
		fd = -1;
	return file;
}

static FILE *open_named(const struct sb_pam_source *source, const char *name, char *path,
			size_t size)
{
	for (size_t i = 0; i < source->n; i++) {
		if (strcmp(source->texts[i].name, name) != 0)
			continue;
		snprintf(path, size, "/%s/%s", directories[0], name);
		return open_text(&source->texts[i]);
	}
	for (size_t i = 0; i < SB_ARRAY_SIZE(directories); i++) {
		if (*name == '/')
			snprintf(path, size, "%s", name);
		else
			snprintf(path, size, "/%s/%s", directories[i], name);
		int fd = openat(source->root, path + 1, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
		if (file)
			return file;
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

static int read_named(const struct reader *from, const char *name, enum sb_pam_type only, int level)
{
	char path[512];
	cleanup_file FILE *in = open_named(from->source, name, path, sizeof(path));
	if (from->depth == DEPTH_MAX)
		return fail(from, "files include each other more than %d deep", DEPTH_MAX);
	if (!in)
		return from->depth == 0 ? -ENOENT : fail(from, "there is no '%s' to include", name);
	struct reader r = { .source = from->source,
			    .stack = from->stack,
			    .file = path,
			    .from = from->from,
			    .to = from->to,
			    .only = only,
			    .level = level,
			    .depth = from->depth + 1 };
	return read_lines(&r, in);
}

int sb_pam_load_from(const struct sb_pam_source *from, const char *service,
		     struct sb_pam_stack *ret)
{
	*ret = (struct sb_pam_stack){ 0 };
	const struct reader start = { .source = from, .stack = ret, .only = ANY_TYPE };
	return read_named(&start, service, ANY_TYPE, 0);
}

int sb_pam_load(int root, const char *service, struct sb_pam_stack *ret)
{
	const struct sb_pam_source from = { .root = root };
	return sb_pam_load_from(&from, service, ret);
}

void sb_pam_clear(struct sb_pam_stack *stack)
{
	for (size_t i = 0; i < stack->n; i++) {
		free(stack->v[i].module);
		free(stack->v[i].file);
		sb_strv_clear(&stack->v[i].args);
	}
	free(stack->v);
	stack->v = NULL;
	stack->n = 0;
}
