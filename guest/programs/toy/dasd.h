/*
 * ECKD channel programs for a 3390.
 * Commands and parameters: IBM 3990/9390 Storage Control Reference (GA32-0274), "Define Extent", "Locate Record".
 */
#ifndef DASD_H
#define DASD_H

#include "io.h"

#define DASD_ECKD_CCW_DEFINE_EXTENT	0x63
#define DASD_ECKD_CCW_LOCATE_RECORD	0x47
#define DASD_ECKD_CCW_READ		0x06
#define DASD_ECKD_CCW_READ_MT		0x86
#define DASD_ECKD_CCW_WRITE_MT		0x85
#define CCW_CMD_BASIC_SENSE		0x04

#define BLOCK_SIZE		4096
#define BLOCKS_PER_TRACK	12	/* 4096-byte records without keys on a 3390 track */
#define HEADS_PER_CYLINDER	15

/* Track address. */
struct cchh {
	uint16_t cylinder;
	uint16_t head;
} __attribute__((packed));

struct define_extent {
	uint8_t mask;
	uint8_t attributes;
	uint16_t block_size;
	uint16_t fast_write_id;
	uint8_t additional;
	uint8_t extended;
	struct cchh begin;
	struct cchh end;
} __attribute__((packed));

#define DEFINE_EXTENT_INHIBIT_WRITE	0x40	/* mask: no write of any kind */
#define DEFINE_EXTENT_UPDATE_WRITE	0x80	/* mask: writes that keep the record format */
#define DEFINE_EXTENT_ECKD		0xc0	/* attributes: ECKD architecture, normal caching */

struct locate_record {
	uint8_t operation;
	uint8_t auxiliary;
	uint8_t reserved;
	uint8_t count;
	struct cchh seek;
	struct cchh search;
	uint8_t search_record;
	uint8_t sector;
	uint16_t transfer_length;
} __attribute__((packed));

#define LOCATE_RECORD_WRITE_DATA	0x01	/* orientation 0 (count area), operation 1 */
#define LOCATE_RECORD_READ_DATA		0x06
#define LOCATE_RECORD_TLF_VALID		0x80	/* auxiliary: transfer_length is given */
#define LOCATE_RECORD_NO_SECTOR		0xff

_Static_assert(sizeof(struct define_extent) == 16, "Define Extent parameters");
_Static_assert(sizeof(struct locate_record) == 16, "Locate Record parameters");

/* A program of Define Extent, Locate Record and up to a track of data transfers. */
struct dasd_program {
	struct ccw1 ccw[2 + BLOCKS_PER_TRACK];
	uint64_t idal[BLOCKS_PER_TRACK][2];	/* format-2 IDAWs for a record that crosses a page */
	struct define_extent extent;
	struct locate_record locate;
	unsigned transfers;
};

/*
 * Begins a program for `count` records from `record` of a track, in an extent of just that track.
 * operation: LOCATE_RECORD_*; length: of each record's data, 0 = leave it to the device.
 */
void dasd_begin(struct dasd_program *program, struct cchh track, uint8_t record, uint8_t operation, uint8_t count,
		uint16_t length);

/* Adds a transfer to or from one contiguous buffer. */
void dasd_transfer(struct dasd_program *program, uint8_t command, void *data, uint16_t length);

/* Adds a transfer of one block: 2048 bytes at page offset 0x800, then 2048 at the start of another page. */
void dasd_transfer_split(struct dasd_program *program, uint8_t command, void *first, void *second);

/* Runs it to the end. */
struct io dasd_run(struct subchannel *subchannel, struct dasd_program *program);

/* SSCH only; returns the condition code. */
int dasd_start(struct subchannel *subchannel, struct dasd_program *program);

/* One contiguous block, in or out. */
struct io dasd_read_block(struct subchannel *subchannel, struct cchh track, uint8_t record, void *block);
struct io dasd_write_block(struct subchannel *subchannel, struct cchh track, uint8_t record, void *block);

/* The word the image creator put at this byte offset of a data record; offset is a multiple of 4. */
static inline uint32_t record_pattern(struct cchh track, uint8_t record, uint32_t offset)
{
	uint32_t number = (track.cylinder * HEADS_PER_CYLINDER + track.head) * 13 + record;

	return number * 0x9e3779b1U + offset * 0x85ebca6bU;
}

#endif
