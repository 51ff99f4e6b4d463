/* How long it takes to be rid of a channel program: HALT SUBCHANNEL and CLEAR SUBCHANNEL, timed. */
#ifndef HALT_BENCH_H
#define HALT_BENCH_H

#include "io.h"

/*
 * `count` times the second CPU starts a read of a slow device, and this CPU halts it; then as many times it is cleared.
 * Reported are the times from the instruction to its interruption, and from the instruction to the SSCH that the device
 * takes again: where the machine only pretends to halt, the one says little of the other. SSCH is the second CPU's
 * because it may hold its CPU as long as the device works.
 */
void bench_halt_and_clear(struct subchannel *dasd, uint64_t count);

#endif
