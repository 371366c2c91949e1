/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The text of a configuration file: taken apart, and each value parsed by its key. */
#include "fuzz.h"

#include "config_internal.h"

static void check_line(const struct sb_scan_line *line, const char *text, size_t size)
{
	CLAIM(line->number > 0);
	CLAIM(line->section && line->section > text && line->section < text + size);
	CLAIM(strlen(line->section) <= SB_SECTION_MAX && *line->section);
	for (const char *p = line->section; *p; p++)
		CLAIM(*p < 'A' || *p > 'Z');
	if (!line->key)
		return;
	CLAIM(*line->key && line->value && line->value <= text + size);
	CLAIM(strlen(line->key) + strlen(line->value) <= SB_CONFIG_LINE_MAX);
	const struct sb_key *key = sb_key_find(line->key);
	struct sb_err err = { 0 };
	if (key && sb_config_check_value(key, line->value, &err) < 0)
		CLAIM(err.num > 0 && *err.msg && strlen(err.msg) < sizeof(err.msg));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = as_text(data, size);
	struct sb_scan scan = { 0 };
	struct sb_err err = { 0 };
	int r = sb_config_scan(text, size, "file", &scan, &err);
	CLAIM(r == 0 || (r < 0 && err.num == -r && strncmp(err.msg, "file", 4) == 0));
	for (size_t i = 0; r == 0 && i < scan.n; i++)
		check_line(&scan.v[i], text, size);
	free(scan.v);
	free(text);
	return 0;
}
