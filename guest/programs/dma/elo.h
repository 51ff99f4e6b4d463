/*
 * A driver of one channel of Freescale's eloplus DMA controller. Names are those of the MPC8548E reference manual, chapter
 * "DMA controller", and of Linux drivers/dma/fsldma.h. Registers and descriptors are big-endian, as this CPU is.
 */
#ifndef ELO_H
#define ELO_H

#include <stdbool.h>
#include <stdint.h>

/* Mode register. */
#define ELO_MR_CS	0x001U		/* channel start */
#define ELO_MR_CTM	0x004U		/* direct mode */
#define ELO_MR_EOLNIE	0x100U		/* interrupt at the end of the chain */
#define ELO_MR_EOSIE	0x200U		/* interrupt at the end of a segment */

/* Status register. */
#define ELO_SR_TE	0x80U		/* transfer error */
#define ELO_SR_PE	0x10U		/* programming error */
#define ELO_SR_EOLNI	0x08U
#define ELO_SR_CB	0x04U		/* busy */
#define ELO_SR_EOSI	0x02U

/* The end of a chain, in a descriptor's next_low. */
#define ELO_LAST	1U

struct elo {
	unsigned number;		/* among the platform devices: the handle of FH_DMA_ENABLE */
	uint64_t base;			/* of its registers, for the H_LOGICAL_CI calls */
	uint32_t source;		/* interrupt source of its message */
	int64_t failed;			/* first return code that was not H_SUCCESS; 0 = none */
};

/* Link descriptor; 32-aligned. */
struct elo_link {
	uint32_t source_attributes, source_low;
	uint32_t target_attributes, target_low;
	uint32_t next_high, next_low;
	uint32_t count, reserved;
};

/* One segment of a chain; bus addresses. `next` is the next link's, or ELO_LAST. */
void elo_set_link(struct elo_link *link, uint64_t source, uint64_t target, uint32_t count, uint64_t next);

/* Start of a direct transfer, and of a chain. `mode` is what interrupts. The old status is cleared. */
void elo_start(struct elo *channel, uint64_t source, uint64_t target, uint32_t count, uint32_t mode);
void elo_start_chain(struct elo *channel, uint64_t first, uint32_t mode);

uint32_t elo_status(struct elo *channel);
void elo_clear_status(struct elo *channel);
/* Bytes that a transfer has not moved. */
uint32_t elo_left(struct elo *channel);
/* Nanoseconds that each transaction takes from now on: this machine's own register. */
void elo_set_slow(struct elo *channel, uint32_t nanoseconds);

/* Polls until the channel is not busy; the status, or ELO_SR_CB when it stays busy for long. */
uint32_t elo_wait_idle(struct elo *channel);

/* Reset, with its DMA going on if it was stopped. Returns the return code of the hypercall. */
int64_t elo_restart(struct elo *channel);

#endif
