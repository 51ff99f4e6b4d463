/*
 * The net guest: streams frames through an 82540EM and back, or over a cable between two of them, and checks every byte,
 * with each packet mapped and unmapped in the 32-bit window, as Linux does, in each tier; then with all of memory mapped
 * once in a big window.
 */
#include "check.h"
#include "cmdline.h"
#include "console.h"
#include "dma.h"
#include "e1000.h"
#include "fmt.h"
#include "hcall.h"
#include "interruption.h"
#include "rtas.h"
#include "stream.h"

#define WAIT_ALL_PASSED		0UL
#define WAIT_SOME_FAILED	0xbadUL

/* Where the rings are in the I/O bus addresses of the 32-bit window. */
#define TX_RING_SLOT	0x10000UL
#define RX_RING_SLOT	0x11000UL

#define NICS	2

static struct e1000_desc tx_rings[NICS][E1000_RING] __attribute__((aligned(4096)));
static struct e1000_desc rx_rings[NICS][E1000_RING] __attribute__((aligned(4096)));

static struct {
	uint64_t nic[NICS], liobn[NICS], buid[NICS];
	uint64_t frames, exit_frames, loopback, config, memory;
} options;

/* The second is there only when a cable leads from the first one to it. */
static struct e1000 nics[NICS] = {
	{ .tx = tx_rings[0], .rx = rx_rings[0] },
	{ .tx = tx_rings[1], .rx = rx_rings[1] },
};
static unsigned nic_count = 1;

static const unsigned sizes[] = { 1514, STREAM_MAX_FRAME };

/* Series numbers of the marks: from here on two for each way of mapping, one for each frame size. */
#define MARK_SERIES	16

/* MB/s of the second half of the batches, when all code is warm. */
static uint64_t rate(const struct stream_result *result, unsigned size)
{
	uint64_t bytes = 0, units = 0;

	for (unsigned i = result->batches / 2; i < result->batches; i++) {
		bytes += (uint64_t)result->batch[i].frames * size;
		units += result->batch[i].units;
	}
	return units >= TOD_MICROSECOND ? bytes / (units / TOD_MICROSECOND) : 0;
}

static bool open_end(const struct stream_end *end, unsigned size)
{
	struct e1000 *nic = end->nic;
	uint64_t tx = dma_map(end->dma, nic->tx, E1000_RING * sizeof(*nic->tx), TX_RING_SLOT, TCE_RW);
	uint64_t rx = dma_map(end->dma, nic->rx, E1000_RING * sizeof(*nic->rx), RX_RING_SLOT, TCE_RW);

	return e1000_open(nic, tx, rx, options.loopback, stream_buffer(size));
}

static void close_end(const struct stream_end *end)
{
	struct e1000 *nic = end->nic;

	e1000_close(nic);
	dma_unmap(end->dma, nic->tx, E1000_RING * sizeof(*nic->tx), TX_RING_SLOT);
	dma_unmap(end->dma, nic->rx, E1000_RING * sizeof(*nic->rx), RX_RING_SLOT);
}

/* One stream from an end to an end, which are one NIC's or two. */
static void run_ends(const struct stream_end *from, const struct stream_end *to, const char *name, const char *how,
		     unsigned mode, unsigned index, uint64_t frames)
{
	struct stream stream = { frames, sizes[index] };
	static struct stream_result result;
	bool pair = from->nic != to->nic;
	uint64_t calls = from->dma->calls + (pair ? to->dma->calls : 0);
	int64_t failed;

	if (!open_end(from, stream.size) || (pair && !open_end(to, stream.size))) {
		struct e1000 *nic = from->nic->failed || !pair ? from->nic : to->nic;

		check(false, name, "the NIC does not answer or has no link, status %08x, return code %ld",
		      e1000_load(nic, E1000_STATUS), nic->failed);
		return;
	}
	stream_run(from, to, &stream, &result);
	close_end(from);
	if (pair)
		close_end(to);
	failed = from->nic->failed ? from->nic->failed : to->nic->failed;
	check(!result.stuck && result.wrong == 0 && !failed && !from->dma->failed && !to->dma->failed, name,
	      "%u came, %u wrong, register access %ld, mapping %ld", result.received, result.wrong, failed,
	      from->dma->failed ? from->dma->failed : to->dma->failed);
	for (unsigned i = 0; !pair && i < result.batches; i++)
		hcall(H_MINIVISOR_MARK, MARK_SERIES + mode * 2 + index, result.batch[i].frames, result.batch[i].units, 0);
	calls = from->dma->calls + (pair ? to->dma->calls : 0) - calls;
	print("%s, %u bytes: %lu MB/s, %lu mapping calls a frame\n", how, stream.size, rate(&result, stream.size),
	      result.received ? calls / result.received : 0);
}

