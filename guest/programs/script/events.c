#include "events.h"

#include "lowcore.h"
#include "script.h"

#define PSW_MASK_MACHINE_CHECK	0x0004000000000000UL	/* bit 13 */
#define CR0_CLOCK_COMPARATOR	0x0800UL		/* bit 52 */
#define CR14_CHANNEL_REPORT	0x10000000UL		/* bit 35 */
#define WAIT_BITS (PSW_MASK_WAIT | PSW_MASK_IO | PSW_MASK_EXTERNAL | PSW_MASK_MACHINE_CHECK)

/* In the prefix area of each CPU: see link.ld. */
extern volatile struct events cpu_events;
extern volatile uint64_t machine_check_code;

static void control_registers(uint64_t cr0, uint64_t cr14)
{
	asm volatile("lctlg %%c0,%%c0,%0" : : "Q"(cr0) : "memory");
	asm volatile("lctlg %%c14,%%c14,%0" : : "Q"(cr14) : "memory");
}

uint64_t store_clock_fast(void)
{
	uint64_t tod;

	asm volatile("stckf %0" : "=Q"(tod) : : "cc");
	return tod;
}

static void set_clock_comparator(uint64_t tod)
{
	asm volatile("sckc %0" : : "Q"(tod));
}

/* An interruption ends the wait it came into. */
void external_interruption(void)
{
	/* The condition is a level: it stays pending until the comparator is ahead of the clock again. */
	set_clock_comparator(~0UL);
	lowcore.external_old_psw.mask &= ~WAIT_BITS;
	cpu_events.came |= EVENT_TIMEOUT;
}

void io_interruption(void)
{
	lowcore.io_old_psw.mask &= ~WAIT_BITS;
	cpu_events.subsystem_id = lowcore.subsystem_id;
	cpu_events.intparm = lowcore.io_intparm;
	cpu_events.id_word = lowcore.io_id_word;
	cpu_events.came |= EVENT_IO;
}

void machine_check_interruption(void)
{
	lowcore.machine_check_old_psw.mask &= ~WAIT_BITS;
	cpu_events.mcic = machine_check_code;
	cpu_events.came |= EVENT_MACHINE_CHECK;
}

struct events wait_for_events(uint32_t mask, uint64_t microseconds)
{
	uint64_t bits = (mask & EVENT_IO ? PSW_MASK_IO : 0) | (mask & EVENT_MACHINE_CHECK ? PSW_MASK_MACHINE_CHECK : 0);

	cpu_events.came = 0;
	cpu_events.mcic = 0;
	cpu_events.subsystem_id = cpu_events.intparm = cpu_events.id_word = 0;
	set_clock_comparator(store_clock_fast() + microseconds * TOD_MICROSECOND);
	control_registers(CR0_CLOCK_COMPARATOR, CR14_CHANNEL_REPORT);
	while (!cpu_events.came)
		load_wait(PSW_MASK_EXTERNAL | bits);
	set_clock_comparator(~0UL);
	return (struct events){ cpu_events.came, cpu_events.subsystem_id, cpu_events.intparm, cpu_events.id_word, cpu_events.mcic };
}
