/** Storage-to-storage instructions of one length: MOVE, logic, COMPARE, TRANSLATE. */

import { be, type Code, type I32, type I64, i32, i64, mem } from '../../../kernel/lib/wasm/types.ts';
import { CC } from '../condition_code.ts';
import type { Cpu } from '../cpu.ts';
import type { Emitter } from '../emitter.ts';
import type { Instruction, Row } from '../row.ts';
import { GENERAL, general } from './operands.ts';

/** Lengths up to this are unrolled. */
const UNROLLED = 32;
/** Pieces of 8, 4, 2 and 1 bytes covering `length`. */
function chunks(length: number): [offset: number, size: 8 | 4 | 2 | 1][] {
  const out: [number, 8 | 4 | 2 | 1][] = [];
  for (let at = 0; at < length; ) {
    const left = length - at;
    const size = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    out.push([at, size]);
    at += size;
  }
  return out;
}

/** Both operands of an SS-a instruction, reached. */
interface Operands {
  readonly first: I32;
  readonly second: I32;
  readonly length: I32;
  /** Length when known while translating and short. */
  readonly short: number | undefined;
  /** First minus second operand address: between 1 and length - 1 when bytes stored are fetched again later. */
  readonly distance: I64;
}
function operands(b: Emitter, i: Instruction, write: boolean): Operands {
  const a1 = b.let64(b.address1(i));
  const a2 = b.let64(b.address2(i));
  const length = b.executedLength ?? i32.const(i.l + 1);
  const size = b.executedLength ?? i.l + 1;
  // The second is fetched first, as nothing may be prepared for storing when it cannot be.
  const second = b.host(a2, size, false, true);
  const first = b.host(a1, size, write);
  const short = !b.executedLength && i.l < UNROLLED ? i.l + 1 : undefined;
  return { first, second, length, short, distance: b.let64(i64.sub(a1, a2)) };
}
const propagates = ({ distance, length }: Operands): I32 =>
  i32.and(i64.ltU(distance, i64.fromU(length)), i64.ne(distance, i64.const(0)));

/** For each byte, left to right, storing `f(first byte, second byte)`; a second byte stored before is seen as stored. */
function byByte(b: Emitter, { first, second, length, distance }: Operands, f: (x: I32, y: I32) => I32): void {
  const k = b.temp32();
  const d = b.let32(i32.select(i64.ltU(distance, i64.fromU(length)), i32.wrap(distance), i32.const(256)));
  // Distance 0: each second byte is the first byte itself, not yet stored.
  const stored = i32.and(i32.geU(k.get, d), i32.ne(d, i32.const(0)));
  b.set(k, i32.const(0));
  b.loop((again) => {
    const source = i32.select(stored, i32.sub(i32.add(first, k.get), d), i32.add(second, k.get));
    const to = b.let32(i32.add(first, k.get));
    b.emit(mem.store8(to, f(mem.load8U(to), mem.load8U(source))));
    b.set(k, i32.add(k.get, i32.const(1)));
    b.brIf(i32.ltU(k.get, length), again);
  });
}

function move(b: Emitter, i: Instruction): void {
  const o = operands(b, i, true);
  b.if(
    propagates(o),
    () => byByte(b, o, (_, y) => y),
    () => {
      if (o.short === undefined) return b.emit(mem.copy(o.first, o.second, o.length));
      for (const [at, size] of chunks(o.short)) {
        if (size === 8) b.emit(mem.store64(o.first, mem.load64(o.second, at), at));
        else if (size === 4) b.emit(mem.store32(o.first, mem.load32(o.second, at), at));
        else if (size === 2) b.emit(mem.store16(o.first, mem.load16U(o.second, at), at));
        else b.emit(mem.store8(o.first, mem.load8U(o.second, at), at));
      }
    },
  );
  b.commit(o.first);
}

type Operation = 'and' | 'or' | 'xor';
function logic(b: Emitter, i: Instruction, op: Operation): void {
  if (op === 'xor' && i.b1 === i.b2 && i.d1 === i.d2) {
    // XC of a field with itself: the way to clear storage.
    const length = b.executedLength ?? i32.const(i.l + 1);
    const host = b.host(b.address1(i), b.executedLength ?? i.l + 1, true);
    if (!b.executedLength && i.l < UNROLLED) {
      for (const [at, size] of chunks(i.l + 1)) {
        if (size === 8) b.emit(mem.store64(host, i64.const(0), at));
        else if (size === 4) b.emit(mem.store32(host, i32.const(0), at));
        else if (size === 2) b.emit(mem.store16(host, i32.const(0), at));
        else b.emit(mem.store8(host, i32.const(0), at));
      }
    } else b.emit(mem.fill(host, i32.const(0), length));
    b.commit(host);
    b.setCc(CC.STATIC, i64.const(0));
    return;
  }
  const o = operands(b, i, true);
  const seen = b.temp64();
  b.set(seen, i64.const(0));
  b.if(
    propagates(o),
    () =>
      byByte(b, o, (x, y) => {
        const r = b.let32(i32[op](x, y));
        b.set(seen, i64.or(seen.get, i64.fromU(r)));
        return r;
      }),
    () => {
      const k = b.temp32();
      b.set(k, i32.const(0));
      const piece = (size: number, body: () => void) =>
        b.block((done) =>
          b.loop((again) => {
            b.brIf(i32.gtU(i32.add(k.get, i32.const(size)), o.length), done);
            body();
            b.set(k, i32.add(k.get, i32.const(size)));
            b.br(again);
          }),
        );
      const to = i32.add(o.first, k.get);
      const from = i32.add(o.second, k.get);
      piece(8, () => {
        const r = b.let64(i64[op](mem.load64(to), mem.load64(from)));
        b.emit(mem.store64(to, r));
        b.set(seen, i64.or(seen.get, r));
      });
      piece(1, () => {
        const r = b.let32(i32[op](mem.load8U(to), mem.load8U(from)));
        b.emit(mem.store8(to, r));
        b.set(seen, i64.or(seen.get, i64.fromU(r)));
      });
    },
  );
  b.commit(o.first);
  b.setCc(CC.NONZERO, seen.get);
}

