/*
 * The script guest: performs what a test has put into storage, so that tests of the whole machine are made of real
 * instructions. Ends in a disabled wait at address 0; at X'DEAD' after an interruption that nobody expected.
 */
#include "lowcore.h"
#include "script.h"

static void __attribute__((noreturn)) disabled_wait(uint64_t address)
{
	struct psw psw = { PSW_MASK_64BIT | PSW_MASK_WAIT, address };

	for (;;)
		asm volatile("lpswe %0" : : "Q"(psw) : "memory", "cc");
}

/* Called from second_cpu_entry. */
void __attribute__((noreturn)) second_cpu(void)
{
	run_script(1);
	disabled_wait(0);
}

void __attribute__((noreturn)) main(void)
{
	run_script(0);
	disabled_wait(0);
}
