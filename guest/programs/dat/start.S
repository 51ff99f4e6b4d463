/*
 * I/O instructions whose operands are virtual: found through the tables of the primary, secondary and home space, lying
 * across pages that are no neighbours in real storage; and the access exceptions they lead to.
 *
 * Ends in a disabled wait: address 0 when everything was right, else 0x1000 plus the number of the check that was not.
 *
 * Virtual storage is real storage up to 1 MiB. Above, the pages are, with frame 0 to 3 in the order of each space:
 *   0x100000 ... 0x103fff  the four frames, in another order in every space
 *   0x104000               invalid
 *   0x105000               frame 0, protected
 */

#define PGM_CODE	0x8e		/* assigned storage locations */
#define PGM_TEID	0xa8
#define PGM_OLD_ADDRESS	0x158
#define PGM_NEW		0x1d0
#define VIRTUAL		0x100000
#define CROSSING	(VIRTUAL + 0x1000 - 8)	/* eight bytes on the first page, the rest on the second */
#define FETCH		0x800		/* TEID */
#define STORE		0x400
#define BY_DAT		4
#define ENABLED		0x80		/* PMCW, byte 5 */
#define HOME		3
#define ENDED		0x0c		/* device status: channel end, device end */

	.machine z196

/* The next check has this number. */
	.macro	check number
	lghi	%r15, \number
	.endm
/* Condition code of what went before must be in the mask. */
	.macro	want mask
	brc	15 - \mask, fail
	.endm
/* With this access key the instruction must end with this interruption code, identification and old PSW address. */
	.macro	refused key, code, teid, behind, instruction:vararg
	larl	%r1, .Lafter\@
	stg	%r1, resume + 8 - base(%r13)
	larl	%r12, .Lat\@ + \behind
	lg	%r1, id - base(%r13)		/* register 1 names the subchannel */
	spka	\key
.Lat\@:	\instruction
	j	fail
.Lafter\@:
	chi	%r10, \code
	jne	fail
	clgfi	%r11, \teid
	jne	fail
	cgr	%r14, %r12
	jne	fail
	larl	%r1, unexpected
	stg	%r1, resume + 8 - base(%r13)
	lg	%r1, id - base(%r13)
	.endm

	.text
	.globl	_start
_start:	larl	%r13, base
	lghi	%r0, 0
	mvc	PGM_NEW(16, %r0), program_new - base(%r13)

/* Tables. */
	larl	%r2, identity
	lghi	%r3, 256
	lghi	%r4, 0
1:	stg	%r4, 0(%r2)
	aghi	%r4, 4096
	aghi	%r2, 8
	brctg	%r3, 1b
	.irp	space, primary, secondary, home
	larl	%r2, \space\()_pages
	larl	%r4, \space\()_order
	brasl	%r14, pages
	larl	%r2, \space\()_segments
	larl	%r4, \space\()_pages
	brasl	%r14, segments
	.endr
	larl	%r2, primary_segments
	stg	%r2, asce - base(%r13)
	lctlg	%c1, %c1, asce - base(%r13)
	larl	%r2, secondary_segments
	stg	%r2, asce - base(%r13)
	lctlg	%c7, %c7, asce - base(%r13)
	larl	%r2, home_segments
	stg	%r2, asce - base(%r13)
	lctlg	%c13, %c13, asce - base(%r13)
	larl	%r1, translated
	stg	%r1, resume + 8 - base(%r13)
	lpswe	resume - base(%r13)

/* DAT is on, in the primary space: frames 3, 2, 1, 0. */
translated:
	larl	%r1, unexpected
	stg	%r1, resume + 8 - base(%r13)
	lg	%r1, id - base(%r13)
	lgfi	%r2, CROSSING
	larl	%r3, frames
	la	%r9, 0xff8(%r3)			/* where the operand begins in each frame, if it does, and where it goes on */
	lay	%r8, 0x1ff8(%r3)
	lay	%r7, 0x3ff8(%r3)
	lay	%r6, 0x2000(%r3)

	check	1				/* STSCH across pages: device number and valid bit */
	stsch	0(%r2)
	want	8
	check	2
	clc	6(2, %r7), devno - base(%r13)
	jne	fail
	check	3
	tm	5(%r7), 1
	want	1
	check	4				/* the second page's part: path masks and CHPIDs are in frame 2 */
	cli	0(%r6), 0
	je	fail

	check	5				/* MSCH */
	oi	5(%r2), ENABLED
	msch	0(%r2)
	want	8
	xc	0(8, %r7), 0(%r7)
	stsch	0(%r2)
	check	6
	tm	5(%r7), ENABLED
	want	1

	check	7				/* SSCH: sense id */
	mvc	0(12, %r2), orb - base(%r13)
	larl	%r4, program
	st	%r4, 8(%r2)
	larl	%r4, sense
	st	%r4, program + 4 - base(%r13)
	ssch	0(%r2)
	want	8
	check	8				/* TSCH until there is status: channel end and device end in frame 2 */
