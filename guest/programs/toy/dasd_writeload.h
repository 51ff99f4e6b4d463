/* Writes without end, each one told when it is on the disk: what survives when the machine is killed? */
#ifndef DASD_WRITELOAD_H
#define DASD_WRITELOAD_H

#include "io.h"

/*
 * `count` writes on cylinders 1 and 2 in the order that `seed` gives: most replace one record, some format a track anew
 * with records of another size. A line on the console follows each device end:
 *
 *	write N update CYLINDER HEAD RECORD
 *	write N format CYLINDER HEAD SIZE
 *
 * Write N (from 1) fills every word of a record at byte offset o with (N * 16 + record) * 9E3779B1 + o * 85EBCA6B.
 * The tracks must be as the image creator left them: twelve records of 4096 bytes.
 */
void dasd_writeload(struct subchannel *dasd, uint64_t count, uint64_t seed);

#endif
