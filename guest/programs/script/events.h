/* Interruptions of this CPU, taken inside an enabled wait only. */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdint.h>

/* What came since the last wait began. */
struct events {
	uint32_t came;		/* EVENT_* */
	uint32_t subsystem_id, intparm, id_word;
	uint64_t mcic;
};

/* Waits, enabled for the EVENT_* of `mask`, until one comes or `microseconds` have passed. */
struct events wait_for_events(uint32_t mask, uint64_t microseconds);

uint64_t store_clock_fast(void);
#define TOD_MICROSECOND	4096UL

#endif
