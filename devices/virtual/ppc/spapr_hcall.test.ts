import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { HCALL, HCALL_RETURN } from '../../../kernel/include/arch/ppc/hcall.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { FakeMachine } from '../fake_machine.ts';
import type { HcallResult } from './hcall_result.ts';
import { SpaprHypercalls } from './spapr_hcall.ts';
import { SpaprTceTable } from './spapr_iommu.ts';

const LIOBN = 0x8000_0000;
const PAGES = 16;
const H_PARAMETER = -4n;
const H_FUNCTION = -2n;

let machine: FakeMachine;
let hypercalls: SpaprHypercalls;
let table: SpaprTceTable;
let marks: number[][];
/** What the notifier was told: [bus address, entry], entry undefined for unmap. */
let told: [number, bigint | undefined][];

function setUp(kvm: boolean): void {
  machine = new FakeMachine();
  marks = [];
  told = [];
  machine.kernel.ioctls.set('KVM_CHECK_EXTENSION', () => 1);
  machine.kernel.ioctls.set('KVM_CREATE_SPAPR_TCE_64', ({ view }) => {
    expect([view.liobn, view.page_shift, view.flags, view.offset, view.size]).toEqual([LIOBN, 12, 0, 1, PAGES]);
    return machine.kernel.install('table');
  });
  hypercalls = new SpaprHypercalls(machine, { tier: 'virtual', mark: (...args) => marks.push(args) });
  const options = {
    liobn: LIOBN,
    busOffset: 0x1000,
    pageShift: 12,
    nbTable: PAGES,
    needVfio: true,
    mapped: () => 0x8000,
  };
  table = machine.run(SpaprTceTable.create(machine, { ...options, kvm }));
  hypercalls.tce.add(table);
  table.notifiers.push({
    *map(ioba, tce): Task {
      told.push([ioba, tce]);
    },
    *unmap(ioba): Task {
      told.push([ioba, undefined]);
    },
  });
}
beforeEach(() => setUp(false));

function call(token: number, ...args: (number | bigint)[]): HcallResult {
  return machine.run(hypercalls.hypercall(token, args.map(BigInt)));
}
const { H_PUT_TCE, H_GET_TCE, H_STUFF_TCE, H_PUT_TCE_INDIRECT, H_LOGICAL_CI_LOAD, H_LOGICAL_CI_STORE } = HCALL;
const view = () => Array.from({ length: PAGES }, (_, i) => table.get(i));

/** Calls that are H_PARAMETER and change nothing. */
const REFUSED: [string, number, (number | bigint)[]][] = [
  ['put: unknown LIOBN', H_PUT_TCE, [LIOBN + 1, 0x1000, 0x3003]],
  ['put: LIOBN above 32 bits', H_PUT_TCE, [0x1_8000_0000, 0x1000, 0x3003]],
  ['put: IOBA off its page', H_PUT_TCE, [LIOBN, 0x1234, 0x3003]],
  ['put: IOBA before the window', H_PUT_TCE, [LIOBN, 0, 0x3003]],
  ['put: IOBA at the end', H_PUT_TCE, [LIOBN, 0x11000, 0x3003]],
  ['put: IOBA far away', H_PUT_TCE, [LIOBN, 0xffff_ffff_ffff_f000n, 0x3003]],
  ['put: page address off its boundary', H_PUT_TCE, [LIOBN, 0x1000, 0x3203]],
  ['get: unknown LIOBN', H_GET_TCE, [LIOBN + 1, 0x1000]],
  ['get: IOBA off its page', H_GET_TCE, [LIOBN, 0x1008]],
  ['get: IOBA at the end', H_GET_TCE, [LIOBN, 0x11000]],
  ['stuff: permission', H_STUFF_TCE, [LIOBN, 0x1000, 1, 1]],
  ['stuff: beyond the end', H_STUFF_TCE, [LIOBN, 0x10000, 0, 2]],
  ['stuff: count that wraps', H_STUFF_TCE, [LIOBN, 0x1000, 0, 0xffff_ffff_ffff_ffffn]],
  ['stuff: IOBA off its page', H_STUFF_TCE, [LIOBN, 0x1008, 0, 1]],
  ['stuff: count 0 off its page', H_STUFF_TCE, [LIOBN, 0x1008, 0, 0]],
  ['indirect: 513 entries', H_PUT_TCE_INDIRECT, [LIOBN, 0x1000, 0x4000, 513]],
  ['indirect: list off its page', H_PUT_TCE_INDIRECT, [LIOBN, 0x1000, 0x4008, 1]],
  ['indirect: list outside memory', H_PUT_TCE_INDIRECT, [LIOBN, 0x1000, 0x20000, 1]],
  ['indirect: list far away', H_PUT_TCE_INDIRECT, [LIOBN, 0x1000, 0xffff_ffff_ffff_f000n, 1]],
  ['indirect: beyond the end', H_PUT_TCE_INDIRECT, [LIOBN, 0x10000, 0x4000, 2]],
];
describe('TCE calls that are refused', () => {
  for (const [name, token, args] of REFUSED)
    test(name, () => {
      expect(call(token, ...args)).toEqual({ ret: H_PARAMETER, out: [] });
      expect([view().every((tce) => tce === 0n), told]).toEqual([true, []]);
    });
});

