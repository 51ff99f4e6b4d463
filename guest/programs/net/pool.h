/*
 * Where frames lie: each has its own pages, and each its own slot of I/O bus addresses, four pages. The pool begins
 * behind what a program's image may occupy.
 */
#ifndef POOL_H
#define POOL_H

#include <stdint.h>

#include "dma.h"

/* Frames to send that have memory. */
#define POOL_TX		176
/* Descriptors given to the device with one store of a tail register: with --mmio exit a store is an exit. */
#define BURST		64
/* Receive buffers: the device keeps POOL_TX of them while a burst of others waits to be given back. */
#define POOL_RX		(POOL_TX + BURST)

#define FRAME_SPACE	(4 * DMA_PAGE)
#define TX_SLOTS	0x100000UL
#define RX_SLOTS	0x400000UL

#define POOL		0x200000UL
#define POOL_END	(POOL + (POOL_TX + POOL_RX) * FRAME_SPACE)

static uint8_t (*const tx_frames)[FRAME_SPACE] = (void *)POOL;
static uint8_t (*const rx_frames)[FRAME_SPACE] = (void *)(POOL + POOL_TX * FRAME_SPACE);

#define TX_SLOT(frame)	(TX_SLOTS + (frame) * FRAME_SPACE)
#define RX_SLOT(frame)	(RX_SLOTS + (frame) * FRAME_SPACE)

#endif
