/**
 * The intercepted I/O instructions as a table (QEMU target/s390x/ioinst.c; SA22-7832 chapter 14).
 *
 * Priority of exceptions: specification (alignment), access to the operand, operand (a bad identification or block),
 * then the condition code. TSCH looks at the identification first. The privileged-operation check was made by the CPU,
 * and is repeated here because nothing else stands between problem state and the devices.
 */

import { type DequeuedIo, PGM, ProgramInterruption, type Vcpu } from '../../../hypervisor/machine_api.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { low32 } from '../../../kernel/lib/words64.ts';
import type { ChannelSubsystem } from './css.ts';
import type { Intercept } from './intercept.ts';
import * as handlers from './ioinst_handlers.ts';

interface IoInstruction {
  readonly name: string;
  /** Bytes of the storage operand; 0 without one. */
  readonly length: number;
  /** Required alignment of the storage operand; a power of two. */
  readonly alignment: number;
  /** @returns condition code, or CC_UNCHANGED. @throws ProgramInterruption */
  readonly handler: (intercept: Intercept) => Task<number>;
}

/** By the first two bytes of the text. */
export const IO_INSTRUCTIONS: Readonly<Record<number, IoInstruction>> = {
  [0xb230]: { name: 'csch', length: 0, alignment: 1, handler: handlers.csch },
  [0xb231]: { name: 'hsch', length: 0, alignment: 1, handler: handlers.hsch },
  [0xb232]: { name: 'msch', length: 52, alignment: 4, handler: handlers.msch },
  [0xb233]: { name: 'ssch', length: 12, alignment: 4, handler: handlers.ssch },
  [0xb234]: { name: 'stsch', length: 52, alignment: 4, handler: handlers.stsch },
  // TSCH checks its alignment itself, after the identification.
  [0xb235]: { name: 'tsch', length: 64, alignment: 1, handler: handlers.tsch },
  [0xb236]: { name: 'tpi', length: 8, alignment: 4, handler: handlers.tpi },
  [0xb237]: { name: 'sal', length: 0, alignment: 1, handler: handlers.sal },
  [0xb238]: { name: 'rsch', length: 0, alignment: 1, handler: handlers.rsch },
  [0xb239]: { name: 'stcrw', length: 4, alignment: 4, handler: handlers.stcrw },
  [0xb23a]: { name: 'stcps', length: 32, alignment: 32, handler: handlers.stcps },
  [0xb23b]: { name: 'rchp', length: 0, alignment: 1, handler: handlers.rchp },
  [0xb23c]: { name: 'schm', length: 0, alignment: 1, handler: handlers.schm },
  // CHSC's operand is in R1: its handler checks the page boundary.
  [0xb25f]: { name: 'chsc', length: 0, alignment: 1, handler: handlers.chsc },
  [0xb276]: { name: 'xsch', length: 0, alignment: 1, handler: handlers.xsch },
};

/** The subchannel that general register 1 names, if the instruction takes one: css, set, number. */
function sid(gr1: bigint): [cssid: number, ssid: number, schid: number] {
  const word = low32(gr1);
  return [word >>> 24, (word >>> 17) & 3, word & 0xffff];
}

/**
 * Carries out one intercepted I/O instruction.
 * @param dequeued what KVM took off its queue for TSCH or TPI; put back when the instruction faults.
 * @returns the condition code, or -1 when it is unchanged. @throws ProgramInterruption
 */
export function* ioinst(css: ChannelSubsystem, vcpu: Vcpu, dequeued?: DequeuedIo): Task<number> {
  const opcode = (vcpu.text[0] << 8) | vcpu.text[1];
  const gr1 = vcpu.gpr(1);
  const { operand } = vcpu;
  const { tracer } = css.machine;
  if (tracer.on(EVENT.ioinst_sch_id)) tracer.point(EVENT.ioinst_sch_id, opcode, ...sid(gr1));
  try {
    const row = IO_INSTRUCTIONS[opcode];
    if (row === undefined) throw new ProgramInterruption(PGM.OPERATION);
    if (vcpu.problemState) throw new ProgramInterruption(PGM.PRIVILEGED);
    if (row.length > 0 && (low32(operand) & (row.alignment - 1)) !== 0)
      throw new ProgramInterruption(PGM.SPECIFICATION);
    const cc = yield* row.handler({ css, vcpu, gr1, operand, dequeued });
    if (tracer.on(EVENT.s390_ioinst)) tracer.point(EVENT.s390_ioinst, opcode, low32(gr1) & 0xffff, cc, Number(operand));
    return cc;
  } catch (error) {
    if (dequeued !== undefined) yield* css.putBackInterruption(dequeued);
    throw error;
  }
}
