#include "stream.h"

#include <stddef.h>

#include "hcall.h"
#include "interruption.h"
#include "pool.h"
#include "rx.h"

/* Frames under way at most. */
#define WINDOW		POOL_TX
#define PATIENCE_UNITS	(5000000UL * TOD_MICROSECOND)

/* Which frame's memory a descriptor has. */
static uint8_t tx_frame_of[E1000_RING];

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

/* What a run works on. */
struct run {
	struct stream_end from;
	struct rx rx;
	const struct stream *stream;
	struct stream_result *result;
	unsigned sent, reclaimed;
};

/* Makes and queues a whole burst, or what is left, once there is room for it. */
static void send(struct run *run)
{
	unsigned size = run->stream->size;
	unsigned left = run->stream->frames - run->sent;
	unsigned burst = left < BURST ? left : BURST;

	/* A frame may come back before the descriptor that sent it is written back: its slot is free only then. */
	if (!burst || run->sent + burst - run->reclaimed > WINDOW || run->sent + burst - run->result->received > WINDOW)
		return;
	for (unsigned i = 0; i < burst; i++, run->sent++) {
		unsigned slot = run->sent % WINDOW;
		uint64_t bus;

		make_frame(tx_frames[slot], run->sent, size);
		bus = dma_map(run->from.dma, tx_frames[slot], size, TX_SLOT(slot), TCE_READ);
		tx_frame_of[e1000_queue_tx(run->from.nic, bus, size)] = slot;
	}
	e1000_kick_tx(run->from.nic);
}

static void reclaim(struct run *run)
{
	int done;

	while ((done = e1000_sent(run->from.nic)) >= 0) {
		unsigned slot = tx_frame_of[done];

		dma_unmap(run->from.dma, tx_frames[slot], run->stream->size, TX_SLOT(slot));
		run->reclaimed++;
	}
}

/* Takes what came, at most a burst; false when nothing did. */
static bool receive(struct run *run)
{
	struct stream_result *result = run->result;
	unsigned size = run->stream->size, came = 0;
	struct e1000_frame frame;
	const uint8_t *bytes;

	while (came < BURST && (bytes = rx_take(&run->rx, &frame))) {
		if (frame.errors || frame.length != size || !frame_is(bytes, result->received, size))
			result->wrong++;
		result->received++;
		rx_give_back(&run->rx, &frame);
		came++;
	}
	return came > 0;
}

void stream_run(const struct stream_end *from, const struct stream_end *to, const struct stream *stream,
		struct stream_result *result)
{
	struct run run = { .from = *from, .stream = stream, .result = result };
	bool counting = false;
	uint64_t last;

	*result = (struct stream_result){ 0 };
	rx_open(&run.rx, to, stream->size);
	last = store_clock_fast();
	meter_start(&result->meter, last);
	while (result->received < stream->frames) {
		uint64_t now;

		send(&run);
		reclaim(&run);
		if (receive(&run)) {
			last = now = store_clock_fast();
			meter_note(&result->meter, result->received, stream->frames, now);
			if (!counting && result->received >= stream->frames / 2) {
				meter_work(stream->series, result->received);
				counting = true;
			}
		} else if (store_clock_fast() - last > PATIENCE_UNITS) {
			result->stuck = true;
			break;
		}
	}
	/* The last frames came before their descriptors were written back. */
	while (!result->stuck && run.reclaimed < run.sent && store_clock_fast() - last <= PATIENCE_UNITS)
		reclaim(&run);
	meter_work(stream->series, result->received);
	rx_close(&run.rx);
}