function compare(b: Emitter, i: Instruction): void {
  const o = operands(b, i, false);
  const x = b.temp64();
  const y = b.temp64();
  b.block((done) => {
    const step = (load: (at: I32) => I64) => {
      b.set(x, load(o.first));
      b.set(y, load(o.second));
    };
    if (o.short !== undefined) {
      for (const [at, size] of chunks(o.short)) {
        step((host) =>
          size === 8
            ? be.load64(host, at)
            : i64.fromU(size === 4 ? be.load32(host, at) : size === 2 ? be.load16U(host, at) : mem.load8U(host, at)),
        );
        b.brIf(i64.ne(x.get, y.get), done);
      }
      return;
    }
    const k = b.temp32();
    b.set(k, i32.const(0));
    for (const size of [8, 1]) {
      b.block((shorter) =>
        b.loop((again) => {
          b.brIf(i32.gtU(i32.add(k.get, i32.const(size)), o.length), shorter);
          step((host) => (size === 8 ? be.load64(i32.add(host, k.get)) : i64.fromU(mem.load8U(i32.add(host, k.get)))));
          b.brIf(i64.ne(x.get, y.get), done);
          b.set(k, i32.add(k.get, i32.const(size)));
          b.br(again);
        }),
      );
    }
  });
  b.setCc(CC.UNSIGNED, x.get, y.get);
}

function translate(b: Emitter, i: Instruction): void {
  const a1 = b.let64(b.address1(i));
  const length = b.executedLength ?? i32.const(i.l + 1);
  const table = b.host(b.address2(i), 256, false, true);
  const first = b.host(a1, b.executedLength ?? i.l + 1, true);
  const k = b.temp32();
  b.set(k, i32.const(0));
  b.loop((again) => {
    const to: I32 = b.let32(i32.add(first, k.get));
    const code: Code = mem.store8(to, mem.load8U(i32.add(table, mem.load8U(to))));
    b.emit(code);
    b.set(k, i32.add(k.get, i32.const(1)));
    b.brIf(i32.ltU(k.get, length), again);
  });
  b.commit(first);
}

function masked(b: Emitter, i: Instruction, kept: number): void {
  const o = operands(b, i, true);
  byByte(b, o, (x, y) => i32.or(i32.and(x, i32.const(kept)), i32.and(y, i32.const(0xff ^ kept))));
  b.commit(o.first);
}

/** TRANSLATE AND TEST (and REVERSE): stops at the first argument byte with a non-zero function byte. */
function translateAndTest(cpu: Cpu, i: Instruction, step: 1 | -1): void {
  let at = cpu.operand1;
  for (let left = i.l; left >= 0; left--) {
    const argument = cpu.storage.readNumber(cpu.storage.wrap(at), 1);
    const found = cpu.storage.readNumber(cpu.storage.wrap(cpu.operand2 + BigInt(argument)), 1);
    if (found !== 0) {
      const address = cpu.storage.wrap(at);
      const amode = cpu.mode & 3;
      if (amode === 3) cpu.setGpr(1, address);
      else if (amode === 1) cpu.setGprLow(1, Number(address));
      else cpu.setGprLow(1, (cpu.gprLow(1) & 0xff00_0000) | Number(address));
      cpu.setGprLow(2, (cpu.gprLow(2) & 0xffff_ff00) | found);
      cpu.setCc(left === 0 ? 2 : 1);
      return;
    }
    at += BigInt(step);
  }
  cpu.setCc(0);
}

/** MOVE INVERSE: the second operand is taken from its right end. */
function moveInverse(cpu: Cpu, i: Instruction): void {
  const length = i.l + 1;
  const source = cpu.storage.read(cpu.storage.wrap(cpu.operand2 - BigInt(i.l)), length);
  cpu.storage.write(cpu.operand1, source.reverse());
}

/** Storage-to-storage rows. */
export const STORAGE_TO_STORAGE: readonly Row[] = [
  general('MVC', 'D2', 'SS-a', move),
  general('NC', 'D4', 'SS-a', (b, i) => logic(b, i, 'and')),
  general('OC', 'D6', 'SS-a', (b, i) => logic(b, i, 'or')),
  general('XC', 'D7', 'SS-a', (b, i) => logic(b, i, 'xor')),
  general('CLC', 'D5', 'SS-a', compare),
  general('TR', 'DC', 'SS-a', translate),
  general('MVN', 'D1', 'SS-a', (b, i) => masked(b, i, 0xf0)),
  general('MVZ', 'D3', 'SS-a', (b, i) => masked(b, i, 0x0f)),
  {
    mnemonic: 'TRT',
    opcode: 'DD',
    format: 'SS-a',
    class: 'general',
    spec: GENERAL,
    exec: (cpu, i) => translateAndTest(cpu, i, 1),
  },
  {
    mnemonic: 'TRTR',
    opcode: 'D0',
    format: 'SS-a',
    facility: 30,
    class: 'general',
    spec: GENERAL,
    exec: (cpu, i) => translateAndTest(cpu, i, -1),
  },
  {
    mnemonic: 'MVCIN',
    opcode: 'E8',
    format: 'SS-a',
    class: 'general',
    spec: GENERAL,
    registerFree: true,
    exec: moveInverse,
  },
];
