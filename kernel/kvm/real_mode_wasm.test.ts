import fc from 'fast-check';
import { Piscina } from 'piscina';
import { afterAll, expect, test } from 'vitest';
import { dmaTranslate } from '../../devices/physical/phb/dma.ts';
import { lockDma, peBlock, unlockDma } from '../../devices/physical/phb/pe.ts';
import { tceLevel } from '../../devices/physical/phb/tce_table.ts';
import type { Hammer } from '../../test/support/tce_parties.ts';
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { KVM_RUN } from '../include/uapi/kvm_run.ts';
import { PG } from '../lib/frames.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { EVENT } from '../lib/trace.ts';
import type { IommuTable } from '../ppc/iommu_table.ts';
import { compileHcall } from './book3s_64_vio_hv_wasm.ts';
import { KVM_HEADER, KVM_STT } from './kvm_area.ts';
import { ATTENTION, TestHost } from './test_host.ts';

const { H_SUCCESS } = HCALL_RETURN;
const { H_PUT_TCE, H_GET_TCE } = HCALL;
const LIOBN = 0x8000_0000;
/** Guest pages: the first 16 may be one piece of host memory, 16-31 are scattered, 32-39 are not registered. */
const PAGES = 40;
const PIECE = 16;
const REGISTERED = 32;
const WINDOW = 32 * PAGE_SIZE;
/** Entries of a table of several levels, with 512 in each; and those that are used of it, of three of its lowest levels. */
const LONG = 2048;
const PLACES = [0, 511, 512, LONG - 1];
const windowOf = ({ levels }: Shape) => (levels === undefined ? WINDOW : LONG * PAGE_SIZE);
/** The entry of the guest's table that number `entry` of a step stands for. */
function placeOf(shape: Shape, entry: number): number {
  return shape.levels === undefined ? entry % (WINDOW / 2 ** shape.guestShift) : PLACES[entry];
}

/** Containers with their PEs, and page sizes of the guest's table and the hardware's. */
interface Shape {
  readonly name: string;
  readonly containers: readonly (readonly number[])[];
  readonly guestShift: number;
  readonly shift: number;
  /** Whether the WebAssembly handler does such calls. */
  readonly ours: boolean;
  /** Levels of the hardware's table, which is then long enough to need some of them. */
  readonly levels?: number;
}
const SHAPES: readonly Shape[] = [
  { name: 'one table', containers: [[0]], guestShift: 12, shift: 12, ours: true },
  { name: 'two PEs at one table', containers: [[0, 1]], guestShift: 12, shift: 12, ours: true },
  { name: 'two tables', containers: [[0], [1]], guestShift: 12, shift: 12, ours: false },
  { name: 'sixteen entries per guest page', containers: [[0]], guestShift: 16, shift: 12, ours: false },
  { name: '64K pages', containers: [[0]], guestShift: 16, shift: 16, ours: true },
  { name: 'two levels', containers: [[0]], guestShift: 12, shift: 12, ours: true, levels: 2 },
  { name: 'two levels, two PEs', containers: [[0, 1]], guestShift: 12, shift: 12, ours: true, levels: 2 },
  { name: 'five levels', containers: [[0]], guestShift: 12, shift: 12, ours: true, levels: 5 },
];

/** A host of a shape. Two of the same shape are equal to the last address. */
class Machine {
  readonly host = new TestHost();
  readonly ram: number;
  readonly tables: IommuTable[] = [];
  readonly #fds: number[] = [];

  readonly #shape: Shape;

