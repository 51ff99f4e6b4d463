#include "dma.h"

#include "hcall.h"

/* Entries of an H_PUT_TCE_INDIRECT list: one page (PAPR). */
#define LIST_ENTRIES	512

static uint64_t list[LIST_ENTRIES] __attribute__((aligned(4096)));

static void note(struct dma *dma, int64_t code)
{
	dma->calls++;
	if (code != H_SUCCESS && !dma->failed)
		dma->failed = code;
}

static uint64_t pages(uint64_t address, uint64_t length)
{
	return (address % DMA_PAGE + length + DMA_PAGE - 1) / DMA_PAGE;
}

uint64_t dma_map(struct dma *dma, const void *address, uint64_t length, uint64_t slot, uint64_t permissions)
{
	uint64_t at = (uintptr_t)address;
	uint64_t page = at - at % DMA_PAGE;

	if (dma->direct)
		return dma->base + at;
	for (uint64_t i = 0, n = pages(at, length); i < n; i++)
		note(dma, h_put_tce(dma->liobn, slot + i * DMA_PAGE, (page + i * DMA_PAGE) | permissions));
	return slot + at % DMA_PAGE;
}

void dma_unmap(struct dma *dma, const void *address, uint64_t length, uint64_t slot)
{
	if (dma->direct)
		return;
	for (uint64_t i = 0, n = pages((uintptr_t)address, length); i < n; i++)
		note(dma, h_put_tce(dma->liobn, slot + i * DMA_PAGE, 0));
}

bool dma_map_all(struct dma *dma, uint64_t base, uint64_t size)
{
	for (uint64_t done = 0; done < size; done += LIST_ENTRIES * DMA_PAGE) {
		uint64_t count = (size - done) / DMA_PAGE;

		if (count > LIST_ENTRIES)
			count = LIST_ENTRIES;
		for (uint64_t i = 0; i < count; i++)
			list[i] = (done + i * DMA_PAGE) | TCE_RW;
		note(dma, hcall(H_PUT_TCE_INDIRECT, dma->liobn, base + done, (uintptr_t)list, count).code);
	}
	dma->base = base;
	dma->direct = true;
	return dma->failed == H_SUCCESS;
}
