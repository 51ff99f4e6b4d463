/** Control instructions the core performs itself: PSW, control and access registers, identification, translation. */

import { CR0, pswKey } from '../../../kernel/include/arch/s390/access.ts';
import { i32, i64 } from '../../../kernel/lib/wasm/types.ts';
import { low32 } from '../../../kernel/lib/words64.ts';
import type { Cpu } from '../cpu.ts';
import type { FormatName } from '../formats.ts';
import { LOWCORE, PGM, ProgramInterruption, Retry } from '../interruption.ts';
import { PSW } from '../psw.ts';
import { type Instruction, NEXT, type Row } from '../row.ts';
import { requireExtractionAuthority, requireKey } from './authority.ts';
import { GENERAL, general } from './operands.ts';

const CONTROL_CHAPTER = 'SA22-7832 chapter 10 "Control Instructions"';
const control = (
  mnemonic: string,
  opcode: string,
  format: FormatName,
  exec: NonNullable<Row['exec']>,
  more: Partial<Row> = {},
): Row => ({ mnemonic, opcode, format, class: 'control', privileged: true, spec: CONTROL_CHAPTER, exec, ...more });
const unprivileged = { class: 'general', privileged: false, spec: GENERAL } as const;
const specification = (): never => {
  throw new ProgramInterruption(PGM.SPECIFICATION);
};
function aligned(address: bigint, size: bigint): bigint {
  return address % size === 0n ? address : specification();
}

// --- PSW ---------------------------------------------------------------------------------------------------------

/** Replaces the system mask (PSW bits 0-7). */
function setSystemMask(cpu: Cpu, i: Instruction, mask: number): number | undefined {
  const old = cpu.psw().mask;
  const next = (old & 0x00ff_ffff_ffff_ffffn) | (BigInt(mask) << 56n);
  if ((next & PSW.DAT) === (old & PSW.DAT) && (mask & 0xb8) === 0) {
    cpu.setPswMask(next);
    return undefined;
  }
  return cpu.loadPsw(next, i.next);
}
const psw: Row[] = [
  control(
    'LPSWE',
    'B2B2',
    'S',
    (cpu) => {
      const at = aligned(cpu.operand2, 8n);
      const mask = cpu.storage.read64(at);
      return cpu.loadPsw(mask, cpu.storage.read64(at + 8n));
    },
    { flow: 'end' },
  ),
  control(
    'LPSW',
    '82',
    'SI-none',
    (cpu) => {
      const at = aligned(cpu.operand1, 8n);
      const short = cpu.storage.read64(at);
      // Bit 12 of the short form must be one; it is not part of the 16-byte form.
      if ((short & PSW.SHORT) === 0n) specification();
      return cpu.loadPsw(short & 0xffff_ffff_8000_0000n & ~PSW.SHORT, short & 0x7fff_ffffn);
    },
    { flow: 'end' },
  ),
  control('SSM', '80', 'SI-none', (cpu, i) => setSystemMask(cpu, i, cpu.storage.readNumber(cpu.operand1, 1)), {
    flow: 'leave',
  }),
  control(
    'STNSM',
    'AC',
    'SI',
    (cpu, i) => {
      const old = Number(cpu.psw().mask >> 56n);
      cpu.storage.writeNumber(cpu.operand1, 1, old);
      return setSystemMask(cpu, i, old & i.i2);
    },
    { flow: 'leave', unsigned: true },
  ),
  control(
    'STOSM',
    'AD',
    'SI',
    (cpu, i) => {
      const old = Number(cpu.psw().mask >> 56n);
      cpu.storage.writeNumber(cpu.operand1, 1, old);
      return setSystemMask(cpu, i, old | i.i2);
    },
    { flow: 'leave', unsigned: true },
  ),
  general('EPSW', 'B98D', 'RRE', (b, i) => {
    const mask = b.let64(i64.or(b.state64('pswMask'), i64.shl(i64.fromU(b.cc()), i64.const(44))));
    b.set32(i.r1, i32.wrap(i64.shrU(mask, i64.const(32))));
    if (i.r2 !== 0) b.set32(i.r2, i32.wrap(mask));
  }),
  general('IPM', 'B222', 'RRE-1', (b, i) => {
    const program = i32.and(i32.wrap(i64.shrU(b.state64('pswMask'), i64.const(16))), i32.const(0x0f00_0000));
    const inserted = i32.or(program, i32.shl(b.cc(), i32.const(28)));
    b.set32(i.r1, i32.or(i32.and(b.r32(i.r1), i32.const(0x00ff_ffff)), inserted));
  }),
  control(
    'SPM',
    '04',
    'RR-1',
    (cpu, i) => {
      const bits = BigInt(cpu.gprLow(i.r1) & 0x3f00_0000) << 16n;
      cpu.setPsw((cpu.psw().mask & ~(PSW.CC | PSW.PROGRAM_MASK)) | bits, i.next);
      // Translated code depends on the overflow mask.
      return NEXT.CHAIN;
    },
    { ...unprivileged, flow: 'leave' },
  ),
  control(
    'SPKA',
    'B20A',
    'S',
    (cpu, i) => {
      const key = Number((cpu.operand2 >> 4n) & 15n);
      requireKey(cpu, key);
      if (key === pswKey(cpu.psw().mask)) return undefined;
      cpu.setPswMask((cpu.psw().mask & ~PSW.KEY) | (BigInt(key) << 52n));
      cpu.advance(i);
      // The next instruction is fetched with the new key.
      return NEXT.CHAIN;
    },
    { privileged: false, registerFree: true, flow: 'leave' },
  ),
  control(
    'IPK',
    'B20B',
    'S-none',
    (cpu) => {
      requireExtractionAuthority(cpu);
      cpu.setGprLow(2, (cpu.gprLow(2) & 0xffff_ff00) | Number((cpu.psw().mask & PSW.KEY) >> 48n));
    },
    { privileged: false },
  ),
  ...(['SAC', 'SACF'] as const).map((mnemonic) =>
    control(
      mnemonic,
      mnemonic === 'SAC' ? 'B219' : 'B279',
      'S',
      (cpu, i) => {
        const code = (cpu.operand2 >> 8n) & 15n;
        if (code > 3n) specification();
        if ((cpu.psw().mask & PSW.DAT) === 0n) throw new ProgramInterruption(PGM.SPECIAL_OPERATION);
        if (cpu.problem && code === 3n) throw new ProgramInterruption(PGM.PRIVILEGED);
        const space = [0n, 2n, 1n, 3n][Number(code)];
        cpu.setPsw((cpu.psw().mask & ~PSW.AS) | (space << 46n), i.next);
        return NEXT.CHAIN;
      },
      { privileged: false, flow: 'leave' },
    ),
  ),
];

