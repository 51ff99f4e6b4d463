#include "peer_frame.h"

#define WORD		sizeof(uint64_t)
#define FIRST_WORD	(sizeof(struct peer_header) / WORD)

void peer_put_address(uint8_t *to, uint64_t address)
{
	for (unsigned i = 0; i < 6; i++)
		to[i] = address >> (40 - 8 * i);
}

uint64_t peer_address(const uint8_t *from)
{
	uint64_t address = 0;

	for (unsigned i = 0; i < 6; i++)
		address = address << 8 | from[i];
	return address;
}

/* The word before all others: that of place 0. */
static uint64_t base_of(const struct peer_header *header)
{
	return (peer_address(header->from) << 16 | header->stream) * PEER_KEY + (header->number + 1UL) * PEER_STEP;
}

void peer_make(uint8_t *frame, const struct peer_header *header, unsigned size)
{
	uint64_t *words = (uint64_t *)frame;
	uint64_t base = base_of(header);

	*(struct peer_header *)frame = *header;
	if (header->kind == PEER_DATA)
		for (unsigned i = FIRST_WORD; i < (size + WORD - 1) / WORD; i++)
			words[i] = base + i * PEER_PLACE;
	else
		*(uint32_t *)(frame + sizeof(*header)) = 0;
}

bool peer_read(const uint8_t *frame, unsigned length, struct peer_header *header)
{
	const volatile uint64_t *words = (const volatile uint64_t *)frame;
	union {
		uint64_t words[FIRST_WORD];
		struct peer_header header;
	} copy;

	if (length < PEER_CONTROL_SIZE)
		return false;
	for (unsigned i = 0; i < FIRST_WORD; i++)
		copy.words[i] = words[i];
	*header = copy.header;
	return header->type == PEER_TYPE && header->magic == PEER_MAGIC;
}

uint8_t peer_byte(const struct peer_header *header, unsigned at)
{
	return (base_of(header) + at / WORD * PEER_PLACE) >> (56 - at % WORD * 8);
}

unsigned peer_differs(const uint8_t *frame, const struct peer_header *header, unsigned size)
{
	const volatile uint64_t *words = (const volatile uint64_t *)frame;
	uint64_t base = base_of(header);
	unsigned at = FIRST_WORD;

	while (at < size / WORD && words[at] == base + at * PEER_PLACE)
		at++;
	/* In the word that differs, or the last one, which is not whole. */
	for (at *= WORD; at < size; at++)
		if (((const volatile uint8_t *)frame)[at] != peer_byte(header, at))
			return at;
	return size;
}