  constructor(shape: Shape) {
    const { containers, guestShift, shift, levels } = shape;
    this.#shape = shape;
    const { host } = this;
    const { mm } = host.kernel;
    // 16 pages that are one aligned piece in both address spaces, and scattered ones behind them.
    const frames = mm.pages.allocPages(2 * PIECE - 1) as number;
    let last = mm.mmapFrames('padding', frames, PAGE_SIZE);
    while ((last.start + PAGE_SIZE) % 65536 !== 0) last = mm.mmapFrames('padding', frames, PAGE_SIZE);
    this.ram = mm.mmapFrames('piece', Math.ceil(frames / 65536) * 65536, 65536).start;
    host.ram(PAGES - PIECE);
    const half = PIECE * PAGE_SIZE;
    host.run(
      function* (this: Machine) {
        const { ram } = this;
        const { vm } = yield* host.machine(ram, PAGES);
        const table = yield* host.table(vm, LIOBN, guestShift, windowOf(shape) / 2 ** guestShift);
        const device = yield* host.kvmVfio(vm);
        for (const pes of containers) {
          const { fd, groups } = yield* host.container(pes);
          this.#fds.push(fd);
          yield* host.register(fd, ram, PIECE);
          yield* host.register(fd, ram + half, REGISTERED - PIECE);
          yield* host.window(fd, shift, windowOf(shape), levels);
          // The first mapping makes it_userspace.
          yield* host.mapDma(fd, 0, ram, 2 ** shift);
          yield* host.unmapDma(fd, 0, 2 ** shift);
          for (const group of groups) {
            yield* host.setAttr(device, 1, group);
            yield* host.setAttr(device, 3, group, table);
          }
          this.tables.push(host.powernv.groups[pes[0]]?.tables[0] as IommuTable);
        }
      }.bind(this),
    );
  }

  /** Unregisters the scattered half, or registers it again. */
  region(register: boolean): string {
    const { host } = this;
    const at = this.ram + PIECE * PAGE_SIZE;
    const [fd] = this.#fds;
    return host.errno(() =>
      register ? host.register(fd, at, REGISTERED - PIECE) : host.unregister(fd, at, REGISTERED - PIECE),
    );
  }

  frame(page: number): number {
    return this.host.kernel.mm.space.lookup(this.ram + page * PAGE_SIZE, false);
  }

  /** HPA of an entry's `it_userspace` word in the first table; 0 while a level on the way there is missing. */
  cell(entry: number): number {
    const { memory } = this.host;
    const { hpa, levels, levelShift, slot } = this.tables[0];
    if (levels === 1) return memory.load(slot + 16) + entry * 4;
    const lowest = tceLevel(memory, hpa, levels, levelShift, entry);
    return lowest === 0 ? 0 : lowest + 2 ** levelShift * 8 + (entry % 2 ** levelShift) * 4;
  }
  /** Makes the levels that lead to an entry, as a mapping of the kernel's thread does. */
  grow(entry: number): void {
    const { host, ram } = this;
    const [fd] = this.#fds;
    host.run(() => host.mapDma(fd, entry * PAGE_SIZE, ram, PAGE_SIZE));
  }

  #places(entries: number): readonly number[] {
    return this.#shape.levels === undefined ? Array.from({ length: entries }, (_, i) => i) : PLACES;
  }

  /** Everything a call can change. */
  state() {
    const { host, tables } = this;
    const { memory, bridge, map } = host;
    const [stt] = [...(host.kvm.vm?.tables ?? [])];
    return {
      tables: tables.map((table) => this.#places(table.entries).map((i) => [table.entry(i), table.userPage(i)])),
      // Of a long table with all levels that are there.
      pages: host.kernel.mm.pages.allocated,
      view: this.#places(memory.load(stt.slot + KVM_STT.offset.size)).map((i) =>
        memory.dv.getBigUint64(stt.view + 8 * i, true),
      ),
      mapped: host.powernv.regions.list().map((region) => host.powernv.regions.mapped(region)),
      pes: bridge.pes().map((pe) => bridge.inspect(pe)),
      flags: Array.from({ length: PAGES }, (_, page) => host.kernel.mm.space.frames.flags(this.frame(page))),
      // Requests and the ring of stale code pages, without the words of the calls themselves.
      vcpus: map.vcpus.map(({ run }) => [
        memory.load(run + KVM_RUN.offset.requests),
        Buffer.from(memory.bytes(run + 2048, 2048)).toString('hex'),
      ]),
    };
  }
}

