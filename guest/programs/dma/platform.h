/* The platform devices of the command line: platform=ADDRESS:SOURCE,..., hexadecimal. */
#ifndef PLATFORM_H
#define PLATFORM_H

#include "buffer.h"
#include "elo.h"

extern struct elo channels[BUFFERS];

/* Reads the command line; how many there are, at most BUFFERS. */
unsigned platform_devices(void);

#endif
