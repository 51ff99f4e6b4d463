/** BRANCH instructions, supervisor call and addressing-mode changes. */

import { i32, i64 } from '../../../kernel/lib/wasm/types.ts';
import type { Emitter } from '../emitter.ts';
import { AMODE_24, AMODE_31, AMODE_64, PSW } from '../psw.ts';
import { type Instruction, NEXT, type Row } from '../row.ts';
import { GENERAL, general } from './operands.ts';

const always = (mask: number) => mask === 15;

const onCondition: Row[] = [
  general('BRC', 'A74', 'RI-c', (b, i) => onMask(b, i), { flow: 'branch' }),
  general('BRCL', 'C04', 'RIL-c', (b, i) => onMask(b, i), { flow: 'branch' }),
  general(
    'BCR',
    '07',
    'RR-m',
    (b, i) => {
      // Register 0 means no branch; masks 14 and 15 then only serialize, which every exit does.
      if (i.r2 === 0 || i.m1 === 0) return;
      b.branchIndirect(always(i.m1) ? undefined : b.condition(i.m1), b.r64(i.r2));
    },
    { flow: 'indirect' },
  ),
  general(
    'BC',
    '47',
    'RX-b',
    (b, i) => {
      if (i.m1 !== 0) b.branchIndirect(always(i.m1) ? undefined : b.condition(i.m1), b.address2(i));
    },
    { flow: 'indirect' },
  ),
  general(
    'BIC',
    'E347',
    'RXY-b',
    (b, i) => {
      if (i.m1 !== 0) b.branchIndirect(b.condition(i.m1), b.load64(b.address2(i)));
    },
    { flow: 'indirect', facility: 58 },
  ),
];
function onMask(b: Emitter, i: Instruction): void {
  if (i.m1 === 0) return;
  if (always(i.m1)) b.jump(b.relative(i));
  else b.branch(b.condition(i.m1), i);
}

/** BAL and BALR in 24-bit mode leave more than the address: length code, condition code, program mask. */
function linkWithCondition(b: Emitter, i: Instruction): void {
  if (b.mode.amode !== AMODE_24) {
    b.setLink(i.r1, i);
    return;
  }
  const program = i32.and(i32.wrap(i64.shrU(b.state64('pswMask'), i64.const(16))), i32.const(0x0f00_0000));
  const code = i32.shl(b.cc(), i32.const(28));
  const length = Math.imul(i.length / 2, 0x4000_0000);
  b.set32(i.r1, i32.or(i32.or(i32.const(length | Number(i.next)), program), code));
}
const linking: Row[] = [
  general('BRAS', 'A75', 'RI-b', (b, i) => relativeAndSave(b, i), { flow: 'branch', link: true }),
  general('BRASL', 'C05', 'RIL-b', (b, i) => relativeAndSave(b, i), { flow: 'branch', link: true }),
  general('BASR', '0D', 'RR', (b, i) => registerAndSave(b, i, () => b.setLink(i.r1, i)), {
    flow: 'indirect',
    link: true,
  }),
  general('BALR', '05', 'RR', (b, i) => registerAndSave(b, i, () => linkWithCondition(b, i)), {
    flow: 'indirect',
    link: true,
  }),
  general('BAS', '4D', 'RX-a', (b, i) => storageAndSave(b, i, () => b.setLink(i.r1, i)), {
    flow: 'indirect',
    link: true,
  }),
  general('BAL', '45', 'RX-a', (b, i) => storageAndSave(b, i, () => linkWithCondition(b, i)), {
    flow: 'indirect',
    link: true,
  }),
];
function relativeAndSave(b: Emitter, i: Instruction): void {
  b.setLink(i.r1, i);
  b.jump(b.relative(i));
}
function registerAndSave(b: Emitter, i: Instruction, link: () => void): void {
  const target = b.let64(b.r64(i.r2));
  link();
  if (i.r2 === 0) b.jump(i.next);
  else b.branchIndirect(undefined, target);
}
function storageAndSave(b: Emitter, i: Instruction, link: () => void): void {
  const target = b.let64(b.address2(i));
  link();
  b.branchIndirect(undefined, target);
}

/** BRANCH ON COUNT. The branch address is formed before the register is counted down. */
const onCount: Row[] = [
  general('BRCT', 'A76', 'RI-b', (b, i) => countRelative(b, i, false), { flow: 'branch' }),
  general('BRCTG', 'A77', 'RI-b', (b, i) => countRelative(b, i, true), { flow: 'branch' }),
  general(
    'BRCTH',
    'CC6',
    'RIL-b',
    (b, i) => {
      const r = b.let32(i32.sub(b.high32(i.r1), i32.const(1)));
      b.setHigh32(i.r1, r);
      b.branch(r, i);
    },
    { flow: 'branch', facility: 45 },
  ),
  general('BCTR', '06', 'RR', (b, i) => countIndirect(b, i, false, true), { flow: 'indirect' }),
  general('BCTGR', 'B946', 'RRE', (b, i) => countIndirect(b, i, true, true), { flow: 'indirect' }),
  general('BCT', '46', 'RX-a', (b, i) => countIndirect(b, i, false, false), { flow: 'indirect' }),
  general('BCTG', 'E346', 'RXY-a', (b, i) => countIndirect(b, i, true, false), { flow: 'indirect' }),
];
function countDown(b: Emitter, r: number, wide: boolean) {
  if (wide) {
    b.set64(r, i64.sub(b.r64(r), i64.const(1)));
    return i64.ne(b.r64(r), i64.const(0));
  }
  const value = b.let32(i32.sub(b.r32(r), i32.const(1)));
  b.set32(r, value);
  return value;
}
function countRelative(b: Emitter, i: Instruction, wide: boolean): void {
  b.branch(countDown(b, i.r1, wide), i);
}
function countIndirect(b: Emitter, i: Instruction, wide: boolean, register: boolean): void {
  const target = b.let64(register ? b.r64(i.r2) : b.address2(i));
  const taken = countDown(b, i.r1, wide);
  if (!register || i.r2 !== 0) b.branchIndirect(taken, target);
}