type Step =
  | { readonly kind: 'grow'; readonly entry: number }
  | { readonly kind: 'put'; readonly entry: number; readonly page: number; readonly low: number }
  | { readonly kind: 'raw'; readonly liobn: bigint; readonly ioba: bigint; readonly tce: bigint }
  | { readonly kind: 'get'; readonly entry: number }
  | { readonly kind: 'dma'; readonly pe: number; readonly page: number; readonly write: boolean }
  | { readonly kind: 'code'; readonly page: number }
  | { readonly kind: 'trace' | 'radix'; readonly on: boolean }
  | { readonly kind: 'enabled'; readonly bits: number }
  | { readonly kind: 'locked'; readonly entry: number; readonly page: number; readonly low: number }
  | { readonly kind: 'region'; readonly register: boolean };

const entry = fc.integer({ min: 0, max: 3 });
const page = fc.integer({ min: 0, max: PAGES });
const low = fc.integer({ min: 0, max: 3 });
const rare = <T>(arbitrary: fc.Arbitrary<T>) => ({ weight: 1, arbitrary });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('put' as const), entry, page, low }) },
  rare(
    fc.record({
      kind: fc.constant('raw' as const),
      liobn: fc.constantFrom(BigInt(LIOBN), BigInt(LIOBN), 0x1_8000_0000n, 0x8000_0001n, 0n),
      ioba: fc.constantFrom(0n, 4n, BigInt(WINDOW), 1n << 59n, 0xffff_ffff_ffff_f000n, 0xffff_ffff_ffff_0000n),
      tce: fc.constantFrom(0n, 3n, 0x1803n, 0xffff_ffff_ffff_f003n, 0xffff_ffff_ffff_0003n, 0x8000_0000_0000_0001n),
    }),
  ),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('get' as const), entry }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('dma' as const),
      pe: fc.integer({ min: 0, max: 1 }),
      page: fc.integer({ min: 0, max: 31 }),
      write: fc.boolean(),
    }),
  },
  rare(fc.record({ kind: fc.constant('code' as const), page: fc.integer({ min: 0, max: PAGES - 1 }) })),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('grow' as const), entry }) },
  // Mostly off again soon.
  rare(
    fc.record({ kind: fc.constantFrom('trace' as const, 'radix' as const), on: fc.constantFrom(true, false, false) }),
  ),
  rare(fc.record({ kind: fc.constant('enabled' as const), bits: fc.constantFrom(0, 1, 2, 3, 3, 3, 3, 3, 3) })),
  rare(fc.record({ kind: fc.constant('locked' as const), entry, page, low })),
  rare(fc.record({ kind: fc.constant('region' as const), register: fc.boolean() })),
);

