/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSBOX_FUZZ_H
#define SESSBOX_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What has to hold for every input; the fuzzer takes an abort for a find. */
#define CLAIM(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The input as a string of its own size, so that a read behind it is seen. */
static inline char *as_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	CLAIM(text);
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

#endif
