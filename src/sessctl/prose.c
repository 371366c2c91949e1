/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prose.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define WIDTH_MIN 40
#define WIDTH_MAX 100 /* longer lines are hard to read */

size_t ctl_prose_width(void)
{
	struct winsize size;
	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col < WIDTH_MIN	 ? WIDTH_MIN
	       : size.ws_col > WIDTH_MAX ? WIDTH_MAX
					 : size.ws_col;
}

/* One character: its bytes, the columns it takes, and whether it can be written as it is. */
struct glyph {
	size_t bytes, columns;
	bool plain;
};

static struct glyph glyph_at(const char *text, size_t size)
{
	mbstate_t state = { 0 };
	wchar_t wide;
	size_t n = mbrtowc(&wide, text, size, &state);
	int columns = n == 0 || n > size ? -1 : wcwidth(wide);
	if (columns < 0)
		return (struct glyph){ 1, strlen("\\x00"), false };
	return (struct glyph){ n, (size_t)columns, true };
}

static size_t columns_of(const char *text, size_t size)
{
	size_t columns = 0;
	for (size_t i = 0; i < size;) {
		struct glyph glyph = glyph_at(text + i, size - i);
		columns += glyph.columns;
		i += glyph.bytes;
	}
	return columns;
}

static void put(FILE *out, const char *text, size_t size)
{
	for (size_t i = 0; i < size;) {
		struct glyph glyph = glyph_at(text + i, size - i);
		if (glyph.plain)
			fwrite(text + i, 1, glyph.bytes, out);
		else
			fprintf(out, "\\x%02x", (unsigned char)text[i]);
		i += glyph.bytes;
	}
}

void ctl_prose(FILE *out, size_t width, const char *lead, const char *text)
{
	size_t indent = columns_of(lead, strlen(lead)), at = indent;
	put(out, lead, strlen(lead));
	while (*text) {
		size_t blanks = strspn(text, " "), size = strcspn(text + blanks, " ");
		size_t columns = columns_of(text + blanks, size);
		bool begins = at == indent;
		if (width > 0 && !begins && at + blanks + columns > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
			begins = true;
		}
		/* A command that is to be copied keeps its blanks. */
		if (!begins)
			fprintf(out, "%*s", (int)blanks, "");
		put(out, text + blanks, size);
		at += (begins ? 0 : blanks) + columns;
		text += blanks + size;
	}
	putc('\n', out);
}
