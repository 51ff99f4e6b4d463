/*
 * Interrupts of devices: an adapter interruption says that there is one, H_XIRR says of which source, H_EOI ends it (PAPR,
 * "Interrupt Controller").
 */
#ifndef IRQ_H
#define IRQ_H

#include <stdbool.h>
#include <stdint.h>

/* What irq_wait returns when nothing came. */
#define IRQ_NONE	0U

/* This CPU takes interrupts from now on. */
void irq_open(void);
/* A source interrupts this CPU. Returns the status of ibm,set-xive. */
int32_t irq_enable(uint32_t source);

/* Before something is started that interrupts. */
void irq_expect(void);
/* Waits for the next interrupt, at most so long; its source. It is ended. */
uint32_t irq_wait(uint64_t microseconds);

#endif