function perform(m: Machine, tier: 'real' | 'wasm', shape: Shape, s: Step): unknown {
  const { host } = m;
  const { memory, map } = host;
  const put = (at: number, guestPage: number, bits: number) => {
    // Page numbers of 64K tables: most are aligned, some are not.
    const first = shape.guestShift === 16 && guestPage % 3 !== 0 ? guestPage - (guestPage % 16) : guestPage;
    return host[tier](H_PUT_TCE, LIOBN, at * 2 ** shape.guestShift, first * PAGE_SIZE + bits);
  };
  switch (s.kind) {
    case 'put':
      return put(placeOf(shape, s.entry), s.page, s.low);
    case 'raw':
      return host[tier](H_PUT_TCE, s.liobn, s.ioba, s.tce);
    case 'get': {
      const ret = host[tier](H_GET_TCE, LIOBN, placeOf(shape, s.entry) * 2 ** shape.guestShift);
      return ret === H_SUCCESS ? host[`${tier}Out`] : ret;
    }
    case 'dma': {
      const ioPage = shape.levels === undefined ? s.page : PLACES[s.page % PLACES.length];
      const found = dmaTranslate(memory, host.phbBase, s.pe, BigInt(ioPage * PAGE_SIZE), 8, s.write);
      host.bridge.eehUnfreeze(s.pe);
      return found?.map(({ hpa }) => hpa);
    }
    case 'code':
      return host.kernel.mm.space.frames.setFlags(m.frame(s.page), PG.CODE);
    case 'trace':
      memory.u8[map.traceEnable + EVENT.tce_kill] = Number(s.on);
      return undefined;
    case 'radix':
      return memory.store(map.kvm + KVM_HEADER.offset.radix, Number(s.on));
    case 'enabled':
      return memory.store(map.kvm + KVM_HEADER.offset.enabled, s.bits);
    case 'locked': {
      const at = placeOf(shape, s.entry);
      const cell = m.cell(at * 2 ** (shape.guestShift - shape.shift));
      if (cell === 0) return undefined;
      const old = memory.or(cell, -0x8000_0000);
      const ret = put(at, s.page, s.low);
      memory.and(cell, 0x7fff_ffff);
      return [old, ret];
    }
    case 'grow':
      return shape.levels === undefined ? undefined : m.grow(PLACES[s.entry]);
    case 'region':
      return m.region(s.register);
  }
}

/** Whether the WebAssembly handler does a call that succeeded. */
function mine(m: Machine, shape: Shape, s: Step): boolean {
  if (s.kind === 'get') return true;
  return shape.ours && s.kind !== 'locked' && m.host.memory.u8[m.host.map.traceEnable + EVENT.tce_kill] === 0;
}

test.each(SHAPES)('$name: real mode and its WebAssembly handler leave the same behind, step by step', (shape) => {
  let done = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 40 }), (steps) => {
      const [js, wasm] = [new Machine(shape), new Machine(shape)];
      expect(wasm.state()).toEqual(js.state());
      for (const s of steps) {
        const calls = wasm.host.wasmCalls;
        const result = perform(js, 'real', shape, s);
        expect(perform(wasm, 'wasm', shape, s)).toEqual(result);
        expect(wasm.state()).toEqual(js.state());
        for (const m of [js, wasm]) m.host.invariants(m.tables);
        const succeeded = s.kind === 'get' ? typeof result === 'bigint' : result === H_SUCCESS;
        if (s.kind === 'put' || s.kind === 'raw' || s.kind === 'get')
          expect(wasm.host.wasmDone).toBe(succeeded && mine(wasm, shape, s));
        done += wasm.host.wasmCalls - calls;
      }
    }),
    { numRuns: shape.levels === undefined ? 40 : 20, seed: 20162 },
  );
  expect(done).toBeGreaterThan(shape.ours ? 100 : 10);
});

/** A machine whose handler's TypeScript steps are told here. */
function observed(steps: (m: Machine) => { drain?: (block: number) => void; codeWritten?: (page: number) => void }) {
  const m = new Machine(SHAPES[1]);
  const { host } = m;
  const { state, run } = host.map.vcpus[0];
  const { drain = () => {}, codeWritten = () => {} } = steps(m);
  const places = { gprs: state, done: run + KVM_RUN.offset.hcall_real };
  const hcall = compileHcall(host.memory, host.map, host.phbBase, places, { drain, codeWritten });
  const put = (ioba: number, tce: number): number => {
    [H_PUT_TCE, LIOBN, ioba, tce].forEach((value, i) => {
      host.memory.dv.setBigUint64(state + 8 * (i + 1), BigInt(value), true);
    });
    return hcall();
  };
  return { m, put };
}

