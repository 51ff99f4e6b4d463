/** Instructions with lengths in registers, interruptible: each execution does at most a part and may end with cc 3. */
import type { Cpu } from '../cpu.ts';
import { PGM, ProgramInterruption } from '../interruption.ts';
import { type Instruction, NEXT, type Row } from '../row.ts';
import { GENERAL } from './operands.ts';

/** Bytes worked on before an instruction ends with cc 3 or starts over: lets budget and attention in. */
const PART = 4096;
const row = (
  mnemonic: string,
  opcode: string,
  format: Row['format'],
  exec: NonNullable<Row['exec']>,
  more: Partial<Row> = {},
): Row => ({ mnemonic, opcode, format, class: 'general', spec: GENERAL, exec, flow: 'leave', ...more });

const even = (...registers: number[]): void => {
  if (registers.some((r) => r & 1)) throw new ProgramInterruption(PGM.SPECIFICATION);
};
const address = (cpu: Cpu, r: number): bigint => cpu.storage.wrap(cpu.gpr(r));
/** Sets an address register: the whole of it in 64-bit mode, the low word otherwise. */
function setAddress(cpu: Cpu, r: number, value: bigint): void {
  if ((cpu.mode & 3) === 3) cpu.setGpr(r, value);
  else cpu.setGprLow(r, Number(cpu.storage.wrap(value)));
}
/** Length as the E-forms have it: 64 bits in 64-bit mode, else 32. */
const lengthOf = (cpu: Cpu, r: number): bigint => ((cpu.mode & 3) === 3 ? cpu.gpr(r) : BigInt(cpu.gprLow(r)));
function setLength(cpu: Cpu, r: number, value: bigint): void {
  if ((cpu.mode & 3) === 3) cpu.setGpr(r, value);
  else cpu.setGprLow(r, Number(value));
}
const max = (a: bigint, b: bigint) => (a > b ? a : b);
const min = (a: bigint, b: bigint) => (a < b ? a : b);
/** Bytes to the end of the page. */
const toPageEnd = (at: bigint) => 4096n - (at & 0xfffn);

/** The instruction starts over from where its registers say, after letting interruptions in. */
function again(cpu: Cpu, i: Instruction): number {
  cpu.restartInstruction(i);
  return NEXT.CHAIN;
}

function moveLong(cpu: Cpu, i: Instruction): number | undefined {
  const { r1, r2 } = i;
  even(r1, r2);
  const total1 = BigInt(cpu.gprLow(r1 + 1) & 0xff_ffff);
  const total2 = BigInt(cpu.gprLow(r2 + 1) & 0xff_ffff);
  const pad = cpu.gprLow(r2 + 1) >>> 24;
  const to = address(cpu, r1);
  const from = address(cpu, r2);
  const { storage } = cpu;
  // Destructive overlap: a byte of the source would be stored into before it is fetched.
  const common = min(total1, total2);
  const distance = storage.wrap(to - from);
  if (common > 1n && distance !== 0n && distance < common) {
    cpu.setCc(3);
    return undefined;
  }
  const setLow24 = (r: number, value: bigint) =>
    cpu.setGprLow(r, ((cpu.gprLow(r) & 0xff00_0000) | Number(value)) >>> 0);
  let part = min(total1, min(BigInt(PART), toPageEnd(to)));
  if (part > 0n) {
    if (total2 > 0n) {
      part = min(part, total2);
      storage.write(to, storage.read(from, Number(part)));
    } else storage.write(to, new Uint8Array(Number(part)).fill(pad));
  }
  const moved = min(part, total2);
  setAddress(cpu, r1, to + part);
  setLow24(r1 + 1, total1 - part);
  setAddress(cpu, r2, from + moved);
  setLow24(r2 + 1, total2 - moved);
  if (total1 > part) return again(cpu, i);
  // The lengths shrink together, so what is left compares as the whole did.
  cpu.setCc(total1 === total2 ? 0 : total1 < total2 ? 1 : 2);
  return undefined;
}

function moveLongExtended(cpu: Cpu, i: Instruction): void {
  const { r1, r3 } = i;
  even(r1, r3);
  const total1 = lengthOf(cpu, r1 + 1);
  const total2 = lengthOf(cpu, r3 + 1);
  const pad = Number(cpu.operand2 & 0xffn);
  const to = address(cpu, r1);
  const from = address(cpu, r3);
  const { storage } = cpu;
  let part = min(total1, min(BigInt(PART), toPageEnd(to)));
  if (part > 0n) {
    if (total2 > 0n) {
      part = min(part, total2);
      const source = storage.read(from, Number(part));
      storage.write(to, source);
    } else storage.write(to, new Uint8Array(Number(part)).fill(pad));
  }
  const moved = min(part, total2);
  setAddress(cpu, r1, to + part);
  setLength(cpu, r1 + 1, total1 - part);
  setAddress(cpu, r3, from + moved);
  setLength(cpu, r3 + 1, total2 - moved);
  cpu.setCc(total1 > part ? 3 : total1 === total2 ? 0 : total1 < total2 ? 1 : 2);
}

