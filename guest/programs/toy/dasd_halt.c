/* HALT SUBCHANNEL and CLEAR SUBCHANNEL while a read of the slow cylinder is under way. */
#include "check.h"
#include "dasd.h"
#include "dasd_checks.h"
#include "mem.h"

static uint8_t block[BLOCK_SIZE] __attribute__((aligned(BLOCK_SIZE)));
static struct dasd_program program;

static bool start_slow_read(struct subchannel *dasd, uint16_t slow_cylinder, const char *name)
{
	int cc;

	dasd_begin(&program, (struct cchh){ slow_cylinder, 0 }, 1, LOCATE_RECORD_READ_DATA, 1, BLOCK_SIZE);
	dasd_transfer(&program, DASD_ECKD_CCW_READ_MT, block, BLOCK_SIZE);
	cc = dasd_start(dasd, &program);
	return check(cc == 0, name, "expected cc 0 of SSCH, got %d", cc);
}

/* The subchannel and the device must be fit for work again. */
static void check_normal_read(struct subchannel *dasd, const char *name)
{
	const struct cchh track = { 1, 2 };
	const uint8_t record = 1;
	struct io io;
	unsigned offset;

	memset(block, 0, sizeof(block));
	io = dasd_read_block(dasd, track, record, block);
	for (offset = 0; offset < BLOCK_SIZE; offset += 4)
		if (*(const uint32_t *)(block + offset) != record_pattern(track, record, offset))
			break;
	check(io_normal(&io) && offset == BLOCK_SIZE, name, "expected device status 0c and the pattern, got %s, %u good bytes",
	      io_describe(&io), offset);
}

static void check_halt(struct subchannel *dasd, uint16_t slow_cylinder)
{
	struct io io = { 0 };

	if (!start_slow_read(dasd, slow_cylinder, "slow read starts, to be halted"))
		return;
	io.cc = hsch(dasd->id);
	if (!check(io.cc == 0, "HSCH is accepted", "expected cc 0, got %d", io.cc))
		return;
	io_wait(dasd, &io);
	check(!io.timed_out && (io.irb.scsw.ctrl & SCSW_FCTL_HALT) && (io.irb.scsw.ctrl & SCSW_STCTL_PENDING),
	      "interruption shows the halt function", "expected control with 2001, got %s", io_describe(&io));
	check_normal_read(dasd, "read after the halt");
}

static void check_clear(struct subchannel *dasd, uint16_t slow_cylinder)
{
	struct io io = { 0 };

	if (!start_slow_read(dasd, slow_cylinder, "slow read starts, to be cleared"))
		return;
	io.cc = csch(dasd->id);
	if (!check(io.cc == 0, "CSCH is accepted", "expected cc 0, got %d", io.cc))
		return;
	io_wait(dasd, &io);
	check(!io.timed_out && (io.irb.scsw.ctrl & SCSW_FCTL_CLEAR) &&
	      (io.irb.scsw.ctrl & SCSW_STCTL_MASK) == SCSW_STCTL_PENDING && io.irb.scsw.dstat == 0 &&
	      io.irb.scsw.cstat == 0, "interruption shows the clear function, status pending alone",
	      "expected control 1001, status 00 00, got %s", io_describe(&io));
	check_normal_read(dasd, "read after the clear");
}

void check_halt_and_clear(struct subchannel *dasd, uint16_t slow_cylinder)
{
	check_halt(dasd, slow_cylinder);
	check_clear(dasd, slow_cylinder);
}
