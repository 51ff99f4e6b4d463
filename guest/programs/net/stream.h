/* Frames through the NIC and back, or from one to another, every byte of them checked. */
#ifndef STREAM_H
#define STREAM_H

#include "dma.h"
#include "e1000.h"

struct stream {
	unsigned frames;	/* to send */
	unsigned size;		/* bytes of each, with the Ethernet header */
};

/* Measured batches of a run. The first ones warm up: whoever reads them leaves the first half out. */
#define STREAM_BATCHES	32

struct stream_batch {
	unsigned frames;
	uint64_t units;		/* TOD units */
};

struct stream_result {
	unsigned received;
	unsigned wrong;		/* frames with a wrong length, an error, or a byte that is not the sender's */
	bool stuck;		/* nothing came for a while */
	unsigned batches;
	struct stream_batch batch[STREAM_BATCHES];
};

/* A NIC, open, and how memory is given to it. */
struct stream_end {
	struct e1000 *nic;
	struct dma *dma;
};

/* Sends at one end and receives at the other, which may be the same NIC. */
void stream_run(const struct stream_end *from, const struct stream_end *to, const struct stream *stream,
		struct stream_result *result);

/* Bytes of storage that a machine must have for it. */
uint64_t stream_memory(void);

/* Size of a receive buffer for frames of this size: the NIC's buffer size that holds one. */
unsigned stream_buffer(unsigned frame_size);

#define STREAM_MAX_FRAME	9014

#endif