/** Compares up to a part; result in bytes compared and the first difference. */
function compareParts(
  cpu: Cpu,
  first: { at: bigint; left: bigint },
  second: { at: bigint; left: bigint },
  pad: number,
): { done: bigint; cc: number } {
  const longest = max(first.left, second.left);
  let part = min(longest, BigInt(PART));
  const bytesOf = (o: { at: bigint; left: bigint }): Uint8Array => {
    const have = Number(min(part, o.left));
    const out = new Uint8Array(Number(part)).fill(pad);
    out.set(cpu.storage.read(o.at, have));
    return out;
  };
  // Near the end of a page only what must be looked at may be fetched.
  if (first.left > 0n) part = min(part, toPageEnd(first.at));
  if (second.left > 0n) part = min(part, toPageEnd(second.at));
  const x = bytesOf(first);
  const y = bytesOf(second);
  for (let n = 0; n < x.length; n++) {
    if (x[n] !== y[n]) return { done: BigInt(n), cc: x[n] < y[n] ? 1 : 2 };
  }
  return { done: part, cc: part === longest ? 0 : 3 };
}

function compareLong(cpu: Cpu, i: Instruction): number | undefined {
  const { r1, r2 } = i;
  even(r1, r2);
  const left1 = BigInt(cpu.gprLow(r1 + 1) & 0xff_ffff);
  const left2 = BigInt(cpu.gprLow(r2 + 1) & 0xff_ffff);
  const at1 = address(cpu, r1);
  const at2 = address(cpu, r2);
  const { done, cc } = compareParts(cpu, { at: at1, left: left1 }, { at: at2, left: left2 }, cpu.gprLow(r2 + 1) >>> 24);
  const [n1, n2] = [min(done, left1), min(done, left2)];
  setAddress(cpu, r1, at1 + n1);
  setAddress(cpu, r2, at2 + n2);
  const set = (r: number, value: bigint) => cpu.setGprLow(r, ((cpu.gprLow(r) & 0xff00_0000) | Number(value)) >>> 0);
  set(r1 + 1, left1 - n1);
  set(r2 + 1, left2 - n2);
  if (cc === 3) return again(cpu, i);
  cpu.setCc(cc);
  return undefined;
}

function compareLongExtended(cpu: Cpu, i: Instruction): void {
  const { r1, r3 } = i;
  even(r1, r3);
  const first = { at: address(cpu, r1), left: lengthOf(cpu, r1 + 1) };
  const second = { at: address(cpu, r3), left: lengthOf(cpu, r3 + 1) };
  const { done, cc } = compareParts(cpu, first, second, Number(cpu.operand2 & 0xffn));
  const [n1, n2] = [min(done, first.left), min(done, second.left)];
  setAddress(cpu, r1, first.at + n1);
  setAddress(cpu, r3, second.at + n2);
  setLength(cpu, r1 + 1, first.left - n1);
  setLength(cpu, r3 + 1, second.left - n2);
  cpu.setCc(cc);
}

