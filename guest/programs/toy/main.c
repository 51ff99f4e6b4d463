/*
 * The toy guest: exercises what the machine offers, one PASS or FAIL line each, and ends in a disabled wait whose
 * address says how it went. What runs depends on the devices and on the command line (see the README).
 */
#include "bench.h"
#include "check.h"
#include "cmdline.h"
#include "console.h"
#include "cpu_checks.h"
#include "dasd_bench.h"
#include "dasd_checks.h"
#include "dasd_parallel.h"
#include "dasd_writeload.h"
#include "fmt.h"
#include "halt_bench.h"
#include "interruption.h"
#include "subchannels.h"
#include "tce.h"

#define WAIT_ALL_PASSED		0UL
#define WAIT_SOME_FAILED	0xbadUL

/* The numbers of the command line, read before anything else so that a bad one is always reported. */
static struct {
	bool has_liobn, has_slow;
	uint64_t liobn, window, dmaport, slow, bench, hcalls, ssch, noop, read, parallel, halt, writeload, seed;
} options;

static void read_options(void)
{
	options.has_liobn = cmdline_number("liobn", &options.liobn);
	options.has_slow = cmdline_number("slow", &options.slow);
	cmdline_number("window", &options.window);
	cmdline_number("dmaport", &options.dmaport);
	cmdline_number("bench", &options.bench);
	cmdline_number("hcalls", &options.hcalls);
	cmdline_number("ssch", &options.ssch);
	options.noop = options.read = options.ssch;
	cmdline_number("noop", &options.noop);
	cmdline_number("read", &options.read);
	cmdline_number("parallel", &options.parallel);
	cmdline_number("halt", &options.halt);
	cmdline_number("writeload", &options.writeload);
	cmdline_number("seed", &options.seed);
}

static void run_dasd(void)
{
	struct subchannel *dasd;

	io_open();
	dasd = find_dasd();
	if (!dasd)
		return;
	if (options.writeload) {
		dasd_writeload(dasd, options.writeload, options.seed);
		return;
	}
	if (options.parallel) {
		dasd_parallel(options.parallel);
		return;
	}
	if (options.halt) {
		bench_halt_and_clear(dasd, options.halt);
		return;
	}
	check_dasd(dasd);
	if (options.has_slow)
		check_halt_and_clear(dasd, options.slow);
	else
		skip("halt and clear", "no slow cylinder on the command line");
	bench_dasd(dasd, options.noop, options.read);
	io_check_interruptions();
}

static void run_tce(void)
{
	const struct tce_window window = { options.liobn, options.window };

	/* Without a LIOBN the machine may not know DIAGNOSE X'5E0' at all: no call may be made. */
	if (!options.has_liobn) {
		skip("tce", "no liobn on the command line");
		return;
	}
	check_tce(&window, options.dmaport);
	bench(options.liobn, options.bench);
	bench_hcalls(options.liobn, options.hcalls);
}

void __attribute__((noreturn)) main(void)
{
	console_open();
	print("toy: cpu id %016lx, command line %s\n", cpu_id(), cmdline_text());
	read_options();
	run_dasd();
	/* A load is all that such a run is about. */
	if (options.writeload || options.parallel || options.halt)
		disabled_wait(check_summary("toy") ? WAIT_ALL_PASSED : WAIT_SOME_FAILED);
	check_cpu();
	check_second_cpu();
	run_tce();
	disabled_wait(check_summary("toy") ? WAIT_ALL_PASSED : WAIT_SOME_FAILED);
}