// --- control and access registers --------------------------------------------------------------------------------

/** Registers from R1 to R3, and the nth of them. */
const rangeLength = (i: Instruction): number => ((i.r3 - i.r1) & 15) + 1;
const nth = (i: Instruction, n: number): number => (i.r1 + n) & 15;
const range = (i: Instruction): number[] => Array.from({ length: rangeLength(i) }, (_, n) => nth(i, n));

/** The image of control registers in storage: one buffer for all, for guests save and load them at every turn. */
const CONTROL_BYTES = new Uint8Array(16 * 8);
const CONTROL_IMAGE = new DataView(CONTROL_BYTES.buffer);

function loadControl(cpu: Cpu, i: Instruction, wide: boolean): void {
  const count = rangeLength(i);
  const size = wide ? 8 : 4;
  const at = aligned(cpu.operand2, BigInt(size));
  CONTROL_BYTES.set(cpu.storage.read(at, count * size));
  for (let n = 0; n < count; n++) {
    const r = nth(i, n);
    const low = wide ? 0n : BigInt(CONTROL_IMAGE.getUint32(n * 4));
    cpu.setCr(r, wide ? CONTROL_IMAGE.getBigUint64(n * 8) : (cpu.cr(r) & ~0xffff_ffffn) | low);
  }
}
function storeControl(cpu: Cpu, i: Instruction, wide: boolean): void {
  const count = rangeLength(i);
  const size = wide ? 8 : 4;
  const at = aligned(cpu.operand2, BigInt(size));
  for (let n = 0; n < count; n++) {
    const value = cpu.cr(nth(i, n));
    if (wide) CONTROL_IMAGE.setBigUint64(n * 8, value);
    else CONTROL_IMAGE.setUint32(n * 4, low32(value));
  }
  cpu.storage.write(at, CONTROL_BYTES.subarray(0, count * size));
}
function loadAccess(cpu: Cpu, i: Instruction): void {
  const registers = range(i);
  const image = new DataView(cpu.storage.read(aligned(cpu.operand2, 4n), registers.length * 4).buffer);
  const { ar } = cpu.state;
  registers.forEach((r, n) => {
    ar[r] = image.getUint32(n * 4);
  });
}
function storeAccess(cpu: Cpu, i: Instruction): void {
  const registers = range(i);
  const image = new DataView(new ArrayBuffer(registers.length * 4));
  const { ar } = cpu.state;
  registers.forEach((r, n) => {
    image.setUint32(n * 4, ar[r]);
  });
  cpu.storage.write(aligned(cpu.operand2, 4n), new Uint8Array(image.buffer));
}
const access = { ...unprivileged, registerFree: true } as const;
const registers: Row[] = [
  // What they change may change what the next instruction means.
  control('LCTLG', 'EB2F', 'RSY-a', (cpu, i) => loadControl(cpu, i, true), { flow: 'leave' }),
  control('LCTL', 'B7', 'RS-a', (cpu, i) => loadControl(cpu, i, false), { flow: 'leave' }),
  control('STCTG', 'EB25', 'RSY-a', (cpu, i) => storeControl(cpu, i, true), { registerFree: true }),
  control('STCTL', 'B6', 'RS-a', (cpu, i) => storeControl(cpu, i, false), { registerFree: true }),
  control('LAM', '9A', 'RS-a', loadAccess, access),
  control('LAMY', 'EB9A', 'RSY-a', loadAccess, { ...access, facility: 18 }),
  control('STAM', '9B', 'RS-a', storeAccess, access),
  control('STAMY', 'EB9B', 'RSY-a', storeAccess, { ...access, facility: 18 }),
  general('EAR', 'B24F', 'RRE', (b, i) => b.set32(i.r1, b.state32('ar', i.r2))),
  general('SAR', 'B24E', 'RRE', (b, i) => b.setState32('ar', b.r32(i.r2), i.r1)),
  general('CPYA', 'B24D', 'RRE', (b, i) => b.setState32('ar', b.state32('ar', i.r2), i.r1)),
];

