/* Interruptions, and the enabled wait in which alone they are taken. */
#ifndef INTERRUPTION_H
#define INTERRUPTION_H

#include <stdbool.h>
#include <stdint.h>

/* External-interruption codes (Principles of Operation, chapter 6). */
#define EXTERNAL_CLOCK_COMPARATOR	0x1004
#define EXTERNAL_EMERGENCY_SIGNAL	0x1201
#define EXTERNAL_SERVICE_SIGNAL		0x2401

/* Subclass masks in control register 0. */
#define CR0_EMERGENCY_SIGNAL	0x4000UL	/* bit 49 */
#define CR0_CLOCK_COMPARATOR	0x0800UL	/* bit 52 */
#define CR0_SERVICE_SIGNAL	0x0200UL	/* bit 54 */

/* TOD-clock units in a microsecond: bit 51 of the clock steps each microsecond. */
#define TOD_MICROSECOND		4096UL

/* One kind of event: the handler sets `arrived`, the waiter clears it before it provokes the next one. */
struct event {
	volatile bool arrived;
	volatile uint32_t parameter;	/* service signal: SCCB address; emergency signal: CPU address; SVC: code */
};

extern struct event service_signal;
extern struct event clock_comparator;
extern struct event emergency_signal;
extern struct event supervisor_call;

/* The last I/O interruption, as stored at 0xb8, 0xbc and 0xc0. */
struct io_event {
	volatile bool arrived;
	volatile uint32_t subsystem_id;
	volatile uint32_t intparm;
	volatile uint32_t id_word;
};

extern struct io_event io_event;

/* The code of the last external interruption nobody asked for; 0 = none so far. */
extern volatile uint16_t unexpected_external;

/* Waits until *arrived, enabled for external and I/O interruptions; false when `microseconds` of TOD time passed. */
bool wait_for(const volatile bool *arrived, uint64_t microseconds);

/* How long an answer of the machine may take before the check fails, in microseconds. */
#define PATIENCE	30000000UL

/* Loads an enabled wait PSW; returns (disabled) after one interruption. */
void wait_enabled(void);

/* Ends the run: disabled wait with this address in the PSW. */
void __attribute__((noreturn)) disabled_wait(uint64_t address);

uint64_t control_register_0(void);
void set_control_register_0(uint64_t value);
void set_control_register_6(uint64_t value);
void set_clock_comparator(uint64_t tod);
uint64_t store_clock_fast(void);

#endif
