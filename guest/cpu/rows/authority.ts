/** What semiprivileged instructions ask for in the problem state (SA22-7832 chapter 5, "Authorization Mechanisms"). */

import { CR0 } from '../../../kernel/include/arch/s390/access.ts';
import { low32 } from '../../../kernel/lib/words64.ts';
import type { Cpu } from '../cpu.ts';
import { PGM, ProgramInterruption } from '../interruption.ts';

/** Bit of CR3 for access key 0: the PSW-key mask is bits 32-47. */
const KEY_MASK_FIRST = 0x8000_0000;

/** The PSW-key mask must allow an access key. @throws ProgramInterruption privileged operation */
export function requireKey(cpu: Cpu, key: number): void {
  if (cpu.problem && (low32(cpu.cr(3)) & (KEY_MASK_FIRST >>> key)) === 0) throw new ProgramInterruption(PGM.PRIVILEGED);
}

/** Keys may be looked at. @throws ProgramInterruption privileged operation */
export function requireExtractionAuthority(cpu: Cpu): void {
  if (cpu.problem && (cpu.cr(0) & CR0.EXTRACTION_AUTHORITY) === 0n) throw new ProgramInterruption(PGM.PRIVILEGED);
}
