#include "bench.h"

#include "check.h"
#include "fmt.h"
#include "hcall.h"
#include "interruption.h"
#include "tce.h"

#define BENCH_PAGES	16

/* A slower tier gets smaller batches, so that all take about as long and a batch is still longer than the clock's step. */
static const struct {
	enum tier tier;
	unsigned batches;	/* times the scale */
	unsigned calls;		/* in a batch */
	unsigned warm_up;	/* calls before, not measured: the host compiles what it sees often */
} series[] = {
	{ TIER_REAL_MODE, 200, 64, 20000 },
	{ TIER_VIRTUAL_MODE, 100, 64, 5000 },
	{ TIER_VMM, 100, 1, 1500 },
};

static uint8_t page[TCE_PAGE_SIZE] __attribute__((aligned(TCE_PAGE_SIZE)));

/* Maps 16 pages, unmaps them, and so on: `call` counts through all batches of a series. */
static int64_t put(uint64_t liobn, uint64_t call)
{
	uint64_t ioba = TCE_FIRST_IOBA + call % BENCH_PAGES * TCE_PAGE_SIZE;
	uint64_t tce = call / BENCH_PAGES % 2 ? 0 : (uintptr_t)page | TCE_RW;

	return h_put_tce(liobn, ioba, tce);
}

/* Runs one batch and returns its time in TOD units; *code keeps the first failure. */
static uint64_t batch(uint64_t liobn, uint64_t *call, unsigned calls, int64_t *code)
{
	uint64_t start = store_clock_fast();

	while (calls--) {
		int64_t result = put(liobn, (*call)++);

		if (result != H_SUCCESS && *code == H_SUCCESS)
			*code = result;
	}
	return store_clock_fast() - start;
}

static void run_series(uint64_t liobn, unsigned index, uint64_t scale)
{
	char name[80];
	uint64_t call = 0;
	int64_t code = hcall(H_MINIVISOR_TIER, series[index].tier, 0, 0, 0).code;
	int64_t unmapped;

	format(name, sizeof(name), "bench tier %u: %lu batches of %u H_PUT_TCE", series[index].tier,
	       scale * series[index].batches, series[index].calls);
	if (code == H_AUTHORITY) {
		skip(name, "the machine was started without this tier");
		return;
	}
	if (code == H_SUCCESS) {
		batch(liobn, &call, series[index].warm_up, &code);
		for (uint64_t i = 0; i < scale * series[index].batches; i++) {
			uint64_t units = batch(liobn, &call, series[index].calls, &code);
			int64_t mark = hcall(H_MINIVISOR_MARK, index, series[index].calls, units, 0).code;

			if (mark != H_SUCCESS && code == H_SUCCESS)
				code = mark;
		}
	}
	unmapped = h_stuff_tce(liobn, TCE_FIRST_IOBA, 0, BENCH_PAGES);
	if (code == H_SUCCESS)
		code = unmapped;
	check(code == H_SUCCESS, name, "expected return code 0 of every call, got %ld", code);
}

void bench(uint64_t liobn, uint64_t scale)
{
	int64_t code;

	if (scale == 0)
		return;
	for (unsigned index = 0; index < sizeof(series) / sizeof(series[0]); index++)
		run_series(liobn, index, scale);
	code = hcall(H_MINIVISOR_TIER, TIER_AS_BEFORE, 0, 0, 0).code;
	check(code == H_SUCCESS, "bench gives the tier back", "expected return code 0, got %ld", code);
}
