#include "dasd_parallel.h"

#include "check.h"
#include "dasd.h"
#include "fmt.h"
#include "hcall.h"
#include "interruption.h"
#include "subchannels.h"

/* Series numbers of the reports; those below are in bench.c and dasd_bench.c. */
#define SERIES_BATCH	5
#define SERIES_LATENCY	6

/* Reads of one report: small beside the exits of the reads themselves. */
#define BATCH		16
/* Latencies kept, the newest ones. */
#define LATENCIES	8192

/* A device and the read that runs on it. */
struct lane {
	struct subchannel *dasd;
	uint64_t left;			/* reads still to be started */
	uint64_t started;		/* TOD clock at SSCH */
	bool running;
	struct dasd_program program;
};

static struct lane lanes[MAX_DASDS];
static uint8_t blocks[MAX_DASDS][BLOCK_SIZE] __attribute__((aligned(BLOCK_SIZE)));
static uint64_t latencies[LATENCIES];

/* What went wrong first; empty while nothing has. */
static char failure[160];

static void fail(const struct lane *lane, const struct io *io)
{
	if (!failure[0])
		format(failure, sizeof(failure), "device %04x: %s", lane->dasd->devno, io_describe(io));
}

static void prepare(struct lane *lane, struct subchannel *dasd, uint8_t *block, uint64_t count)
{
	static const struct cchh track = { 1, 0 };

	lane->dasd = dasd;
	lane->left = count;
	dasd_begin(&lane->program, track, 1, LOCATE_RECORD_READ_DATA, 1, BLOCK_SIZE);
	dasd_transfer(&lane->program, DASD_ECKD_CCW_READ_MT, block, BLOCK_SIZE);
}

/* Starts the lane's next read, if it has one left and nothing has failed. */
static void start(struct lane *lane)
{
	struct io io;

	lane->running = false;
	if (!lane->left || failure[0])
		return;
	lane->started = store_clock_fast();
	io = (struct io){ .cc = dasd_start(lane->dasd, &lane->program) };
	if (io.cc != 0) {
		fail(lane, &io);
		return;
	}
	lane->left--;
	lane->running = true;
}

static struct lane *lane_of(uint32_t subsystem_id, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (lanes[i].dasd->id == subsystem_id)
			return &lanes[i];
	return NULL;
}

static bool any_running(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (lanes[i].running)
			return true;
	return false;
}

/* Takes one interruption; returns the lane whose read it ended, or NULL. */
static struct lane *take(unsigned count)
{
	struct io io = { 0 };
	struct lane *lane;

	if (!wait_for(&io_event.arrived, PATIENCE)) {
		io.timed_out = true;
		for (unsigned i = 0; i < count; i++) {
			if (lanes[i].running)
				fail(&lanes[i], &io);
			lanes[i].running = false;
		}
		return NULL;
	}
	io_event.arrived = false;
	lane = lane_of(io_event.subsystem_id, count);
	if (tsch(io_event.subsystem_id, &io.irb) != 0 || !lane || !lane->running)
		return NULL;
	/* A status before the last one: the read goes on. */
	if (!(io.irb.scsw.ctrl & (SCSW_STCTL_SECONDARY | SCSW_STCTL_ALERT)))
		return NULL;
	if (!io_normal(&io)) {
		fail(lane, &io);
		lane->running = false;
		return NULL;
	}
	return lane;
}

static bool report(unsigned series, unsigned calls, uint64_t units)
{
	return hcall(H_MINIVISOR_MARK, series, calls, units, 0).code == H_SUCCESS;
}

/* Runs all lanes to their ends; returns the reads that ended normally, whose times are in `latencies`. */
static uint64_t run(unsigned count, bool *reported)
{
	uint64_t done = 0;
	uint64_t batch = store_clock_fast();

	for (unsigned i = 0; i < count; i++)
		start(&lanes[i]);
	while (any_running(count)) {
		struct lane *lane = take(count);

		if (!lane)
			continue;
		latencies[done++ % LATENCIES] = store_clock_fast() - lane->started;
		start(lane);
		if (done % BATCH)
			continue;
		*reported = report(SERIES_BATCH, BATCH, store_clock_fast() - batch) && *reported;
		batch = store_clock_fast();
	}
	return done;
}

void dasd_parallel(uint64_t count)
{
	struct subchannel *dasds[MAX_DASDS];
	unsigned devices = all_dasds(dasds);
	bool reported = true;
	uint64_t done;
	char name[80];

	for (unsigned i = 0; i < devices; i++)
		prepare(&lanes[i], dasds[i], blocks[i], count);
	done = run(devices, &reported);
	for (uint64_t i = done > LATENCIES ? done - LATENCIES : 0; i < done; i++)
		reported = report(SERIES_LATENCY, 1, latencies[i % LATENCIES]) && reported;
	format(name, sizeof(name), "parallel: %lu reads from each of %u devices", count, devices);
	check(done == count * devices && reported, name, "expected channel end and device end of every one; %s", failure);
}
