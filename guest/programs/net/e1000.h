/*
 * A driver of the 82540EM for one sender and one receiver, by polling. Names are those of Intel's "PCI/PCI-X Family of
 * Gigabit Ethernet Controllers Software Developer's Manual". Registers and descriptors are little-endian.
 */
#ifndef E1000_H
#define E1000_H

#include <stdbool.h>
#include <stdint.h>

/* Descriptors of each ring: one page. */
#define E1000_RING	256

/* Legacy descriptor, receive and transmit (sections 3.2.3 and 3.3.3); little-endian in memory. */
struct e1000_desc {
	uint64_t address;
	uint64_t fields;
};

struct e1000 {
	uint64_t base;			/* of BAR 0, for the H_LOGICAL_CI calls */
	int64_t failed;			/* first return code that was not H_SUCCESS; 0 = none */
	struct e1000_desc *tx, *rx;
	unsigned tx_head, tx_tail;	/* oldest not yet sent, next free */
	unsigned rx_head, rx_tail;	/* next to be filled by the device, next to be given to it */
};

/* What a received frame's descriptor says. */
struct e1000_frame {
	unsigned index;			/* of the descriptor */
	unsigned length;		/* without the checksum */
	uint8_t errors;
};

/* Resets, gives it its rings (at these I/O bus addresses), turns sending and receiving on. False when it is not there. */
bool e1000_open(struct e1000 *nic, uint64_t tx_bus, uint64_t rx_bus, bool loopback, unsigned buffer_size);
void e1000_close(struct e1000 *nic);

/* Fills the next transmit descriptor; the device looks at it after e1000_kick_tx. */
unsigned e1000_queue_tx(struct e1000 *nic, uint64_t bus, unsigned length);
void e1000_kick_tx(struct e1000 *nic);
/* The oldest frame that was sent, or -1. */
int e1000_sent(struct e1000 *nic);

/* Gives the device a buffer; it may use it after e1000_kick_rx. */
unsigned e1000_queue_rx(struct e1000 *nic, uint64_t bus);
void e1000_kick_rx(struct e1000 *nic);
/* The next received frame, if there is one. */
bool e1000_received(struct e1000 *nic, struct e1000_frame *frame);

/* A register, in this guest's byte order. */
uint32_t e1000_load(struct e1000 *nic, uint32_t offset);

/* Its own address, the six bytes as a number: what a reset has loaded from its EEPROM. */
uint64_t e1000_mac(struct e1000 *nic);

#define E1000_STATUS	0x0008
#define E1000_STATUS_LU	2
/* Of a register when there is no NIC: nobody drives the bus. */
#define E1000_NOBODY	0xffffffffU
#define E1000_GPRC	0x4074		/* good packets received */
#define E1000_GPTC	0x4080		/* good packets transmitted */

#endif
