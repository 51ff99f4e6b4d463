#include "halt_bench.h"

#include "check.h"
#include "dasd.h"
#include "fmt.h"
#include "hcall.h"
#include "interruption.h"
#include "second_cpu.h"
#include "sigp.h"

/* Times of a function that are kept, the newest ones. */
#define KEPT		4096
/* Programs that may end by themselves before the function comes, for each one that is halted in time. */
#define TOO_LATE	4
#define CCW_CMD_NOOP	0x03
/* Microseconds between two SSCHs to a device that is busy: how exactly the end is known. */
#define PAUSE		50

enum end { HALTED, ENDED_BEFORE, FAILED };

/* Of either function: the instruction, its bit in the SCSW, and the numbers of its series. */
static const struct function {
	const char *name;
	int (*instruction)(uint32_t id);
	uint16_t bit;
	unsigned seen_series, free_series;
} functions[] = {
	{ "HSCH", hsch, SCSW_FCTL_HALT, 9, 10 },
	{ "CSCH", csch, SCSW_FCTL_CLEAR, 11, 12 },
};

static uint8_t block[BLOCK_SIZE] __attribute__((aligned(BLOCK_SIZE)));
static struct dasd_program slow_read;
static struct subchannel *subchannel;
static char failure[160];

/* What the second CPU is told to do, and what came of it. */
static volatile bool wanted, answered;
static volatile int start_cc;

static uint64_t freed[KEPT];

/* Runs on the second CPU: a read for every emergency signal. Its mask for I/O is closed: interruptions are the first CPU's. */
static void starter(void)
{
	set_control_register_0(control_register_0() | CR0_EMERGENCY_SIGNAL);
	for (;;) {
		while (!wanted)
			wait_enabled();
		wanted = false;
		start_cc = dasd_start(subchannel, &slow_read);
		answered = true;
	}
}

static enum end fail(const char *what, int expected, int came)
{
	if (!failure[0])
		format(failure, sizeof(failure), "%s: expected %04x, got %04x", what, expected, came);
	return FAILED;
}

/* Waits until the subchannel shows the start function, while the second CPU may stand in its SSCH. */
static bool under_way(struct schib *schib)
{
	uint64_t deadline = store_clock_fast() + PATIENCE * TOD_MICROSECOND;

	do {
		if (stsch(subchannel->id, schib) != 0)
			return false;
	} while (!(schib->scsw.ctrl & SCSW_FCTL_START) && store_clock_fast() < deadline);
	return schib->scsw.ctrl & SCSW_FCTL_START;
}

/*
 * Takes interruptions until one has a status. One without is what is left of a program that was only said to be halted: the
 * next SSCH, with which the VMM writes the I/O region, came before the VMM had read the old status there.
 */
static bool take(struct irb *irb)
{
	do {
		if (!wait_for(&io_event.arrived, PATIENCE))
			return false;
		io_event.arrived = false;
	} while (tsch(subchannel->id, irb) != 0);
	return true;
}

/* Starts no-operations until the device takes one; *accepted is the time of that SSCH. Their ends are taken too. */
static bool run_noop(uint64_t *accepted)
{
	static const struct ccw1 noop = { .cmd_code = CCW_CMD_NOOP, .flags = CCW_FLAG_SLI, .count = 1 };
	uint64_t deadline = store_clock_fast() + PATIENCE * TOD_MICROSECOND;
	struct orb orb = {
		.intparm = subchannel->id,
		.ctrl0 = ORB_CTRL0_FMT | ORB_CTRL0_PFCH,
		.lpm = subchannel->lpm,
		.cpa = channel_address(&noop),
	};
	struct irb irb;
	int cc;

	do {
		io_event.arrived = false;
		*accepted = store_clock_fast();
		cc = ssch(subchannel->id, &orb);
		/* Status that nobody expects any more: the end of a program that was only said to be halted. */
		if (cc == 1)
			tsch(subchannel->id, &irb);
		else if (cc == 2)
			wait_for(&io_event.arrived, PAUSE);
	} while (cc != 0 && cc != 3 && *accepted < deadline);
	if (cc != 0) {
		fail("condition code of SSCH afterwards", 0, cc);
		return false;
	}
	do {
		if (!take(&irb)) {
			fail("interruption of the program afterwards", 1, 0);
			return false;
		}
	} while (!(irb.scsw.ctrl & (SCSW_STCTL_SECONDARY | SCSW_STCTL_ALERT)));
	return true;
}

