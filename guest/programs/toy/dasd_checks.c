#include "dasd_checks.h"

#include "check.h"
#include "dasd.h"
#include "ebcdic.h"
#include "fmt.h"
#include "mem.h"

#define PAGE_SIZE	4096
#define HALF		(BLOCK_SIZE / 2)	/* a block begins at page offset 0x800: half of it fits */
#define FILLER		0xee

/* Pages of the scattered track buffer: record r begins in page r - 1 and goes on in page 24 - r. */
static uint8_t pages[2 * BLOCKS_PER_TRACK][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static struct dasd_program program;

enum volume_content volume_content = VOLUME_NO_RECORDS;

#define SENSE_LENGTH		32
#define SENSE_COMMAND_REJECT	0x80	/* sense byte 0, bit 0 */
#define SENSE_NO_RECORD_FOUND	0x08	/* sense byte 1, bit 4 */
#define SENSE_WRITE_INHIBITED	0x02	/* sense byte 1, bit 6 */

/* The sense information of a unit check: it came with the interruption, or is read now. */
static bool fetch_sense(struct subchannel *dasd, const struct io *io, uint8_t *sense)
{
	static struct ccw1 ccw;
	struct io basic;

	if (io->irb.esw[1] & ERW_CONCURRENT_SENSE) {
		memcpy(sense, io->irb.ecw, SENSE_LENGTH);
		return true;
	}
	ccw = (struct ccw1){ CCW_CMD_BASIC_SENSE, CCW_FLAG_SLI, SENSE_LENGTH, channel_address(sense) };
	basic = io_run(dasd, &ccw, 0);
	return check(io_normal(&basic), "basic sense is read", "expected device status 0c, got %s",
		     io_describe(&basic));
}

/* Whether a program ended with unit check and this bit in sense byte 1: no fault of the machine, but of the volume. */
static bool refused(struct subchannel *dasd, const struct io *io, uint8_t sense1)
{
	static uint8_t sense[SENSE_LENGTH];

	if (io->cc != 0 || io->timed_out || !(io->irb.scsw.dstat & SCSW_DSTAT_UNIT_CHECK))
		return false;
	return fetch_sense(dasd, io, sense) && (sense[1] & sense1);
}

/* The standard volume label: cylinder 0, head 0, record 3, key VOL1, 80 bytes of data. */
static void check_volume_label(struct subchannel *dasd)
{
	static const uint8_t vol1[4] = { 0xe5, 0xd6, 0xd3, 0xf1 };
	static const uint8_t lnx1[4] = { 0xd3, 0xd5, 0xe7, 0xf1 };
	static uint8_t label[80];
	char serial[7];
	struct io io;

	memset(label, FILLER, sizeof(label));
	dasd_begin(&program, (struct cchh){ 0, 0 }, 3, LOCATE_RECORD_READ_DATA, 1, 0);
	dasd_transfer(&program, DASD_ECKD_CCW_READ, label, sizeof(label));
	io = dasd_run(dasd, &program);
	if (refused(dasd, &io, SENSE_NO_RECORD_FOUND)) {
		skip("volume label", "the volume has none");
		return;
	}
	/* There the label is as long as any block: more than was asked for. */
	if (memcmp(label, lnx1, sizeof(lnx1)) == 0) {
		skip("volume label begins VOL1", "LNX1, of the Linux disk layout");
		return;
	}
	if (!check(io_normal(&io), "volume label is read", "expected device status 0c, got %s", io_describe(&io)))
		return;
	if (!check(memcmp(label, vol1, sizeof(vol1)) == 0, "volume label begins VOL1",
		   "expected e5d6d3f1, got %02x%02x%02x%02x", label[0], label[1], label[2], label[3]))
		return;
	ebcdic_to_ascii(serial, label + 4, sizeof(serial) - 1);
	print("volume serial %s\n", serial);
}

/* Byte `offset` of record `record` in the scattered buffer. */
static uint8_t *scattered(uint8_t record, uint32_t offset)
{
	if (offset < HALF)
		return &pages[record - 1][HALF + offset];
	return &pages[2 * BLOCKS_PER_TRACK - record][offset - HALF];
}

static uint32_t scattered_word(uint8_t record, uint32_t offset)
{
	return *(const uint32_t *)scattered(record, offset);
}

/* The halves of the pages that no IDAW covers must be as they were. */
static bool margins_untouched(void)
{
	for (unsigned page = 0; page < 2 * BLOCKS_PER_TRACK; page++) {
		const uint8_t *margin = pages[page] + (page < BLOCKS_PER_TRACK ? 0 : HALF);

		for (unsigned i = 0; i < HALF; i++)
			if (margin[i] != FILLER)
				return false;
	}
	return true;
}

/* Made without a pattern, a volume's records are zeros; a buffer that nobody wrote still has the filler. */
static bool all_zeros(void)
{
	for (uint8_t record = 1; record <= BLOCKS_PER_TRACK; record++)
		for (uint32_t offset = 0; offset < BLOCK_SIZE; offset += 4)
			if (scattered_word(record, offset) != 0)
				return false;
	return true;
}

/* The bytes of the track, each against the pattern. */
static void check_track_data(struct cchh track)
{
	uint32_t checksum = 0;

	if (all_zeros()) {
		volume_content = VOLUME_ZEROS;
		skip("track data is the creator's pattern", "zeros: the volume was made without a pattern");
		return;
	}
	volume_content = VOLUME_PATTERN;
	for (uint8_t record = 1; record <= BLOCKS_PER_TRACK; record++)
		for (uint32_t offset = 0; offset < BLOCK_SIZE; offset += 4) {
			uint32_t expected = record_pattern(track, record, offset);
			uint32_t word = scattered_word(record, offset);

			if (word != expected) {
				check(false, "track data", "record %u offset %u: expected %08x, got %08x", record,
				      offset, expected, word);
				return;
			}
			checksum = (checksum << 1 | checksum >> 31) ^ word;
		}
	check(true, "track data is the creator's pattern", "%s", "");
	print("track checksum %08x\n", checksum);
}

static void check_track_read(struct subchannel *dasd)
{
	const struct cchh track = { 1, 0 };
	struct io io;

	memset(pages, FILLER, sizeof(pages));
	dasd_begin(&program, track, 1, LOCATE_RECORD_READ_DATA, BLOCKS_PER_TRACK, BLOCK_SIZE);
	for (uint8_t record = 1; record <= BLOCKS_PER_TRACK; record++)
		dasd_transfer_split(&program, DASD_ECKD_CCW_READ_MT, scattered(record, 0), scattered(record, HALF));
	io = dasd_run(dasd, &program);
	if (refused(dasd, &io, SENSE_NO_RECORD_FOUND)) {
		skip("track of 12 records is read by IDALs", "the volume has no such records");
		return;
	}
	if (!check(io_normal(&io), "track of 12 records is read by IDALs", "expected device status 0c, got %s",
		   io_describe(&io)))
		return;
	check(io.irb.scsw.cpa == channel_address(&program.ccw[2 + BLOCKS_PER_TRACK]) && io.irb.scsw.count == 0,
	      "CCW address is 8 past the last CCW, residual count 0", "expected %08x and 0, got %08x and %u",
	      channel_address(&program.ccw[2 + BLOCKS_PER_TRACK]), io.irb.scsw.cpa, io.irb.scsw.count);
	check_track_data(track);
	check(margins_untouched(), "bytes outside the IDAWs are untouched", "expected %02x everywhere", FILLER);
}

/* Writes the complement of what is there, so that a write which never happened cannot look right. */
static void check_write(struct subchannel *dasd)
{
	static uint32_t out[BLOCK_SIZE / 4] __attribute__((aligned(8)));
	static uint32_t in[BLOCK_SIZE / 4] __attribute__((aligned(8)));
	const struct cchh track = { 1, 1 };
	const uint8_t record = 5;
	struct io io;

	if (volume_content == VOLUME_NO_RECORDS) {
		skip("record is written", "the volume has no such records");
		return;
	}
	io = dasd_read_block(dasd, track, record, out);
	if (!check(io_normal(&io), "record is read before the write", "expected device status 0c, got %s",
		   io_describe(&io)))
		return;
	for (unsigned i = 0; i < BLOCK_SIZE / 4; i++)
		out[i] = ~out[i];
	io = dasd_write_block(dasd, track, record, out);
	if (refused(dasd, &io, SENSE_WRITE_INHIBITED)) {
		skip("record is written", "the drive is read-only");
		return;
	}
	if (!check(io_normal(&io), "record is written", "expected device status 0c, got %s", io_describe(&io)))
		return;
	memset(in, FILLER, sizeof(in));
	io = dasd_read_block(dasd, track, record, in);
	if (!check(io_normal(&io), "record is read back", "expected device status 0c, got %s", io_describe(&io)))
		return;
	for (unsigned i = 0; i < BLOCK_SIZE / 4; i++)
		if (in[i] != out[i]) {
			check(false, "written data", "offset %u: expected %08x, got %08x", i * 4, out[i], in[i]);
			return;
		}
	check(true, "written data comes back", "%s", "");
}

#define CCW_CMD_UNKNOWN		0x7f	/* a control command no 3390 has */

static void check_command_reject(struct subchannel *dasd)
{
	static struct ccw1 ccw;
	static uint8_t data[8];
	static uint8_t sense[SENSE_LENGTH];
	struct io io;

	ccw = (struct ccw1){ CCW_CMD_UNKNOWN, CCW_FLAG_SLI, sizeof(data), channel_address(data) };
	io = io_run(dasd, &ccw, 0);
	if (!check(io.cc == 0 && !io.timed_out && (io.irb.scsw.dstat & SCSW_DSTAT_UNIT_CHECK),
		   "unknown command ends with unit check", "expected device status with 02, got %s", io_describe(&io)))
		return;
	if (!fetch_sense(dasd, &io, sense))
		return;
	check(sense[0] & SENSE_COMMAND_REJECT, "sense says command reject", "expected bit 80 in byte 0, got %02x",
	      sense[0]);
}

void check_dasd(struct subchannel *dasd)
{
	check_volume_label(dasd);
	check_track_read(dasd);
	check_write(dasd);
	check_command_reject(dasd);
}