2:	tsch	0(%r2)
	brc	4, 2b
	want	8
	check	9
	cli	0(%r6), ENDED
	jne	fail
	check	10
	cli	sense - base(%r13), 0xff
	jne	fail

	check	20				/* the secondary space: frames 1, 3 */
	sac	0x100
	stsch	0(%r2)
	sac	0
	want	8
	check	21
	clc	6(2, %r8), devno - base(%r13)
	jne	fail
	check	22				/* the home space: frames 0, 2 */
	sac	0x300
	stsch	0(%r2)
	sac	0
	want	8
	check	23
	clc	6(2, %r9), devno - base(%r13)
	jne	fail

	xc	0(8, %r9), 0(%r9)
	lgfi	%r2, VIRTUAL + 0x4000 - 4
	check	30				/* page invalid: nullified */
	refused	0, 0x11, 0x104000 + STORE, 0, stsch 0(%r2)
	check	31
	refused	0, 0x11, 0x104000 + STORE, 0, tsch 0(%r2)
	check	32
	refused	0, 0x11, 0x104000 + FETCH, 0, ssch 0(%r2)
	check	33				/* the page before was not touched: frame 0 ends with zeros */
	oc	0(8, %r9), 0(%r9)
	jnz	fail
	lgfi	%r2, 0x40000000			/* segment invalid */
	check	34
	refused	0, 0x10, 0x40000000 + FETCH, 0, msch 0(%r2)
	llilf	%r2, 0x80000000			/* beyond the segment table */
	check	35
	refused	0, 0x38, 0x80000000 + STORE, 0, stcrw 0(%r2)

	lgfi	%r2, VIRTUAL + 0x5000		/* protected by its page-table entry: suppressed */
	check	40
	refused	0, 4, 0x105000 + STORE + BY_DAT, 4, stsch 0(%r2)
	check	41				/* a fetch is allowed */
	msch	0(%r2)
	want	15

	check	50				/* protected by its storage key */
	lgr	%r5, %r3
	lghi	%r4, 0x48
	sske	%r4, %r5			/* frame 0 */
	lgfi	%r2, VIRTUAL + 0x3000
	refused	0x30, 4, 0x103000 + STORE, 4, stsch 0(%r2)
	check	51
	refused	0x30, 4, 0x103000 + FETCH, 4, msch 0(%r2)
	check	52				/* its own key */
	spka	0x40
	stsch	0(%r2)
	spka	0
	want	8

	check	60				/* low-address protection */
	oi	cr0 + 4 - base(%r13), 0x10
	lctlg	%c0, %c0, cr0 - base(%r13)
	lghi	%r2, 0
	refused	0, 4, STORE, 4, stsch 0x100(%r2)

	lghi	%r15, -0x1000
	j	fail

/* A program interruption comes here with DAT off; what it was goes into registers 10, 11 and 14. */
interrupted:
	llgh	%r10, PGM_CODE(%r0)
	lg	%r11, PGM_TEID(%r0)
	lg	%r14, PGM_OLD_ADDRESS(%r0)
	lpswe	resume - base(%r13)
unexpected:
	aghi	%r15, 0x1000
fail:	aghi	%r15, 0x1000
	stg	%r15, end + 8 - base(%r13)
	lpswe	end - base(%r13)

/* Page table at r2: frames in the order of the four bytes at r4, an invalid page, a protected one, and nothing more. */
pages:	larl	%r5, frames
	lghi	%r6, 4
1:	llgc	%r7, 0(%r4)
	sllg	%r7, %r7, 12
	agr	%r7, %r5
	stg	%r7, 0(%r2)
	aghi	%r2, 8
	aghi	%r4, 1
	brctg	%r6, 1b
	lghi	%r7, 0x400
	stg	%r7, 0(%r2)
	la	%r7, 0x200(%r5)
	stg	%r7, 8(%r2)
	aghi	%r2, 16
	lghi	%r7, 0x400
	lghi	%r6, 256 - 6
1:	stg	%r7, 0(%r2)
	aghi	%r2, 8
	brctg	%r6, 1b
	br	%r14

/* Segment table at r2: storage as it is, the page table at r4, and nothing more. */
segments:
	larl	%r5, identity
	stg	%r5, 0(%r2)
	stg	%r4, 8(%r2)
	aghi	%r2, 16
	lghi	%r7, 0x20
	lghi	%r6, 512 - 2
1:	stg	%r7, 0(%r2)
	aghi	%r2, 8
	brctg	%r6, 1b
	br	%r14

	.data
	.balign	16
base:
program_new:
	.quad	0x0000000180000000, interrupted
resume:	.quad	0x0400000180000000, unexpected
end:	.quad	0x0002000180000000, 0
id:	.quad	0x00010000
asce:	.quad	0
cr0:	.quad	0xe0
/* Interruption parameter; format 1, prefetch, every path; program. */
orb:	.long	0x12345678, 0x00c0ff00, 0
devno:	.short	0x0190
primary_order:
	.byte	3, 2, 1, 0
secondary_order:
	.byte	1, 3, 0, 2
home_order:
	.byte	0, 2, 1, 3
	.balign	8
/* SENSE ID, incorrect length suppressed. */
program:
	.long	0xe4200007, 0
sense:	.quad	0

	.bss
	.balign	4096
frames:	.skip	4 * 4096
primary_segments:
	.skip	4096
secondary_segments:
	.skip	4096
home_segments:
	.skip	4096
identity:
	.skip	2048
primary_pages:
	.skip	2048
secondary_pages:
	.skip	2048
home_pages:
	.skip	2048
