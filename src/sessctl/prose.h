/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SESSCTL_PROSE_H
#define SESSCTL_PROSE_H

/*
 * Sentences for people: broken between words at the terminal's width, and where there is no
 * terminal not at all. What may come from a file or a user is made harmless: a control character
 * or a byte that is no UTF-8 is written as \xNN.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Columns of the terminal on stdout, 40 to 100; 0 = no terminal. */
size_t ctl_prose_width(void);

/*
 * Writes lead, then text, and a newline. Further lines are indented by as many columns as lead
 * takes. width 0: one line.
 */
void ctl_prose(FILE *out, size_t width, const char *lead, const char *text);

#endif
