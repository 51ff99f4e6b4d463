/*
 * SERVICE CALL: command word in R1, real address of the SCCB in R2; condition code 0 accepted, 2 busy, 3 not
 * operational; the end of the command is external interruption 2401 with the SCCB address as its parameter.
 * Layouts and commands as in Linux, drivers/s390/char/sclp.h and sclp_vt220.c.
 */
#include "console.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "interruption.h"

#define SCLP_CMDW_WRITE_EVENT_DATA	0x00760005
#define SCLP_CMDW_WRITE_EVENT_MASK	0x00780005

#define SCLP_RESPONSE_NORMAL		0x0020

#define EVTYP_VT220MSG			0x1a
#define EVTYP_VT220MSG_MASK		(0x80000000U >> (EVTYP_VT220MSG - 1))

struct sccb_header {
	uint16_t length;
	uint8_t function_code;
	uint8_t control_mask[3];
	uint16_t response_code;
};

struct write_event_mask {
	struct sccb_header header;
	uint16_t reserved;
	uint16_t mask_length;
	uint32_t program_receive_mask;
	uint32_t program_send_mask;
	uint32_t sclp_receive_mask;
	uint32_t sclp_send_mask;
};

struct write_event_data {
	struct sccb_header header;
	uint16_t event_length;
	uint8_t event_type;
	uint8_t event_flags;
	uint16_t event_reserved;
	char text[1024];
};

_Static_assert(offsetof(struct write_event_mask, program_receive_mask) == 12, "event mask SCCB");
_Static_assert(offsetof(struct write_event_data, text) == 14, "event data SCCB");

/* An SCCB must not cross a page and must lie below 2 GiB. */
static union {
	struct sccb_header header;
	struct write_event_mask mask;
	struct write_event_data data;
} sccb __attribute__((aligned(4096)));

static bool usable;
static unsigned filled;		/* characters waiting in sccb.data.text */

static int servc(uint32_t command, void *block)
{
	int cc;

	/* SERVC: the assembler does not know its mnemonic. */
	asm volatile(".insn	rre,0xb2200000,%[command],%[block]\n"
		     "ipm	%[cc]\n"
		     "srl	%[cc],28"
		     : [cc] "=&d"(cc)
		     : [command] "d"(command), [block] "d"(block)
		     : "memory", "cc");
	return cc;
}

/* One command from SERVC to its service signal; true = the SCLP reported success. */
static bool service_call(uint32_t command)
{
	int cc;

	service_signal.arrived = false;
	do
		cc = servc(command, &sccb);
	while (cc == 2);
	if (cc != 0)
		return false;
	do {
		service_signal.arrived = false;
		if (!wait_for(&service_signal.arrived, PATIENCE))
			return false;
		/* The low three bits only say that input is waiting; another address is not our answer. */
	} while ((service_signal.parameter & ~7U) != (uint32_t)(uintptr_t)&sccb);
	return sccb.header.response_code == SCLP_RESPONSE_NORMAL;
}

void console_open(void)
{
	set_control_register_0(control_register_0() | CR0_SERVICE_SIGNAL);
	sccb.mask = (struct write_event_mask){
		.header = { .length = sizeof(sccb.mask) },
		.mask_length = sizeof(uint32_t),
		.program_send_mask = EVTYP_VT220MSG_MASK,
	};
	usable = service_call(SCLP_CMDW_WRITE_EVENT_MASK);
}

static void flush(void)
{
	unsigned event_length = sizeof(sccb.data) - sizeof(sccb.header) - sizeof(sccb.data.text) + filled;

	sccb.data.header = (struct sccb_header){ .length = sizeof(sccb.header) + event_length };
	sccb.data.event_length = event_length;
	sccb.data.event_type = EVTYP_VT220MSG;
	sccb.data.event_flags = 0;
	sccb.data.event_reserved = 0;
	filled = 0;
	usable = service_call(SCLP_CMDW_WRITE_EVENT_DATA);
}

void console_write(const char *text)
{
	for (; usable && *text; text++) {
		sccb.data.text[filled++] = *text;
		if (*text == '\n' || filled == sizeof(sccb.data.text))
			flush();
	}
}