for (const kvm of [false, true])
  describe(kvm ? 'TCE calls on KVM’s table' : 'TCE calls on a table in the heap', () => {
    beforeEach(() => setUp(kvm));
    test('put, get, unmap', () => {
      expect(table.fd >= 0).toBe(kvm);
      expect(call(H_PUT_TCE, LIOBN, 0x2000, 0x3003)).toEqual({ ret: 0n, out: [] });
      expect(call(H_GET_TCE, LIOBN, 0x2000)).toEqual({ ret: 0n, out: [0x3003n] });
      expect(call(H_PUT_TCE, LIOBN, 0x2000, 0)).toEqual({ ret: 0n, out: [] });
      expect(told).toEqual([
        [0x2000, 0x3003n],
        [0x2000, undefined],
      ]);
      if (kvm) expect(machine.kernel.memory.load64(0x8008)).toBe(0n);
    });
    test('poison without permission is kept and unmaps', () => {
      expect(call(H_STUFF_TCE, LIOBN, 0x1000, 0xdead_beef_0000_1230n & ~3n, PAGES).ret).toBe(0n);
      expect(view()).toEqual(new Array(PAGES).fill(0xdead_beef_0000_1230n));
      expect(told.length).toBe(PAGES);
    });
    test('count 0 changes nothing', () => {
      expect(call(H_STUFF_TCE, LIOBN, 0x1000, 0, 0).ret).toBe(0n);
      expect(call(H_PUT_TCE_INDIRECT, LIOBN, 0x1000, 0x100000, 0).ret).toBe(0n);
      expect(told).toEqual([]);
    });
    test('indirect takes a big-endian list, or nothing of it', () => {
      const dv = new DataView(machine.memory.bytes.buffer);
      for (let i = 0; i < PAGES; i++) dv.setBigUint64(0x4000 + 8 * i, BigInt(0x10000 + i * 0x1000) | 3n);
      dv.setBigUint64(0x4000 + 8 * 9, 0x3333n);
      expect(call(H_PUT_TCE_INDIRECT, LIOBN, 0x1000, 0x4000, PAGES).ret).toBe(H_PARAMETER);
      expect(told).toEqual([]);
      expect(call(H_PUT_TCE_INDIRECT, LIOBN, 0x1000, 0x4000, 9).ret).toBe(0n);
      expect([table.get(8), table.get(9)]).toEqual([0x18003n, 0n]);
    });
    test('reset unmaps what is live', () => {
      call(H_PUT_TCE, LIOBN, 0x2000, 0x3003);
      machine.run(table.reset());
      expect(told.at(-1)).toEqual([0x2000, undefined]);
      machine.run(table.release(machine));
      expect(machine.kernel.open.size).toBe(0);
    });
  });
test('the table is what a plain array would be', () => {
  const step = fc.tuple(fc.nat(PAGES + 1), fc.bigInt(0n, 0xffn), fc.nat(4), fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      setUp(false);
      const plain: bigint[] = new Array(PAGES).fill(0n);
      for (const [page, gpa, count, stuff] of steps) {
        const ioba = page * 0x1000;
        const tce = (gpa << 12n) | (stuff ? 0n : 3n);
        const length = stuff ? count : 1;
        const good = page >= 1 && page <= PAGES && page - 1 + length <= PAGES;
        const { ret } = stuff ? call(H_STUFF_TCE, LIOBN, ioba, tce, count) : call(H_PUT_TCE, LIOBN, ioba, tce);
        expect(ret).toBe(good ? 0n : H_PARAMETER);
        if (good) plain.fill(tce, page - 1, page - 1 + length);
      }
      expect(view()).toEqual(plain);
    }),
    { numRuns: 50 },
  );
});
test('without VFIO support in KVM a table that needs it is the VMM’s own', () => {
  machine.kernel.ioctls.set('KVM_CHECK_EXTENSION', ({ value }) => (value === 142 ? 0 : 1));
  const options = { liobn: LIOBN, busOffset: 0x1000, pageShift: 12, nbTable: PAGES, mapped: () => 0 };
  expect(machine.run(SpaprTceTable.create(machine, { ...options, needVfio: true })).fd).toBe(-1);
  expect(machine.run(SpaprTceTable.create(machine, { ...options, needVfio: false })).fd).toBeGreaterThan(0);
});
test('a LIOBN that is taken is refused by name', () => {
  expect(() => hypercalls.tce.add(table)).toThrow('LIOBN 0x80000000 is in use');
});

