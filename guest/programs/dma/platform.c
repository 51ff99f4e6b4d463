#include "platform.h"

#include <stddef.h>

#include "cmdline.h"

struct elo channels[BUFFERS];

static const char *word_of(const char *key)
{
	const char *text = cmdline_text();

	while (*text) {
		const char *k = key;
		const char *t = text;

		while (*k && *k == *t) {
			k++;
			t++;
		}
		if (*k == 0)
			return t;
		while (*text && *text != ' ')
			text++;
		while (*text == ' ')
			text++;
	}
	return NULL;
}

/* A number with 0x, and `text` moved behind it; 0 where there is none. */
static uint64_t hexadecimal(const char **text)
{
	uint64_t value = 0;
	const char *t = *text;

	if (t[0] != '0' || t[1] != 'x')
		return 0;
	for (t += 2;; t++) {
		if (*t >= '0' && *t <= '9')
			value = value << 4 | (uint64_t)(*t - '0');
		else if (*t >= 'a' && *t <= 'f')
			value = value << 4 | (uint64_t)(*t - 'a' + 10);
		else
			break;
	}
	*text = t;
	return value;
}

unsigned platform_devices(void)
{
	const char *text = word_of("platform=");
	unsigned count = 0;

	while (text && count < BUFFERS) {
		uint64_t base = hexadecimal(&text);

		if (base == 0 || *text++ != ':')
			break;
		channels[count] = (struct elo){ .number = count, .base = base, .source = hexadecimal(&text) };
		count++;
		if (*text++ != ',')
			break;
	}
	return count;
}
