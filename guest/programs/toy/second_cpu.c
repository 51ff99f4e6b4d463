/* The second CPU: SIGP orders, interlocked updates, emergency signal. */
#include "second_cpu.h"

#include "check.h"
#include "cpu_checks.h"
#include "interruption.h"
#include "lowcore.h"
#include "sigp.h"

#define INCREMENTS		1000U

static struct lowcore second_lowcore __attribute__((aligned(sizeof(struct lowcore))));
static uint16_t first_address, second_address;
static void (*volatile second_program)(void);
static volatile uint32_t counter;

static uint16_t cpu_address(void)
{
	uint16_t address;

	asm volatile("stap %0" : "=Q"(address));
	return address;
}

uint16_t first_cpu_address(void)
{
	return first_address;
}

uint16_t second_cpu_address(void)
{
	return second_address;
}

/* Where the second CPU comes from start.S. */
void __attribute__((noreturn)) second_cpu(void)
{
	second_program();
	for (;;)
		wait_enabled();
}

bool second_cpu_stopped(const char *name)
{
	uint32_t status = 0;
	int cc;

	first_address = cpu_address();
	second_address = first_address == 0 ? 1 : 0;
	cc = sigp(second_address, SIGP_SENSE, 0, &status);
	if (cc == SIGP_CC_NOT_OPERATIONAL) {
		skip(name, "not there");
		return false;
	}
	return check(cc == SIGP_CC_STATUS && status == SIGP_STATUS_STOPPED, "SIGP sense finds the second CPU stopped",
		     "expected cc 1, status 00000040, got %d, %08x", cc, status);
}

bool second_cpu_start(void (*program)(void))
{
	uint32_t status = 0;
	int cc;

	prepare_lowcore(&second_lowcore);
	second_program = program;
	cc = sigp(second_address, SIGP_SET_PREFIX, (uintptr_t)&second_lowcore, &status);
	if (!check(cc == 0, "SIGP set prefix", "expected cc 0, got %d, status %08x", cc, status))
		return false;
	cc = sigp(second_address, SIGP_RESTART, 0, &status);
	return check(cc == 0, "SIGP restart", "expected cc 0, got %d, status %08x", cc, status);
}

void second_cpu_stop(void)
{
	uint64_t deadline = store_clock_fast() + PATIENCE * TOD_MICROSECOND;
	uint32_t status = 0;
	int cc = sigp(second_address, SIGP_STOP, 0, &status);

	if (!check(cc == 0, "SIGP stop", "expected cc 0, got %d, status %08x", cc, status))
		return;
	do
		cc = sigp(second_address, SIGP_SENSE, 0, &status);
	while (!(cc == SIGP_CC_STATUS && status == SIGP_STATUS_STOPPED) && store_clock_fast() < deadline);
	check(cc == SIGP_CC_STATUS && status == SIGP_STATUS_STOPPED, "second CPU is stopped",
	      "expected cc 1, status 00000040, got %d, %08x", cc, status);
}

/* Adds one by COMPARE AND SWAP, against the other CPU. */
static void increment(void)
{
	uint32_t old = counter;

	while (!__atomic_compare_exchange_n(&counter, &old, old + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

static void increments(void)
{
	uint32_t status;

	for (unsigned i = 0; i < INCREMENTS; i++)
		increment();
	sigp(first_address, SIGP_EMERGENCY_SIGNAL, 0, &status);
}

void check_second_cpu(void)
{
	if (!second_cpu_stopped("second cpu"))
		return;
	counter = 0;
	emergency_signal.arrived = false;
	if (!second_cpu_start(increments))
		return;
	for (unsigned i = 0; i < INCREMENTS; i++)
		increment();
	set_control_register_0(control_register_0() | CR0_EMERGENCY_SIGNAL);
	wait_for(&emergency_signal.arrived, PATIENCE);
	check(emergency_signal.arrived && emergency_signal.parameter == second_address,
	      "emergency signal comes from the second CPU", "expected code 1201 from CPU %u, arrived: %u, from %u",
	      second_address, emergency_signal.arrived, emergency_signal.parameter);
	check(counter == 2 * INCREMENTS, "both CPUs' increments by CS are counted", "expected %u, got %u", 2 * INCREMENTS,
	      counter);
	second_cpu_stop();
}
