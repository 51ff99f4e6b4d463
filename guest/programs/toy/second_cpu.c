/* The second CPU: SIGP orders, interlocked updates, emergency signal. */
#include "check.h"
#include "cpu_checks.h"
#include "interruption.h"
#include "lowcore.h"
#include "sigp.h"

#define INCREMENTS		1000U

static struct lowcore second_lowcore __attribute__((aligned(sizeof(struct lowcore))));
static uint16_t first_cpu_address;
static volatile uint32_t counter;

static uint16_t cpu_address(void)
{
	uint16_t address;

	asm volatile("stap %0" : "=Q"(address));
	return address;
}

/* Adds one by COMPARE AND SWAP, against the other CPU. */
static void increment(void)
{
	uint32_t old = counter;

	while (!__atomic_compare_exchange_n(&counter, &old, old + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

/* The second CPU's program; it ends by being stopped. */
void __attribute__((noreturn)) second_cpu(void)
{
	uint32_t status;

	for (unsigned i = 0; i < INCREMENTS; i++)
		increment();
	sigp(first_cpu_address, SIGP_EMERGENCY_SIGNAL, 0, &status);
	for (;;)
		wait_enabled();
}

static bool start(uint16_t cpu)
{
	uint32_t status = 0;
	int cc = sigp(cpu, SIGP_SET_PREFIX, (uintptr_t)&second_lowcore, &status);

	if (!check(cc == 0, "SIGP set prefix", "expected cc 0, got %d, status %08x", cc, status))
		return false;
	cc = sigp(cpu, SIGP_RESTART, 0, &status);
	return check(cc == 0, "SIGP restart", "expected cc 0, got %d, status %08x", cc, status);
}

static void stop(uint16_t cpu)
{
	uint64_t deadline = store_clock_fast() + PATIENCE * TOD_MICROSECOND;
	uint32_t status = 0;
	int cc = sigp(cpu, SIGP_STOP, 0, &status);

	if (!check(cc == 0, "SIGP stop", "expected cc 0, got %d, status %08x", cc, status))
		return;
	do
		cc = sigp(cpu, SIGP_SENSE, 0, &status);
	while (!(cc == SIGP_CC_STATUS && status == SIGP_STATUS_STOPPED) && store_clock_fast() < deadline);
	check(cc == SIGP_CC_STATUS && status == SIGP_STATUS_STOPPED, "second CPU is stopped",
	      "expected cc 1, status 00000040, got %d, %08x", cc, status);
}

void check_second_cpu(void)
{
	uint16_t cpu;
	uint32_t status = 0;
	int cc;

	first_cpu_address = cpu_address();
	cpu = first_cpu_address == 0 ? 1 : 0;
	cc = sigp(cpu, SIGP_SENSE, 0, &status);
	if (cc == SIGP_CC_NOT_OPERATIONAL) {
		skip("second cpu", "not there");
		return;
	}
	if (!check(cc == SIGP_CC_STATUS && status == SIGP_STATUS_STOPPED, "SIGP sense finds the second CPU stopped",
		   "expected cc 1, status 00000040, got %d, %08x", cc, status))
		return;
	prepare_lowcore(&second_lowcore);
	counter = 0;
	emergency_signal.arrived = false;
	if (!start(cpu))
		return;
	for (unsigned i = 0; i < INCREMENTS; i++)
		increment();
	set_control_register_0(control_register_0() | CR0_EMERGENCY_SIGNAL);
	wait_for(&emergency_signal.arrived, PATIENCE);
	check(emergency_signal.arrived && emergency_signal.parameter == cpu, "emergency signal comes from the second CPU",
	      "expected code 1201 from CPU %u, arrived: %u, from %u", cpu, emergency_signal.arrived,
	      emergency_signal.parameter);
	check(counter == 2 * INCREMENTS, "both CPUs' increments by CS are counted", "expected %u, got %u", 2 * INCREMENTS,
	      counter);
	stop(cpu);
}
