/**
 * Hypercall tokens and return codes, one row each (PAPR, "Hypervisor Call Functions"; Linux
 * arch/powerpc/include/asm/hvcall.h has the same names and numbers).
 */

/** Tokens: the number a guest gives in its first argument register. */
export const HCALL = {
  H_GET_TCE: 0x1c,
  H_PUT_TCE: 0x20,
  H_LOGICAL_CI_LOAD: 0x3c,
  H_LOGICAL_CI_STORE: 0x40,
  H_EOI: 0x64,
  H_CPPR: 0x68,
  H_IPI: 0x6c,
  H_IPOLL: 0x70,
  H_XIRR: 0x74,
  // 138 fills a range with one value, 13C takes a list: the two are easily swapped.
  H_STUFF_TCE: 0x138,
  H_PUT_TCE_INDIRECT: 0x13c,
  /** KVM's and QEMU's own: carries an RTAS call (QEMU include/hw/ppc/spapr.h, KVMPPC_H_RTAS). */
  H_RTAS: 0xf000,
  /** minivisor's own: chooses the tier that answers TCE hypercalls. */
  H_MINIVISOR_TIER: 0xf0f0,
  /** minivisor's own: marks the end of a measured batch. */
  H_MINIVISOR_MARK: 0xf0f4,
  /**
   * Freescale's hypervisor: lets a device do DMA (Linux arch/powerpc/include/asm/fsl_hcalls.h, FH_DMA_ENABLE, with the
   * vendor's number above it: epapr_hcalls.h, EV_FSL_VENDOR_ID).
   */
  FH_DMA_ENABLE: 0x1_0009,
} as const;

export type HcallName = keyof typeof HCALL;

/** Return codes, signed. */
export const HCALL_RETURN = {
  H_SUCCESS: 0,
  H_BUSY: 1,
  H_CLOSED: 2,
  H_LONG_BUSY_ORDER_1_MSEC: 9900,
  H_LONG_BUSY_ORDER_10_MSEC: 9901,
  H_LONG_BUSY_ORDER_100_MSEC: 9902,
  H_LONG_BUSY_ORDER_1_SEC: 9903,
  H_LONG_BUSY_ORDER_10_SEC: 9904,
  H_LONG_BUSY_ORDER_100_SEC: 9905,
  /** The next tier must finish the call. Inside the host only: a guest never sees it (Linux hvcall.h, H_TOO_HARD). */
  H_TOO_HARD: 9999,
  H_HARDWARE: -1,
  H_FUNCTION: -2,
  H_PRIVILEGE: -3,
  H_PARAMETER: -4,
  H_NOT_FOUND: -7,
  H_AUTHORITY: -10,
  H_PERMISSION: -11,
  H_RESOURCE: -16,
  H_P2: -55,
  H_P3: -56,
  H_P4: -57,
  H_P5: -58,
} as const;

export type HcallReturnName = keyof typeof HCALL_RETURN;

/** Hypercalls of the kernel's that return a value beside the code (PAPR: in r4, here GPR3; "hcall()" definitions). */
export const HCALLS_WITH_OUTPUT: readonly number[] = [HCALL.H_GET_TCE, HCALL.H_LOGICAL_CI_LOAD];
/** Whether a hypercall is one of {@link HCALLS_WITH_OUTPUT}. */
export function hasOutput(nr: number): boolean {
  return HCALLS_WITH_OUTPUT.includes(nr);
}

/** Most entries that one H_PUT_TCE_INDIRECT takes: one 4K page of 64-bit entries (PAPR, H_PUT_TCE_INDIRECT). */
export const TCE_INDIRECT_MAX = 512;

const TOKEN_NAMES = new Map<number, HcallName>(Object.entries(HCALL).map(([name, n]) => [n, name as HcallName]));
const RETURN_NAMES = new Map<number, HcallReturnName>(
  Object.entries(HCALL_RETURN).map(([name, n]) => [n, name as HcallReturnName]),
);

/** Name of a token; undefined for one that is not in the table (the answer to which is H_FUNCTION). */
export function hcallName(token: number): HcallName | undefined {
  return TOKEN_NAMES.get(token);
}

/** Name of a return code, for people: the number itself when it is not in the table. */
export function hcallReturnName(code: number): string {
  return RETURN_NAMES.get(code) ?? `${code}`;
}
