#ifndef EBCDIC_H
#define EBCDIC_H

#include <stddef.h>
#include <stdint.h>

/* Letters, digits and the national characters a volume serial may have; anything else becomes a dot. Adds a NUL. */
void ebcdic_to_ascii(char *to, const uint8_t *from, size_t length);

#endif
