/*
 * SIGNAL PROCESSOR: order in the second-operand address, CPU address in R3, status in R1, parameter in R1 + 1.
 * Principles of Operation, chapter 4, "CPU Signaling and Response".
 */
#ifndef SIGP_H
#define SIGP_H

#include <stdint.h>

#include "lowcore.h"

#define SIGP_SENSE		0x01
#define SIGP_EMERGENCY_SIGNAL	0x03
#define SIGP_STOP		0x05
#define SIGP_RESTART		0x06
#define SIGP_SET_PREFIX		0x0d

#define SIGP_STATUS_STOPPED	0x40

#define SIGP_CC_STATUS		1
#define SIGP_CC_BUSY		2
#define SIGP_CC_NOT_OPERATIONAL	3

/* Repeats while the CPU is busy; *status is valid with condition code 1. */
static inline int sigp(uint16_t cpu, unsigned order, uint64_t parameter, uint32_t *status)
{
	register uint64_t gr2 asm("2") = 0;
	register uint64_t gr3 asm("3") = parameter;
	int cc;

	do
		asm volatile("sigp	%[gr2],%[cpu],0(%[order])\n"
			     "ipm	%[cc]\n"
			     "srl	%[cc],28"
			     : [gr2] "+d"(gr2), [cc] "=&d"(cc)
			     : "d"(gr3), [cpu] "d"((uint64_t)cpu), [order] "a"((uint64_t)order)
			     : "memory", "cc");
	while (cc == SIGP_CC_BUSY);
	*status = gr2;
	return cc;
}

/* Where SIGP restart begins, in start.S. */
void second_cpu_entry(void);

/* Another CPU's prefix area: this CPU's new PSWs, and a restart PSW that leads to second_cpu_entry. */
static inline void prepare_lowcore(struct lowcore *second)
{
	second->external_new_psw = lowcore.external_new_psw;
	second->svc_new_psw = lowcore.svc_new_psw;
	second->program_new_psw = lowcore.program_new_psw;
	second->machine_check_new_psw = lowcore.machine_check_new_psw;
	second->io_new_psw = lowcore.io_new_psw;
	second->restart_new_psw = (struct psw){ PSW_MASK_64BIT, (uintptr_t)second_cpu_entry };
}

#endif