test('DMA under way is waited for after exchange and kill, and before the old page is released', () => {
  const seen: unknown[] = [];
  const { m, put } = observed((machine) => ({
    drain: (block) => {
      const { host } = machine;
      const pe = (block - host.phbBase) / (peBlock(0, 1) - peBlock(0, 0));
      const [region] = host.powernv.regions.list();
      unlockDma(host.memory, block);
      seen.push([pe, machine.tables[0].entry(0), host.bridge.inspect(pe).cache, host.powernv.regions.mapped(region)]);
    },
  }));
  const { host } = m;
  expect(put(0, 3)).toBe(1);
  dmaTranslate(host.memory, host.phbBase, 1, 0n, 8, true);
  expect(host.bridge.inspect(1).cache).toHaveLength(1);
  lockDma(host.memory, peBlock(host.phbBase, 1));
  expect(put(0, 0)).toBe(1);
  expect(seen).toEqual([[1, 0, [], 2]]);
  expect(host.powernv.regions.list().map((region) => host.powernv.regions.mapped(region))).toEqual([1, 1]);
});

test('a page with translated code that the device could write is told by its user page', () => {
  const told: number[] = [];
  const { m, put } = observed(() => ({ codeWritten: (page) => told.push(page) }));
  const { frames } = m.host.kernel.mm.space;
  for (const guestPage of [5, 20]) frames.setFlags(m.frame(guestPage), PG.CODE);
  for (const tce of [0x5001, 0x14003, 0x6003, 0]) expect(put(0, tce)).toBe(1);
  expect(told).toEqual([m.ram / PAGE_SIZE + 20]);
  expect([5, 6, 20].map((guestPage) => frames.flags(m.frame(guestPage)) & PG.DIRTY)).toEqual([0, PG.DIRTY, PG.DIRTY]);
});

test('a region whose count is 0 is being unregistered: refused, and its count stays 0', () => {
  const { m, put } = observed(() => ({}));
  const { memory, powernv } = m.host;
  const [region] = powernv.regions.list();
  memory.store(region.slot + 16, 0);
  expect(put(0, 3)).toBe(0);
  expect(powernv.regions.mapped(region)).toBe(0);
  expect(m.tables[0].entry(0)).toBe(0);
});

test('a count never falls below the registration', () => {
  const { m, put } = observed(() => ({}));
  const { memory, powernv } = m.host;
  const [region] = powernv.regions.list();
  expect(put(0, 3)).toBe(1);
  memory.store(region.slot + 16, 1);
  expect(put(0, 0)).toBe(1);
  expect(powernv.regions.mapped(region)).toBe(1);
});

const POOL = new URL('../lib/pool_worker.js', import.meta.url).href;
const PARTIES = new URL('../../test/support/tce_parties.ts', import.meta.url).href;
const pool = new Piscina({ filename: POOL, minThreads: 2, maxThreads: 2, execArgv: [], atomics: 'disabled' });
afterAll(() => pool.destroy());

test.each([
  ['both WebAssembly', [true, true], SHAPES[0]],
  ['WebAssembly and JavaScript', [true, false], SHAPES[0]],
  ['both WebAssembly at a table of two levels', [true, true], SHAPES[5]],
])(
  'two threads at the same entries, %s, with DMA: entries, user pages, counts and caches fit',
  async (_, wasm, shape) => {
    const { host, tables } = new Machine(shape);
    const done = await Promise.all(
      wasm.map((asked, me) => {
        const { map } = host;
        const { memory } = host.memory;
        const common = { memory, map, liobn: LIOBN, calls: 30_000, entries: 3, pages: PAGES, attention: ATTENTION };
        const argument: Hammer = { ...common, me, wasm: asked };
        return pool.run({ module: PARTIES, call: 'hammer', argument }) as Promise<{ wasm: number; js: number }>;
      }),
    );
    host.invariants(tables);
    wasm.forEach((asked, me) => {
      expect(KVM_RUN.at(host.memory.dv, host.map.vcpus[me].run).hcall_real).toBe(done[me].wasm);
      expect(asked ? done[me].wasm : done[me].js).toBeGreaterThan(10_000);
    });
  },
);
