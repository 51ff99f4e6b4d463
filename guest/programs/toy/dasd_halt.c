/* HALT SUBCHANNEL and CLEAR SUBCHANNEL while a read of the slow cylinder is under way. */
#include "check.h"
#include "cmdline.h"
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

	memset(block, 0xee, sizeof(block));
	io = dasd_read_block(dasd, track, record, block);
	for (offset = 0; offset < BLOCK_SIZE; offset += 4) {
		uint32_t expected = volume_content == VOLUME_PATTERN ? record_pattern(track, record, offset) : 0;

		if (*(const uint32_t *)(block + offset) != expected)
			break;
	}
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

/*
 * A machine whose SSCH holds the CPU until the program has ended (the vfio-ccw proposal of 2016) leaves nothing to halt
 * or to clear: HSCH comes too late, whenever it comes.
 */
static void check_blocking(struct subchannel *dasd, uint16_t slow_cylinder)
{
	struct io io = { 0 };
	int cc;

	if (!start_slow_read(dasd, slow_cylinder, "slow read starts, and has ended when SSCH has"))
		return;
	cc = hsch(dasd->id);
	check(cc == 1, "HSCH finds status pending", "expected cc 1, got %d", cc);
	io_wait(dasd, &io);
	check(io_normal(&io), "slow read has run to its end", "expected device status 0c, got %s", io_describe(&io));
	check_normal_read(dasd, "read after the slow read");
	skip("halt and clear", "SSCH holds the CPU until its program has ended (ccwapi=cmd-request)");
}

void check_halt_and_clear(struct subchannel *dasd, uint16_t slow_cylinder)
{
	if (volume_content == VOLUME_NO_RECORDS) {
		skip("halt and clear", "the volume has no records to read slowly");
		return;
	}
	if (cmdline_has("ccwapi=cmd-request")) {
		check_blocking(dasd, slow_cylinder);
		return;
	}
	/* The end of a program that was only said to be halted would pass for that of the next one. */
	if (cmdline_has("ccwapi=io-region")) {
		skip("halt and clear", "they do not reach the device (ccwapi=io-region)");
		return;
	}
	check_halt(dasd, slow_cylinder);
	check_clear(dasd, slow_cylinder);
}
