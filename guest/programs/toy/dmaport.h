/*
 * The machine's DMA port: a PCI device that copies between memory and its own 4 KiB buffer.
 * BAR 0 holds little-endian 32-bit registers; the cache-inhibited accesses of this big-endian guest swap bytes.
 */
#ifndef DMAPORT_H
#define DMAPORT_H

#include <stdbool.h>
#include <stdint.h>

#define DMAPORT_ID_VALUE	0x4d564450	/* "MVDP" */

#define DMAPORT_STATUS_BUSY	1
#define DMAPORT_STATUS_DONE	2
#define DMAPORT_STATUS_ERROR	4
#define DMAPORT_STATUS_FROZEN	0xffffffffU	/* what loads give while the partitionable endpoint is frozen */

#define DMAPORT_FROM_MEMORY	1	/* CONTROL: memory to buffer, the device reads */
#define DMAPORT_TO_MEMORY	2	/* CONTROL: buffer to memory, the device writes */

struct dmaport {
	uint64_t base;		/* of BAR 0, for the H_LOGICAL_CI calls */
	int64_t failed;		/* first return code that was not H_SUCCESS; 0 = none */
};

uint32_t dmaport_id(struct dmaport *port);

/* Runs one transfer; returns the last STATUS, with BUSY still set when the port did not come to an end. */
uint32_t dmaport_dma(struct dmaport *port, uint32_t control, uint32_t length, uint64_t bus_address);

/* Resets the status; also thaws the port after an error. */
void dmaport_reset(struct dmaport *port);

/* Buffer bytes at an offset that is a multiple of 4, in memory order. */
uint32_t dmaport_buffer_load(struct dmaport *port, uint32_t offset);
void dmaport_buffer_store(struct dmaport *port, uint32_t offset, uint32_t word);

#endif
