/**
 * Instructions the machine performs: the core checks privilege, computes the operand address and leaves `run`.
 * SA22-7832 chapter 14 "I/O Instructions"; SIGP chapter 4; SERVC and DIAG are model-dependent.
 */
import { i32 } from '../../../kernel/lib/wasm/types.ts';
import type { FormatName } from '../formats.ts';
import { PGM, ProgramInterruption } from '../interruption.ts';
import { NEXT, type Row } from '../row.ts';

const intercepted = (
  mnemonic: string,
  opcode: string,
  format: FormatName,
  kind: Row['class'] = 'io',
  align = 1n,
): Row => ({
  mnemonic,
  opcode,
  format,
  class: kind,
  privileged: true,
  spec: 'SA22-7832 chapter 14 "I/O Instructions"',
  flow: 'leave',
  exec: (cpu, i) => {
    const operand = format === 'S' || format === 'RS-a' ? cpu.operand2 : 0n;
    if (operand % align !== 0n) throw new ProgramInterruption(PGM.SPECIFICATION);
    return cpu.stop(i, 'intercept', operand);
  },
});

/** DIAGNOSE function of a hypercall; PAPR token in general register 1. */
const DIAG_HYPERCALL = 0x5e0;
/** The function is the low half of the operand address. */
const DIAG_FUNCTION = 0xffff;

/** Intercepted rows. */
export const CHANNEL: readonly Row[] = [
  intercepted('CSCH', 'B230', 'S-none'),
  intercepted('HSCH', 'B231', 'S-none'),
  intercepted('MSCH', 'B232', 'S', 'io', 4n),
  intercepted('SSCH', 'B233', 'S', 'io', 4n),
  intercepted('STSCH', 'B234', 'S', 'io', 4n),
  intercepted('TSCH', 'B235', 'S', 'io', 4n),
  intercepted('TPI', 'B236', 'S', 'io', 4n),
  intercepted('SAL', 'B237', 'S-none'),
  intercepted('RSCH', 'B238', 'S-none'),
  intercepted('STCRW', 'B239', 'S', 'io', 4n),
  intercepted('STCPS', 'B23A', 'S', 'io', 32n),
  intercepted('RCHP', 'B23B', 'S-none'),
  intercepted('SCHM', 'B23C', 'S-none'),
  intercepted('CHSC', 'B25F', 'RRE'),
  intercepted('XSCH', 'B276', 'S-none'),
  intercepted('SERVC', 'B220', 'RRE', 'control'),
  intercepted('SIGP', 'AE', 'RS-a', 'control'),
  intercepted('STSI', 'B27D', 'S', 'control'),
  {
    mnemonic: 'DIAG',
    opcode: '83',
    format: 'RS-a',
    class: 'control',
    privileged: true,
    spec: 'SA22-7832 chapter 10 "DIAGNOSE"',
    flow: 'leave',
    // Problem state never comes here: it is part of what a translation is for.
    emit: (b, i) => {
      // Without a base register the function is known now.
      if (i.b2 === 0 && (i.d2 & DIAG_FUNCTION) !== DIAG_HYPERCALL) b.call(i);
      else if (i.b2 === 0) b.hypercall(i);
      else {
        const asked = i32.and(i32.wrap(b.address2(i)), i32.const(DIAG_FUNCTION));
        b.if(
          i32.eq(asked, i32.const(DIAG_HYPERCALL)),
          () => b.hypercall(i),
          () => b.call(i),
        );
      }
    },
    exec: (cpu, i) => {
      if ((cpu.operand2Low & DIAG_FUNCTION) !== DIAG_HYPERCALL) return cpu.stop(i, 'intercept', cpu.operand2);
      return cpu.bus.hypercall(cpu) ? NEXT.CONTINUE : cpu.stop(i, 'hypercall');
    },
  },
];
