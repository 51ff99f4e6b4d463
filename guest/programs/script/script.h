/*
 * The script: a list of operations in storage, performed one after the other, each leaving one result in the log.
 * All fields are big-endian, as this CPU is.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

/* At 0x20000: where each CPU finds its script and puts its log. CPU 1 runs only when told to. */
struct header {
	uint64_t script[2];
	uint64_t log[2];
};
extern const struct header script_header;

enum operation_code {
	OP_END,			/* the script is over */
	OP_INSN,		/* arg: INSN_*; a: GR1; b: operand address; c: GR2 */
	OP_INSN_PROBLEM,	/* the same in the problem state */
	OP_WAIT,		/* enabled for EVENT_* of arg until one comes or `a` microseconds have passed */
	OP_SPIN,		/* a: microseconds, disabled */
	OP_STORE,		/* 64 bits `b` at `a` */
	OP_ISC_MASK,		/* a: control register 6 */
	OP_START_SECOND,	/* CPU 1 begins its script */
	OP_AWAIT,		/* until the 32 bits at `a` are `b`, at most `c` microseconds */
	OP_FLIP,		/* arg times: 64 bits at `a` become `b`, then `c` */
	OP_COPY,		/* arg bytes from b to a */
	OP_RUN,			/* SSCH with GR1 a, ORB b, then status until the end into the IRB at c; arg: microseconds */
	OP_DRAIN,		/* CSCH with GR1 a until nothing is pending there; IRB at c */
};

enum insn {
	INSN_CSCH, INSN_HSCH, INSN_MSCH, INSN_SSCH, INSN_STSCH, INSN_TSCH, INSN_TPI, INSN_SAL, INSN_RSCH, INSN_STCRW,
	INSN_STCPS, INSN_RCHP, INSN_SCHM, INSN_XSCH, INSN_CHSC, INSN_SSKE, INSN_ISKE,
};

#define EVENT_IO		1
#define EVENT_MACHINE_CHECK	2
#define EVENT_TIMEOUT		4

struct operation {
	uint32_t code;
	uint32_t arg;
	uint64_t a, b, c;
};

struct result {
	uint32_t code;		/* of the operation; its presence says that the operation is over */
	int32_t cc;		/* condition code, or -1 after a program interruption */
	uint32_t program_code;
	uint32_t events;	/* EVENT_* that came */
	uint64_t began, ended;	/* TOD clock */
	uint32_t subsystem_id, intparm, id_word;	/* of the last I/O interruption */
	uint32_t count;		/* I/O interruptions taken */
	uint64_t mcic;		/* machine-check-interruption code */
	uint64_t reserved;
};

_Static_assert(sizeof(struct operation) == 32, "operation");
_Static_assert(sizeof(struct result) == 64, "result");

/* Performs the script of CPU 0 or 1. */
void run_script(unsigned cpu);

/* In start.S. */
uint64_t execute(unsigned insn, uint64_t gr1, uint64_t gr2, uint64_t operand, bool problem);
#define EXECUTE_PROGRAM	0x10000UL	/* a program interruption; its code is in the low half */

#endif