// --- identification ----------------------------------------------------------------------------------------------

/** The facility list, bit 0 leftmost. */
function facilityList(cpu: Cpu): Uint8Array {
  const { facilities } = cpu.config.model;
  const list = new Uint8Array(8 * Math.ceil((Math.max(0, ...facilities) + 1) / 64));
  for (const bit of facilities) list[bit >> 3] |= 0x80 >> (bit & 7);
  return list;
}
const identification: Row[] = [
  control(
    'STIDP',
    'B202',
    'S',
    (cpu) => {
      cpu.storage.write64(aligned(cpu.operand2, 8n), cpu.config.model.cpuId);
    },
    { registerFree: true },
  ),
  control('STAP', 'B212', 'S', (cpu) => cpu.storage.writeNumber(aligned(cpu.operand2, 2n), 2, cpu.config.address), {
    registerFree: true,
  }),
  control(
    'STFL',
    'B2B1',
    'S',
    (cpu) => {
      cpu.memory.u8.set(facilityList(cpu).subarray(0, 4), cpu.storage.hostOfReal(LOWCORE.STFL, true));
    },
    { registerFree: true },
  ),
  control(
    'STFLE',
    'B2B0',
    'S',
    (cpu) => {
      const at = aligned(cpu.operand2, 8n);
      const list = facilityList(cpu);
      const wanted = (cpu.gprLow(0) & 0xff) + 1;
      const have = list.length / 8;
      cpu.storage.write(at, list.subarray(0, Math.min(wanted, have) * 8));
      cpu.setGpr(0, (cpu.gpr(0) & ~0xffn) | BigInt(have - 1));
      cpu.setCc(wanted < have ? 3 : 0);
    },
    { ...unprivileged, facility: 7 },
  ),
  control(
    'ECAG',
    'EB4C',
    'RSY-a',
    (cpu, i) => {
      // No cache attributes are reported beyond a line size of 256 bytes.
      const attribute = Number((cpu.operand2 >> 4n) & 15n);
      cpu.setGpr(i.r1, attribute === 1 ? 256n : attribute === 0 ? 0n : 0xffff_ffff_ffff_ffffn);
    },
    { ...unprivileged, facility: 34 },
  ),
];

// --- prefix, storage, translation --------------------------------------------------------------------------------

