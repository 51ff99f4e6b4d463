#include "dmaport.h"

#include "ci.h"

#define DMAPORT_ID		0x00
#define DMAPORT_STATUS		0x04
#define DMAPORT_CONTROL		0x08
#define DMAPORT_LENGTH		0x0c
#define DMAPORT_ADDRESS_LO	0x10
#define DMAPORT_ADDRESS_HI	0x14
#define DMAPORT_BUFFER		0x1000

#define DMAPORT_CONTROL_RESET	4

/* A transfer of 4 KiB takes microseconds; this many looks at STATUS are seconds. */
#define POLLS			200000

static uint32_t register_load(struct dmaport *port, uint32_t offset)
{
	return __builtin_bswap32(ci_load(port->base + offset, &port->failed));
}

static void register_store(struct dmaport *port, uint32_t offset, uint32_t value)
{
	ci_store(port->base + offset, __builtin_bswap32(value), &port->failed);
}

uint32_t dmaport_id(struct dmaport *port)
{
	return register_load(port, DMAPORT_ID);
}

uint32_t dmaport_dma(struct dmaport *port, uint32_t control, uint32_t length, uint64_t bus_address)
{
	uint32_t status = DMAPORT_STATUS_BUSY;

	register_store(port, DMAPORT_LENGTH, length);
	register_store(port, DMAPORT_ADDRESS_LO, bus_address);
	register_store(port, DMAPORT_ADDRESS_HI, bus_address >> 32);
	register_store(port, DMAPORT_CONTROL, control);
	for (unsigned poll = 0; poll < POLLS; poll++) {
		status = register_load(port, DMAPORT_STATUS);
		if (status == DMAPORT_STATUS_FROZEN || !(status & DMAPORT_STATUS_BUSY))
			break;
	}
	return status;
}

void dmaport_reset(struct dmaport *port)
{
	register_store(port, DMAPORT_CONTROL, DMAPORT_CONTROL_RESET);
}

uint32_t dmaport_buffer_load(struct dmaport *port, uint32_t offset)
{
	return ci_load(port->base + DMAPORT_BUFFER + offset, &port->failed);
}

void dmaport_buffer_store(struct dmaport *port, uint32_t offset, uint32_t word)
{
	ci_store(port->base + DMAPORT_BUFFER + offset, word, &port->failed);
}
