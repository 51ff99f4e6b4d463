/* The checks that need a 3390 with the image creator's records on it. */
#ifndef DASD_CHECKS_H
#define DASD_CHECKS_H

#include "io.h"

/* What check_dasd found on the volume: the other checks must know what they can expect. */
extern enum volume_content {
	VOLUME_NO_RECORDS,	/* no records of BLOCK_SIZE on cylinder 1 */
	VOLUME_ZEROS,		/* records, but not the creator's pattern */
	VOLUME_PATTERN,
} volume_content;

/* Volume label, a track through IDALs, write and read back, command reject. */
void check_dasd(struct subchannel *dasd);

/* HSCH and CSCH against reads of the slow cylinder. */
void check_halt_and_clear(struct subchannel *dasd, uint16_t slow_cylinder);

#endif
