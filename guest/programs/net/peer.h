/* Word `peer=1`: frames for another guest and from it, each with its NIC at one end of the cable. */
#ifndef PEER_H
#define PEER_H

#include "e1000.h"

/* Meets the other guest, then both ways at once in each way of mapping that both have. */
void peer_run(struct e1000 *nic, const unsigned *sizes, unsigned size_count);

#endif
