/** What the vectors do not cover, and which vectors are not run. */
import type { Row } from '../../guest/cpu/row.ts';

/** General instructions without vectors, and why. */
export const TESTED_ELSEWHERE: Record<string, string> = {
  STCK: 'the time of day: timing tests of guest/cpu',
  STCKE: 'the time of day: timing tests of guest/cpu',
  STCKF: 'the time of day: timing tests of guest/cpu',
  STFLE: 'depends on the CPU model',
  ECAG: 'depends on the CPU model',
  SVC: 'leads to the supervisor-call new PSW: interruption tests of guest/cpu',
};

/**
 * Privileged, control and input/output instructions act on more than registers and operands; the unit tests of
 * guest/cpu and the guests that boot exercise them.
 */
export function outOfScope(row: Row): boolean {
  return row.privileged === true || row.class === 'control' || row.class === 'io';
}

/** Vectors not run, by mnemonic and start of the assembler text, with the reason. */
export const SKIPPED: { mnemonic: string; asm: string; reason: string }[] = [];
