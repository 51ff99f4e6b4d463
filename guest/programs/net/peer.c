#include "peer.h"

#include <stddef.h>

#include "check.h"
#include "fmt.h"
#include "interruption.h"
#include "options.h"
#include "peer_stream.h"
#include "ways.h"

#define SECOND		(1000000UL * TOD_MICROSECOND)
/* The other guest may start later, on a host that is busy; then it answers at once. */
#define MEETING_SECONDS	10U
#define STREAM_SECONDS	5U

static struct peer_result result;

/* Bytes of an address that print with %02lx, in the order in which they are written. */
#define ADDRESS_FORMAT	"%02lx:%02lx:%02lx:%02lx:%02lx:%02lx"
#define ADDRESS(mac) \
	(mac) >> 40 & 0xff, (mac) >> 32 & 0xff, (mac) >> 24 & 0xff, (mac) >> 16 & 0xff, (mac) >> 8 & 0xff, (mac) & 0xff

static bool check_wrong(const char *name, unsigned size)
{
	if (result.wrong && result.first.at == size)
		return check(false, name, "%u frames came wrong, first frame %u: it has %u bytes in place of %u", result.wrong,
			     result.first.number, result.first.is, result.first.must);
	if (result.wrong)
		return check(false, name, "%u frames came wrong, first frame %u: at byte %u is %02x in place of %02x",
			     result.wrong, result.first.number, result.first.at, result.first.is, result.first.must);
	return check(!result.blamed, name, "the other guest found %u frames wrong", result.blamed);
}

/* A line for a stream that is over. False when there is no use in another one. */
static bool report(const struct stream_end *end, const struct peer_stream *stream, const char *name)
{
	int64_t access = end->nic->failed, mapping = end->dma->failed;

	if (e1000_load(end->nic, E1000_STATUS) == E1000_NOBODY) {
		end_not_open(end, name);
		return false;
	}
	if (access || mapping)
		return check(false, name, "register access %ld, mapping %ld", access, mapping);
	switch (result.end) {
	case PEER_DONE:
		check_wrong(name, stream->size);
		return true;
	case PEER_SILENT:
		return check(false, name,
			     "nobody answered for %lu seconds: is the net guest with peer=1 running at the other end of the "
			     "cable, and is the cable plugged in there?",
			     stream->patience / SECOND);
	case PEER_STUCK:
		return check(false, name, "nothing moved for %lu seconds: %u of %u frames came, %u of %u were acknowledged",
			     stream->patience / SECOND, result.received, result.frames, result.acknowledged, stream->frames);
	case PEER_LOST:
		return check(false, name, "frame %u of %u came when frame %u was due: a frame is lost", result.came,
			     result.frames, result.due);
	case PEER_LEFT:
		return check(false, name, "the other guest goes on, but %u of %u frames came, %u of %u were acknowledged",
			     result.received, result.frames, result.acknowledged, stream->frames);
	case PEER_OURSELVES:
		return check(false, name,
			     "frames come with this NIC's own address: is there a loopback plug in place of a cable to "
			     "another guest (wire=pair:N), or have both NICs the same mac=?");
	case PEER_GAVE_UP:
		return check(false, name,
			     "the other guest gave up, its console says why: %u of %u frames came, %u of %u were "
			     "acknowledged",
			     result.received, result.frames, result.acknowledged, stream->frames);
	}
	return false;
}

static bool run_stream(const struct stream_end *end, const struct peer_stream *stream, const char *name)
{
	bool more;

	if (!end_open(end, stream->size)) {
		end_not_open(end, name);
		return false;
	}
	peer_stream_run(end, stream, &result);
	more = report(end, stream, name);
	end_close(end);
	return more;
}

/* What this guest has. */
static uint32_t own_ways(void)
{
	uint32_t ways = 0;

	for (enum way way = 0; way < WAYS; way++)
		if (!way_missing(way))
			ways |= 1U << way;
	return ways;
}

/* Learns which ways of mapping the other one has. */
static bool meet(struct e1000 *nic, uint32_t ways, unsigned size)
{
	struct dma dma;
	struct stream_end end = { nic, &dma };
	struct peer_stream stream = { .size = size, .ways = ways, .patience = MEETING_SECONDS * SECOND };
	enum way way = 0;

	while (way < WAY_BIG_WINDOW && !(ways & 1U << way))
		way++;
	if (way == WAY_BIG_WINDOW)
		return check(false, "there is a way of mapping page by page",
			     "frames and exitframes are 0, or no tier is there");
	way_begin(way, &dma, 0);
	if (!run_stream(&end, &stream, "another guest answers at the other end of the cable"))
		return false;
	print("net: this NIC is " ADDRESS_FORMAT ", the other guest's " ADDRESS_FORMAT "\n", ADDRESS(e1000_mac(nic)),
	      ADDRESS(result.address));
	return true;
}

static bool run_size(const struct stream_end *end, enum way way, uint32_t ways, unsigned index, unsigned size)
{
	struct peer_stream stream = {
		.number = 1 + 2 * way + index,
		.frames = way_frames(way),
		.size = size,
		.ways = ways,
		.address = result.address,
		.patience = STREAM_SECONDS * SECOND,
	};
	uint64_t calls = end->dma->calls, both;
	char name[100];

	format(name, sizeof(name), "%s: %u frames of %u bytes and the other guest's are as they were", way_names[way],
	       stream.frames, size);
	if (!run_stream(end, &stream, name))
		return false;
	meter_mark(&result.in, MARK_SERIES + way * 2 + index);
	meter_mark(&result.out, MARK_SERIES_OUT + way * 2 + index);
	both = result.sent + result.received;
	print("%s, %u bytes: %lu MB/s to the other guest, %lu MB/s from it, %lu mapping calls a frame\n", way_names[way],
	      size, meter_rate(&result.out, size), meter_rate(&result.in, size), both ? (end->dma->calls - calls) / both : 0);
	return true;
}

static bool run_way(struct e1000 *nic, enum way way, uint32_t ways, const unsigned *sizes, unsigned size_count)
{
	struct dma dma;
	struct stream_end end = { nic, &dma };
	unsigned i;

	if (!way_begin(way, &dma, 0))
		return false;
	for (i = 0; i < size_count; i++)
		if (!run_size(&end, way, ways, i, sizes[i]))
			break;
	way_end(way, &dma);
	return i == size_count;
}

void peer_run(struct e1000 *nic, const unsigned *sizes, unsigned size_count)
{
	uint32_t ways = own_ways(), others;

	if (!meet(nic, ways, sizes[0]))
		return;
	others = result.ways;
	check(ways & others, "both guests have a way of mapping in common", "this one has %x, the other one %x", ways,
	      others);
	for (enum way way = 0; way < WAYS; way++) {
		const char *missing = way_missing(way);

		if (missing)
			skip(way_names[way], missing);
		else if (!(others & 1U << way))
			skip(way_names[way], "the other guest does not have it");
		else if (!run_way(nic, way, ways, sizes, size_count))
			return;
	}
}