describe('cache-inhibited access', () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i);
  beforeEach(() => {
    hypercalls.ci.add({
      base: 0x100_8000_0000,
      size: 16,
      *read(offset, length): Task<Uint8Array> {
        return bytes.slice(offset, offset + length);
      },
      *write(offset, data): Task {
        bytes.set(data, offset);
      },
    });
  });
  test.each([
    [1, 3, 0x03n],
    [2, 2, 0x0203n],
    [4, 4, 0x04050607n],
    [8, 8, 0x08090a0b0c0d0e0fn],
  ])('a load of %i bytes is the bytes in address order', (size, at, value) => {
    expect(call(H_LOGICAL_CI_LOAD, size, 0x100_8000_0000 + at)).toEqual({ ret: 0n, out: [value] });
  });
  test('a store puts the low bytes, most significant first', () => {
    expect(call(H_LOGICAL_CI_STORE, 4, 0x100_8000_0004, 0xffff_ffff_aabb_ccddn)).toEqual({ ret: 0n, out: [] });
    expect([...bytes.slice(3, 9)]).toEqual([3, 0xaa, 0xbb, 0xcc, 0xdd, 8]);
  });
  test.each([
    ['size 0', 0, 0],
    ['size 3', 3, 0],
    ['size 16', 16, 0],
    ['off its boundary', 4, 2],
    ['before the window', 4, -4],
    ['behind the window', 4, 16],
  ])('%s is H_PARAMETER', (_what, size, at) => {
    for (const token of [H_LOGICAL_CI_LOAD, H_LOGICAL_CI_STORE])
      expect(call(token, size, 0x100_8000_0000 + at, 0)).toEqual({ ret: H_PARAMETER, out: [] });
  });
  test('windows do not overlap', () => {
    const window = { base: 0x100_8000_000f, size: 1, read: undefined as never, write: undefined as never };
    expect(() => hypercalls.ci.add(window)).toThrow('overlaps');
  });
});

describe('minivisor’s own', () => {
  let caps: [number, number, number][];
  beforeEach(() => {
    caps = [];
    machine.kernel.ioctls.set('KVM_ENABLE_CAP', ({ view: cap }) => {
      caps.push([cap.cap, cap.arg0, cap.arg1]);
      if (cap.arg0 === H_PUT_TCE_INDIRECT) throw new Errno('EINVAL', 'no handler');
      return 0;
    });
  });
  const RADIX = 134;
  test.each([
    ['real', 0, 1, 0],
    ['real', 1, 1, 1],
    ['virtual', 1, 1, 1],
    ['virtual', 2, 0, 0],
    ['virtual', 3, 1, 1],
    ['vmm', 2, 0, 0],
  ] as const)('started with %s: tier %i', (started, tier, enabled, radix) => {
    hypercalls = new SpaprHypercalls(machine, { tier: started, mark: () => {} });
    expect(call(HCALL.H_MINIVISOR_TIER, tier).ret).toBe(0n);
    expect(caps).toEqual([
      ...[H_GET_TCE, H_PUT_TCE, H_STUFF_TCE, H_PUT_TCE_INDIRECT].map((token) => [104, token, enabled]),
      [RADIX, radix, 0],
    ]);
  });
  test.each([
    ['virtual', 0],
    ['vmm', 0],
    ['vmm', 1],
  ] as const)('started with %s: tier %i comes before it, H_AUTHORITY', (started, tier) => {
    hypercalls = new SpaprHypercalls(machine, { tier: started, mark: () => {} });
    expect(call(HCALL.H_MINIVISOR_TIER, tier).ret).toBe(BigInt(HCALL_RETURN.H_AUTHORITY));
    expect(caps).toEqual([]);
  });
  test('an unknown tier is H_PARAMETER', () => {
    expect(call(HCALL.H_MINIVISOR_TIER, 4).ret).toBe(H_PARAMETER);
    expect(caps).toEqual([]);
  });
  test('the command line’s tier is put in force at the start and by reset', () => {
    machine.run(hypercalls.start());
    machine.run(hypercalls.reset());
    expect(caps.filter(([cap]) => cap === RADIX)).toEqual([
      [RADIX, 1, 0],
      [RADIX, 1, 0],
    ]);
  });
  test('a mark reaches the machine', () => {
    expect(call(HCALL.H_MINIVISOR_MARK, 1, 64, 4096)).toEqual({ ret: 0n, out: [] });
    expect(marks).toEqual([[1, 64, 4096]]);
  });
  test('an unknown token is H_FUNCTION', () => {
    for (const token of [0, 4, 0xf004, 0x1_0000_0020]) expect(call(token)).toEqual({ ret: H_FUNCTION, out: [] });
  });
});
