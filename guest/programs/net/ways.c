#include "ways.h"

#include <stddef.h>

#include "check.h"
#include "hcall.h"
#include "options.h"
#include "rtas.h"

const char *const way_names[WAYS] = {
	[WAY_VMM] = "exit to the VMM",
	[WAY_VIRTUAL_MODE] = "kernel, virtual mode",
	[WAY_REAL_MODE] = "kernel, real mode",
	[WAY_BIG_WINDOW] = "big window",
};

/* Who handles the hypercalls. */
static const enum tier tiers[WAYS] = {
	[WAY_VMM] = TIER_VMM,
	[WAY_VIRTUAL_MODE] = TIER_VIRTUAL_MODE,
	[WAY_REAL_MODE] = TIER_REAL_MODE,
	[WAY_BIG_WINDOW] = TIER_AS_BEFORE,
};

uint64_t way_frames(enum way way)
{
	return way == WAY_VMM ? options.exit_frames : options.frames;
}

const char *way_missing(enum way way)
{
	if (way == WAY_BIG_WINDOW)
		return options.buid[0] ? NULL : "no buid on the command line";
	if (!way_frames(way))
		return "no frames wanted";
	if (hcall(H_MINIVISOR_TIER, tiers[way], 0, 0, 0).code != H_SUCCESS)
		return "the machine was started without this tier";
	return NULL;
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

bool way_begin(enum way way, struct dma *dma, unsigned nic)
{
	*dma = (struct dma){ 0 };
	if (way == WAY_BIG_WINDOW)
		return make_window(dma, nic);
	dma->liobn = options.liobn[nic];
	return hcall(H_MINIVISOR_TIER, tiers[way], 0, 0, 0).code == H_SUCCESS;
}

void way_end(enum way way, struct dma *dma)
{
	uint32_t liobn = dma->liobn, out[1];
	int32_t status;

	if (way != WAY_BIG_WINDOW)
		return;
	status = rtas_call(RTAS_IBM_REMOVE_PE_DMA_WINDOW, 1, 1, &liobn, out);
	check(status == 0, "ibm,remove-pe-dma-window takes it away", "status %d", status);
}
