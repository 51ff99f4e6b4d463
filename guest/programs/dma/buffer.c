#include "buffer.h"

#include "mem.h"

uint8_t buffer_source[BUFFERS][BUFFER_SIZE] __attribute__((aligned(4096)));
uint8_t buffer_target[BUFFERS][BUFFER_SIZE] __attribute__((aligned(4096)));

/* What is in a target before anything is copied there: no byte of a source. */
#define NOTHING	0xee

void buffer_prepare(unsigned which, uint8_t seed)
{
	for (uint32_t i = 0; i < BUFFER_SIZE; i++) {
		uint8_t byte = i * 7 + (i >> 8) * 13 + seed;

		buffer_source[which][i] = byte == NOTHING ? 0 : byte;
	}
	memset(buffer_target[which], NOTHING, BUFFER_SIZE);
}

bool buffer_untouched(unsigned which, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (buffer_target[which][i] != NOTHING)
			return false;
	return true;
}

bool buffer_copied(unsigned which, uint32_t from, uint32_t to, uint32_t count)
{
	return memcmp(&buffer_target[which][to], &buffer_source[which][from], count) == 0 &&
	       buffer_untouched(which, 0, to) && buffer_untouched(which, to + count, BUFFER_SIZE);
}

/* Devices find memory where the CPU does. */
uint64_t bus_address(const void *at)
{
	return (uintptr_t)at;
}
