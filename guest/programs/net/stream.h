/* Frames through the NIC and back, every byte of them checked. */
#ifndef STREAM_H
#define STREAM_H

#include "dma.h"
#include "e1000.h"

struct stream {
	unsigned frames;	/* to send */
	unsigned size;		/* bytes of each, with the Ethernet header */
};

struct stream_result {
	unsigned received;
	unsigned wrong;		/* frames with a wrong length, an error, or a byte that is not the sender's */
	uint64_t units;		/* TOD units from the first to the last */
	bool stuck;		/* nothing came for a while */
};

/* Sends and receives. The NIC is open. */
struct stream_result stream_run(struct e1000 *nic, struct dma *dma, const struct stream *stream);

/* Size of a receive buffer for frames of this size: the NIC's buffer size that holds one. */
unsigned stream_buffer(unsigned frame_size);

#define STREAM_MAX_FRAME	9014

#endif