/* Waits until the second CPU is out of its SSCH; the event handlers of both CPUs are the same, so it is looked at. */
static bool wait_answered(void)
{
	uint64_t deadline = store_clock_fast() + PATIENCE * TOD_MICROSECOND;

	while (!answered && store_clock_fast() < deadline)
		;
	return answered;
}

/* Starts a read, ends it by the function; its times go to *to_seen and *to_free. */
static enum end once(const struct function *function, uint64_t *to_seen, uint64_t *to_free)
{
	uint64_t start, interrupted, accepted;
	struct schib schib;
	struct irb irb;
	uint32_t status;
	int cc;

	io_event.arrived = false;
	answered = false;
	wanted = true;
	if (sigp(second_cpu_address(), SIGP_EMERGENCY_SIGNAL, 0, &status) != 0)
		return fail("emergency signal", 0, status);
	if (!under_way(&schib))
		return fail("control of the SCSW after SSCH", SCSW_FCTL_START, schib.scsw.ctrl);
	start = store_clock_fast();
	cc = function->instruction(subchannel->id);
	/* 2: the program has ended, but its status is still on its way from the host's subchannel (EBUSY of vfio-ccw). */
	if (cc > 2)
		return fail("condition code of the function", 0, cc);
	if (!take(&irb))
		return fail("interruption of the function", 1, 0);
	interrupted = store_clock_fast();
	if (!run_noop(&accepted) || !wait_answered())
		return fail("answer of the second CPU", 1, answered);
	if (start_cc != 0)
		return fail("condition code of SSCH", 0, start_cc);
	if (cc != 0 || !(irb.scsw.ctrl & function->bit))
		return ENDED_BEFORE;
	*to_seen = interrupted - start;
	*to_free = accepted - start;
	return HALTED;
}

static bool report(unsigned series, const uint64_t *times, uint64_t count)
{
	for (uint64_t i = count > KEPT ? count - KEPT : 0; i < count; i++)
		if (hcall(H_MINIVISOR_MARK, series, 1, times[i % KEPT], 0).code != H_SUCCESS)
			return false;
	return true;
}

static void run(const struct function *function, uint64_t count)
{
	uint64_t done = 0, early = 0;
	bool reported = true;
	char name[80];

	while (done < count && early <= TOO_LATE * count && reported) {
		uint64_t to_seen, to_free;
		enum end end = once(function, &to_seen, &to_free);

		if (end == FAILED)
			break;
		if (end == ENDED_BEFORE) {
			early++;
			continue;
		}
		freed[done++ % KEPT] = to_free;
		/* As it happens: with the report goes what the machine did for it. */
		reported = report(function->seen_series, &to_seen, 1);
	}
	reported = reported && report(function->free_series, freed, done);
	format(name, sizeof(name), "bench %s: %lu programs of a slow device", function->name, count);
	check(done == count && reported, name, "%lu ended in time, %lu before; %s", done, early, failure);
}

void bench_halt_and_clear(struct subchannel *dasd, uint64_t count)
{
	static const struct cchh track = { 1, 0 };

	subchannel = dasd;
	dasd_begin(&slow_read, track, 1, LOCATE_RECORD_READ_DATA, 1, BLOCK_SIZE);
	dasd_transfer(&slow_read, DASD_ECKD_CCW_READ_MT, block, BLOCK_SIZE);
	if (!second_cpu_stopped("bench of halt and clear") || !second_cpu_start(starter))
		return;
	for (unsigned i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		run(&functions[i], count);
	second_cpu_stop();
}