/** Byte in register 0 for the string instructions; bits 32-55 must be zero. */
function terminator(cpu: Cpu): number {
  const value = cpu.gprLow(0);
  if (value > 0xff) throw new ProgramInterruption(PGM.SPECIFICATION);
  return value;
}
/** The string instructions look at no less than this before they end with cc 3. SA22-7832 "SEARCH STRING". */
const LEAST = 256;
/** Lengths of page pieces to look at: to the page's end, and on when that is nearer than the least amount. */
function* stringPieces(limit: bigint, ...starts: bigint[]): Generator<{ done: bigint; length: number }> {
  let done = 0n;
  do {
    const length = starts.reduce((part, at) => min(part, toPageEnd(at + done)), limit - done);
    if (length === 0n) return;
    yield { done, length: Number(length) };
    done += length;
  } while (done < BigInt(LEAST));
}
function searchString(cpu: Cpu, i: Instruction): void {
  const wanted = terminator(cpu);
  const end = address(cpu, i.r1);
  const at = address(cpu, i.r2);
  const available = cpu.storage.wrap(end - at);
  let looked = 0n;
  for (const { done, length } of stringPieces(available, at)) {
    const found = cpu.storage.read(cpu.storage.wrap(at + done), length).indexOf(wanted);
    if (found >= 0) {
      setAddress(cpu, i.r1, at + done + BigInt(found));
      cpu.setCc(1);
      return;
    }
    looked = done + BigInt(length);
  }
  if (looked === available) {
    cpu.setCc(2);
    return;
  }
  setAddress(cpu, i.r2, at + looked);
  cpu.setCc(3);
}
function moveString(cpu: Cpu, i: Instruction): void {
  const end = terminator(cpu);
  const to = address(cpu, i.r1);
  const from = address(cpu, i.r2);
  const part = Number(min(toPageEnd(to), toPageEnd(from)));
  const source = cpu.storage.read(from, part);
  const found = source.indexOf(end);
  const length = found < 0 ? part : found + 1;
  cpu.storage.write(to, source.subarray(0, length));
  if (found >= 0) {
    setAddress(cpu, i.r1, to + BigInt(found));
    cpu.setCc(1);
    return;
  }
  setAddress(cpu, i.r1, to + BigInt(length));
  setAddress(cpu, i.r2, from + BigInt(length));
  cpu.setCc(3);
}
function compareString(cpu: Cpu, i: Instruction): void {
  const end = terminator(cpu);
  const at1 = address(cpu, i.r1);
  const at2 = address(cpu, i.r2);
  const move = (by: bigint) => {
    setAddress(cpu, i.r1, at1 + by);
    setAddress(cpu, i.r2, at2 + by);
  };
  let looked = 0n;
  for (const { done, length } of stringPieces(0x1_0000n, at1, at2)) {
    const x = cpu.storage.read(cpu.storage.wrap(at1 + done), length);
    const y = cpu.storage.read(cpu.storage.wrap(at2 + done), length);
    for (let n = 0; n < length; n++) {
      if (x[n] === y[n]) {
        if (x[n] === end) {
          cpu.setCc(0);
          return;
        }
        continue;
      }
      move(done + BigInt(n));
      // The end byte is lower than any other.
      cpu.setCc(x[n] === end || (y[n] !== end && x[n] < y[n]) ? 1 : 2);
      return;
    }
    looked = done + BigInt(length);
  }
  move(looked);
  cpu.setCc(3);
}

function checksum(cpu: Cpu, i: Instruction): void {
  even(i.r2);
  const at = address(cpu, i.r2);
  const left = lengthOf(cpu, i.r2 + 1);
  const part = Number(min(left, min(BigInt(PART), toPageEnd(at) < 4n ? 4n : toPageEnd(at) & ~3n)));
  const bytes = cpu.storage.read(at, part);
  let sum = cpu.gprLow(i.r1);
  for (let n = 0; n < part; n += 4) {
    const word = bytes[n] * 0x100_0000 + ((bytes[n + 1] ?? 0) << 16) + ((bytes[n + 2] ?? 0) << 8) + (bytes[n + 3] ?? 0);
    sum += word;
    // End-around carry.
    if (sum > 0xffff_ffff) sum = sum - 0x1_0000_0000 + 1;
  }
  cpu.setGprLow(i.r1, sum);
  setAddress(cpu, i.r2, at + BigInt(part));
  setLength(cpu, i.r2 + 1, left - BigInt(part));
  cpu.setCc(BigInt(part) === left ? 0 : 3);
}

function translateExtended(cpu: Cpu, i: Instruction): void {
  even(i.r1);
  const test = cpu.gprLow(0) & 0xff;
  const at = address(cpu, i.r1);
  const left = lengthOf(cpu, i.r1 + 1);
  const part = Number(min(left, toPageEnd(at)));
  const table = cpu.storage.read(address(cpu, i.r2), 256);
  const bytes = cpu.storage.read(at, part);
  const found = bytes.indexOf(test);
  const length = found < 0 ? part : found;
  cpu.storage.write(
    at,
    bytes.subarray(0, length).map((byte) => table[byte]),
  );
  setAddress(cpu, i.r1, at + BigInt(length));
  setLength(cpu, i.r1 + 1, left - BigInt(length));
  cpu.setCc(found >= 0 ? 1 : BigInt(part) === left ? 0 : 3);
}

/** Long-operand and string rows. */
export const LONG_OPERANDS: readonly Row[] = [
  row('MVCL', '0E', 'RR', moveLong),
  row('CLCL', '0F', 'RR', compareLong),
  row('MVCLE', 'A8', 'RS-a', moveLongExtended),
  row('CLCLE', 'A9', 'RS-a', compareLongExtended),
  row('SRST', 'B25E', 'RRE', searchString),
  row('MVST', 'B255', 'RRE', moveString),
  row('CLST', 'B25D', 'RRE', compareString),
  row('CKSM', 'B241', 'RRE', checksum),
  row('TRE', 'B2A5', 'RRE', translateExtended),
];
