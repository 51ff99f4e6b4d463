/*
 * The dma guest: drives the channels of a DMA engine of the host's SoC that were passed through to it. Copies, ended by
 * interrupts; then accesses outside of what the devices were given, which must be refused, and what becomes of everybody.
 */
#include "check.h"
#include "cmdline.h"
#include "console.h"
#include "copies.h"
#include "fmt.h"
#include "interruption.h"
#include "irq.h"
#include "platform.h"
#include "violations.h"

#define WAIT_ALL_PASSED		0UL
#define WAIT_SOME_FAILED	0xbadUL

static void misbehave(unsigned count)
{
	struct violations with = { .channel = &channels[0] };
	uint64_t neighbour = count, rounds = 1;

	cmdline_number("mem", &with.memory);
	cmdline_number("rounds", &rounds);
	cmdline_number("neighbour", &neighbour);
	if (neighbour < count)
		with.neighbour = &channels[neighbour];
	with.isolates = cmdline_has("iommu=pamu");
	if (with.memory == 0 || !(with.isolates || cmdline_has("iommu=type1"))) {
		skip("violations", "no mem=BYTES and iommu=pamu or iommu=type1 on the command line");
		return;
	}
	for (uint64_t round = 0; round < rounds; round++)
		check_violations(&with);
}

void __attribute__((noreturn)) main(void)
{
	unsigned count;

	console_open();
	print("dma: command line %s\n", cmdline_text());
	count = platform_devices();
	if (count == 0) {
		check(false, "platform devices", "expected platform=ADDRESS:SOURCE,... on the command line");
	} else {
		irq_open();
		for (unsigned n = 0; n < count; n++) {
			int32_t status = irq_enable(channels[n].source);

			if (!check(status == 0, "ibm,set-xive takes the device's interrupt source", "dma%u, status %d", n,
				   status))
				continue;
			check_copies(&channels[n]);
		}
		check_together(count);
		misbehave(count);
	}
	disabled_wait(check_summary("dma") ? WAIT_ALL_PASSED : WAIT_SOME_FAILED);
}
