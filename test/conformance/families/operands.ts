/** Storage operands: the ways a base, an index and a displacement can give an address in the operand areas. */
import type { Random } from '../values.ts';

/** One storage operand: its text, the registers it needs, and the address it gives. */
export interface Operand {
  text: string;
  r: Record<number, bigint>;
  address: number;
}

/** Operands D(X,B) of RX and RXY formats. `long`: 20-bit signed displacement. The addresses: aligned, unaligned, page-crossing. */
export function indexed(random: Random, long: boolean): Operand[] {
  const list: Operand[] = [
    { text: '0(8)', r: { 8: 0x20f80n }, address: 0x20f80 },
    { text: '18(7,8)', r: { 7: 0x20f00n, 8: 0x81n }, address: 0x20f93 },
    { text: '4095(12)', r: { 12: 0x1fffen }, address: 0x20ffd },
    { text: '8(11,1)', r: { 11: -0x10n & 0xffffffffffffffffn, 1: 0x20fb0n }, address: 0x20fa8 },
  ];
  if (long) {
    list.push({ text: '-5000(7,8)', r: { 7: 5000n, 8: 0x20f40n }, address: 0x20f40 });
    list.push({ text: '-524288(9)', r: { 9: 0x20fffn + 524288n }, address: 0x20fff });
    list.push({ text: '524287(10)', r: { 10: BigInt.asUintN(64, 0x20f61n - 524287n) }, address: 0x20f61 });
  }
  const d = random.below(0x1000);
  const x = random.below(0x80);
  list.push({ text: `${d}(6,5)`, r: { 6: BigInt(x), 5: BigInt(0x20f10 - d) }, address: 0x20f10 + x });
  return list;
}

/** Operands D(B) without index, 16-byte aligned when `aligned`. */
export function based(long: boolean, aligned = false): Operand[] {
  const list: Operand[] = [
    { text: '0(8)', r: { 8: 0x20f80n }, address: 0x20f80 },
    { text: '4080(12)', r: { 12: 0x20f50n - 4080n }, address: 0x20f50 },
  ];
  if (!aligned) list.push({ text: '5(9)', r: { 9: 0x20ff8n }, address: 0x20ffd });
  if (long) list.push({ text: '-4096(10)', r: { 10: 0x20fa0n + 4096n }, address: 0x20fa0 });
  return list;
}
