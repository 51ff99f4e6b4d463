#include "ebcdic.h"

/* Runs of EBCDIC code points (code page 37) that ASCII has as runs too. */
static const struct {
	uint8_t first, count;
	char ascii;
} runs[] = {
	{ 0x40, 1, ' ' }, { 0x5b, 1, '$' }, { 0x60, 1, '-' }, { 0x7b, 1, '#' }, { 0x7c, 1, '@' },
	{ 0xc1, 9, 'A' }, { 0xd1, 9, 'J' }, { 0xe2, 8, 'S' }, { 0xf0, 10, '0' },
};

static char ascii(uint8_t code)
{
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
		if (code >= runs[i].first && code < runs[i].first + runs[i].count)
			return runs[i].ascii + (code - runs[i].first);
	return '.';
}

void ebcdic_to_ascii(char *to, const uint8_t *from, size_t length)
{
	while (length--)
		*to++ = ascii(*from++);
	*to = 0;
}
