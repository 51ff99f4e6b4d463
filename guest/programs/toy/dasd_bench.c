#include "dasd_bench.h"

#include "check.h"
#include "dasd.h"
#include "fmt.h"
#include "hcall.h"
#include "interruption.h"

/* Series numbers of the reports; 0 to 2 are the hypercall tiers. */
#define SERIES_NOOP	3
#define SERIES_READ	4

#define CCW_CMD_NOOP	0x03
#define WARM_UP		20

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

static void run_series(struct subchannel *dasd, unsigned series, struct io (*run)(struct subchannel *), uint64_t count)
{
	char name[60];
	bool ok = true;

	for (unsigned i = 0; i < WARM_UP; i++)
		run(dasd);
	for (uint64_t i = 0; i < count && ok; i++) {
		uint64_t start = store_clock_fast();
		struct io io = run(dasd);
		uint64_t units = store_clock_fast() - start;

		ok = io_normal(&io) && hcall(H_MINIVISOR_MARK, series, 1, units, 0).code == H_SUCCESS;
	}
	format(name, sizeof(name), "bench series %u: %lu channel programs", series, count);
	check(ok, name, "expected channel end and device end of every one");
}

void bench_dasd(struct subchannel *dasd, uint64_t noops, uint64_t reads)
{
	if (noops)
		run_series(dasd, SERIES_NOOP, run_noop, noops);
	if (reads)
		run_series(dasd, SERIES_READ, run_read, reads);
}
