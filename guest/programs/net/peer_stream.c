#include "peer_stream.h"

#include <stddef.h>

#include "hcall.h"
#include "interruption.h"
#include "peer_frame.h"
#include "pool.h"
#include "rx.h"

/* DATA that may come before the other guest hears of it: the device has more buffers, for what else is said. */
#define WINDOW		128U
/* After so many there is an ACK, if no DATA says so. */
#define ACK_EVERY	(WINDOW / 4)
/* Frames other than DATA under way at most: their memory is behind that of the DATA. */
#define CONTROLS	8U
_Static_assert(WINDOW + CONTROLS <= POOL_TX && WINDOW + BURST < POOL_RX && POOL_RX < E1000_RING, "there is room");

#define MILLISECOND	(1000UL * TOD_MICROSECOND)
/* What may have been lost is said again after the first pause, then each time after twice as long up to the last. */
#define FIRST_PAUSE	MILLISECOND
#define LAST_PAUSE	(256 * MILLISECOND)
/* How long to answer repeated BYEs after the first one: longer than their sender pauses. */
#define LINGER		(1000 * MILLISECOND)
/* How long the device may take to send what was queued. */
#define DRAIN		(100 * MILLISECOND)
/* With nothing to do the CPU is busy for a while, then sleeps between looks: a quarter of the time since something came. */
#define SPIN		(2 * MILLISECOND)
#define LONGEST_NAP_US	8000UL

/* Which frame's memory a descriptor has. */
static uint8_t tx_frame_of[E1000_RING];

/* What a run works on. */
struct run {
	const struct stream_end *end;
	struct rx rx;
	const struct peer_stream *stream;
	struct peer_result *result;
	uint64_t own;		/* address */
	uint32_t window;	/* the other one's */
	uint32_t told;		/* `received` in the last frame sent */
	uint32_t reclaimed;	/* DATA that the device is done with */
	uint32_t controls;	/* 1 << n: the memory of control frame n is in use */
	bool heard;		/* something of this stream has come */
	bool left;		/* something of a later one */
	bool bye, last_bye;	/* a BYE has come; one with heard = 1 */
	bool answer;		/* the BYE that has come says that ours did not */
	enum peer_kind said;	/* last, other than DATA; 0 = nothing yet */
	bool said_heard;	/* and with heard = 1 */
	uint64_t now, progress, bye_at, repeat_at, pause;
};

/* Whether everything has come and everything sent was acknowledged. */
static bool complete(const struct run *run)
{
	const struct peer_result *result = run->result;

	return run->heard && result->acknowledged == run->stream->frames && result->received == result->frames;
}

/* Queues a frame in the memory of this number. */
static void queue(struct run *run, enum peer_kind kind, unsigned slot, uint32_t number)
{
	unsigned size = kind == PEER_DATA ? run->stream->size : PEER_CONTROL_SIZE;
	struct peer_header header = {
		.type = PEER_TYPE,
		.kind = kind,
		.magic = PEER_MAGIC,
		.stream = run->stream->number,
		.number = number,
		.frames = run->stream->frames,
		.received = run->result->received,
		.window = WINDOW,
		.ways = run->stream->ways,
		.wrong = run->result->wrong,
		.heard = run->bye,
	};
	uint64_t bus;

	peer_put_address(header.to, run->heard ? run->result->address : PEER_EVERYBODY);
	peer_put_address(header.from, run->own);
	peer_make(tx_frames[slot], &header, size);
	bus = dma_map(run->end->dma, tx_frames[slot], size, TX_SLOT(slot), TCE_READ);
	tx_frame_of[e1000_queue_tx(run->end->nic, bus, size)] = slot;
	run->told = run->result->received;
	run->repeat_at = run->now + run->pause;
}

