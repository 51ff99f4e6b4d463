#include "dasd_bench.h"

#include "check.h"
#include "dasd.h"
#include "fmt.h"
#include "hcall.h"
#include "interruption.h"

/* Series numbers of the reports; 0 to 2 are the hypercall tiers, 5 and 6 are in dasd_parallel.c. */
#define SERIES_NOOP	3
#define SERIES_READ	4
/* Of the same programs, the time from SSCH to the interruption. */
#define SERIES_NOOP_INTERRUPTION	7
#define SERIES_READ_INTERRUPTION	8

/* Times to the interruption that are kept, the newest ones: they are reported at the end. */
#define KEPT	8192

#define CCW_CMD_NOOP	0x03
#define WARM_UP		20

static uint64_t to_interruption[KEPT];
static uint8_t block[BLOCK_SIZE] __attribute__((aligned(BLOCK_SIZE)));

static struct io run_noop(struct subchannel *dasd)
{
	static const struct ccw1 noop = { .cmd_code = CCW_CMD_NOOP, .flags = CCW_FLAG_SLI, .count = 1 };

	return io_run(dasd, &noop, 0);
}

static struct io run_read(struct subchannel *dasd)
{
	static const struct cchh track = { 1, 0 };

	return dasd_read_block(dasd, track, 1, block);
}

static bool report(unsigned series, uint64_t units)
{
	return hcall(H_MINIVISOR_MARK, series, 1, units, 0).code == H_SUCCESS;
}

static void run_series(struct subchannel *dasd, unsigned series, unsigned interruption_series,
		       struct io (*run)(struct subchannel *), uint64_t count)
{
	char name[60];
	bool ok = true;
	uint64_t done;

	for (unsigned i = 0; i < WARM_UP; i++)
		run(dasd);
	for (done = 0; done < count && ok; done++) {
		uint64_t start = store_clock_fast();
		struct io io = run(dasd);
		uint64_t units = store_clock_fast() - start;

		to_interruption[done % KEPT] = dasd->interrupted - dasd->started;
		ok = io_normal(&io) && report(series, units);
	}
	for (uint64_t i = done > KEPT ? done - KEPT : 0; i < done && ok; i++)
		ok = report(interruption_series, to_interruption[i % KEPT]);
	format(name, sizeof(name), "bench series %u: %lu channel programs", series, count);
	check(ok, name, "expected channel end and device end of every one");
}

void bench_dasd(struct subchannel *dasd, uint64_t noops, uint64_t reads)
{
	if (noops)
		run_series(dasd, SERIES_NOOP, SERIES_NOOP_INTERRUPTION, run_noop, noops);
	if (reads)
		run_series(dasd, SERIES_READ, SERIES_READ_INTERRUPTION, run_read, reads);
}
