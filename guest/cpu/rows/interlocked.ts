/** COMPARE AND SWAP, LOAD AND ADD and relatives: interlocked updates of aligned storage. */

import { be, type I64, i32, i64, mem, swap32, swap64 } from '../../../kernel/lib/wasm/types.ts';
import { CC } from '../condition_code.ts';
import type { Emitter } from '../emitter.ts';
import type { FormatName } from '../formats.ts';
import type { Instruction, Row } from '../row.ts';
import { evenPair, general } from './operands.ts';

/** Host address of an aligned interlocked operand. */
function aligned(b: Emitter, i: Instruction, size: number) {
  const address = b.let64(b.address2(i));
  b.raiseIf(i32.wrap(i64.and(address, i64.const(size - 1))), 6);
  return b.host(address, size, true);
}
const swapped = (b: Emitter, old: I64, expected: I64) => b.setCc(CC.NONZERO, i64.xor(old, expected));

const compareAndSwap: Row[] = [
  ...(
    [
      ['CS', 'BA', 'RS-a', undefined],
      ['CSY', 'EB14', 'RSY-a', 18],
    ] as const
  ).map(([mnemonic, opcode, format, facility]) =>
    general(
      mnemonic,
      opcode,
      format,
      (b, i) => {
        const host = aligned(b, i, 4);
        const expected = b.let32(b.r32(i.r1));
        const old = b.let32(swap32(mem.cmpxchg32(host, swap32(expected), swap32(b.r32(i.r3)))));
        b.set32(i.r1, old);
        swapped(b, i64.fromU(old), i64.fromU(expected));
      },
      { facility },
    ),
  ),
  general('CSG', 'EB30', 'RSY-a', (b, i) => {
    const host = aligned(b, i, 8);
    const expected = b.let64(b.r64(i.r1));
    const old = b.let64(swap64(mem.cmpxchg64(host, swap64(expected), swap64(b.r64(i.r3)))));
    b.set64(i.r1, old);
    swapped(b, old, expected);
  }),
  ...(
    [
      ['CDS', 'BB', 'RS-a', undefined],
      ['CDSY', 'EB31', 'RSY-a', 18],
    ] as const
  ).map(([mnemonic, opcode, format, facility]) =>
    general(
      mnemonic,
      opcode,
      format,
      (b, i) => {
        if (!evenPair(b, i.r1) || !evenPair(b, i.r3)) return;
        const host = aligned(b, i, 8);
        const pair = (r: number) => i64.or(i64.shl(b.r64(r), i64.const(32)), i64.fromU(b.r32(r + 1)));
        const expected = b.let64(pair(i.r1));
        const old = b.let64(swap64(mem.cmpxchg64(host, swap64(expected), swap64(pair(i.r3)))));
        b.set32(i.r1, i32.wrap(i64.shrU(old, i64.const(32))));
        b.set32(i.r1 + 1, i32.wrap(old));
        swapped(b, old, expected);
      },
      { facility },
    ),
  ),
  general('CDSG', 'EB3E', 'RSY-a', (b, i) => {
    // WebAssembly has no 16-byte compare and exchange: interlocked against this CPU only.
    if (!evenPair(b, i.r1) || !evenPair(b, i.r3)) return;
    const host = aligned(b, i, 16);
    const high = b.let64(be.load64(host));
    const low = b.let64(be.load64(host, 8));
    const differs = b.let64(i64.or(i64.xor(high, b.r64(i.r1)), i64.xor(low, b.r64(i.r1 + 1))));
    b.if(i64.eqz(differs), () => b.emit(be.store64(host, b.r64(i.r3)), be.store64(host, b.r64(i.r3 + 1), 8)));
    b.set64(i.r1, high);
    b.set64(i.r1 + 1, low);
    b.setCc(CC.NONZERO, differs);
  }),
];

