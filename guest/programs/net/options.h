/* What the command line says: see the table in guest/programs/README.md. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdint.h>

#define NICS	2

struct net_options {
	uint64_t nic[NICS], liobn[NICS], buid[NICS];
	uint64_t frames, exit_frames, loopback, peer, config, memory;
};

extern struct net_options options;

void options_read(void);

#endif
