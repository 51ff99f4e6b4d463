import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bitfield } from './bits.ts';
import { bytes, type Endian, named, nested, s32, struct, u8, u16, u32, u64, u64n } from './struct.ts';

const FIELDS = { a: u8, b: u16, c: u32, d: s32, e: u64, f: u64n, g: bytes(5) };
const SIZE = 1 + 2 + 4 + 4 + 8 + 8 + 5;
const values = fc.record({
  a: fc.integer({ min: 0, max: 0xff }),
  b: fc.integer({ min: 0, max: 0xffff }),
  c: fc.integer({ min: 0, max: 0xffffffff }),
  d: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
  e: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  f: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  g: fc.uint8Array({ minLength: 5, maxLength: 5 }),
});

test.each(['le', 'be'] as Endian[])('every kind of field reads back what was written, %s, at any address', (endian) => {
  const all = struct('all', endian, FIELDS, { size: SIZE });
  fc.assert(
    fc.property(values, fc.nat(9), (given, address) => {
      const dv = new DataView(new ArrayBuffer(64), 3);
      const view = Object.assign(all.at(dv, address), given);
      const { a, b, c, d, e, f } = view;
      expect({ a, b, c, d, e, f, g: view.g.slice() }).toEqual(given);
      // Nothing outside the structure was written.
      const raw = new Uint8Array(dv.buffer);
      expect(raw.subarray(0, 3 + address).every((x) => x === 0)).toBe(true);
      expect(raw.subarray(3 + address + SIZE).every((x) => x === 0)).toBe(true);
    }),
  );
});

test('byte order is the declared one', () => {
  const le = struct('x', 'le', { n: u32, f: u64n }, { size: 12 }).make({ n: 0x01020304, f: 0x0102_0304_0506 });
  const be = struct('x', 'be', { n: u32, f: u64n }, { size: 12 }).make({ n: 0x01020304, f: 0x0102_0304_0506 });
  expect([...new Uint8Array(le.dv.buffer)]).toEqual([4, 3, 2, 1, 6, 5, 4, 3, 2, 1, 0, 0]);
  expect([...new Uint8Array(be.dv.buffer)]).toEqual([1, 2, 3, 4, 0, 0, 1, 2, 3, 4, 5, 6]);
});

test('a 64-bit number is exact below 2^53, and a negative one is two’s complement', () => {
  const one = struct('one', 'be', { n: u64n }, { size: 8 });
  for (const n of [0, 1, 0xffffffff, 0x100000000, Number.MAX_SAFE_INTEGER]) expect(one.make({ n }).n).toBe(n);
  expect(one.make({ n: -1 }).dv.getBigUint64(0)).toBe(2n ** 64n - 1n);
  const large = one.make();
  large.dv.setBigUint64(0, 2n ** 64n - 1n);
  expect(large.n).toBe(2 ** 64);
});

test('bytes are seen in place, and assigning takes at most the field’s length', () => {
  const two = struct('two', 'le', { text: bytes(4), after: u8 }, { size: 5 });
  const view = two.make({ after: 7 });
  view.text[1] = 9;
  expect(view.dv.getUint8(1)).toBe(9);
  view.text = Uint8Array.of(1, 2, 3, 4, 5, 6);
  expect([...two.bytes(view)]).toEqual([1, 2, 3, 4, 7]);
  view.text = Uint8Array.of(8);
  expect([...two.bytes(view)]).toEqual([8, 2, 3, 4, 7]);
});

test('a nested structure is a view of its place, and can be assigned as a whole', () => {
  const inner = struct('inner', 'be', { x: u16, y: u16 }, { size: 4 });
  const outer = struct('outer', 'le', { head: u32, body: nested(inner), tail: u8 }, { size: 9, offsets: { body: 4 } });
  const view = outer.make({ tail: 1 });
  view.body.y = 0x1234;
  expect([...outer.bytes(view)]).toEqual([0, 0, 0, 0, 0, 0, 0x12, 0x34, 1]);
  view.body = inner.make({ x: 0xabcd, y: 2 });
  expect([...outer.bytes(view)]).toEqual([0, 0, 0, 0, 0xab, 0xcd, 0, 2, 1]);
});

test('a view can be moved to another instance', () => {
  const one = struct('one', 'le', { n: u16 }, { size: 2 });
  const view = one.at(new DataView(Uint8Array.of(1, 0, 2, 0).buffer));
  expect(view.n).toBe(1);
  view.address = 2;
  expect(view.n).toBe(2);
  expect([...one.bytes(view)]).toEqual([2, 0]);
});

test('a declaration that does not have the asserted size or offset is refused', () => {
  expect(() => struct('s', 'le', { a: u32 }, { size: 8 })).toThrow('struct s: declared 8 bytes, fields make 4');
  expect(() => struct('s', 'le', { a: u8, b: u32 }, { size: 5, offsets: { b: 4 } })).toThrow(
    'struct s.b: declared at 4, is at 1',
  );
  expect(() => struct('s', 'le', { address: u32 }, { size: 4 })).toThrow('struct s.address');
  expect(() => struct('s', 'le', { dv: u32 }, { size: 4 })).toThrow('struct s.dv');
});

test('printing names every field, and the bits of those that have names', () => {
  const flags = bitfield('flags', 16, { ready: [0, 1], count: [8, 8] });
  const s = struct('s', 'be', { flags: named(u16, flags), n: s32, b: bytes(2), q: u64 }, { size: 16 });
  expect(s.print(s.make({ flags: 0x8003, n: -1, b: Uint8Array.of(1, 255), q: 16n }))).toBe(
    's{flags=0x8003(ready count=3) n=-1 b=01ff q=0x10}',
  );
});
