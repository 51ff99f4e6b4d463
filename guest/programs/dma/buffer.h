/* The memory that is copied, and what must be in it. */
#ifndef BUFFER_H
#define BUFFER_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes of the source and of the target. */
#define BUFFER_SIZE	0x10000UL

/* One of each for every device. */
#define BUFFERS		4

extern uint8_t buffer_source[BUFFERS][BUFFER_SIZE];
extern uint8_t buffer_target[BUFFERS][BUFFER_SIZE];

/* A new pattern in a source, and nothing of it in its target. */
void buffer_prepare(unsigned which, uint8_t seed);
/* Whether the target is as it was prepared, but for `count` bytes from `to` on, which are those of the source from `from` on. */
bool buffer_copied(unsigned which, uint32_t from, uint32_t to, uint32_t count);
/* Whether nothing has come into a part of the target. */
bool buffer_untouched(unsigned which, uint32_t from, uint32_t to);
uint64_t bus_address(const void *at);

#endif
