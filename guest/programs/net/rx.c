#include "rx.h"

#include <stddef.h>

#include "hcall.h"
#include "pool.h"

_Static_assert(POOL_RX < E1000_RING, "a full ring looks empty");

/* Which buffer a descriptor has. */
static uint8_t buffer_of[E1000_RING];

static void give(struct rx *rx, unsigned buffer)
{
	uint64_t bus = dma_map(rx->end->dma, rx_frames[buffer], rx->size, RX_SLOT(buffer), TCE_WRITE);

	buffer_of[e1000_queue_rx(rx->end->nic, bus)] = buffer;
}

void rx_open(struct rx *rx, const struct stream_end *end, unsigned size)
{
	*rx = (struct rx){ .end = end, .size = size };
	for (unsigned i = 0; i < POOL_RX; i++)
		give(rx, i);
	e1000_kick_rx(end->nic);
}

const uint8_t *rx_take(struct rx *rx, struct e1000_frame *frame)
{
	unsigned buffer;

	if (!e1000_received(rx->end->nic, frame))
		return NULL;
	buffer = buffer_of[frame->index];
	dma_unmap(rx->end->dma, rx_frames[buffer], rx->size, RX_SLOT(buffer));
	return rx_frames[buffer];
}

void rx_give_back(struct rx *rx, const struct e1000_frame *frame)
{
	give(rx, buffer_of[frame->index]);
	if (++rx->to_give == BURST) {
		e1000_kick_rx(rx->end->nic);
		rx->to_give = 0;
	}
}

void rx_close(struct rx *rx)
{
	for (unsigned i = 0; i < POOL_RX; i++)
		dma_unmap(rx->end->dma, rx_frames[i], rx->size, RX_SLOT(i));
}
