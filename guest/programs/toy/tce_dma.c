#include "tce_dma.h"

#include "check.h"
#include "hcall.h"
#include "mem.h"

uint8_t tce_dma_pages[TCE_DMA_PAGES][TCE_PAGE_SIZE] __attribute__((aligned(TCE_PAGE_SIZE)));

/* Buffer bytes looked at one call a word; whole pages are compared in memory after the port copied them. */
#define WINDOW_BYTES	256U

static uint64_t bus_address(unsigned page)
{
	return TCE_FIRST_IOBA + page * TCE_PAGE_SIZE;
}

static uint32_t *words(unsigned page)
{
	return (uint32_t *)tce_dma_pages[page];
}

static void fill(unsigned page, uint32_t seed)
{
	for (uint32_t i = 0; i < TCE_PAGE_SIZE / 4; i++)
		words(page)[i] = seed + i * 0x9e3779b1U;
}

static bool check_status(struct dmaport *port, uint32_t status, uint32_t expected, const char *name)
{
	return check(status != DMAPORT_STATUS_FROZEN && (status & (DMAPORT_STATUS_BUSY | expected)) == expected &&
		     !(status & DMAPORT_STATUS_ERROR) && port->failed == 0, name,
		     "expected status %08x, got %08x, hypercall return code %ld", expected, status, port->failed);
}

/* A refused transfer: STATUS shows the error, or the endpoint is frozen; a reset makes the port usable again. */
static void check_refused(struct dmaport *port, uint32_t status, const char *name, const char *reset_name)
{
	uint32_t id;

	check((status & DMAPORT_STATUS_ERROR) && port->failed == 0, name,
	      "expected status 00000004 or a frozen port, got %08x, hypercall return code %ld", status, port->failed);
	dmaport_reset(port);
	id = dmaport_id(port);
	check(id == DMAPORT_ID_VALUE, reset_name, "expected id %08x, got %08x", DMAPORT_ID_VALUE, id);
}

static void check_device_reads(struct dmaport *port)
{
	uint32_t status, offset, word = 0;

	fill(0, 0x11110000);
	dmaport_reset(port);
	status = dmaport_dma(port, DMAPORT_FROM_MEMORY, TCE_PAGE_SIZE, bus_address(0));
	if (!check_status(port, status, DMAPORT_STATUS_DONE, "port reads a page of memory"))
		return;
	for (offset = 0; offset < WINDOW_BYTES; offset += 4) {
		word = dmaport_buffer_load(port, offset);
		if (word != words(0)[offset / 4])
			break;
	}
	check(offset == WINDOW_BYTES, "port's buffer holds the page's bytes", "offset %u: expected %08x, got %08x", offset,
	      words(0)[offset / 4], word);
}

/* After check_device_reads the whole buffer holds page 0: written out it must make page 1 equal to it. */
static void check_device_writes(struct dmaport *port)
{
	uint32_t status, offset;

	memset(tce_dma_pages[1], 0, TCE_PAGE_SIZE);
	dmaport_reset(port);
	status = dmaport_dma(port, DMAPORT_TO_MEMORY, TCE_PAGE_SIZE, bus_address(1));
	if (check_status(port, status, DMAPORT_STATUS_DONE, "port writes a page of memory"))
		check(memcmp(tce_dma_pages[0], tce_dma_pages[1], TCE_PAGE_SIZE) == 0, "the page is a copy of the first",
		      "expected equal pages");

	fill(2, 0x22220000);
	for (offset = 0; offset < WINDOW_BYTES; offset += 4)
		dmaport_buffer_store(port, offset, ~words(2)[offset / 4]);
	dmaport_reset(port);
	/* An odd place and length: neighbours must stay. */
	status = dmaport_dma(port, DMAPORT_TO_MEMORY, WINDOW_BYTES - 2, bus_address(2) + 0x7f6);
	if (!check_status(port, status, DMAPORT_STATUS_DONE, "port writes part of a page"))
		return;
	for (offset = 0; offset < TCE_PAGE_SIZE; offset++) {
		const uint32_t first = 0x7f6;
		bool written = offset >= first && offset < first + WINDOW_BYTES - 2;
		uint32_t from = written ? offset - first : offset;
		uint32_t word = 0x22220000 + from / 4 * 0x9e3779b1U;
		uint8_t expected = (written ? ~word : word) >> (24 - from % 4 * 8);

		if (tce_dma_pages[2][offset] != expected) {
			check(false, "part of a page", "offset %u: expected %02x, got %02x", offset, expected,
			      tce_dma_pages[2][offset]);
			return;
		}
	}
	check(true, "the guest sees those bytes and no others", "%s", "");
}

static void check_read_only(const struct tce_window *window, struct dmaport *port)
{
	uint64_t page = (uintptr_t)tce_dma_pages[1];
	int64_t code = h_put_tce(window->liobn, bus_address(1), page | TCE_READ);
	uint32_t status, offset;

	if (!check(code == H_SUCCESS, "H_PUT_TCE makes a page read-only", "expected return code 0, got %ld", code))
		return;
	fill(1, 0x33330000);
	dmaport_reset(port);
	status = dmaport_dma(port, DMAPORT_TO_MEMORY, TCE_PAGE_SIZE, bus_address(1));
	check_refused(port, status, "device write to a read-only page is refused",
		      "port answers after the reset (read-only page)");
	for (offset = 0; offset < TCE_PAGE_SIZE / 4; offset++)
		if (words(1)[offset] != 0x33330000 + offset * 0x9e3779b1U)
			break;
	check(offset == TCE_PAGE_SIZE / 4, "memory is unchanged", "changed at word %u", offset);
	status = dmaport_dma(port, DMAPORT_FROM_MEMORY, TCE_PAGE_SIZE, bus_address(1));
	check_status(port, status, DMAPORT_STATUS_DONE, "device read of a read-only page works");
	code = h_put_tce(window->liobn, bus_address(1), page | TCE_RW);
	check(code == H_SUCCESS, "H_PUT_TCE makes it writable again", "expected return code 0, got %ld", code);
}

bool check_dma(const struct tce_window *window, struct dmaport *port)
{
	uint32_t id = dmaport_id(port);

	if (!check(id == DMAPORT_ID_VALUE && port->failed == 0, "DMA port answers",
		   "expected id %08x, got %08x, hypercall return code %ld", DMAPORT_ID_VALUE, id, port->failed))
		return false;
	check_device_reads(port);
	check_device_writes(port);
	check_read_only(window, port);
	return true;
}

void check_dma_refused(struct dmaport *port)
{
	uint32_t status;

	dmaport_reset(port);
	status = dmaport_dma(port, DMAPORT_FROM_MEMORY, WINDOW_BYTES, bus_address(0));
	check_refused(port, status, "device read of an unmapped page is refused",
		      "port answers after the reset (unmapped page, read)");
	fill(2, 0x44440000);
	status = dmaport_dma(port, DMAPORT_TO_MEMORY, WINDOW_BYTES, bus_address(2));
	check_refused(port, status, "device write to an unmapped page is refused",
		      "port answers after the reset (unmapped page, write)");
	check(words(2)[0] == 0x44440000, "memory of the unmapped page is unchanged", "expected 44440000, got %08x",
	      words(2)[0]);
}
