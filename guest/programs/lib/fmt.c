#include "fmt.h"

#include <stdbool.h>
#include <stdint.h>

#include "console.h"

struct output {
	char *next;
	char *last;	/* place of the final NUL */
};

static void put(struct output *output, char c)
{
	if (output->next < output->last)
		*output->next++ = c;
}

static void put_number(struct output *output, uint64_t number, unsigned base, unsigned width, char fill)
{
	char digits[20];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	for (; width > count; width--)
		put(output, fill);
	while (count)
		put(output, digits[--count]);
}

void vformat(char *to, size_t size, const char *text, va_list args)
{
	struct output output = { to, to + size - 1 };

	for (; *text; text++) {
		unsigned width = 0;
		char fill = ' ';
		bool is_long = false;
		uint64_t number;

		if (*text != '%') {
			put(&output, *text);
			continue;
		}
		text++;
		if (*text == '0')
			fill = *text++;
		while (*text >= '0' && *text <= '9')
			width = width * 10 + *text++ - '0';
		if (*text == 'l') {
			is_long = true;
			text++;
		}
		switch (*text) {
		case 's':
			for (const char *s = va_arg(args, const char *); *s; s++)
				put(&output, *s);
			break;
		case 'c':
			put(&output, va_arg(args, int));
			break;
		case 'd':
			number = is_long ? va_arg(args, long) : va_arg(args, int);
			if ((int64_t)number < 0) {
				put(&output, '-');
				number = -number;
			}
			put_number(&output, number, 10, width, fill);
			break;
		case 'u':
		case 'x':
			number = is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned int);
			put_number(&output, number, *text == 'x' ? 16 : 10, width, fill);
			break;
		default:
			put(&output, *text);
		}
	}
	*output.next = 0;
}

void format(char *to, size_t size, const char *text, ...)
{
	va_list args;

	va_start(args, text);
	vformat(to, size, text, args);
	va_end(args);
}

void vprint(const char *text, va_list args)
{
	char line[1200];

	vformat(line, sizeof(line), text, args);
	console_write(line);
}

void print(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	vprint(text, args);
	va_end(args);
}
