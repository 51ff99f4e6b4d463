/* The checks that need a 3390 with the image creator's records on it. */
#ifndef DASD_CHECKS_H
#define DASD_CHECKS_H

#include "io.h"

/* Volume label, a track through IDALs, write and read back, command reject. */
void check_dasd(struct subchannel *dasd);

/* HSCH and CSCH against reads of the slow cylinder. */
void check_halt_and_clear(struct subchannel *dasd, uint16_t slow_cylinder);

#endif
