#include "cpu_checks.h"

#include "check.h"
#include "interruption.h"

uint64_t cpu_id(void)
{
	uint64_t id;

	asm volatile("stidp %0" : "=Q"(id));
	return id;
}

static int store_clock(uint64_t *tod)
{
	int cc;

	asm volatile("stck	%[tod]\n"
		     "ipm	%[cc]\n"
		     "srl	%[cc],28"
		     : [tod] "=Q"(*tod), [cc] "=d"(cc)
		     :
		     : "cc");
	return cc;
}

static void check_clock(void)
{
	uint64_t first, second;
	int cc = store_clock(&first);

	cc |= store_clock(&second);
	check(cc == 0 && second > first, "STCK advances", "expected cc 0 and a later value, got cc %d, %016lx then %016lx",
	      cc, first, second);
}

static void check_clock_comparator(void)
{
	static const volatile bool never;
	uint64_t target = store_clock_fast() + 2000 * TOD_MICROSECOND;
	uint64_t now;

	/* Nothing else is due: the wait ends by its own clock comparator, 2 ms ahead. */
	wait_for(&never, 2000);
	now = store_clock_fast();
	check(clock_comparator.arrived && now >= target && unexpected_external == 0, "clock comparator interrupts",
	      "expected code 1004 not before %016lx, got it: %u, at %016lx, other external code %04x", target,
	      clock_comparator.arrived, now, unexpected_external);
}

#define SVC_NUMBER 0x42

static void check_svc(void)
{
	uint64_t before = 0x0123456789abcdefUL, after = before;

	supervisor_call.arrived = false;
	asm volatile("svc %1" : "+d"(after) : "i"(SVC_NUMBER) : "memory", "cc");
	check(supervisor_call.arrived && supervisor_call.parameter == SVC_NUMBER && after == before,
	      "SVC goes to its handler and back", "expected code %04x, got %04x", SVC_NUMBER,
	      supervisor_call.parameter);
}

void check_cpu(void)
{
	check_clock();
	check_clock_comparator();
	check_svc();
}
