/* A NIC, open, and how memory is given to it: where frames come from or go to. */
#ifndef END_H
#define END_H

#include <stdbool.h>

#include "dma.h"
#include "e1000.h"

struct stream_end {
	struct e1000 *nic;
	struct dma *dma;
};

/* Maps the rings and opens the NIC for frames of up to `size` bytes. False when it is not there or has no link. */
bool end_open(const struct stream_end *end, unsigned size);
/* A failed check of this name: why end_open did not. */
void end_not_open(const struct stream_end *end, const char *name);
void end_close(const struct stream_end *end);

#endif