/* Through the only NIC and back, or over the cable in both directions. */
static void run_size(struct dma *dma, const char *how, unsigned mode, unsigned index, uint64_t frames)
{
	char name[100];

	if (nic_count == 1) {
		struct stream_end end = { &nics[0], dma };

		format(name, sizeof(name), "%s: %lu frames of %u bytes come back as they were", how, frames, sizes[index]);
		run_ends(&end, &end, name, how, mode, index, frames);
		return;
	}
	for (unsigned n = 0; n < NICS; n++) {
		struct stream_end from = { &nics[n], &dma[n] }, to = { &nics[!n], &dma[!n] };

		format(name, sizeof(name), "%s: %lu frames of %u bytes from NIC %u to NIC %u are as they were", how, frames,
		       sizes[index], n, !n);
		run_ends(&from, &to, name, how, mode, index, frames);
	}
}

static void run_tier(const char *how, enum tier tier, unsigned mode, uint64_t frames)
{
	struct dma dma[NICS] = { { .liobn = options.liobn[0] }, { .liobn = options.liobn[1] } };
	int64_t code;

	if (!frames) {
		skip(how, "no frames wanted");
		return;
	}
	code = hcall(H_MINIVISOR_TIER, tier, 0, 0, 0).code;
	if (code != H_SUCCESS) {
		skip(how, "the machine was started without this tier");
		return;
	}
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		run_size(dma, how, mode, i, frames);
}

static unsigned log2_up(uint64_t size)
{
	unsigned shift = 12;

	while ((1UL << shift) < size)
		shift++;
	return shift;
}

/* ibm,create-pe-dma-window for all of memory, and everything mapped in it. False when there is none. */
static bool make_window(struct dma *dma, unsigned nic)
{
	uint64_t buid = options.buid[nic];
	uint32_t args[5] = { options.config, buid >> 32, buid, 12, log2_up(options.memory) };
	uint32_t out[4] = { 0 };
	int32_t status = rtas_call(RTAS_IBM_CREATE_PE_DMA_WINDOW, 5, 4, args, out);

	if (!check(status == 0, "ibm,create-pe-dma-window makes the big window", "status %d", status))
		return false;
	dma->liobn = out[1];
	hcall(H_MINIVISOR_TIER, TIER_AS_BEFORE, 0, 0, 0);
	check(dma_map_all(dma, (uint64_t)out[2] << 32 | out[3], options.memory),
	      "H_PUT_TCE_INDIRECT maps all of memory in it", "return code %ld", dma->failed);
	return true;
}

static void run_ddw(unsigned mode)
{
	struct dma dma[NICS] = { 0 };

	if (!options.buid[0]) {
		skip("big window", "no buid on the command line");
		return;
	}
	for (unsigned n = 0; n < nic_count; n++)
		if (!make_window(&dma[n], n))
			return;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		run_size(dma, "big window", mode, i, options.frames);
	for (unsigned n = 0; n < nic_count; n++) {
		uint32_t liobn = dma[n].liobn, out[1];
		int32_t status = rtas_call(RTAS_IBM_REMOVE_PE_DMA_WINDOW, 1, 1, &liobn, out);

		check(status == 0, "ibm,remove-pe-dma-window takes it away", "status %d", status);
	}
}

void __attribute__((noreturn)) main(void)
{
	unsigned mode = 0;

	console_open();
	print("net: command line %s\n", cmdline_text());
	options.frames = 256;
	cmdline_number("nic", &options.nic[0]);
	cmdline_number("liobn", &options.liobn[0]);
	cmdline_number("buid", &options.buid[0]);
	cmdline_number("nic2", &options.nic[1]);
	cmdline_number("liobn2", &options.liobn[1]);
	cmdline_number("buid2", &options.buid[1]);
	cmdline_number("frames", &options.frames);
	options.exit_frames = options.frames;
	cmdline_number("exitframes", &options.exit_frames);
	cmdline_number("lbm", &options.loopback);
	cmdline_number("config", &options.config);
	cmdline_number("mem", &options.memory);
	for (unsigned n = 0; n < NICS; n++)
		nics[n].base = options.nic[n];
	nic_count = options.nic[1] && !options.loopback ? NICS : 1;
	if (options.memory < stream_memory()) {
		check(false, "there is storage for the frames", "mem=%lu, but %lu bytes are needed", options.memory,
		      stream_memory());
		disabled_wait(WAIT_SOME_FAILED);
	}
	run_tier("exit to the VMM", TIER_VMM, mode++, options.exit_frames);
	run_tier("kernel, virtual mode", TIER_VIRTUAL_MODE, mode++, options.frames);
	run_tier("kernel, real mode", TIER_REAL_MODE, mode++, options.frames);
	run_ddw(mode);
	disabled_wait(check_summary("net") ? WAIT_ALL_PASSED : WAIT_SOME_FAILED);
}
