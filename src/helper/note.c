/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the log says of a login that went well, but not in every respect. */
#include <stdarg.h>
#include <string.h>

#include "helper.h"
#include "sessbox/str.h"

/* Sentences of a line for the log. */
struct note {
	char *text;
	size_t size;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void note(struct note *note, const char *fmt, ...)
{
	va_list ap;
	if (note->len >= note->size)
		return;
	va_start(ap, fmt);
	note->len += (size_t)vsnprintf(note->text + note->len, note->size - note->len, fmt, ap);
	va_end(ap);
}

static void note_unsupported(struct note *to, const struct sb_unsupported *unsupported)
{
	const char *before = "not in force, since this machine cannot do them: ";
	if (to->len && (unsupported->limits || unsupported->budget))
		note(to, "; ");
	for (enum sb_limit i = 0; i < SB_LIMITS_N; i++) {
		if (!(unsupported->limits & SB_LIMIT_BIT(i)))
			continue;
		note(to, "%s%s", before, sb_limit_rows[i].key);
		before = " ";
	}
	for (size_t i = 0; i < SB_BUDGETS_N; i++) {
		if (!(unsupported->budget & SB_LIMIT_BIT(sb_budget_rows[i].limit)))
			continue;
		note(to, "%s%s", before, sb_budget_rows[i].key);
		before = " ";
	}
}

/* Only where the kernel refuses that (v1). */
static void note_low(struct note *to, const struct sb_unsupported *unsupported)
{
	const struct {
		bool low;
		const char *keys;
	} rows[] = { { unsupported->limits_low, "MemoryMax or MemorySwapMax" },
		     { unsupported->budget_low, "ClassMemoryMax" } };
	for (size_t i = 0; i < SB_ARRAY_SIZE(rows); i++)
		if (rows[i].low)
			note(to, "%snot in force, since more is in use: %s", to->len ? "; " : "",
			     rows[i].keys);
}

void sb_answer_note(struct sb_answer *answer)
{
	const struct sb_session_grant *grant = &answer->grant;
	struct note to = { answer->reply.to_log, sizeof(answer->reply.to_log), 0 };
	if (grant->homeless)
		note(&to, "has no home inside: his account's would uncover what is hidden, or is "
			  "no path");
	if (grant->shares_sockets)
		note(&to,
		     "%snot in force, since this machine cannot do it: RestrictAbstractSockets",
		     to.len ? "; " : "");
	if (grant->unrecorded)
		note(&to, "%sthe login record could not be written", to.len ? "; " : "");
	if (grant->ticketless)
		note(&to, "%shis Kerberos tickets are not inside: %s", to.len ? "; " : "",
		     strerror(grant->ticketless));
	if (grant->stays)
		note(&to, "%sstays in the class budget he came into until he is out",
		     to.len ? "; " : "");
	note_low(&to, &grant->unsupported);
	note_unsupported(&to, &grant->unsupported);
}
