/*
 * What two guests, one at each end of a cable, say to each other. Every frame has the header below, big-endian, in which
 * the sender says all that it knows, so that no frame depends on another one having come.
 *
 * Streams are numbered: 0 is the meeting, without frames; 1 + 2 * way + size follow, for the ways of mapping that both
 * have, in this order. Each stream goes both ways at once, as many frames as its sender says:
 *
 *   HELLO  nothing has been heard of the other one in this stream. Repeated, since it may not listen yet: whoever says
 *          HELLO listens, and is answered by any of the frames below.
 *   DATA   a frame of the stream, for as long as number < the other one's received + its window.
 *   ACK    in place of DATA when there is none: received has grown, or nothing else was said for a while.
 *   BYE    everything that was to come has come, everything sent was acknowledged. Repeated until one comes with
 *          heard = 1. A stream ends with that, with any frame of a later stream, or with silence after a BYE: the last
 *          word of all may be lost.
 *   GIVE_UP  the sender has failed and is about to end.
 *
 * Only what is said to somebody who does not listen (before its HELLO, after its BYE) can be lost. A DATA frame that is
 * missing is a failure: the next one is out of order, or nothing moves any more.
 *
 * Word i of the bytes behind the header (i counts from the frame's start, in units of 8 bytes) is, modulo 2^64:
 *   (address << 16 | stream) * PEER_KEY + (number + 1) * PEER_STEP + i * PEER_PLACE
 */
#ifndef PEER_FRAME_H
#define PEER_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define PEER_TYPE	0x88b6		/* Ethernet type of local experiments, the second one (IEEE 802) */
#define PEER_MAGIC	0x6d767031U	/* "mvp1" */
#define PEER_EVERYBODY	0xffffffffffffUL

#define PEER_KEY	0xbf58476d1ce4e5b9UL
#define PEER_STEP	0x9e3779b97f4a7c15UL
#define PEER_PLACE	0xd1b54a32d192ed03UL

enum peer_kind {
	PEER_HELLO = 1,
	PEER_DATA,
	PEER_ACK,
	PEER_BYE,
	PEER_GIVE_UP,
};

struct peer_header {
	uint8_t to[6], from[6];	/* HELLO goes to everybody */
	uint16_t type;
	uint16_t kind;
	uint32_t magic;
	uint32_t stream;
	uint32_t number;	/* DATA: of the frame, from 0 on */
	uint32_t frames;	/* of the sender's stream */
	uint32_t received;	/* DATA of this stream that have come */
	uint32_t window;	/* for how many more there is room */
	uint32_t ways;		/* ways of mapping the sender has: 1 << way */
	uint32_t wrong;		/* how many of those that have come were wrong */
	uint32_t heard;		/* 1: a BYE of this stream has come */
	uint32_t zero;
};
_Static_assert(sizeof(struct peer_header) == 56, "no holes, and whole words");

/* All but DATA: the least that Ethernet has, without the check sequence. */
#define PEER_CONTROL_SIZE	60
_Static_assert(PEER_CONTROL_SIZE == sizeof(struct peer_header) + sizeof(uint32_t), "one word of padding");

/* Puts the six bytes of an address where they belong, and reads them. */
void peer_put_address(uint8_t *to, uint64_t address);
uint64_t peer_address(const uint8_t *from);

/* Writes the header, and in a DATA frame all words up to `size` bytes. */
void peer_make(uint8_t *frame, const struct peer_header *header, unsigned size);

/* Reads a frame's header; false when it is none of ours. */
bool peer_read(const uint8_t *frame, unsigned length, struct peer_header *header);

/* Offset of the first byte behind the header that is not what its sender must have sent; `size` when all are right. */
unsigned peer_differs(const uint8_t *frame, const struct peer_header *header, unsigned size);
/* What belongs there. */
uint8_t peer_byte(const struct peer_header *header, unsigned at);

#endif
