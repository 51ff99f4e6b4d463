/* Run-time abstraction services by H_RTAS (PAPR, "RTAS Call Arguments Buffer"). */
#ifndef RTAS_H
#define RTAS_H

#include <stdint.h>

/* Tokens of this machine's device tree, QEMU's numbers. */
#define RTAS_IBM_SET_XIVE		0x200a
#define RTAS_IBM_QUERY_PE_DMA_WINDOW	0x2026
#define RTAS_IBM_CREATE_PE_DMA_WINDOW	0x2027
#define RTAS_IBM_REMOVE_PE_DMA_WINDOW	0x2028

/* Calls; outputs[0] is the status. Returns the status, or a value below -1000 when the hypercall itself failed. */
int32_t rtas_call(uint32_t token, unsigned nargs, unsigned nret, const uint32_t *args, uint32_t *outputs);

#endif
