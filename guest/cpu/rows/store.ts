/** STORE and its relatives, and moves of immediates to storage. */

import { be, i32, i64, mem, swap32, swap64, swapHalf } from '../../../kernel/lib/wasm/types.ts';
import type { Emitter } from '../emitter.ts';
import type { FormatName } from '../formats.ts';
import type { Instruction, Row } from '../row.ts';
import { alignedRelative, general, s16, storage2 } from './operands.ts';

type Kind = 1 | 2 | 4 | 8;
function store(b: Emitter, i: Instruction, size: Kind): void {
  if (!alignedRelative(b, i, size)) return;
  const address = storage2(b, i);
  if (size === 8) b.store64(address, b.r64(i.r1));
  else if (size === 4) b.store32(address, b.r32(i.r1));
  else if (size === 2) b.store16(address, b.r32(i.r1));
  else b.store8(address, b.r32(i.r1));
}
const plain: Row[] = (
  [
    ['ST', '50', 'RX-a', 4],
    ['STY', 'E350', 'RXY-a', 4, 18],
    ['STRL', 'C4F', 'RIL-b', 4, 34],
    ['STG', 'E324', 'RXY-a', 8],
    ['STGRL', 'C4B', 'RIL-b', 8, 34],
    ['STH', '40', 'RX-a', 2],
    ['STHY', 'E370', 'RXY-a', 2, 18],
    ['STHRL', 'C47', 'RIL-b', 2, 34],
    ['STC', '42', 'RX-a', 1],
    ['STCY', 'E372', 'RXY-a', 1, 18],
  ] as readonly (readonly [string, string, FormatName, Kind, number?])[]
).map(([mnemonic, opcode, format, size, facility]) =>
  general(mnemonic, opcode, format, (b, i) => store(b, i, size), { facility }),
);

const high: Row[] = [
  general('STFH', 'E3CB', 'RXY-a', (b, i) => b.store32(b.address2(i), b.high32(i.r1)), { facility: 45 }),
  general('STHH', 'E3C7', 'RXY-a', (b, i) => b.store16(b.address2(i), b.high32(i.r1)), { facility: 45 }),
  general('STCH', 'E3C3', 'RXY-a', (b, i) => b.store8(b.address2(i), b.high32(i.r1)), { facility: 45 }),
];

const reversed: Row[] = [
  general('STRV', 'E33E', 'RXY-a', (b, i) => b.store32(b.address2(i), swap32(b.r32(i.r1)))),
  general('STRVG', 'E32F', 'RXY-a', (b, i) => b.store64(b.address2(i), swap64(b.r64(i.r1)))),
  general('STRVH', 'E33F', 'RXY-a', (b, i) => b.store16(b.address2(i), swapHalf(b.r32(i.r1)))),
];

const conditional: Row[] = [
  general('STOC', 'EBF3', 'RSY-loc', (b, i) => b.if(b.condition(i.m3), () => b.store32(b.address2(i), b.r32(i.r1))), {
    facility: 45,
  }),
  general('STOCG', 'EBE3', 'RSY-loc', (b, i) => b.if(b.condition(i.m3), () => b.store64(b.address2(i), b.r64(i.r1))), {
    facility: 45,
  }),
  general(
    'STOCFH',
    'EBE1',
    'RSY-loc',
    (b, i) => b.if(b.condition(i.m3), () => b.store32(b.address2(i), b.high32(i.r1))),
    {
      facility: 53,
    },
  ),
];

/** STORE MULTIPLE: the whole range is reached before anything is stored. */
function storeMultiple(b: Emitter, i: Instruction, part: 'low' | 'high' | 'all'): void {
  const count = ((i.r3 - i.r1) & 15) + 1;
  const size = part === 'all' ? 8 : 4;
  const host = b.host(b.address2(i), count * size, true);
  for (let n = 0; n < count; n++) {
    const r = (i.r1 + n) & 15;
    if (part === 'all') b.emit(be.store64(host, b.r64(r), n * 8));
    else b.emit(be.store32(host, part === 'low' ? b.r32(r) : b.high32(r), n * 4));
  }
  b.commit(host);
}
const multiples: Row[] = [
  general('STM', '90', 'RS-a', (b, i) => storeMultiple(b, i, 'low')),
  general('STMY', 'EB90', 'RSY-a', (b, i) => storeMultiple(b, i, 'low'), { facility: 18 }),
  general('STMG', 'EB24', 'RSY-a', (b, i) => storeMultiple(b, i, 'all')),
  general('STMH', 'EB26', 'RSY-a', (b, i) => storeMultiple(b, i, 'high')),
  general('STPQ', 'E38E', 'RXY-a', (b, i) => {
    if (i.r1 & 1) return b.raise(6);
    const address = b.let64(b.address2(i));
    b.raiseIf(i32.wrap(i64.and(address, i64.const(15))), 6);
    const host = b.host(address, 16, true);
    b.emit(be.store64(host, b.r64(i.r1)), be.store64(host, b.r64(i.r1 + 1), 8));
  }),
];

/** STORE CHARACTERS UNDER MASK. */
function storeUnderMask(b: Emitter, i: Instruction, word: 'low' | 'high'): void {
  const positions = [8, 4, 2, 1].flatMap((bit, n) => (i.m3 & bit ? [24 - 8 * n] : []));
  if (positions.length === 0) return;
  const value = b.let32(word === 'low' ? b.r32(i.r1) : b.high32(i.r1));
  const host = b.host(b.address2(i), positions.length, true);
  positions.forEach((at, n) => {
    b.emit(mem.store8(host, i32.shrU(value, i32.const(at)), n));
  });
  b.commit(host);
}
const underMask: Row[] = [
  general('STCM', 'BE', 'RS-b', (b, i) => storeUnderMask(b, i, 'low')),
  general('STCMY', 'EB2D', 'RSY-b', (b, i) => storeUnderMask(b, i, 'low'), { facility: 18 }),
  general('STCMH', 'EB2C', 'RSY-b', (b, i) => storeUnderMask(b, i, 'high')),
];

const immediates: Row[] = [
  general('MVI', '92', 'SI', (b, i) => b.store8(b.address1(i), i32.const(i.i2))),
  general('MVIY', 'EB52', 'SIY', (b, i) => b.store8(b.address1(i), i32.const(i.i2)), { facility: 18, unsigned: true }),
  general('MVHHI', 'E544', 'SIL', (b, i) => b.store16(b.address1(i), i32.const(i.i2)), { facility: 34 }),
  general('MVHI', 'E54C', 'SIL', (b, i) => b.store32(b.address1(i), i32.const(s16(i.i2))), { facility: 34 }),
  general('MVGHI', 'E548', 'SIL', (b, i) => b.store64(b.address1(i), i64.const(s16(i.i2))), { facility: 34 }),
];

/** STORE ... and MOVE immediate rows. */
export const STORES: readonly Row[] = [
  ...plain,
  ...high,
  ...reversed,
  ...conditional,
  ...multiples,
  ...underMask,
  ...immediates,
];
