/*
 * Entry, new PSWs and interruption stubs.
 *
 * Everything runs disabled; interruptions are taken only inside an enabled wait (wait_enabled in interruption.c).
 * So a stub may go on using the interrupted stack, and one save area per interruption class is enough.
 */

#include "start_macros.h"

	.section .entry, "ax"
	.globl	_start
_start:
	larl	%r1, new_psws
	mvc	NEW_PSWS(6 * 16), 0(%r1)
	empty_stack stack_top
	brasl	%r14, main		/* does not return */

	.text
/* Where SIGP restart begins on the second CPU: its own stack, then C. */
	.weak	second_cpu		/* a program need not have one */
	.globl	second_cpu_entry
second_cpu_entry:
	empty_stack second_stack_top
	brasl	%r14, second_cpu	/* does not return */

/* Save areas are in the part of the prefix area that the architecture leaves free (0x200 to 0x11af). */
	interruption external, 0x200, 0x130
	interruption svc, 0x280, 0x140
	interruption io, 0x300, 0x170

/* The ones that end the run: a fresh stack, since the old one may be the reason. */
	.macro	fatal class, save
\class\()_stub:
	stmg	%r0, %r15, \save
	empty_stack emergency_stack_top
	brasl	%r14, \class\()_interruption
	.endm

	fatal	program, 0x380
	fatal	machine_check, 0x400
	fatal	restart, 0x480

	.section .rodata
	new_psw_table

	.bss
	.balign	8
	.skip	16384
stack_top:
	.skip	8192
second_stack_top:
	.skip	8192
emergency_stack_top:

	.section .note.GNU-stack, "", @progbits
