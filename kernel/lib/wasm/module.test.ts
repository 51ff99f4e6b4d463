import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FunctionBuilder } from './function_builder.ts';
import { encodeModule } from './module.ts';
import { be, type I32, type I64, i32, i64, sleb32, sleb64, swap32, swap64, swapHalf, uleb } from './types.ts';

/** A function of one i64 made with the builder. */
function build(result: (b: FunctionBuilder, x: I64) => I64, memory?: WebAssembly.Memory): (x: bigint) => bigint {
  const b = new FunctionBuilder(1);
  const value = result(b, b.parameter64(0).get);
  b.emit(value.code);
  const bytes = encodeModule(memory ? [{ name: 'memory', kind: 'memory', pages: 1 }] : [], [
    { signature: { params: ['i64'], results: ['i64'] }, locals: b.locals, code: b.out, export: 'f' },
  ]);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    m: { memory: memory as WebAssembly.Memory },
  });
  const f = instance.exports.f as (x: bigint) => bigint;
  return (x) => BigInt.asUintN(64, f(x));
}
const u64 = fc.bigInt(0n, 0xffff_ffff_ffff_ffffn);
const from32 = (f: (x: I32) => I32) => build((_, x) => i64.fromU(f(i32.wrap(x))));

test('LEB128 has the shortest form', () => {
  expect(uleb(624485)).toEqual([0xe5, 0x8e, 0x26]);
  expect(sleb32(-123456)).toEqual([0xc0, 0xbb, 0x78]);
  expect(sleb64(64n)).toEqual([0xc0, 0]);
  expect(sleb64(-1n)).toEqual([0x7f]);
});

test('constants of any size arrive unchanged', () => {
  fc.assert(
    fc.property(u64, (value) => {
      expect(build(() => i64.const(value))(0n)).toBe(value);
    }),
    { numRuns: 50 },
  );
});

test('bytes are reversed', () => {
  const [half, word, double] = [from32(swapHalf), from32(swap32), build((_, x) => swap64(x))];
  fc.assert(
    fc.property(u64, (x) => {
      const reversed = (size: number) =>
        Buffer.from(x.toString(16).padStart(16, '0'), 'hex')
          .subarray(8 - size)
          .reverse();
      expect(half(x)).toBe(BigInt(`0x${reversed(2).toString('hex')}`));
      expect(word(x)).toBe(BigInt(`0x${reversed(4).toString('hex')}`));
      expect(double(x)).toBe(BigInt(`0x${reversed(8).toString('hex')}`));
    }),
  );
});

test('big-endian loads and stores agree with a DataView', () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const dv = new DataView(memory.buffer);
  const at = i32.const(5);
  const store = build((b, x) => {
    b.emit(be.store64(at, x), be.store32(at, i32.wrap(x), 16), be.store16(at, i32.wrap(x), 32));
    return i64.add(i64.fromU(be.load16U(at, 32)), i64.add(i64.fromU(be.load32(at, 16)), be.load64(at)));
  }, memory);
  fc.assert(
    fc.property(u64, (x) => {
      const sum = store(x);
      expect(dv.getBigUint64(5)).toBe(x);
      expect(dv.getUint32(21)).toBe(Number(x & 0xffff_ffffn));
      expect(dv.getUint16(37)).toBe(Number(x & 0xffffn));
      expect(sum).toBe(BigInt.asUintN(64, x + (x & 0xffff_ffffn) + (x & 0xffffn)));
    }),
  );
});

test('loops, conditions and branch tables nest', () => {
  // Sum of 1..x, except that 3 counts a hundredfold.
  const f = build((b, x) => {
    const [n, sum] = [b.local64(), b.local64()];
    b.set(n, x);
    b.block((done) =>
      b.loop((again) => {
        b.brIf(i64.eqz(n.get), done);
        const term = b.choose32(
          i64.eq(n.get, i64.const(3)),
          () => i32.const(300),
          () => i32.wrap(n.get),
        );
        b.set(sum, i64.add(sum.get, i64.fromU(term)));
        b.set(n, i64.sub(n.get, i64.const(1)));
        b.br(again);
      }),
    );
    return sum.get;
  });
  expect(f(0n)).toBe(0n);
  expect(f(5n)).toBe(1n + 2n + 300n + 4n + 5n);
});
