#include "dasd_writeload.h"

#include "check.h"
#include "dasd.h"
#include "fmt.h"
#include "mem.h"

#define FIRST_CYLINDER		1
#define CYLINDERS		2
#define TRACKS			(CYLINDERS * HEADS_PER_CYLINDER)
#define FORMAT_EVERY		8	/* one write in so many formats a track */

#define DASD_ECKD_CCW_WRITE_CKD		0x1d
#define DEFINE_EXTENT_PERMIT_ALL	0xc0	/* mask: format writes, too */
#define LOCATE_RECORD_FORMAT		0x03	/* orientation 0 (count area), operation 3: format write */

/* Record sizes a track is formatted with, and how many fit (GX26-4577: 1729 cells of 34 bytes). */
static const struct layout {
	uint16_t size;
	uint8_t records;
} layouts[] = { { 4096, 12 }, { 2048, 21 }, { 1024, 33 } };
#define LAYOUTS		(sizeof(layouts) / sizeof(layouts[0]))
#define MAX_RECORDS	33

/* Layout of each track. */
static uint8_t layout_of[TRACKS];

/* Count area and data, as Write Count, Key and Data takes them. */
static struct {
	struct cchh track;
	uint8_t record, key_length;
	uint16_t data_length;
	uint32_t data[BLOCK_SIZE / 4];
} __attribute__((packed, aligned(8))) record_buffers[MAX_RECORDS];

static struct {
	struct ccw1 ccw[2 + MAX_RECORDS];
	struct define_extent extent;
	struct locate_record locate;
} program;

/* xorshift64 (Marsaglia 2003): the same seed, the same writes. */
static uint32_t random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 32;
}

static void fill(unsigned index, uint64_t number, uint8_t record, uint16_t size)
{
	uint32_t base = ((uint32_t)number * 16 + record) * 0x9e3779b1U;

	for (uint32_t offset = 0; offset < size; offset += 4)
		record_buffers[index].data[offset / 4] = base + offset * 0x85ebca6bU;
}

static void begin(struct cchh track, uint8_t record, uint8_t mask, uint8_t operation, uint8_t count, uint16_t size)
{
	memset(&program, 0, sizeof(program));
	program.extent.mask = mask;
	program.extent.attributes = DEFINE_EXTENT_ECKD;
	program.extent.block_size = size;
	program.extent.begin = track;
	program.extent.end = track;
	program.locate.operation = operation;
	program.locate.count = count;
	program.locate.seek = track;
	program.locate.search = track;
	program.locate.search_record = record;
	program.locate.sector = LOCATE_RECORD_NO_SECTOR;
	program.ccw[0] = (struct ccw1){ DASD_ECKD_CCW_DEFINE_EXTENT, CCW_FLAG_CC, sizeof(program.extent),
					channel_address(&program.extent) };
	program.ccw[1] = (struct ccw1){ DASD_ECKD_CCW_LOCATE_RECORD, CCW_FLAG_CC, sizeof(program.locate),
					channel_address(&program.locate) };
}

static struct io update(struct subchannel *dasd, struct cchh track, uint8_t record, uint16_t size, uint64_t number)
{
	fill(0, number, record, size);
	begin(track, record, DEFINE_EXTENT_UPDATE_WRITE, LOCATE_RECORD_WRITE_DATA, 1, size);
	program.locate.auxiliary = LOCATE_RECORD_TLF_VALID;
	program.locate.transfer_length = size;
	program.ccw[2] = (struct ccw1){ DASD_ECKD_CCW_WRITE_MT, 0, size, channel_address(record_buffers[0].data) };
	return io_run(dasd, program.ccw, 0);
}

static struct io format_track(struct subchannel *dasd, struct cchh track, const struct layout *layout, uint64_t number)
{
	begin(track, 0, DEFINE_EXTENT_PERMIT_ALL, LOCATE_RECORD_FORMAT, layout->records, 0);
	for (unsigned i = 0; i < layout->records; i++) {
		bool last = i + 1 == layout->records;

		fill(i, number, i + 1, layout->size);
		record_buffers[i].track = track;
		record_buffers[i].record = i + 1;
		record_buffers[i].key_length = 0;
		record_buffers[i].data_length = layout->size;
		program.ccw[2 + i] = (struct ccw1){ DASD_ECKD_CCW_WRITE_CKD, last ? 0 : CCW_FLAG_CC, 8 + layout->size,
						    channel_address(&record_buffers[i]) };
	}
	return io_run(dasd, program.ccw, 0);
}

static bool write_one(struct subchannel *dasd, uint64_t number, uint64_t *state)
{
	unsigned index = random(state) % TRACKS;
	const struct cchh track = { FIRST_CYLINDER + index / HEADS_PER_CYLINDER, index % HEADS_PER_CYLINDER };
	const struct layout *layout;
	const char *what;
	unsigned detail;
	struct io io;

	if (random(state) % FORMAT_EVERY == 0) {
		layout_of[index] = random(state) % LAYOUTS;
		layout = &layouts[layout_of[index]];
		what = "format";
		detail = layout->size;
		io = format_track(dasd, track, layout, number);
	} else {
		layout = &layouts[layout_of[index]];
		what = "update";
		detail = 1 + random(state) % layout->records;
		io = update(dasd, track, detail, layout->size, number);
	}
	if (!io_normal(&io))
		return check(false, what, "write %lu on cylinder %u head %u: expected device status 0c, got %s", number,
			     track.cylinder, track.head, io_describe(&io));
	print("write %lu %s %u %u %u\n", number, what, track.cylinder, track.head, detail);
	return true;
}

void dasd_writeload(struct subchannel *dasd, uint64_t count, uint64_t seed)
{
	/* Zero is the one state xorshift never leaves. */
	uint64_t state = seed * 0x9e3779b97f4a7c15UL + 1;

	for (uint64_t number = 1; number <= count; number++)
		if (!write_one(dasd, number, &state))
			return;
	check(true, "writeload", "%s", "");
}
