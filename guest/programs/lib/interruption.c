#include "interruption.h"

#include "fmt.h"
#include "lowcore.h"

struct event service_signal;
struct event clock_comparator;
struct event emergency_signal;
struct event supervisor_call;
struct io_event io_event;
volatile uint16_t unexpected_external;

uint64_t control_register_0(void)
{
	uint64_t value;

	asm volatile("stctg %%c0,%%c0,%0" : "=Q"(value));
	return value;
}

void set_control_register_0(uint64_t value)
{
	asm volatile("lctlg %%c0,%%c0,%0" : : "Q"(value) : "memory");
}

void set_control_register_6(uint64_t value)
{
	asm volatile("lctlg %%c6,%%c6,%0" : : "Q"(value) : "memory");
}

void set_clock_comparator(uint64_t tod)
{
	asm volatile("sckc %0" : : "Q"(tod));
}

uint64_t store_clock_fast(void)
{
	uint64_t tod;

	asm volatile("stckf %0" : "=Q"(tod) : : "cc");
	return tod;
}

/* Makes the stub return disabled and running: an interruption ends the wait it came into. */
static void leave_wait(volatile struct psw *old)
{
	old->mask &= ~(PSW_MASK_WAIT | PSW_MASK_IO | PSW_MASK_EXTERNAL);
}

static void post(struct event *event, uint32_t parameter)
{
	event->parameter = parameter;
	event->arrived = true;
}

/* Called from external_stub. */
void external_interruption(void)
{
	uint16_t code = lowcore.external_code;

	leave_wait(&lowcore.external_old_psw);
	switch (code) {
	case EXTERNAL_SERVICE_SIGNAL:
		post(&service_signal, lowcore.external_parameter);
		break;
	case EXTERNAL_CLOCK_COMPARATOR:
		/* The condition is a level: it stays pending until the comparator is ahead of the clock again. */
		set_clock_comparator(~0UL);
		post(&clock_comparator, 0);
		break;
	case EXTERNAL_EMERGENCY_SIGNAL:
		post(&emergency_signal, lowcore.external_cpu_address);
		break;
	default:
		unexpected_external = code;
	}
}

/* Called from io_stub. */
void io_interruption(void)
{
	leave_wait(&lowcore.io_old_psw);
	io_event.subsystem_id = lowcore.subsystem_id;
	io_event.intparm = lowcore.io_intparm;
	io_event.id_word = lowcore.io_id_word;
	io_event.arrived = true;
}

/* Called from svc_stub; SVC returns to the old PSW as it is. */
void svc_interruption(void)
{
	post(&supervisor_call, lowcore.svc_code);
}

#define WAIT_UNEXPECTED	0xdeadUL	/* where the run ends after an interruption that must not happen */

/* Says what happened, once: a second such interruption (in the console, say) ends the run silently. */
static void __attribute__((noreturn)) fatal_interruption(const char *name, uint16_t code, uint64_t address)
{
	static volatile bool entered;

	if (!entered) {
		entered = true;
		print("\nFAIL %s interruption %04x at %016lx\n", name, code, address);
	}
	disabled_wait(WAIT_UNEXPECTED);
}

/* Called from program_stub. */
void __attribute__((noreturn)) program_interruption(void)
{
	fatal_interruption("program", lowcore.program_code, lowcore.program_old_psw.address);
}

/* Called from machine_check_stub. */
void __attribute__((noreturn)) machine_check_interruption(void)
{
	fatal_interruption("machine-check", 0, lowcore.machine_check_old_psw.address);
}

/* Called from restart_stub. */
void __attribute__((noreturn)) restart_interruption(void)
{
	fatal_interruption("restart", 0, lowcore.restart_old_psw.address);
}

void wait_enabled(void)
{
	load_wait(PSW_MASK_IO | PSW_MASK_EXTERNAL);
}

bool wait_for(const volatile bool *arrived, uint64_t microseconds)
{
	uint64_t masks = control_register_0();

	clock_comparator.arrived = false;
	set_clock_comparator(store_clock_fast() + microseconds * TOD_MICROSECOND);
	set_control_register_0(masks | CR0_CLOCK_COMPARATOR);
	while (!*arrived && !clock_comparator.arrived)
		wait_enabled();
	set_control_register_0(masks);
	return *arrived;
}

void __attribute__((noreturn)) disabled_wait(uint64_t address)
{
	struct psw psw = { PSW_MASK_64BIT | PSW_MASK_WAIT, address };

	for (;;)
		asm volatile("lpswe %0" : : "Q"(psw) : "memory", "cc");
}
