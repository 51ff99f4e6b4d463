#include "cmdline.h"

#include <stddef.h>

#include "check.h"

/* Placed at 0x10480 by link.ld; Linux's COMMAND_LINE, and its classic length of 896 bytes. */
#define COMMAND_LINE_SIZE 896
extern const volatile char command_line[COMMAND_LINE_SIZE];

const char *cmdline_text(void)
{
	static char text[COMMAND_LINE_SIZE];

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		char c = command_line[i];

		text[i] = c == 0 || (c >= ' ' && c <= '~') ? c : '.';
		if (c == 0)
			break;
	}
	return text;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* The number up to the next blank or the end; *value keeps what it was when there is none. */
static bool parse(const char *text, uint64_t *value)
{
	uint64_t number = 0;
	int base = 10;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (digit(*text) >= base)
		return false;
	for (; digit(*text) < base; text++)
		number = number * base + digit(*text);
	if (*text != 0 && *text != ' ')
		return false;
	*value = number;
	return true;
}

bool cmdline_number(const char *key, uint64_t *value)
{
	const char *word = cmdline_text();

	while (*word) {
		const char *k = key;
		const char *w = word;

		while (*k && *k == *w) {
			k++;
			w++;
		}
		if (*k == 0 && *w == '=') {
			if (parse(w + 1, value))
				return true;
			check(false, "command line", "expected %s=NUMBER at the start of %s", key, word);
			return false;
		}
		while (*word && *word != ' ')
			word++;
		while (*word == ' ')
			word++;
	}
	return false;
}

bool cmdline_has(const char *word)
{
	const char *text = cmdline_text();

	while (*text) {
		const char *w = word;

		while (*w && *w == *text) {
			w++;
			text++;
		}
		if (*w == 0 && (*text == 0 || *text == ' '))
			return true;
		while (*text && *text != ' ')
			text++;
		while (*text == ' ')
			text++;
	}
	return false;
}