/* A whole burst, half the other one's window, or what is left, once there is room for it. */
static void send_data(struct run *run)
{
	struct peer_result *result = run->result;
	uint32_t burst = run->window / 2 < BURST ? run->window / 2 + 1 : BURST;
	uint32_t left = run->stream->frames - result->sent;

	if (left < burst)
		burst = left;
	if (!burst || !run->heard || result->sent + burst - result->acknowledged > run->window ||
	    result->sent + burst - run->reclaimed > WINDOW)
		return;
	for (; burst; burst--, result->sent++)
		queue(run, PEER_DATA, result->sent % WINDOW, result->sent);
	e1000_kick_tx(run->end->nic);
}

/* A frame without data, unless too many are under way: what it says is said again. */
static void say(struct run *run, enum peer_kind kind)
{
	for (unsigned i = 0; i < CONTROLS; i++) {
		if (run->controls & 1U << i)
			continue;
		run->controls |= 1U << i;
		queue(run, kind, WINDOW + i, 0);
		e1000_kick_tx(run->end->nic);
		run->said = kind;
		run->said_heard = run->bye;
		run->answer = false;
		return;
	}
}

/* Says what is due. */
static void speak(struct run *run)
{
	enum peer_kind kind = !run->heard ? PEER_HELLO : complete(run) ? PEER_BYE : PEER_ACK;
	uint32_t untold = run->result->received - run->told;
	bool owed = untold >= ACK_EVERY || (untold && run->result->received == run->result->frames);

	if (run->now >= run->repeat_at) {
		run->pause = run->pause < LAST_PAUSE ? run->pause * 2 : LAST_PAUSE;
		say(run, kind);
	} else if (kind != run->said || owed || run->answer) {
		say(run, kind);
	}
}

static void reclaim(struct run *run)
{
	int done;

	while ((done = e1000_sent(run->end->nic)) >= 0) {
		unsigned slot = tx_frame_of[done];
		bool control = slot >= WINDOW;

		dma_unmap(run->end->dma, tx_frames[slot], control ? PEER_CONTROL_SIZE : run->stream->size, TX_SLOT(slot));
		if (control)
			run->controls &= ~(1U << (slot - WINDOW));
		else
			run->reclaimed++;
	}
}

static void moved(struct run *run)
{
	run->progress = run->now;
	run->pause = FIRST_PAUSE;
}

static void end_with(struct run *run, enum peer_end end)
{
	if (run->result->end == PEER_DONE)
		run->result->end = end;
}

static void note_wrong(struct run *run, uint32_t number, uint32_t at, unsigned is, unsigned must)
{
	struct peer_result *result = run->result;

	if (!result->wrong++) {
		result->first.number = number;
		result->first.at = at;
		result->first.is = is;
		result->first.must = must;
	}
}

static void take_data(struct run *run, const uint8_t *bytes, const struct e1000_frame *frame,
		      const struct peer_header *header)
{
	struct peer_result *result = run->result;
	unsigned size = run->stream->size, at;

	if (header->number != result->received || result->received == result->frames) {
		result->due = result->received;
		result->came = header->number;
		end_with(run, PEER_LOST);
		return;
	}
	if (frame->length != size || frame->errors) {
		note_wrong(run, header->number, size, frame->length, size);
	} else {
		at = peer_differs(bytes, header, size);
		if (at < size)
			note_wrong(run, header->number, at, bytes[at], peer_byte(header, at));
	}
	result->received++;
	moved(run);
}

/* The first frame of the stream that comes. */
static void hear(struct run *run, const struct peer_header *header)
{
	struct peer_result *result = run->result;

	run->heard = true;
	result->address = peer_address(header->from);
	result->ways = header->ways;
	result->frames = header->frames;
	meter_start(&result->in, run->now);
	meter_start(&result->out, run->now);
	moved(run);
}

/* What each header says of our own frames. A number that cannot be is a wrong frame, and is not believed. */
static void take_acknowledgement(struct run *run, const struct peer_header *header)
{
	struct peer_result *result = run->result;

	if (header->received > result->sent || header->received < result->acknowledged) {
		note_wrong(run, header->number, offsetof(struct peer_header, received), header->received,
			   result->acknowledged);
		return;
	}
	run->window = header->window;
	result->blamed = header->wrong;
	if (header->received == result->acknowledged)
		return;
	result->acknowledged = header->received;
	moved(run);
}

