/*
 * Entry, new PSWs and interruption stubs.
 *
 * Everything runs disabled; interruptions are taken only inside an enabled wait (wait_enabled in interruption.c).
 * So a stub may go on using the interrupted stack, and one save area per interruption class is enough.
 */

#define STACK_FRAME	160		/* s390x ELF ABI: register save area of a callee */
#define NEW_PSWS	0x1a0		/* restart, external, SVC, program, machine check, I/O new PSWs */

	.section .entry, "ax"
	.globl	_start
_start:
	larl	%r1, new_psws
	mvc	NEW_PSWS(6 * 16), 0(%r1)
	larl	%r15, stack_top - STACK_FRAME
	xc	0(8, %r15), 0(%r15)	/* back chain ends here */
	brasl	%r14, main		/* does not return */

	.text
/* Where SIGP restart begins on the second CPU: its own stack, then C. */
	.weak	second_cpu		/* a program need not have one */
	.globl	second_cpu_entry
second_cpu_entry:
	larl	%r15, second_stack_top - STACK_FRAME
	xc	0(8, %r15), 0(%r15)
	brasl	%r14, second_cpu	/* does not return */

/* Save all registers, call the C handler, go back through the old PSW (which the handler may have changed). */
	.macro	interruption class, save, old_psw
\class\()_stub:
	stmg	%r0, %r15, \save
	aghi	%r15, -STACK_FRAME
	brasl	%r14, \class\()_interruption
	lmg	%r0, %r15, \save
	lpswe	\old_psw
	.endm

/* Save areas are in the part of the prefix area that the architecture leaves free (0x200 to 0x11af). */
	interruption external, 0x200, 0x130
	interruption svc, 0x280, 0x140
	interruption io, 0x300, 0x170

/* The ones that end the run: a fresh stack, since the old one may be the reason. */
	.macro	fatal class, save
\class\()_stub:
	stmg	%r0, %r15, \save
	larl	%r15, emergency_stack_top - STACK_FRAME
	xc	0(8, %r15), 0(%r15)
	brasl	%r14, \class\()_interruption
	.endm

	fatal	program, 0x380
	fatal	machine_check, 0x400
	fatal	restart, 0x480

	.section .rodata
	.balign	8
	.macro	new_psw address
	.quad	0x0000000180000000, \address	/* 64-bit addressing, everything disabled */
	.endm
new_psws:
	new_psw	restart_stub
	new_psw	external_stub
	new_psw	svc_stub
	new_psw	program_stub
	new_psw	machine_check_stub
	new_psw	io_stub

	.bss
	.balign	8
	.skip	16384
stack_top:
	.skip	8192
second_stack_top:
	.skip	8192
emergency_stack_top:

	.section .note.GNU-stack, "", @progbits
