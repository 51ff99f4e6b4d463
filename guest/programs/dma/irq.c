#include "irq.h"

#include "hcall.h"
#include "interruption.h"
#include "rtas.h"

/* Adapter interruptions of subclass 2: bit 34 of control register 6, PCI's in Linux (arch/s390/include/asm/isc.h). */
#define CR6_ISC		0x20000000UL
#define SERVER		0U
#define PRIORITY	5U
#define EVERY_PRIORITY	0xffU
#define XISR		0xffffffU

void irq_open(void)
{
	set_control_register_6(CR6_ISC);
	hcall(H_CPPR, EVERY_PRIORITY, 0, 0, 0);
}

int32_t irq_enable(uint32_t source)
{
	uint32_t args[3] = { source, SERVER, PRIORITY };
	uint32_t out[1] = { 0 };

	return rtas_call(RTAS_IBM_SET_XIVE, 3, 1, args, out);
}

void irq_expect(void)
{
	io_event.arrived = false;
}

/* Takes what is presented; ending it presents the next one, whose interruption stays pending until the next wait. */
static uint32_t take(void)
{
	uint64_t xirr = hcall(H_XIRR, 0, 0, 0, 0).value;

	if ((xirr & XISR) == 0)
		return IRQ_NONE;
	io_event.arrived = false;
	hcall(H_EOI, xirr, 0, 0, 0);
	return xirr & XISR;
}

uint32_t irq_wait(uint64_t microseconds)
{
	uint32_t source = take();

	if (source != IRQ_NONE)
		return source;
	while (wait_for(&io_event.arrived, microseconds)) {
		source = take();
		if (source != IRQ_NONE)
			return source;
		/* The interruption of one that was taken before it was waited for. */
		io_event.arrived = false;
	}
	return IRQ_NONE;
}
