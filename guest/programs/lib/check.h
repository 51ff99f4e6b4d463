/* Results: one line each, PASS, FAIL or SKIP. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>

/* `PASS name`, or `FAIL name: ` and the text, which says what was expected and what came. Returns ok. */
bool check(bool ok, const char *name, const char *text, ...) __attribute__((format(printf, 3, 4)));

void skip(const char *name, const char *reason);

/* The last line; returns true when every check passed. */
bool check_summary(const char *program);

#endif
