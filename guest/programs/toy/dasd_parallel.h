/* Channel I/O to several devices at once, timed. */
#ifndef DASD_PARALLEL_H
#define DASD_PARALLEL_H

#include <stdint.h>

/*
 * Reads one 4096-byte block `count` times from each DASD, one channel program at a time per device: all devices are
 * started, interruptions are taken as they come, and a device that has ended is started again. Reports the time of
 * every batch of reads, whichever device they came from, and afterwards the time of each from SSCH to TSCH.
 */
void dasd_parallel(uint64_t count);

#endif
