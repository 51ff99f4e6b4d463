#include "bench.h"

#include "check.h"
#include "fmt.h"
#include "hcall.h"
#include "interruption.h"
#include "tce.h"

#define BENCH_PAGES	16
/* Entries of one call of the two that take many: what a list can hold (PAPR). */
#define MANY		512
/* Series numbers of the marks of bench_hcalls(): from here on three for each hypercall, one for each tier. */
#define HCALL_SERIES	16

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
#define TIERS	(sizeof(series) / sizeof(series[0]))

static uint8_t page[TCE_PAGE_SIZE] __attribute__((aligned(TCE_PAGE_SIZE)));
/* A list that maps one page MANY times, and one that unmaps as many. */
static uint64_t lists[2][MANY] __attribute__((aligned(TCE_PAGE_SIZE)));

/* Maps 16 pages, unmaps them, and so on: `call` counts through all batches of a series. */
static int64_t put(uint64_t liobn, uint64_t call)
{
	uint64_t ioba = TCE_FIRST_IOBA + call % BENCH_PAGES * TCE_PAGE_SIZE;
	uint64_t tce = call / BENCH_PAGES % 2 ? 0 : (uintptr_t)page | TCE_RW;

	return h_put_tce(liobn, ioba, tce);
}

static int64_t get(uint64_t liobn, uint64_t call)
{
	return h_get_tce(liobn, TCE_FIRST_IOBA + call % BENCH_PAGES * TCE_PAGE_SIZE).code;
}

static int64_t stuff(uint64_t liobn, uint64_t call)
{
	(void)call;
	return h_stuff_tce(liobn, TCE_FIRST_IOBA, 0, MANY);
}

/* Maps and unmaps by turns. */
static int64_t put_indirect(uint64_t liobn, uint64_t call)
{
	return hcall(H_PUT_TCE_INDIRECT, liobn, TCE_FIRST_IOBA, (uintptr_t)lists[call % 2], MANY).code;
}

/*
 * One batch of calls: its time in TOD units; *code keeps the first failure. A function for each kind of call, for an
 * indirect branch in the loop would take as long as the call that is timed.
 */
#define BATCH(what)											\
	static uint64_t what##_batch(uint64_t liobn, uint64_t *call, unsigned calls, int64_t *code)	\
	{												\
		uint64_t start = store_clock_fast();							\
													\
		while (calls--) {									\
			int64_t result = what(liobn, (*call)++);					\
													\
			if (result != H_SUCCESS && *code == H_SUCCESS)					\
				*code = result;								\
		}											\
		return store_clock_fast() - start;							\
	}

BATCH(put)
BATCH(get)
BATCH(stuff)
BATCH(put_indirect)

/* What is timed; a call of many entries is one of a batch by itself. */
static const struct operation {
	const char *name;
	uint64_t (*batch)(uint64_t liobn, uint64_t *call, unsigned calls, int64_t *code);
	bool many;
} operations[] = {
	{ "H_PUT_TCE", put_batch, false },
	{ "H_GET_TCE", get_batch, false },
	{ "H_STUFF_TCE of 512", stuff_batch, true },
	{ "H_PUT_TCE_INDIRECT of 512", put_indirect_batch, true },
};

static void run_series(const struct operation *operation, uint64_t liobn, unsigned index, uint64_t scale,
		       unsigned marks)
{
	uint64_t batches = scale * (operation->many ? series[index].batches / 4 : series[index].batches);
	unsigned calls = operation->many ? 1 : series[index].calls;
	unsigned warm_up = operation->many ? series[index].warm_up / 20 : series[index].warm_up;
	char name[80];
	uint64_t call = 0;
	int64_t code = hcall(H_MINIVISOR_TIER, series[index].tier, 0, 0, 0).code;
	int64_t unmapped;

	format(name, sizeof(name), "bench tier %u: %lu batches of %u %s", series[index].tier,
	       batches, calls, operation->name);
	if (code == H_AUTHORITY) {
		skip(name, "the machine was started without this tier");
		return;
	}
	if (code == H_SUCCESS) {
		operation->batch(liobn, &call, warm_up, &code);
		for (uint64_t i = 0; i < batches; i++) {
			uint64_t units = operation->batch(liobn, &call, calls, &code);
			int64_t mark = hcall(H_MINIVISOR_MARK, marks, calls, units, 0).code;

			if (mark != H_SUCCESS && code == H_SUCCESS)
				code = mark;
		}
	}
	unmapped = h_stuff_tce(liobn, TCE_FIRST_IOBA, 0, MANY);
	if (code == H_SUCCESS)
		code = unmapped;
	check(code == H_SUCCESS, name, "expected return code 0 of every call, got %ld", code);
}

static void give_tier_back(void)
{
	int64_t code = hcall(H_MINIVISOR_TIER, TIER_AS_BEFORE, 0, 0, 0).code;

	check(code == H_SUCCESS, "bench gives the tier back", "expected return code 0, got %ld", code);
}

void bench(uint64_t liobn, uint64_t scale)
{
	if (scale == 0)
		return;
	for (unsigned index = 0; index < TIERS; index++)
		run_series(&operations[0], liobn, index, scale, index);
	give_tier_back();
}

void bench_hcalls(uint64_t liobn, uint64_t scale)
{
	if (scale == 0)
		return;
	for (unsigned i = 0; i < MANY; i++)
		lists[0][i] = (uintptr_t)page | TCE_RW;
	for (unsigned o = 0; o < sizeof(operations) / sizeof(operations[0]); o++)
		for (unsigned index = 0; index < TIERS; index++)
			run_series(&operations[o], liobn, index, scale, HCALL_SERIES + o * TIERS + index);
	give_tier_back();
}
