/*
 * Hypercalls by DIAGNOSE X'5E0': token in GR1, arguments from GR2 on; return code in GR2, value in GR3.
 * Tokens and return codes as in the Power Architecture Platform Requirements (PAPR), "hcall()".
 */
#ifndef HCALL_H
#define HCALL_H

#include <stdint.h>

#define H_GET_TCE		0x1c	/* liobn, ioba -> tce */
#define H_PUT_TCE		0x20	/* liobn, ioba, tce */
#define H_LOGICAL_CI_LOAD	0x3c	/* size, address -> value */
#define H_LOGICAL_CI_STORE	0x40	/* size, address, value */
#define H_EOI			0x64	/* xirr */
#define H_CPPR			0x68	/* processor priority */
#define H_XIRR			0x74	/* -> priority, interrupt source */
#define H_STUFF_TCE		0x138	/* liobn, ioba, tce, count */
#define H_PUT_TCE_INDIRECT	0x13c	/* liobn, ioba, list, count */
#define H_RTAS			0xf000	/* argument buffer; KVM's own number */

/* The machine's own, outside PAPR's range. */
#define H_MINIVISOR_TIER	0xf0f0	/* tier: who handles the TCE calls from now on */
#define H_MINIVISOR_MARK	0xf0f4	/* series, calls, TOD units: one measured batch; of 0 calls: operations so far */

/* Freescale's hypervisor: resets a device and lets its DMA go on (fsl_hcalls.h, fh_dma_enable). */
#define FH_DMA_ENABLE		0x10009	/* number of the platform device */

#define H_SUCCESS	0
#define H_FUNCTION	(-2)
#define H_PARAMETER	(-4)
#define H_AUTHORITY	(-10)

enum tier {
	TIER_REAL_MODE,
	TIER_VIRTUAL_MODE,
	TIER_VMM,
	TIER_AS_BEFORE,		/* what the command line of the machine chose */
};

/* What GR2 and GR3 held afterwards. */
struct hcall_result {
	int64_t code;
	uint64_t value;
};

static inline struct hcall_result hcall(uint64_t token, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	register uint64_t gr1 asm("1") = token;
	register uint64_t gr2 asm("2") = a;
	register uint64_t gr3 asm("3") = b;
	register uint64_t gr4 asm("4") = c;
	register uint64_t gr5 asm("5") = d;

	asm volatile("diag	%%r0,%%r0,0x5e0"
		     : "+d"(gr2), "+d"(gr3), "+d"(gr4), "+d"(gr5)
		     : "d"(gr1)
		     : "memory", "cc");
	return (struct hcall_result){ gr2, gr3 };
}

/* Permissions in the low bits of a TCE: what the device may do to memory. */
#define TCE_READ	1UL
#define TCE_WRITE	2UL
#define TCE_RW		(TCE_READ | TCE_WRITE)

static inline int64_t h_put_tce(uint64_t liobn, uint64_t ioba, uint64_t tce)
{
	return hcall(H_PUT_TCE, liobn, ioba, tce, 0).code;
}

static inline struct hcall_result h_get_tce(uint64_t liobn, uint64_t ioba)
{
	return hcall(H_GET_TCE, liobn, ioba, 0, 0);
}

static inline int64_t h_stuff_tce(uint64_t liobn, uint64_t ioba, uint64_t tce, uint64_t count)
{
	return hcall(H_STUFF_TCE, liobn, ioba, tce, count).code;
}

#endif
