/* Frames through the NIC and back, or from one to another, every byte of them checked. */
#ifndef STREAM_H
#define STREAM_H

#include "end.h"
#include "meter.h"

struct stream {
	unsigned frames;	/* to send */
	unsigned size;		/* bytes of each, with the Ethernet header */
	unsigned series;	/* whose work the machine is to count, or NO_SERIES */
};

struct stream_result {
	unsigned received;
	unsigned wrong;		/* frames with a wrong length, an error, or a byte that is not the sender's */
	bool stuck;		/* nothing came for a while */
	struct meter meter;
};

/* Sends at one end and receives at the other, which may be the same NIC. */
void stream_run(const struct stream_end *from, const struct stream_end *to, const struct stream *stream,
		struct stream_result *result);

#endif
