/* The checks of the TCE hypercalls, and of DMA through the TCEs they make. */
#ifndef TCE_H
#define TCE_H

#include <stdbool.h>
#include <stdint.h>

/* The I/O bus address of the first page the checks map. */
#define TCE_FIRST_IOBA		0x1000UL
#define TCE_PAGE_SIZE		0x1000UL

struct tce_window {
	uint64_t liobn;
	uint64_t size;		/* bytes from I/O bus address 0; 0 = not told */
};

/* Maps, reads back, DMAs when there is a port (port_base not 0), unmaps, provokes errors. */
void check_tce(const struct tce_window *window, uint64_t port_base);

#endif
