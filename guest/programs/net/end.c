#include "end.h"

#include "check.h"
#include "hcall.h"
#include "options.h"

/* Where the rings are in the I/O bus addresses of the 32-bit window. */
#define TX_RING_SLOT	0x10000UL
#define RX_RING_SLOT	0x11000UL

/* Buffer sizes of the NIC: the one that holds a frame. */
static unsigned buffer_size(unsigned frame_size)
{
	return frame_size > 2048 ? 16384 : 2048;
}

bool end_open(const struct stream_end *end, unsigned size)
{
	struct e1000 *nic = end->nic;
	uint64_t tx = dma_map(end->dma, nic->tx, E1000_RING * sizeof(*nic->tx), TX_RING_SLOT, TCE_RW);
	uint64_t rx = dma_map(end->dma, nic->rx, E1000_RING * sizeof(*nic->rx), RX_RING_SLOT, TCE_RW);

	return e1000_open(nic, tx, rx, options.loopback, buffer_size(size));
}

void end_not_open(const struct stream_end *end, const char *name)
{
	struct e1000 *nic = end->nic;
	uint32_t status = e1000_load(nic, E1000_STATUS);

	if (status == E1000_NOBODY)
		check(false, name, "the NIC does not answer any more: it was unplugged, or its endpoint is frozen");
	else
		check(false, name, "the NIC has no link, status %08x, return code %ld: is its cable plugged in?", status,
		      nic->failed);
}

void end_close(const struct stream_end *end)
{
	struct e1000 *nic = end->nic;

	e1000_close(nic);
	dma_unmap(end->dma, nic->tx, E1000_RING * sizeof(*nic->tx), TX_RING_SLOT);
	dma_unmap(end->dma, nic->rx, E1000_RING * sizeof(*nic->rx), RX_RING_SLOT);
}
