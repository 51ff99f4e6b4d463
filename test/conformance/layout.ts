/**
 * Where the conformance machine keeps things: addresses the vectors rely on, and the records exchanged between
 * `make_vectors.ts` and `harness.S` (which repeats the record offsets; change both).
 */

/** Address of the instruction under test. The zone around it holds zeros: X'0000' is no instruction, so wherever execution goes next is caught. */
export const SLOT = 0x30800;
/** End of the zero zone, which starts at X'30000'. */
export const ZONE_END = 0x50000;
/** Bytes reserved for the code of a case. */
export const CODE_SIZE = 128;
/** Operand area A: 512 bytes around the page boundary X'21000'. */
export const AREA_A = 0x20f00;
/** Operand area B: 512 bytes around the page boundary X'24000'. */
export const AREA_B = 0x23f00;
/** Bytes in each operand area. */
export const AREA_SIZE = 512;

/** CR0 of the conformance machine: reset value X'E0' plus the AFP-register control, bit 45 (SA22-7832 4-8). */
export const CR0 = 0x400e0n;
/** PSW mask of a case: 64-bit addressing, no interruptions, real mode (SA22-7832 figure 4-2). */
export const PSW_MASK_64 = 0x0000000180000000n;
/** The same with 31-bit addressing. */
export const PSW_MASK_31 = 0x0000000080000000n;
/** The same with 24-bit addressing. */
export const PSW_MASK_24 = 0n;
/** Shift of the condition code in the first doubleword of the PSW (bits 18-19). */
export const CC_SHIFT = 44n;
/** Shift of the program mask (bits 20-23). */
export const PM_SHIFT = 40n;

/** Size of an input and of an output record of the harness. */
export const RECORD = 1536;
/** Offsets in a record, input and output alike, unless named otherwise. */
export const AT = {
  psw: 0,
  inGprs: 16,
  inFprs: 144,
  inCode: 272,
  outInfo: 16,
  outFpc: 24,
  outGprs: 32,
  outFprs: 160,
  areaA: 512,
  areaB: 1024,
};
/** Where the harness leaves the output records. */
export const RESULTS = 0x4000000;

/** Value of GPR n in a case that does not give one: n in every nibble. */
export function defaultGpr(n: number): bigint {
  return BigInt(n) * 0x1111111111111111n;
}
/** Value of FPR n in a case that does not give one. */
export function defaultFpr(n: number): bigint {
  return 0xf0e1d2c3b4a59600n + BigInt(n);
}
