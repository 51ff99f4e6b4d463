/*
 * Giving memory to the device, the two ways Linux has: page by page in the 32-bit window as each packet comes and goes,
 * or all of memory once in a big window (dynamic DMA window).
 */
#ifndef DMA_H
#define DMA_H

#include <stdbool.h>
#include <stdint.h>

#define DMA_PAGE	4096UL

struct dma {
	uint64_t liobn;
	uint64_t base;		/* I/O bus address of memory address 0 in the big window */
	bool direct;		/* the big window: nothing is mapped for a packet */
	int64_t failed;		/* first return code that was not H_SUCCESS; 0 = none */
	uint64_t calls;		/* hypercalls made for mappings */
};

/* Maps the pages of [address, address + length) at I/O bus address `slot` on; returns the bus address of `address`. */
uint64_t dma_map(struct dma *dma, const void *address, uint64_t length, uint64_t slot, uint64_t permissions);
/* The same pages, unmapped. */
void dma_unmap(struct dma *dma, const void *address, uint64_t length, uint64_t slot);

/* Maps the first `size` bytes of memory in a window at I/O bus address `base`, 512 pages a call. */
bool dma_map_all(struct dma *dma, uint64_t base, uint64_t size);

#endif
