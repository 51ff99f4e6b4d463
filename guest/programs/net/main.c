/*
 * The net guest: streams frames through an 82540EM and back, or over a cable between two of them, and checks every byte,
 * with each packet mapped and unmapped in the 32-bit window, as Linux does, in each tier; then with all of memory mapped
 * once in a big window. Or, with peer=1, exchanges them with another guest at the other end of the cable.
 */
#include "check.h"
#include "cmdline.h"
#include "console.h"
#include "end.h"
#include "fmt.h"
#include "interruption.h"
#include "options.h"
#include "peer.h"
#include "pool.h"
#include "stream.h"
#include "ways.h"

#define WAIT_ALL_PASSED		0UL
#define WAIT_SOME_FAILED	0xbadUL

static struct e1000_desc tx_rings[NICS][E1000_RING] __attribute__((aligned(4096)));
static struct e1000_desc rx_rings[NICS][E1000_RING] __attribute__((aligned(4096)));

/* The second is there only when a cable leads from the first one to it. */
static struct e1000 nics[NICS] = {
	{ .tx = tx_rings[0], .rx = rx_rings[0] },
	{ .tx = tx_rings[1], .rx = rx_rings[1] },
};
static unsigned nic_count = 1;

static const unsigned sizes[] = { 1514, 9014 };
#define SIZES	(sizeof(sizes) / sizeof(sizes[0]))

/* One stream from an end to an end, which are one NIC's or two. */
static void run_ends(const struct stream_end *from, const struct stream_end *to, const char *name, enum way way,
		     unsigned index)
{
	bool pair = from->nic != to->nic;
	struct stream stream = { way_frames(way), sizes[index], pair ? NO_SERIES : MARK_SERIES + way * 2 + index };
	static struct stream_result result;
	uint64_t calls = from->dma->calls + (pair ? to->dma->calls : 0);
	int64_t failed;

	if (!end_open(from, stream.size)) {
		end_not_open(from, name);
		return;
	}
	if (pair && !end_open(to, stream.size)) {
		end_not_open(to, name);
		return;
	}
	stream_run(from, to, &stream, &result);
	end_close(from);
	if (pair)
		end_close(to);
	failed = from->nic->failed ? from->nic->failed : to->nic->failed;
	check(!result.stuck && result.wrong == 0 && !failed && !from->dma->failed && !to->dma->failed, name,
	      "%u came, %u wrong, register access %ld, mapping %ld", result.received, result.wrong, failed,
	      from->dma->failed ? from->dma->failed : to->dma->failed);
	if (!pair)
		meter_mark(&result.meter, stream.series);
	calls = from->dma->calls + (pair ? to->dma->calls : 0) - calls;
	print("%s, %u bytes: %lu MB/s, %lu mapping calls a frame\n", way_names[way], stream.size,
	      meter_rate(&result.meter, stream.size), result.received ? calls / result.received : 0);
}

/* Through the only NIC and back, or over the cable in both directions. */
static void run_size(struct dma *dma, enum way way, unsigned index)
{
	uint64_t frames = way_frames(way);
	char name[100];

	if (nic_count == 1) {
		struct stream_end end = { &nics[0], dma };

		format(name, sizeof(name), "%s: %lu frames of %u bytes come back as they were", way_names[way], frames,
		       sizes[index]);
		run_ends(&end, &end, name, way, index);
		return;
	}
	for (unsigned n = 0; n < NICS; n++) {
		struct stream_end from = { &nics[n], &dma[n] }, to = { &nics[!n], &dma[!n] };

		format(name, sizeof(name), "%s: %lu frames of %u bytes from NIC %u to NIC %u are as they were",
		       way_names[way], frames, sizes[index], n, !n);
		run_ends(&from, &to, name, way, index);
	}
}

static void run_way(enum way way)
{
	const char *missing = way_missing(way);
	struct dma dma[NICS];

	if (missing) {
		skip(way_names[way], missing);
		return;
	}
	for (unsigned n = 0; n < nic_count; n++)
		if (!way_begin(way, &dma[n], n))
			return;
	for (unsigned i = 0; i < SIZES; i++)
		run_size(dma, way, i);
	for (unsigned n = 0; n < nic_count; n++)
		way_end(way, &dma[n]);
}

/* A machine without a NIC ends here, with what to do about it. */
static void look_for_nics(void)
{
	static const char name[] = "there is a NIC";

	for (unsigned n = 0; n < nic_count; n++) {
		if (!nics[n].base)
			check(false, name,
			      "no nic= on the command line: boot with --nic and --guest net, which tell where it is");
		else if (e1000_load(&nics[n], E1000_STATUS) == E1000_NOBODY)
			check(false, name,
			      "nobody answers at %lx: NIC %u is not plugged in; boot with --nic, without plug=off",
			      nics[n].base, n);
		else if (nics[n].failed)
			check(false, name, "no register at %lx, return code %ld: is nic= right?", nics[n].base,
			      nics[n].failed);
		else
			continue;
		check_summary("net");
		disabled_wait(WAIT_SOME_FAILED);
	}
}

void __attribute__((noreturn)) main(void)
{
	console_open();
	print("net: command line %s\n", cmdline_text());
	options_read();
	for (unsigned n = 0; n < NICS; n++)
		nics[n].base = options.nic[n];
	nic_count = options.nic[1] && !options.loopback && !options.peer ? NICS : 1;
	if (options.memory < POOL_END) {
		check(false, "there is storage for the frames", "mem=%lu, but %lu bytes are needed", options.memory, POOL_END);
		disabled_wait(WAIT_SOME_FAILED);
	}
	look_for_nics();
	if (options.peer)
		peer_run(&nics[0], sizes, SIZES);
	else
		for (enum way way = 0; way < WAYS; way++)
			run_way(way);
	disabled_wait(check_summary("net") ? WAIT_ALL_PASSED : WAIT_SOME_FAILED);
}
