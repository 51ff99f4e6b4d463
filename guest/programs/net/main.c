/*
 * The net guest: streams frames through an 82540EM and back and checks every byte, with each packet mapped and unmapped
 * in the 32-bit window, as Linux does, in each tier; then with all of memory mapped once in a big window.
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

static struct e1000_desc tx_ring[E1000_RING] __attribute__((aligned(4096)));
static struct e1000_desc rx_ring[E1000_RING] __attribute__((aligned(4096)));

static struct {
	uint64_t nic, liobn, frames, exit_frames, loopback, buid, config, memory;
} options;

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

static void run_size(struct e1000 *nic, struct dma *dma, const char *how, unsigned mode, unsigned index, uint64_t frames)
{
	struct stream stream = { frames, sizes[index] };
	static struct stream_result result;
	uint64_t calls = dma->calls;
	uint64_t tx = dma_map(dma, tx_ring, sizeof(tx_ring), TX_RING_SLOT, TCE_RW);
	uint64_t rx = dma_map(dma, rx_ring, sizeof(rx_ring), RX_RING_SLOT, TCE_RW);
	char name[80];

	format(name, sizeof(name), "%s: %lu frames of %u bytes come back as they were", how, frames, stream.size);
	if (!e1000_open(nic, tx, rx, options.loopback, stream_buffer(stream.size))) {
		check(false, name, "the NIC does not answer or has no link, status %08x, return code %ld",
		      e1000_load(nic, E1000_STATUS), nic->failed);
		return;
	}
	stream_run(nic, dma, &stream, &result);
	e1000_close(nic);
	dma_unmap(dma, tx_ring, sizeof(tx_ring), TX_RING_SLOT);
	dma_unmap(dma, rx_ring, sizeof(rx_ring), RX_RING_SLOT);
	check(!result.stuck && result.wrong == 0 && !nic->failed && !dma->failed, name,
	      "%u came, %u wrong, register access %ld, mapping %ld", result.received, result.wrong, nic->failed,
	      dma->failed);
	for (unsigned i = 0; i < result.batches; i++)
		hcall(H_MINIVISOR_MARK, MARK_SERIES + mode * 2 + index, result.batch[i].frames, result.batch[i].units, 0);
	print("%s, %u bytes: %lu MB/s, %lu mapping calls a frame\n", how, stream.size, rate(&result, stream.size),
	      result.received ? (dma->calls - calls) / result.received : 0);
}

static void run_tier(struct e1000 *nic, const char *how, enum tier tier, unsigned mode, uint64_t frames)
{
	struct dma dma = { .liobn = options.liobn };
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
		run_size(nic, &dma, how, mode, i, frames);
}

static unsigned log2_up(uint64_t size)
{
	unsigned shift = 12;

	while ((1UL << shift) < size)
		shift++;
	return shift;
}

/* ibm,create-pe-dma-window for all of memory, and everything mapped in it. */
static void run_ddw(struct e1000 *nic, unsigned mode)
{
	uint32_t out[4] = { 0 };
	uint32_t args[5] = { options.config, options.buid >> 32, options.buid, 12, log2_up(options.memory) };
	struct dma dma = { 0 };
	int32_t status;

	if (!options.buid) {
		skip("big window", "no buid on the command line");
		return;
	}
	status = rtas_call(RTAS_IBM_CREATE_PE_DMA_WINDOW, 5, 4, args, out);
	if (!check(status == 0, "ibm,create-pe-dma-window makes the big window", "status %d", status))
		return;
	dma.liobn = out[1];
	hcall(H_MINIVISOR_TIER, TIER_AS_BEFORE, 0, 0, 0);
	check(dma_map_all(&dma, (uint64_t)out[2] << 32 | out[3], options.memory),
	      "H_PUT_TCE_INDIRECT maps all of memory in it", "return code %ld", dma.failed);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		run_size(nic, &dma, "big window", mode, i, options.frames);
	status = rtas_call(RTAS_IBM_REMOVE_PE_DMA_WINDOW, 1, 1, &out[1], out);
	check(status == 0, "ibm,remove-pe-dma-window takes it away", "status %d", status);
}

void __attribute__((noreturn)) main(void)
{
	struct e1000 nic = { .tx = tx_ring, .rx = rx_ring };
	unsigned mode = 0;

	console_open();
	print("net: command line %s\n", cmdline_text());
	options.frames = 256;
	cmdline_number("nic", &options.nic);
	cmdline_number("liobn", &options.liobn);
	cmdline_number("frames", &options.frames);
	options.exit_frames = options.frames;
	cmdline_number("exitframes", &options.exit_frames);
	cmdline_number("lbm", &options.loopback);
	cmdline_number("buid", &options.buid);
	cmdline_number("config", &options.config);
	cmdline_number("mem", &options.memory);
	nic.base = options.nic;
	if (options.memory < stream_memory()) {
		check(false, "there is storage for the frames", "mem=%lu, but %lu bytes are needed", options.memory,
		      stream_memory());
		disabled_wait(WAIT_SOME_FAILED);
	}
	run_tier(&nic, "exit to the VMM", TIER_VMM, mode++, options.exit_frames);
	run_tier(&nic, "kernel, virtual mode", TIER_VIRTUAL_MODE, mode++, options.frames);
	run_tier(&nic, "kernel, real mode", TIER_REAL_MODE, mode++, options.frames);
	run_ddw(&nic, mode);
	disabled_wait(check_summary("net") ? WAIT_ALL_PASSED : WAIT_SOME_FAILED);
}
