/**
 * Interruptions: PSW swap through the lowcore at the prefix. SA22-7832 chapter 6 "Interruptions"; assigned storage
 * locations: chapter 3 "Assigned Storage Locations".
 */

export { PGM } from '../../kernel/include/arch/s390/pgm.ts';

/** Thrown inside an instruction: it is nullified, suppressed or completed as its code says. */
export class ProgramInterruption {
  readonly code: number;
  /** Translation-exception identification, for access exceptions. */
  readonly teid: bigint | undefined;
  /** Data-exception code. */
  readonly dataCode: number;
  constructor(code: number, teid?: bigint, dataCode = 0) {
    this.code = code;
    this.teid = teid;
    this.dataCode = dataCode;
  }
}

/** Thrown when the page is being moved: the instruction did not happen and is to be executed again. */
export class Retry {
  /** Absolute address of the page. */
  readonly page: number;
  constructor(page: number) {
    this.page = page;
  }
}

/** Codes whose old PSW points at the instruction (nullification). SA22-7832 chapter 6 "Types of Instruction Ending". */
const NULLIFYING = new Set([
  0x10, 0x11, 0x1c, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x38, 0x39, 0x3a, 0x3b,
]);
/** True when the instruction is to be executed again after the interruption. */
export const nullifies = (code: number) => NULLIFYING.has(code);

/** Old and new PSW of each class, real addresses. */
export const LOWCORE_PSW = {
  restart: { old: 0x120, new: 0x1a0 },
  external: { old: 0x130, new: 0x1b0 },
  svc: { old: 0x140, new: 0x1c0 },
  program: { old: 0x150, new: 0x1d0 },
  mcheck: { old: 0x160, new: 0x1e0 },
  io: { old: 0x170, new: 0x1f0 },
} as const;
export type InterruptionClass = keyof typeof LOWCORE_PSW;

/** Assigned storage locations the core stores to. SA22-7832 chapter 3 "Assigned Storage Locations". */
export const LOWCORE = {
  EXT_PARAMETER: 0x80,
  EXT_CPU_ADDRESS: 0x84,
  EXT_CODE: 0x86,
  SVC_ILC: 0x88,
  SVC_CODE: 0x8a,
  PGM_ILC: 0x8c,
  PGM_CODE: 0x8e,
  DATA_CODE: 0x90,
  MONITOR_CLASS: 0x94,
  EXCEPTION_ACCESS_ID: 0xa0,
  TEID: 0xa8,
  MONITOR_CODE: 0xb0,
  IO_SUBSYSTEM_ID: 0xb8,
  IO_PARAMETER: 0xbc,
  IO_WORD: 0xc0,
  STFL: 0xc8,
  MCIC: 0xe8,
  BREAKING_EVENT: 0x110,
  SAVE_FPR: 0x1200,
  SAVE_GPR: 0x1280,
  SAVE_PSW: 0x1300,
  SAVE_PREFIX: 0x1318,
  SAVE_FPC: 0x131c,
  SAVE_TOD_PROGRAMMABLE: 0x1324,
  SAVE_CPU_TIMER: 0x1328,
  SAVE_CLOCK_COMPARATOR: 0x1331,
  SAVE_AR: 0x1340,
  SAVE_CR: 0x1380,
} as const;

/** The part of the lowcore page interruptions store into: parameters to the last old PSW. */
export const LOWCORE_STORED = { FIRST: 0x80, LENGTH: 0x100 } as const;