/** BRANCH ON INDEX: add the increment (R3), compare with the comparand (R3 odd, or the odd one of its pair). */
const onIndex: Row[] = (
  [
    ['BXH', '86', 'RS-a', false, true],
    ['BXLE', '87', 'RS-a', false, false],
    ['BXHG', 'EB44', 'RSY-a', true, true],
    ['BXLEG', 'EB45', 'RSY-a', true, false],
    ['BRXH', '84', 'RSI', false, true],
    ['BRXLE', '85', 'RSI', false, false],
    ['BRXHG', 'EC44', 'RIE-e', true, true],
    ['BRXLG', 'EC45', 'RIE-e', true, false],
  ] as const
).map(([mnemonic, opcode, format, wide, high]) => {
  const relative = format === 'RSI' || format === 'RIE-e';
  return general(
    mnemonic,
    opcode,
    format,
    (b, i) => {
      const target = relative ? undefined : b.let64(b.address2(i));
      const value = (r: number) => (wide ? b.r64(r) : i64.extend32S(b.r64(r)));
      const comparand = b.let64(value(i.r3 | 1));
      const total = i64.add(value(i.r1), value(i.r3));
      const sum = b.let64(wide ? total : i64.extend32S(total));
      if (wide) b.set64(i.r1, sum);
      else b.set32(i.r1, i32.wrap(sum));
      const taken = high ? i64.gtS(sum, comparand) : i64.leS(sum, comparand);
      if (target) b.branchIndirect(taken, target);
      else b.branch(taken, i);
    },
    { flow: relative ? 'branch' : 'indirect' },
  );
});

const AMODES: Record<number, bigint> = { [AMODE_24]: 0n, [AMODE_31]: PSW.BA, [AMODE_64]: PSW.EA | PSW.BA };
const setMode = (mnemonic: string, opcode: string, amode: number): Row => ({
  mnemonic,
  opcode,
  format: 'E',
  class: 'general',
  spec: GENERAL,
  flow: 'leave',
  exec: (cpu, i) => {
    // The next instruction must be addressable in the new mode.
    cpu.setPsw((cpu.psw().mask & ~(PSW.EA | PSW.BA)) | AMODES[amode], i.next);
    return NEXT.CHAIN;
  },
});
/** Mode from an address in a register: bit 63 means 64-bit, else bit 32 tells 31 or 24. */
const modeOfAddress = (address: bigint): number =>
  address & 1n ? AMODE_64 : address & 0x8000_0000n ? AMODE_31 : AMODE_24;
const modes: Row[] = [
  setMode('SAM24', '010C', AMODE_24),
  setMode('SAM31', '010D', AMODE_31),
  setMode('SAM64', '010E', AMODE_64),
  {
    mnemonic: 'TAM',
    opcode: '010B',
    format: 'E',
    class: 'general',
    spec: GENERAL,
    exec: (cpu) => cpu.setCc(cpu.mode & 3),
  },
  ...(['BASSM', 'BSM'] as const).map(
    (mnemonic): Row => ({
      mnemonic,
      opcode: mnemonic === 'BSM' ? '0B' : '0C',
      format: 'RR',
      class: 'general',
      spec: GENERAL,
      flow: 'leave',
      exec: (cpu, i) => {
        const target = cpu.gpr(i.r2);
        const amode = cpu.mode & 3;
        if (mnemonic === 'BASSM') {
          if (amode === AMODE_64) cpu.setGpr(i.r1, i.next | 1n);
          else cpu.setGprLow(i.r1, Number(i.next) | (amode === AMODE_31 ? 0x8000_0000 : 0));
        } else if (i.r1 !== 0) {
          if (amode === AMODE_64) cpu.setGpr(i.r1, cpu.gpr(i.r1) | 1n);
          else {
            const low = cpu.gprLow(i.r1);
            cpu.setGprLow(i.r1, (low & 0x7fff_ffff) | (amode === AMODE_31 ? 0x8000_0000 : 0));
          }
        }
        if (i.r2 === 0) {
          cpu.setPswAddress(i.next);
          return NEXT.CHAIN;
        }
        const next = modeOfAddress(target);
        const address = next === AMODE_64 ? target & ~1n : target & (next === AMODE_31 ? 0x7fff_ffffn : 0xff_ffffn);
        cpu.setPsw((cpu.psw().mask & ~(PSW.EA | PSW.BA)) | AMODES[next], address);
        return NEXT.CHAIN;
      },
    }),
  ),
];

const supervisor: Row[] = [
  {
    mnemonic: 'SVC',
    opcode: '0A',
    format: 'I',
    class: 'general',
    spec: GENERAL,
    flow: 'leave',
    exec: (cpu, i) => cpu.supervisorCall(i),
  },
  {
    mnemonic: 'MC',
    opcode: 'AF',
    format: 'SI',
    class: 'general',
    spec: GENERAL,
    registerFree: true,
    exec: (cpu, i) => cpu.monitorCall(i.i2, cpu.operand1),
  },
];

/** BRANCH, mode and call rows. */
export const BRANCHES: readonly Row[] = [...onCondition, ...linking, ...onCount, ...onIndex, ...modes, ...supervisor];
