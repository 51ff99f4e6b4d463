/* Starting channel programs and taking their ends as I/O interruptions. */
#ifndef IO_H
#define IO_H

#include "cio.h"

/* A device the program found and enabled. */
struct subchannel {
	uint32_t id;
	uint32_t intparm;	/* what the next interruption must carry at 0xbc */
	uint64_t started;	/* TOD clock before the last SSCH */
	uint64_t interrupted;	/* TOD clock after the last interruption */
	uint16_t devno;
	uint8_t lpm;
};

/* How a function ended. */
struct io {
	int cc;			/* of the instruction that started the function */
	bool timed_out;
	struct irb irb;		/* of the last interruption, with the statuses of all of them ORed in */
};

/* Opens ISC 3 in control register 6. */
void io_open(void);

/* Runs a format-1 channel program to its end; ctrl0 adds ORB controls. */
struct io io_run(struct subchannel *subchannel, const struct ccw1 *program, uint16_t ctrl0);

/* SSCH alone; the caller waits with io_wait. */
int io_start(struct subchannel *subchannel, const struct ccw1 *program, uint16_t ctrl0);

/* Takes interruptions until the function has ended: secondary status, or alert or pending status alone. */
void io_wait(struct subchannel *subchannel, struct io *io);

/* Channel end and device end, and nothing else. */
bool io_normal(const struct io *io);

/* One line of text about an end, for FAIL lines; the buffer is reused. */
const char *io_describe(const struct io *io);

/* The check that every interruption so far was what the architecture says. */
void io_check_interruptions(void);

#endif
