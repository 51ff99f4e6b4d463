/* Finding, enabling and identifying the devices. */
#ifndef SUBCHANNELS_H
#define SUBCHANNELS_H

#include "io.h"

/* STSCH over all subchannels of set 0; enables each valid device; returns the first DASD, or NULL. */
struct subchannel *find_dasd(void);

#endif
