/* The time that a stream's frames take, in batches. The first ones warm up: the first half is left out of the rate. */
#ifndef METER_H
#define METER_H

#include <stdint.h>

#define METER_BATCHES	32
/* Of a stream whose work the machine is not to count. */
#define NO_SERIES	~0U

struct meter_batch {
	unsigned frames;
	uint64_t units;		/* TOD units */
};

struct meter {
	unsigned batches;
	unsigned from;		/* frames that were through when the running batch began */
	uint64_t start;		/* and when that was */
	struct meter_batch batch[METER_BATCHES];
};

void meter_start(struct meter *meter, uint64_t now);
/* `done` of all the `frames` are through now: ends a batch when it has its share of them. */
void meter_note(struct meter *meter, unsigned done, unsigned frames, uint64_t now);
/* MB/s of the second half of the batches, for frames of `size` bytes; 0 when that cannot be told. */
uint64_t meter_rate(const struct meter *meter, unsigned size);
/*
 * `done` frames are through: the machine counts the work of a series from the first time it is told so to the last. That
 * is an exit, and not for every batch.
 */
void meter_work(unsigned series, unsigned done);
/* Reports every batch to the machine: H_MINIVISOR_MARK. */
void meter_mark(const struct meter *meter, unsigned series);

#endif
