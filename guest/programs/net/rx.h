/* The receive buffers of a NIC: given to the device, taken with what came, and given back in bursts. */
#ifndef RX_H
#define RX_H

#include "e1000.h"
#include "end.h"

struct rx {
	const struct stream_end *end;
	unsigned size;		/* bytes of a buffer that are mapped: the device writes no more than a frame */
	unsigned to_give;	/* buffers that wait for the next store of the tail */
};

/* Gives the device all buffers of the pool. One NIC of a program is open for receiving at a time. */
void rx_open(struct rx *rx, const struct stream_end *end, unsigned size);
/* The next frame that came, its buffer unmapped; NULL when there is none. */
const uint8_t *rx_take(struct rx *rx, struct e1000_frame *frame);
/* Its buffer is the device's again. */
void rx_give_back(struct rx *rx, const struct e1000_frame *frame);
/* Unmaps what the device still has; it must not be receiving any more, or what comes then must not matter. */
void rx_close(struct rx *rx);

#endif
