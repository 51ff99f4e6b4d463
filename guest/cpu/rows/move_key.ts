/** Moves between address spaces and access keys. At most 256 bytes each; condition code 3 says that there are more. */
import { ADDRESS_SPACE, CR0, pswAddressSpace } from '../../../kernel/include/arch/s390/access.ts';
import type { Cpu } from '../cpu.ts';
import type { FormatName } from '../formats.ts';
import { PGM, ProgramInterruption } from '../interruption.ts';
import { PSW } from '../psw.ts';
import type { Instruction, Row } from '../row.ts';
import type { View } from '../storage.ts';
import { requireKey } from './authority.ts';

const row = (mnemonic: string, opcode: string, format: FormatName, exec: NonNullable<Row['exec']>): Row => ({
  mnemonic,
  opcode,
  format,
  class: 'control',
  spec: 'SA22-7832 chapter 10 "Control Instructions"',
  exec,
});

/** Most bytes of one execution. */
const MOST = 256;
/** Access key in bits 56-59 of a register; the PSW-key mask must allow it. */
function keyIn(cpu: Cpu, r: number): number {
  const key = (cpu.gprLow(r) >>> 4) & 15;
  requireKey(cpu, key);
  return key;
}

/** Moves as if byte by byte from the left: a byte that was stored before is fetched as stored. */
function move(cpu: Cpu, length: number, to: View | undefined, from: View | undefined): void {
  const { storage } = cpu;
  const source = storage.pieces(cpu.operand2, length, false, from);
  const target = storage.pieces(cpu.operand1, length, true, to);
  const hosts = (pieces: typeof source) => {
    const at = new Uint32Array(length);
    let n = 0;
    for (const piece of pieces) for (let k = 0; k < piece.length; k++) at[n++] = piece.host + k;
    return at;
  };
  const [f, t] = [hosts(source), hosts(target)];
  const { u8 } = cpu.memory;
  for (let n = 0; n < length; n++) u8[t[n]] = u8[f[n]];
}

/** True length in R1: 64 bits in 64-bit mode, else 32. */
function moveCounted(cpu: Cpu, i: Instruction, to: View | undefined, from: View | undefined): void {
  const length = (cpu.mode & 3) === 3 ? cpu.gpr(i.r1) : BigInt(cpu.gprLow(i.r1));
  move(cpu, length > BigInt(MOST) ? MOST : Number(length), to, from);
  cpu.setCc(length > BigInt(MOST) ? 3 : 0);
}

/** DAT is on, in the primary or secondary space mode, and the secondary space may be used. @throws ProgramInterruption */
function requireSecondary(cpu: Cpu): void {
  const { mask } = cpu.psw();
  const space = pswAddressSpace(mask);
  const usual = space === ADDRESS_SPACE.PRIMARY || space === ADDRESS_SPACE.SECONDARY;
  if ((mask & PSW.DAT) === 0n || !usual || (cpu.cr(0) & CR0.SECONDARY_SPACE) === 0n)
    throw new ProgramInterruption(PGM.SPECIAL_OPERATION);
}
const PRIMARY = { space: ADDRESS_SPACE.PRIMARY } as const;
const SECONDARY = { space: ADDRESS_SPACE.SECONDARY } as const;

/** MOVE WITH KEY and its relatives. */
export const MOVES_WITH_KEY: readonly Row[] = [
  row('MVCK', 'D9', 'SS-d', (cpu, i) => moveCounted(cpu, i, undefined, { key: keyIn(cpu, i.r3) })),
  row('MVCP', 'DA', 'SS-d', (cpu, i) => {
    requireSecondary(cpu);
    moveCounted(cpu, i, PRIMARY, { ...SECONDARY, key: keyIn(cpu, i.r3) });
  }),
  row('MVCS', 'DB', 'SS-d', (cpu, i) => {
    requireSecondary(cpu);
    moveCounted(cpu, i, { ...SECONDARY, key: keyIn(cpu, i.r3) }, PRIMARY);
  }),
  row('MVCSK', 'E50E', 'SSE', (cpu) => {
    const key = keyIn(cpu, 1);
    move(cpu, (cpu.gprLow(0) & 0xff) + 1, undefined, { key });
  }),
  row('MVCDK', 'E50F', 'SSE', (cpu) => {
    const key = keyIn(cpu, 1);
    move(cpu, (cpu.gprLow(0) & 0xff) + 1, { key }, undefined);
  }),
];