type Update = 'add' | 'and' | 'or' | 'xor';
/** LOAD AND ...: storage is updated with R3, R1 gets the old value. */
const loadAnd = (mnemonic: string, opcode: string, op: Update, wide: boolean, kind: number): Row =>
  general(
    mnemonic,
    opcode,
    'RSY-a',
    (b, i) => {
      const host = aligned(b, i, wide ? 8 : 4);
      const operand = b.let64(wide ? b.r64(i.r3) : i64.extend32S(b.r64(i.r3)));
      const old = b.temp64();
      const next = b.temp64();
      b.loop((again) => {
        b.set(old, wide ? be.load64(host) : i64.fromS(be.load32(host)));
        b.set(next, i64[op](old.get, operand));
        const seen = wide
          ? i64.ne(mem.cmpxchg64(host, swap64(old.get), swap64(next.get)), swap64(old.get))
          : i32.ne(
              mem.cmpxchg32(host, swap32(i32.wrap(old.get)), swap32(i32.wrap(next.get))),
              swap32(i32.wrap(old.get)),
            );
        b.brIf(seen, again);
      });
      if (wide) b.set64(i.r1, old.get);
      else b.set32(i.r1, i32.wrap(old.get));
      if (kind === CC.NONZERO) return b.setCc(CC.NONZERO, wide ? next.get : i64.fromU(i32.wrap(next.get)));
      if (kind === CC.CARRY) {
        if (wide) return b.setCc(CC.CARRY, next.get, i64.fromU(i64.ltU(next.get, old.get)));
        const result = i32.wrap(next.get);
        return b.setCc(CC.CARRY, i64.fromU(result), i64.fromU(i32.ltU(result, i32.wrap(old.get))));
      }
      if (!wide) {
        const result = b.let64(i64.extend32S(next.get));
        const over = b.let64(i64.xor(next.get, result));
        b.setCc(CC.OVERFLOW, result, over);
        return overflow(b, over);
      }
      const over = b.let64(i64.and(i64.xor(old.get, next.get), i64.xor(operand, next.get)));
      b.setCc(CC.OVERFLOW, next.get, over);
      overflow(b, over);
    },
    { facility: 45 },
  );
function overflow(b: Emitter, negative: I64): void {
  if (b.mode.fixedOverflow) b.raiseIf(i64.ltS(negative, i64.const(0)), 8);
}
const updates: Row[] = [
  loadAnd('LAA', 'EBF8', 'add', false, CC.OVERFLOW),
  loadAnd('LAAG', 'EBE8', 'add', true, CC.OVERFLOW),
  loadAnd('LAAL', 'EBFA', 'add', false, CC.CARRY),
  loadAnd('LAALG', 'EBEA', 'add', true, CC.CARRY),
  loadAnd('LAN', 'EBF4', 'and', false, CC.NONZERO),
  loadAnd('LANG', 'EBE4', 'and', true, CC.NONZERO),
  loadAnd('LAO', 'EBF6', 'or', false, CC.NONZERO),
  loadAnd('LAOG', 'EBE6', 'or', true, CC.NONZERO),
  loadAnd('LAX', 'EBF7', 'xor', false, CC.NONZERO),
  loadAnd('LAXG', 'EBE7', 'xor', true, CC.NONZERO),
];

/** LOAD PAIR DISJOINT: cc 3 would mean the two were not fetched together; with plain loads they always are. */
const loadPair = (mnemonic: string, opcode: string, wide: boolean): Row =>
  general(
    mnemonic,
    opcode,
    'SSF-load' as FormatName,
    (b, i) => {
      if (!evenPair(b, i.r3)) return;
      const size = wide ? 8 : 4;
      const [first, second] = [b.let64(b.address1(i)), b.let64(b.address2(i))];
      b.raiseIf(i32.wrap(i64.and(i64.or(first, second), i64.const(size - 1))), 6);
      if (wide) {
        const [x, y] = [b.load64(first), b.load64(second)];
        b.set64(i.r3, x);
        b.set64(i.r3 + 1, y);
      } else {
        const [x, y] = [b.load32(first), b.load32(second)];
        b.set32(i.r3, x);
        b.set32(i.r3 + 1, y);
      }
      b.setCc(CC.STATIC, i64.const(0));
    },
    { facility: 45 },
  );
const pairs: Row[] = [
  loadPair('LPD', 'C84', false),
  loadPair('LPDG', 'C85', true),
  general('TS', '93', 'SI-none', (b, i) => {
    const host = b.host(b.address1(i), 1, true);
    const old = b.let32(mem.load8U(host));
    b.emit(mem.store8(host, i32.const(0xff)));
    b.setCc(CC.STATIC, i64.fromU(i32.shrU(old, i32.const(7))));
  }),
];

/** Interlocked-update rows. */
export const INTERLOCKED: readonly Row[] = [...compareAndSwap, ...updates, ...pairs];
