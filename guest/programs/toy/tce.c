#include "tce.h"

#include "check.h"
#include "fmt.h"
#include "hcall.h"
#include "tce_dma.h"

/* Return codes as text would need a table of PAPR; the number is what the reader can look up. */
static bool check_code(int64_t code, int64_t expected, const char *name)
{
	return check(code == expected, name, "expected return code %ld, got %ld", expected, code);
}

static bool check_entry(const struct tce_window *window, uint64_t ioba, uint64_t expected, const char *name)
{
	struct hcall_result result = h_get_tce(window->liobn, ioba);

	return check(result.code == H_SUCCESS && result.value == expected, name,
		     "expected return code 0 and %016lx, got %ld and %016lx", expected, result.code, result.value);
}

static bool map_pages(const struct tce_window *window)
{
	for (unsigned page = 0; page < TCE_DMA_PAGES; page++) {
		uint64_t ioba = TCE_FIRST_IOBA + page * TCE_PAGE_SIZE;
		uint64_t tce = (uintptr_t)tce_dma_pages[page] | TCE_RW;

		char put[40], get[40];

		format(put, sizeof(put), "H_PUT_TCE maps IOBA %lx", ioba);
		format(get, sizeof(get), "H_GET_TCE returns IOBA %lx", ioba);
		if (!check_code(h_put_tce(window->liobn, ioba, tce), H_SUCCESS, put) ||
		    !check_entry(window, ioba, tce, get))
			return false;
	}
	return true;
}

/* The first page by H_PUT_TCE of 0, the others by one H_STUFF_TCE. */
static void unmap_pages(const struct tce_window *window)
{
	check_code(h_put_tce(window->liobn, TCE_FIRST_IOBA, 0), H_SUCCESS, "H_PUT_TCE of 0 unmaps a page");
	check_code(h_stuff_tce(window->liobn, TCE_FIRST_IOBA + TCE_PAGE_SIZE, 0, TCE_DMA_PAGES - 1), H_SUCCESS,
		   "H_STUFF_TCE of 0 unmaps the rest");
	for (unsigned page = 0; page < TCE_DMA_PAGES; page++) {
		uint64_t ioba = TCE_FIRST_IOBA + page * TCE_PAGE_SIZE;
		char name[40];

		format(name, sizeof(name), "H_GET_TCE of unmapped IOBA %lx", ioba);
		check_entry(window, ioba, 0, name);
	}
}

#define UNKNOWN_TOKEN	0xfffc	/* a multiple of 4, as PAPR's tokens are, and nobody's */

static void check_errors(const struct tce_window *window)
{
	uint64_t tce = (uintptr_t)tce_dma_pages[0] | TCE_RW;

	check_code(h_put_tce(window->liobn ^ 0x700, TCE_FIRST_IOBA, tce), H_PARAMETER, "unknown LIOBN is H_PARAMETER");
	check_code(h_put_tce(window->liobn, TCE_FIRST_IOBA + 0x234, tce), H_PARAMETER,
		   "unaligned IOBA is H_PARAMETER");
	check_code(hcall(UNKNOWN_TOKEN, 0, 0, 0, 0).code, H_FUNCTION, "unknown token is H_FUNCTION");
	if (window->size == 0) {
		skip("tce window end", "no window on the command line");
		return;
	}
	check_code(h_put_tce(window->liobn, window->size, tce), H_PARAMETER, "IOBA at the window's end is H_PARAMETER");
	check_code(h_put_tce(window->liobn, window->size - TCE_PAGE_SIZE, tce), H_SUCCESS,
		   "the window's last page can be mapped");
	check_code(h_stuff_tce(window->liobn, window->size - TCE_PAGE_SIZE, 0, 2), H_PARAMETER,
		   "H_STUFF_TCE beyond the window's end is H_PARAMETER");
	check_code(h_put_tce(window->liobn, window->size - TCE_PAGE_SIZE, 0), H_SUCCESS,
		   "the window's last page can be unmapped");
}

void check_tce(const struct tce_window *window, uint64_t port_base)
{
	struct dmaport port = { .base = port_base };
	bool dma = false;

	if (!map_pages(window))
		return;
	if (port_base)
		dma = check_dma(window, &port);
	else
		skip("dma", "no dmaport on the command line");
	unmap_pages(window);
	if (dma)
		check_dma_refused(&port);
	check_errors(window);
}
