#include "dasd.h"

#include "mem.h"

void dasd_begin(struct dasd_program *program, struct cchh track, uint8_t record, uint8_t operation, uint8_t count,
		uint16_t length)
{
	memset(program, 0, sizeof(*program));
	program->extent.mask =
		operation == LOCATE_RECORD_WRITE_DATA ? DEFINE_EXTENT_UPDATE_WRITE : DEFINE_EXTENT_INHIBIT_WRITE;
	program->extent.attributes = DEFINE_EXTENT_ECKD;
	program->extent.block_size = length;
	program->extent.begin = track;
	program->extent.end = track;
	program->locate.operation = operation;
	program->locate.auxiliary = length ? LOCATE_RECORD_TLF_VALID : 0;
	program->locate.count = count;
	program->locate.seek = track;
	program->locate.search = track;
	program->locate.search_record = record;
	program->locate.sector = LOCATE_RECORD_NO_SECTOR;
	program->locate.transfer_length = length;
	program->ccw[0] = (struct ccw1){ DASD_ECKD_CCW_DEFINE_EXTENT, CCW_FLAG_CC, sizeof(program->extent),
					 channel_address(&program->extent) };
	program->ccw[1] = (struct ccw1){ DASD_ECKD_CCW_LOCATE_RECORD, 0, sizeof(program->locate),
					 channel_address(&program->locate) };
}

static void add(struct dasd_program *program, struct ccw1 ccw)
{
	unsigned next = 2 + program->transfers++;

	program->ccw[next - 1].flags |= CCW_FLAG_CC;
	program->ccw[next] = ccw;
}

void dasd_transfer(struct dasd_program *program, uint8_t command, void *data, uint16_t length)
{
	add(program, (struct ccw1){ command, 0, length, channel_address(data) });
}

void dasd_transfer_split(struct dasd_program *program, uint8_t command, void *first, void *second)
{
	uint64_t *idal = program->idal[program->transfers];

	idal[0] = (uintptr_t)first;
	idal[1] = (uintptr_t)second;
	add(program, (struct ccw1){ command, CCW_FLAG_IDA, BLOCK_SIZE, channel_address(idal) });
}

int dasd_start(struct subchannel *subchannel, struct dasd_program *program)
{
	return io_start(subchannel, program->ccw, ORB_CTRL0_C64);
}

struct io dasd_run(struct subchannel *subchannel, struct dasd_program *program)
{
	return io_run(subchannel, program->ccw, ORB_CTRL0_C64);
}

static struct io run_block(struct subchannel *subchannel, struct cchh track, uint8_t record, void *block,
			   uint8_t operation, uint8_t command)
{
	static struct dasd_program program;

	dasd_begin(&program, track, record, operation, 1, BLOCK_SIZE);
	dasd_transfer(&program, command, block, BLOCK_SIZE);
	return dasd_run(subchannel, &program);
}

struct io dasd_read_block(struct subchannel *subchannel, struct cchh track, uint8_t record, void *block)
{
	return run_block(subchannel, track, record, block, LOCATE_RECORD_READ_DATA, DASD_ECKD_CCW_READ_MT);
}

struct io dasd_write_block(struct subchannel *subchannel, struct cchh track, uint8_t record, void *block)
{
	return run_block(subchannel, track, record, block, LOCATE_RECORD_WRITE_DATA, DASD_ECKD_CCW_WRITE_MT);
}
