/* How long channel I/O takes. */
#ifndef DASD_BENCH_H
#define DASD_BENCH_H

#include "io.h"

/*
 * Runs `noops` channel programs of one no-operation, then `reads` of one 4096-byte block, and reports the time of each
 * from SSCH to the end of TSCH as a batch of one; afterwards the times from SSCH to the interruption.
 */
void bench_dasd(struct subchannel *dasd, uint64_t noops, uint64_t reads);

#endif