/** LOAD REAL ADDRESS uses the PSW's space even when DAT is off. SA22-7832 "LOAD REAL ADDRESS". */
function loadReal(cpu: Cpu, i: Instruction, wide: boolean): void {
  const space = Number((cpu.psw().mask & PSW.AS) >> 46n);
  try {
    const { page } = cpu.storage.realPage(cpu.operand2, false, space === 1 ? 0 : space);
    const real = page | (cpu.operand2 & 0xfffn);
    if (wide || (cpu.mode & 3) === 3) cpu.setGpr(i.r1, real);
    else cpu.setGprLow(i.r1, Number(BigInt.asUintN(31, real)));
    cpu.setCc(0);
  } catch (thrown) {
    if (!(thrown instanceof ProgramInterruption)) throw thrown;
    const cc =
      thrown.code === PGM.SEGMENT
        ? 1
        : thrown.code === PGM.PAGE
          ? 2
          : thrown.code >= PGM.ASCE_TYPE && thrown.code <= PGM.REGION_THIRD
            ? 3
            : -1;
    if (cc < 0) throw thrown;
    // Bit 32 set and the exception code in the register.
    cpu.setGprLow(i.r1, 0x8000_0000 + thrown.code);
    cpu.setCc(cc);
  }
}
const translation: Row[] = [
  control(
    'SPX',
    'B210',
    'S',
    (cpu, i) => {
      const prefix = cpu.storage.readNumber(aligned(cpu.operand2, 4n), 4) & 0x7fff_e000;
      // Both pages must exist.
      for (const page of [prefix, prefix + 4096]) {
        const frame = cpu.bus.translate(page, false);
        if (frame === -1) throw new ProgramInterruption(PGM.ADDRESSING);
        if (frame < 0) throw new Retry(page);
      }
      cpu.setPrefix(prefix);
      cpu.setPswAddress(i.next);
      return NEXT.CHAIN;
    },
    { flow: 'leave' },
  ),
  control('STPX', 'B211', 'S', (cpu) => cpu.storage.writeNumber(aligned(cpu.operand2, 4n), 4, cpu.prefix), {
    registerFree: true,
  }),
  control(
    'PTLB',
    'B20D',
    'S-none',
    (cpu, i) => {
      cpu.flushTlb();
      cpu.setPswAddress(i.next);
      return NEXT.CHAIN;
    },
    { flow: 'leave' },
  ),
  control('TB', 'B22C', 'RRE', (cpu, i) => {
    const block = cpu.storage.wrap(cpu.gpr(i.r2)) & ~0xfffn;
    if (block > 0xffff_ffff_ffffn) throw new ProgramInterruption(PGM.ADDRESSING);
    if (cpu.cr(0) & CR0.LOW_ADDRESS_PROTECTION && block < 4096n) throw new ProgramInterruption(PGM.PROTECTION);
    const host = cpu.storage.hostOfReal(Number(block), true);
    cpu.memory.u8.fill(0, host, host + 4096);
    cpu.setGpr(0, 0n);
    cpu.setCc(0);
  }),
  control('LRA', 'B1', 'RX-a', (cpu, i) => loadReal(cpu, i, false)),
  control('LRAY', 'E313', 'RXY-a', (cpu, i) => loadReal(cpu, i, false), { facility: 18 }),
  control('LRAG', 'E303', 'RXY-a', (cpu, i) => loadReal(cpu, i, true)),
  control('STURA', 'B246', 'RRE', (cpu, i) => storeReal(cpu, i, 4)),
  control('STURG', 'B925', 'RRE', (cpu, i) => storeReal(cpu, i, 8)),
  control('LURA', 'B24B', 'RRE', (cpu, i) => {
    cpu.setGprLow(i.r1, cpu.memory.dv.getUint32(cpu.storage.hostOfRealOperand(realOperand(cpu, i, 4n), false, 4)));
  }),
  control('LURAG', 'B905', 'RRE', (cpu, i) => {
    cpu.setGpr(i.r1, cpu.memory.dv.getBigUint64(cpu.storage.hostOfRealOperand(realOperand(cpu, i, 8n), false, 8)));
  }),
  control(
    'IPTE',
    'B221',
    'RRF-a',
    (cpu, i) => {
      // Page index of R2 in the table R1 designates.
      const table = cpu.gpr(i.r1) & ~0x7ffn;
      const entry = table + ((cpu.gpr(i.r2) >> 12n) & 0xffn) * 8n;
      if (entry > 0xffff_ffff_ffffn) throw new ProgramInterruption(PGM.ADDRESSING);
      const host = cpu.storage.hostOfReal(Number(entry), true);
      cpu.memory.dv.setBigUint64(host, cpu.memory.dv.getBigUint64(host) | 0x400n);
      return cpu.withdrawn(i);
    },
    { flow: 'leave' },
  ),
];
function realOperand(cpu: Cpu, i: Instruction, size: bigint): number {
  const address = aligned(cpu.storage.wrap(cpu.gpr(i.r2)), size);
  if (address > 0xffff_ffff_ffffn) throw new ProgramInterruption(PGM.ADDRESSING);
  return Number(address);
}
function storeReal(cpu: Cpu, i: Instruction, size: 4 | 8): void {
  const host = cpu.storage.hostOfRealOperand(realOperand(cpu, i, BigInt(size)), true, size);
  if (size === 8) cpu.memory.dv.setBigUint64(host, cpu.gpr(i.r1));
  else cpu.memory.dv.setUint32(host, cpu.gprLow(i.r1));
}

/** Hints without effect. */
const nothing = (mnemonic: string, opcode: string, format: FormatName, facility: number): Row =>
  general(mnemonic, opcode, format, () => {}, { facility });
const hints: Row[] = [
  nothing('PFD', 'E336', 'RXY-b', 34),
  nothing('PFDRL', 'C62', 'RIL-c', 34),
  nothing('NIAI', 'B2FA', 'IE', 49),
  nothing('PPA', 'B2E8', 'RRF-c', 49),
];

/** Control rows. */
export const CONTROL: readonly Row[] = [...psw, ...registers, ...identification, ...translation, ...hints];
