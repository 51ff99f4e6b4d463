import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FunctionBuilder } from '../../kernel/lib/wasm/function_builder.ts';
import { encodeModule } from '../../kernel/lib/wasm/module.ts';
import { i32 } from '../../kernel/lib/wasm/types.ts';
import { CC, CC_KINDS, ccFunction } from './condition_code.ts';

type Code = (op: number, a: bigint, b: bigint) => number;
/** cc, and for each kind and mask the folded branch test. */
function compile(): { cc: Code; test: (op: number, mask: number) => ((a: bigint, b: bigint) => number) | undefined } {
  const cc = ccFunction();
  const folded = CC_KINDS.flatMap((kind, op) =>
    Array.from({ length: 16 }, (_, mask) => {
      const b = new FunctionBuilder(2);
      const value = kind.test?.(mask, b.parameter64(0).get, b.parameter64(1).get);
      b.emit((value ?? i32.const(-1)).code);
      return { name: value && `${op}_${mask}`, locals: b.locals, code: b.out };
    }),
  );
  const module = encodeModule(
    [],
    [
      {
        signature: { params: ['i32', 'i64', 'i64'], results: ['i32'] },
        locals: cc.locals,
        code: cc.code,
        export: 'cc',
      },
      ...folded.map(({ name, locals, code }) => ({
        signature: { params: ['i64', 'i64'], results: ['i32'] } as const,
        locals,
        code,
        export: name,
      })),
    ],
  );
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module));
  return { cc: exports.cc as Code, test: (op, mask) => exports[`${op}_${mask}`] as never };
}
const compiled = compile();
const corner = fc.constantFrom(0n, 1n, -1n, 2n, -(1n << 63n), (1n << 63n) - 1n, 0xffff_ffffn, -0x8000_0000n);
const value = fc.oneof(corner, fc.bigInt(-(1n << 63n), (1n << 63n) - 1n));
const carry = fc.constantFrom(0n, 1n);

/** The definition of each kind, in plain words. */
const MEANING: Record<number, (a: bigint, b: bigint) => number> = {
  [CC.SIGN]: (a) => (a === 0n ? 0 : a < 0n ? 1 : 2),
  [CC.SIGNED]: (a, b) => (a === b ? 0 : a < b ? 1 : 2),
  [CC.UNSIGNED]: (a, b) => (a === b ? 0 : BigInt.asUintN(64, a) < BigInt.asUintN(64, b) ? 1 : 2),
  [CC.NONZERO]: (a) => (a === 0n ? 0 : 1),
  [CC.CARRY]: (a, b) => (a === 0n ? 0 : 1) + Number(b) * 2,
  [CC.OVERFLOW]: (a, b) => (b < 0n ? 3 : a === 0n ? 0 : a < 0n ? 1 : 2),
  [CC.TM]: (a, b) => (a === 0n ? 0 : a === b ? 3 : 1),
};

for (const [op, meaning] of Object.entries(MEANING)) {
  const kind = Number(op);
  test(`${CC_KINDS[kind].name} gives the code it stands for, and folded branches agree`, () => {
    fc.assert(
      fc.property(value, kind === CC.CARRY ? carry : value, fc.integer({ min: 0, max: 15 }), (x, b, mask) => {
        // Selected bits are a subset of the mask.
        const a = kind === CC.TM ? x & b : x;
        const code = meaning(a, b);
        expect(compiled.cc(kind, a, b)).toBe(code);
        const folded = compiled.test(kind, mask);
        if (folded) expect(folded(a, b) !== 0).toBe((mask & (8 >> code)) !== 0);
      }),
      { numRuns: 400 },
    );
  });
}

test('TMX tells mixed bits by the leftmost one', () => {
  for (const [a, b, code] of [
    [0n, 0xffn, 0],
    [0x7fn, 0xffn, 1],
    [0x80n, 0xffn, 2],
    [0xffn, 0xffn, 3],
  ] as const)
    expect(compiled.cc(CC.TMX, a, b)).toBe(code);
});
