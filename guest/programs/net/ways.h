/*
 * The ways of mapping that are compared: page by page as each packet comes and goes, in each tier; then everything once
 * in a big window.
 */
#ifndef WAYS_H
#define WAYS_H

#include <stdbool.h>

#include "dma.h"

enum way {
	WAY_VMM,
	WAY_VIRTUAL_MODE,
	WAY_REAL_MODE,
	WAY_BIG_WINDOW,
	WAYS,
};

extern const char *const way_names[WAYS];

/* Series numbers of the marks: from here on two for each way, one for each frame size. */
#define MARK_SERIES	16
/* The same for what the other guest of a pair has acknowledged. */
#define MARK_SERIES_OUT	24

/* Why this way is not to be gone; NULL when it is. Selects the tier as a side effect. */
const char *way_missing(enum way way);
/* Frames wanted of a stream. */
uint64_t way_frames(enum way way);

/* Prepares the mappings of a NIC; failures are failed checks. */
bool way_begin(enum way way, struct dma *dma, unsigned nic);
/* The big window is taken away again. */
void way_end(enum way way, struct dma *dma);

#endif
