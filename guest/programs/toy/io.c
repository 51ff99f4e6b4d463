#include "io.h"

#include "check.h"
#include "fmt.h"
#include "interruption.h"

/* What was wrong with an interruption; the first one is kept for the report. */
static char first_fault[160];
static unsigned interruptions;

static void fault(const char *what, uint32_t expected, uint32_t came)
{
	if (!first_fault[0])
		format(first_fault, sizeof(first_fault), "interruption %u: expected %s %08x, got %08x", interruptions,
		       what, expected, came);
}

void io_open(void)
{
	set_control_register_6(0x80000000UL >> IO_SCH_ISC);
}

int io_start(struct subchannel *subchannel, const struct ccw1 *program, uint16_t ctrl0)
{
	/* A fresh parameter each time tells a late interruption from the one that is due. */
	static uint32_t sequence = 0x70790000;
	struct orb orb = {
		.intparm = ++sequence,
		.ctrl0 = ORB_CTRL0_FMT | ORB_CTRL0_PFCH | ctrl0,
		.lpm = subchannel->lpm,
		.cpa = channel_address(program),
	};
	struct irb stale;
	int cc;

	io_event.arrived = false;
	for (int attempt = 0; attempt < 4; attempt++) {
		subchannel->started = store_clock_fast();
		cc = ssch(subchannel->id, &orb);
		if (cc != 1)
			break;
		/* Status of an earlier operation (an attention, say) has to be taken first. */
		tsch(subchannel->id, &stale);
	}
	if (cc == 0)
		subchannel->intparm = orb.intparm;
	return cc;
}

/* One interruption of this subchannel into *irb; false when none came in time. */
static bool take(struct subchannel *subchannel, struct irb *irb)
{
	struct irb other;
	int cc;

	for (;;) {
		if (!wait_for(&io_event.arrived, PATIENCE))
			return false;
		io_event.arrived = false;
		interruptions++;
		subchannel->interrupted = store_clock_fast();
		if (io_event.subsystem_id == subchannel->id)
			break;
		/* Another enabled device: its status is not ours, but must not stay pending. */
		tsch(io_event.subsystem_id, &other);
	}
	if (io_event.intparm != subchannel->intparm)
		fault("parameter", subchannel->intparm, io_event.intparm);
	if (io_event.id_word != (uint32_t)IO_SCH_ISC << 27)
		fault("identification word", (uint32_t)IO_SCH_ISC << 27, io_event.id_word);
	cc = tsch(subchannel->id, irb);
	if (cc != 0)
		fault("condition code of TSCH", 0, cc);
	return true;
}

void io_wait(struct subchannel *subchannel, struct io *io)
{
	uint8_t dstat = 0, cstat = 0;
	struct scsw primary = { 0 };
	struct irb nothing;
	int cc;

	for (;;) {
		uint16_t ctrl;

		if (!take(subchannel, &io->irb)) {
			io->timed_out = true;
			return;
		}
		dstat |= io->irb.scsw.dstat;
		cstat |= io->irb.scsw.cstat;
		ctrl = io->irb.scsw.ctrl;
		if (ctrl & SCSW_STCTL_PRIMARY)
			primary = io->irb.scsw;
		if (ctrl & (SCSW_STCTL_SECONDARY | SCSW_STCTL_ALERT))
			break;
		if (!(ctrl & (SCSW_STCTL_INTERMEDIATE | SCSW_STCTL_PRIMARY)))
			break;		/* halt and clear may end with status pending alone */
		if ((io->irb.scsw.flags & SCSW_FLAGS_CC) || !(ctrl & SCSW_ACTL_DEVICE_ACTIVE))
			break;		/* nothing is running that could report more */
	}
	/* Only now: after a first ending status the second one may follow at any time. */
	cc = tsch(subchannel->id, &nothing);
	if (cc != 1)
		fault("condition code of TSCH after the end", 1, cc);
	io->irb.scsw.dstat = dstat;
	io->irb.scsw.cstat = cstat;
	if (primary.ctrl) {
		/* Where the program ended is told with channel end, even if device end came later. */
		io->irb.scsw.cpa = primary.cpa;
		io->irb.scsw.count = primary.count;
	}
}

struct io io_run(struct subchannel *subchannel, const struct ccw1 *program, uint16_t ctrl0)
{
	struct io io = { .cc = io_start(subchannel, program, ctrl0) };

	if (io.cc == 0)
		io_wait(subchannel, &io);
	return io;
}

bool io_normal(const struct io *io)
{
	return io->cc == 0 && !io->timed_out && !(io->irb.scsw.flags & SCSW_FLAGS_CC) &&
	       !(io->irb.scsw.ctrl & SCSW_STCTL_ALERT) &&
	       io->irb.scsw.dstat == (SCSW_DSTAT_CHANNEL_END | SCSW_DSTAT_DEVICE_END) && io->irb.scsw.cstat == 0;
}

const char *io_describe(const struct io *io)
{
	static char text[120];
	const struct scsw *scsw = &io->irb.scsw;

	if (io->cc != 0)
		format(text, sizeof(text), "condition code %d", io->cc);
	else if (io->timed_out)
		format(text, sizeof(text), "no I/O interruption");
	else
		format(text, sizeof(text), "deferred cc %u, control %04x, device %02x, subchannel %02x, residual %u",
		       (scsw->flags & SCSW_FLAGS_CC) >> 8, scsw->ctrl, scsw->dstat, scsw->cstat, scsw->count);
	return text;
}

void io_check_interruptions(void)
{
	check(!first_fault[0], "I/O interruptions: subsystem id, parameter, ISC, TSCH cc 0 then cc 1", "%s", first_fault);
}
