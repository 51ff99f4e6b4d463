/*
 * Entry, new PSWs, interruption stubs, and `execute`, which survives whatever the instruction it performs does.
 * As in the toy guest, interruptions are taken only inside an enabled wait, so one save area per class is enough.
 */

#include "start_macros.h"

/* This CPU's words in the part of its prefix area that the architecture leaves free (0x200 to 0x11af). */
#define SAVED_STACK	0x600		/* stack pointer of `execute`; 0 = not inside it */
#define PROBLEM_PSW	0x610
#define PROGRAM_CODE	0x8e

	.section .entry, "ax"
	.globl	_start
_start:
	larl	%r1, new_psws
	mvc	NEW_PSWS(6 * 16), 0(%r1)
	xc	SAVED_STACK(8), SAVED_STACK
	empty_stack stack_top
	brasl	%r14, main		/* does not return */

	.text
/* Where SIGP restart begins on the second CPU: its own stack, then C. */
	.globl	second_cpu_entry
second_cpu_entry:
	xc	SAVED_STACK(8), SAVED_STACK
	empty_stack second_stack_top
	brasl	%r14, second_cpu	/* does not return */

	interruption external, 0x200, 0x130
	interruption io, 0x300, 0x170
	interruption machine_check, 0x400, 0x160

restart_stub:
	larl	%r1, lost_psw
	lpswe	0(%r1)

/*
 * int execute(unsigned insn, uint64_t gr1, uint64_t gr2, uint64_t operand, bool problem)
 *
 * Performs instruction number `insn` of the table with GR1, GR2 and its operand address; returns the condition code,
 * or 0x10000 and the program-interruption code.
 */
	.globl	execute
execute:
	stmg	%r6, %r15, 48(%r15)
	stg	%r15, SAVED_STACK
	sllg	%r2, %r2, 3
	larl	%r8, instructions
	agr	%r8, %r2
	lgr	%r1, %r3
	lgr	%r2, %r4
	lgr	%r3, %r5
	larl	%r14, returned
	ltgr	%r6, %r6
	ber	%r8
	larl	%r14, leave_problem_state
	larl	%r7, problem_mask
	mvc	PROBLEM_PSW(8), 0(%r7)
	stg	%r8, PROBLEM_PSW + 8
	lpswe	PROBLEM_PSW
leave_problem_state:
	svc	0

/* New PSW of SVC: only `execute` performs one. */
svc_stub:
	lghi	%r2, 0x1000		/* the instruction was not refused in the problem state */
	j	out
returned:
	ipm	%r2
	srl	%r2, 28
	llgfr	%r2, %r2
	j	out

returned_key:
	llgcr	%r2, %r2
	j	out

program_stub:
	ltg	%r15, SAVED_STACK
	jz	lost
	llgh	%r2, PROGRAM_CODE
	oilh	%r2, 1
out:
	lg	%r15, SAVED_STACK
	xc	SAVED_STACK(8), SAVED_STACK
	lmg	%r6, %r15, 48(%r15)
	br	%r14
lost:
	larl	%r1, lost_psw
	lpswe	0(%r1)

	.macro	s_format code
	.insn	s, 0xb2000000 + (\code << 16), 0(%r3)
	br	%r14
	nopr
	.endm

/* In the order of INSN_* in script.h; eight bytes each. */
	.balign	8
instructions:
	s_format 0x30			/* CSCH */
	s_format 0x31			/* HSCH */
	s_format 0x32			/* MSCH */
	s_format 0x33			/* SSCH */
	s_format 0x34			/* STSCH */
	s_format 0x35			/* TSCH */
	s_format 0x36			/* TPI */
	s_format 0x37			/* SAL */
	s_format 0x38			/* RSCH */
	s_format 0x39			/* STCRW */
	s_format 0x3a			/* STCPS */
	s_format 0x3b			/* RCHP */
	s_format 0x3c			/* SCHM */
	s_format 0x76			/* XSCH */
	.insn	rre, 0xb25f0000, %r3, %r0	/* CHSC */
	br	%r14
	nopr
	.insn	rre, 0xb22b0000, %r2, %r3	/* SSKE */
	br	%r14
	nopr
	.insn	rre, 0xb2290000, %r2, %r3	/* ISKE: the key in place of a condition code */
	j	returned_key

	.section .rodata
	new_psw_table
lost_psw:
	.quad	0x0002000180000000, 0xdead	/* disabled wait: an interruption nobody expected */
problem_mask:
	.quad	0x0001000180000000

	.bss
	.balign	8
	.skip	8192
stack_top:
	.skip	8192
second_stack_top:

	.section .note.GNU-stack, "", @progbits
