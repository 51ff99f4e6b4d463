/*
 * Echoes what is typed at the console, line by line, until the line `quit`. The command line says where it reads:
 * `input=ascii`, the VT220 console's event, or `input=operator`, an operator's command in EBCDIC.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmdline.h"
#include "console.h"
#include "ebcdic.h"
#include "fmt.h"
#include "interruption.h"

#define SCLP_CMDW_READ_EVENT_DATA	0x00770005
#define SCLP_CMDW_WRITE_EVENT_MASK	0x00780005
#define SCLP_RESPONSE_NORMAL		0x0020

/* Event types (Linux drivers/s390/char/sclp.h). */
#define EVTYP_OPCMD			0x01
#define EVTYP_VT220MSG			0x1a
#define EVENT_MASK(type)		(0x80000000U >> ((type) - 1))

/* Bytes before an operator's command: three vectors and two subvectors. */
#define COMMAND_HEADERS			16

static struct {
	uint16_t length;
	uint8_t function_code;
	uint8_t control_mask[3];
	uint16_t response_code;
	union {
		struct {
			uint16_t reserved;
			uint16_t mask_length;
			uint32_t receive;
			uint32_t send;
			uint32_t sclp_receive;
			uint32_t sclp_send;
		} mask;
		struct {
			uint16_t length;
			uint8_t type;
			uint8_t flags;
			uint16_t reserved;
			uint8_t payload[500];
		} event;
	};
} sccb __attribute__((aligned(4096)));

/* The last service signal said that an event waits. */
static bool more;

/* One command from SERVC to its service signal; its response code. */
static uint16_t service_call(uint32_t command)
{
	int cc;

	do {
		service_signal.arrived = false;
		asm volatile(".insn	rre,0xb2200000,%[command],%[block]\n"
			     "ipm	%[cc]\n"
			     "srl	%[cc],28"
			     : [cc] "=&d"(cc)
			     : [command] "d"(command), [block] "d"(&sccb)
			     : "memory", "cc");
	} while (cc == 2);
	if (cc != 0)
		return 0;
	/* A signal of another address only says that input waits. */
	while (!service_signal.arrived || (service_signal.parameter & ~7U) != (uint32_t)(uintptr_t)&sccb) {
		service_signal.arrived = false;
		wait_enabled();
	}
	more = (service_signal.parameter & 1) != 0;
	return sccb.response_code;
}

/* In either case: an operator's command may come in capitals. */
static bool is_quit(const char *line)
{
	const char *quit = "quit";

	while (*quit && (*line | ' ') == *quit)
		line++, quit++;
	return *quit == 0 && *line == 0;
}

/* Appends what has come to the line; every line that is complete is echoed. Returns true after `quit`. */
static bool echo(const uint8_t *text, unsigned length)
{
	static char line[300];
	static unsigned filled;
	bool quit = false;

	for (; length > 0 && !quit; text++, length--) {
		if (*text != '\n') {
			if (filled < sizeof(line) - 1)
				line[filled++] = (char)*text;
			continue;
		}
		line[filled] = 0;
		print("got %u: %s\n", filled, line);
		quit = is_quit(line);
		filled = 0;
	}
	return quit;
}

/* Reads one event, or waits for one. Returns true after `quit`. */
static bool read_event(void)
{
	static char text[sizeof(sccb.event.payload) + 1];
	uint8_t *payload = sccb.event.payload;
	unsigned length;

	sccb.length = sizeof(sccb);
	sccb.function_code = 0;
	if (service_call(SCLP_CMDW_READ_EVENT_DATA) != SCLP_RESPONSE_NORMAL) {
		service_signal.arrived = more;
		while (!service_signal.arrived)
			wait_enabled();
		return false;
	}
	length = sccb.event.length - offsetof(__typeof__(sccb.event), payload);
	if (sccb.event.type == EVTYP_VT220MSG)
		return echo(payload + 1, length - 1);
	ebcdic_to_ascii(text, payload + COMMAND_HEADERS, length - COMMAND_HEADERS);
	return echo((const uint8_t *)text, length - COMMAND_HEADERS) || echo((const uint8_t *)"\n", 1);
}

void __attribute__((noreturn)) main(void)
{
	uint32_t wanted = cmdline_has("input=operator") ? EVENT_MASK(EVTYP_OPCMD) : EVENT_MASK(EVTYP_VT220MSG);

	console_open();
	sccb.length = sizeof(sccb);
	sccb.mask.mask_length = sizeof(uint32_t);
	sccb.mask.receive = wanted;
	sccb.mask.send = EVENT_MASK(EVTYP_VT220MSG);
	service_call(SCLP_CMDW_WRITE_EVENT_MASK);
	if ((sccb.mask.sclp_send & wanted) == 0) {
		print("console: the machine has no such input\n");
		disabled_wait(0xbad);
	}
	print("console: ready\n");
	while (!read_event())
		;
	print("console: bye\n");
	disabled_wait(0);
}