static void take_bye(struct run *run, const struct peer_header *header)
{
	if (!run->bye) {
		moved(run);
		run->bye_at = run->now;
	}
	run->bye = true;
	run->last_bye |= header->heard == 1;
	run->answer |= !header->heard || !run->said_heard;
}

static void take(struct run *run, const uint8_t *bytes, const struct e1000_frame *frame)
{
	struct peer_header header;

	if (!peer_read(bytes, frame->length, &header))
		return;
	if (peer_address(header.from) == run->own) {
		end_with(run, PEER_OURSELVES);
	} else if (run->result->address && peer_address(header.from) != run->result->address) {
		return; /* a third station's */
	} else if (header.kind == PEER_GIVE_UP) {
		end_with(run, PEER_GAVE_UP);
	} else if (header.stream > run->stream->number) {
		run->left = true;
		if (!complete(run))
			end_with(run, PEER_LEFT);
	} else if (header.stream == run->stream->number) {
		if (!run->heard)
			hear(run, &header);
		take_acknowledgement(run, &header);
		if (header.kind == PEER_DATA)
			take_data(run, bytes, frame, &header);
		else if (header.kind == PEER_BYE)
			take_bye(run, &header);
	}
}

/* Takes what came, at most a burst; false when nothing did. */
static bool receive(struct run *run)
{
	struct e1000_frame frame;
	const uint8_t *bytes;
	unsigned came;

	for (came = 0; came < BURST && run->result->end == PEER_DONE && (bytes = rx_take(&run->rx, &frame)); came++) {
		take(run, bytes, &frame);
		rx_give_back(&run->rx, &frame);
	}
	return came > 0;
}

/* Whether a complete stream may be left: the other guest knows that it is, or will find out without us. */
static bool parted(const struct run *run)
{
	return run->left || (run->last_bye && run->said == PEER_BYE && run->said_heard) ||
	       (run->bye && run->now - run->bye_at > LINGER) || run->now - run->progress > run->stream->patience;
}

static void nap(uint64_t idle)
{
	static const volatile bool never;
	uint64_t microseconds = idle / TOD_MICROSECOND / 4;

	wait_for(&never, microseconds < LONGEST_NAP_US ? microseconds : LONGEST_NAP_US);
}

static void converse(struct run *run)
{
	struct peer_result *result = run->result;
	uint64_t busy = run->now;
	bool came;

	for (;;) {
		send_data(run);
		reclaim(run);
		came = receive(run);
		run->now = store_clock_fast();
		if (came) {
			busy = run->now;
			meter_note(&result->in, result->received, result->frames, run->now);
			meter_note(&result->out, result->acknowledged, run->stream->frames, run->now);
		}
		if (result->end != PEER_DONE)
			return;
		speak(run);
		if (complete(run) && parted(run))
			return;
		if (run->now - run->progress > run->stream->patience) {
			end_with(run, run->heard ? PEER_STUCK : PEER_SILENT);
			return;
		}
		if (run->now - busy > SPIN)
			nap(run->now - busy);
	}
}

void peer_stream_run(const struct stream_end *end, const struct peer_stream *stream, struct peer_result *result)
{
	struct run run = { .end = end, .stream = stream, .result = result, .pause = FIRST_PAUSE };
	uint64_t start;

	*result = (struct peer_result){ .address = stream->address };
	run.own = e1000_mac(end->nic);
	rx_open(&run.rx, end, stream->size);
	run.now = run.progress = store_clock_fast();
	run.repeat_at = run.now + run.pause;
	converse(&run);
	if (result->end != PEER_DONE && result->end != PEER_GAVE_UP)
		say(&run, PEER_GIVE_UP);
	/* What was said last must have left before the NIC is reset. */
	for (start = store_clock_fast(); end->nic->tx_head != end->nic->tx_tail && store_clock_fast() - start < DRAIN;)
		reclaim(&run);
	/* A BYE may still come: not into memory that is no longer mapped. */
	e1000_close(end->nic);
	rx_close(&run.rx);
}
