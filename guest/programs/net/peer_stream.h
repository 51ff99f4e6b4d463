/* One stream of frames in each direction between this guest and the one at the other end of the cable. */
#ifndef PEER_STREAM_H
#define PEER_STREAM_H

#include "end.h"
#include "meter.h"

struct peer_stream {
	uint32_t number;
	uint32_t frames;	/* to send */
	unsigned size;		/* bytes of each, with the header */
	uint32_t ways;		/* of mapping that this guest has */
	uint64_t address;	/* of the other guest's NIC; 0 = whoever answers */
	uint64_t patience;	/* TOD units without progress after which it fails */
};

/* How a stream ended. */
enum peer_end {
	PEER_DONE,		/* everything went over and was acknowledged */
	PEER_SILENT,		/* nobody answered */
	PEER_STUCK,		/* nothing moves */
	PEER_LOST,		/* a frame came that was not due yet */
	PEER_LEFT,		/* the other guest went on to a later stream too early */
	PEER_OURSELVES,		/* frames came with this NIC's own address */
	PEER_GAVE_UP,		/* the other guest says it has failed */
};

struct peer_result {
	enum peer_end end;
	uint64_t address;	/* of the other guest's NIC; 0 = never heard */
	uint32_t ways, frames;	/* and what it has, and sends */
	uint32_t sent, acknowledged, received;
	uint32_t due, came;	/* PEER_LOST: numbers of frames */
	uint32_t wrong;		/* received frames of which something was not as it must be */
	uint32_t blamed;	/* sent frames that the other guest found wrong */
	/* The first wrong one: which byte, what it is and must be; or its length, when `at` is that of the frame. */
	struct {
		uint32_t number, at;
		unsigned is, must;
	} first;
	struct meter in, out;
};

/* Runs it on a NIC that is open, and closes that. */
void peer_stream_run(const struct stream_end *end, const struct peer_stream *stream, struct peer_result *result);

#endif
