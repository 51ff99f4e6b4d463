/*
 * What every program's start is made of, for the assembler: a C stack, stubs that lead interruptions to C, and the new
 * PSWs that lead to the stubs.
 */

#define STACK_FRAME	160		/* s390x ELF ABI: register save area of a callee */
#define NEW_PSWS	0x1a0		/* restart, external, SVC, program, machine check, I/O new PSWs */

/* An empty stack that ends at `top`; its back chain ends here. */
	.macro	empty_stack top
	larl	%r15, \top - STACK_FRAME
	xc	0(8, %r15), 0(%r15)
	.endm

/* Save all registers, call the C handler, go back through the old PSW (which the handler may have changed). */
	.macro	interruption class, save, old_psw
\class\()_stub:
	stmg	%r0, %r15, \save
	aghi	%r15, -STACK_FRAME
	brasl	%r14, \class\()_interruption
	lmg	%r0, %r15, \save
	lpswe	\old_psw
	.endm

/* The new PSWs, in the order of the lowcore: 64-bit addressing, everything disabled. */
	.macro	new_psw_table
	.balign	8
new_psws:
	.irp	stub, restart_stub, external_stub, svc_stub, program_stub, machine_check_stub, io_stub
	.quad	0x0000000180000000, \stub
	.endr
	.endm
