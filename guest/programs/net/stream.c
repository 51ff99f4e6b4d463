#include "stream.h"

#include <stddef.h>

#include "hcall.h"
#include "interruption.h"

/* Frames under way at most; also how many go to the device with one store of a tail register. */
#define WINDOW		32
#define BURST		16
/* Each frame has its own pages, and each its own slot of I/O bus addresses, four pages. */
#define FRAME_SPACE	(4 * DMA_PAGE)
#define TX_SLOTS	0x100000UL
#define RX_SLOTS	0x400000UL
#define PATIENCE_UNITS	(2000000UL * TOD_MICROSECOND)

static uint8_t tx_frames[WINDOW][FRAME_SPACE] __attribute__((aligned(DMA_PAGE)));
static uint8_t rx_frames[WINDOW][FRAME_SPACE] __attribute__((aligned(DMA_PAGE)));
/* Which frame's memory a descriptor has. */
static uint8_t tx_frame_of[E1000_RING], rx_frame_of[E1000_RING];

unsigned stream_buffer(unsigned frame_size)
{
	return frame_size > 2048 ? 16384 : 2048;
}

/* Word `i` of frame `number`: every frame and every place in it differs. */
static inline uint64_t word_of(uint64_t number, unsigned i)
{
	return (number + 1) * 0x9e3779b97f4a7c15UL + i * 0xd1b54a32d192ed03UL;
}

/* Ethernet header: to everybody, from a locally administered address, type of local experiments (IEEE 802). */
static void make_frame(uint8_t *frame, uint64_t number, unsigned size)
{
	static const uint8_t header[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
	uint64_t *words = (uint64_t *)frame;
	unsigned i;

	for (i = 0; i < sizeof(header); i++)
		frame[i] = header[i];
	for (i = sizeof(header) / 8; i < (size + 7) / 8; i++)
		words[i] = word_of(number, i);
}

static bool frame_is(const uint8_t *frame, uint64_t number, unsigned size)
{
	const volatile uint64_t *words = (const volatile uint64_t *)frame;
	unsigned i;

	for (i = 2; i < size / 8; i++)
		if (words[i] != word_of(number, i))
			return false;
	for (unsigned at = size / 8 * 8; at < size; at++)
		if (frame[at] != (uint8_t)(word_of(number, at / 8) >> (56 - at % 8 * 8)))
			return false;
	return frame[0] == 0xff && frame[12] == 0x88;
}

/* The NIC of a length this big writes up to its buffer size: all of it is mapped. */
static void give_buffer(struct e1000 *nic, struct dma *dma, unsigned frame, unsigned size)
{
	uint64_t bus = dma_map(dma, rx_frames[frame], size, RX_SLOTS + frame * FRAME_SPACE, TCE_WRITE);

	rx_frame_of[e1000_queue_rx(nic, bus)] = frame;
}

struct stream_result stream_run(struct e1000 *nic, struct dma *dma, const struct stream *stream)
{
	struct stream_result result = { 0 };
	unsigned buffer = stream->size;
	unsigned sent = 0, in_flight = 0;
	uint64_t start, last;

	for (unsigned i = 0; i < WINDOW; i++)
		give_buffer(nic, dma, i, buffer);
	e1000_kick_rx(nic);
	start = last = store_clock_fast();
	while (result.received < stream->frames) {
		struct e1000_frame frame;
		unsigned burst = 0;
		int done;

		while (sent < stream->frames && in_flight < WINDOW && burst < BURST) {
			unsigned slot = sent % WINDOW;

			make_frame(tx_frames[slot], sent, stream->size);
			tx_frame_of[e1000_queue_tx(nic, dma_map(dma, tx_frames[slot], stream->size,
								TX_SLOTS + slot * FRAME_SPACE, TCE_READ),
						   stream->size)] = slot;
			sent++;
			in_flight++;
			burst++;
		}
		if (burst)
			e1000_kick_tx(nic);
		burst = 0;
		while ((done = e1000_sent(nic)) >= 0)
			dma_unmap(dma, tx_frames[tx_frame_of[done]], stream->size,
				  TX_SLOTS + tx_frame_of[done] * FRAME_SPACE);
		while (burst < BURST && e1000_received(nic, &frame)) {
			unsigned slot = rx_frame_of[frame.index];

			dma_unmap(dma, rx_frames[slot], buffer, RX_SLOTS + slot * FRAME_SPACE);
			if (frame.errors || frame.length != stream->size ||
			    !frame_is(rx_frames[slot], result.received, stream->size))
				result.wrong++;
			result.received++;
			in_flight--;
			burst++;
			give_buffer(nic, dma, slot, buffer);
		}
		if (burst) {
			e1000_kick_rx(nic);
			last = store_clock_fast();
		} else if (store_clock_fast() - last > PATIENCE_UNITS) {
			result.stuck = true;
			break;
		}
	}
	result.units = last - start;
	for (unsigned i = 0; i < WINDOW; i++)
		dma_unmap(dma, rx_frames[i], buffer, RX_SLOTS + i * FRAME_SPACE);
	return result;
}
