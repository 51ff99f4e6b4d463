/* The kernel command line: words of the form key=number, hexadecimal with 0x or decimal; other words are ignored. */
#ifndef CMDLINE_H
#define CMDLINE_H

#include <stdbool.h>
#include <stdint.h>

/* What the loader left at 0x10480, cut at QEMU's classic limit, unprintable characters shown as dots. */
const char *cmdline_text(void);

/* False when the key is missing; a value that is no number is a failed check and counts as missing. */
bool cmdline_number(const char *key, uint64_t *value);

/* The command line has exactly this word, `key=value`. */
bool cmdline_has(const char *word);

#endif
