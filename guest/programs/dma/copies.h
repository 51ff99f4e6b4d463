/* Copies that are in order: direct and chained, each ended by an interrupt, every byte looked at. */
#ifndef COPIES_H
#define COPIES_H

#include <stdbool.h>

#include "elo.h"

void check_copies(struct elo *channel);
/* All channels at once. */
void check_together(unsigned count);

/* One copy of a page, with its interrupt. False when it did not come, or a byte is wrong. */
bool copy_works(struct elo *channel);

#endif
