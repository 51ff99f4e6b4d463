#ifndef MEM_H
#define MEM_H

#include <stddef.h>

void *memset(void *to, int byte, size_t length);
void *memcpy(void *restrict to, const void *restrict from, size_t length);
int memcmp(const void *left, const void *right, size_t length);

#endif
