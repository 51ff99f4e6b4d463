/*
 * Formatted text: %s %c %d %u %x %%, with l for 64-bit numbers and a width (0 as its first digit pads with zeros).
 */
#ifndef FMT_H
#define FMT_H

#include <stdarg.h>
#include <stddef.h>

/* Writes at most size - 1 characters and a NUL. */
void format(char *to, size_t size, const char *text, ...) __attribute__((format(printf, 3, 4)));
void vformat(char *to, size_t size, const char *text, va_list args);

/* To the console, line by line. */
void print(const char *text, ...) __attribute__((format(printf, 1, 2)));
void vprint(const char *text, va_list args);

#endif
