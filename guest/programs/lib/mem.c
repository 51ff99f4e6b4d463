/* The three functions GCC may call even from freestanding code. */
#include <stddef.h>
#include <stdint.h>

void *memset(void *to, int byte, size_t length)
{
	uint8_t *p = to;

	while (length--)
		*p++ = byte;
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
	uint8_t *p = to;
	const uint8_t *q = from;

	while (length--)
		*p++ = *q++;
	return to;
}

int memcmp(const void *left, const void *right, size_t length)
{
	const uint8_t *p = left, *q = right;

	for (; length--; p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}
