/* Finding, enabling and identifying the devices. */
#ifndef SUBCHANNELS_H
#define SUBCHANNELS_H

#include "io.h"

#define MAX_DASDS	8

/* STSCH over all subchannels of set 0; enables each valid device; returns the first DASD, or NULL. */
struct subchannel *find_dasd(void);

/* The DASDs that find_dasd has found, the first ones of them, in the order of their subchannels; returns how many. */
unsigned all_dasds(struct subchannel *list[MAX_DASDS]);

#endif
