/* Accesses of a device outside of what it was given, on purpose: what the guest sees of them, and how it goes on. */
#ifndef VIOLATIONS_H
#define VIOLATIONS_H

#include <stdint.h>

#include "elo.h"

struct violations {
	struct elo *channel;
	struct elo *neighbour;	/* of another IOMMU group; NULL for none */
	uint64_t memory;	/* bytes of RAM */
	bool isolates;		/* the IOMMU stops a device at its first violation; else it refuses one access */
};

void check_violations(const struct violations *with);

#endif
