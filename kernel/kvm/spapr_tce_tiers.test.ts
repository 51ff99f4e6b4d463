import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dmaTranslate } from '../../devices/physical/phb/dma.ts';
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { PG } from '../lib/frames.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { IommuTable } from '../ppc/iommu_table.ts';
import { TestHost } from './test_host.ts';

const { H_SUCCESS, H_PARAMETER, H_TOO_HARD } = HCALL_RETURN;
const LIOBN = 0x8000_0000;
/** Guest pages; region A holds the first 40, region B the next 16, the last 8 are not registered. */
const PAGES = 64;
const A = 40;
const B = 16;
const WINDOW = 32;
const SUB = 2;
/** The page of lists. */
const LIST = 60;

type Step =
  | { readonly kind: 'put'; readonly ioba: bigint; readonly tce: bigint }
  | { readonly kind: 'get'; readonly ioba: bigint }
  | { readonly kind: 'stuff'; readonly ioba: bigint; readonly value: bigint; readonly count: bigint }
  | { readonly kind: 'indirect'; readonly ioba: bigint; readonly tces: readonly bigint[]; readonly count: bigint }
  | { readonly kind: 'dma'; readonly entry: number; readonly write: boolean }
  | { readonly kind: 'map'; readonly entry: number; readonly page: number; readonly flags: number }
  | { readonly kind: 'unmap'; readonly entry: number; readonly count: number }
  | { readonly kind: 'region'; readonly register: boolean };

/** Mostly the first entries, so that steps meet. */
const entry = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 3 }) },
  fc.integer({ min: 0, max: WINDOW - 1 }),
);
const ioba = fc.oneof(
  { weight: 12, arbitrary: entry.map((i) => BigInt(i * PAGE_SIZE)) },
  fc.constant(BigInt(WINDOW * PAGE_SIZE)),
  fc.constantFrom(4n, 0x1800n, 1n << 59n, 0xffff_ffff_ffff_f000n),
);
const tce = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: PAGES }), fc.integer({ min: 0, max: 3 }))
      .map(([page, permission]) => BigInt(page * PAGE_SIZE + permission)),
  },
  fc.constantFrom(0n, 0x1803n, 0xffff_ffff_ffff_f003n, 0xdead_0000_0000_0000n, 0x1_0000_0001n),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), ioba, tce }) },
  fc.record({ kind: fc.constant('get' as const), ioba }),
  fc.record({
    kind: fc.constant('stuff' as const),
    ioba,
    value: fc.constantFrom(0n, 0xbad_0000_0000_0000n, 0x3000n, 1n, 0x4002n),
    count: fc.oneof(fc.bigInt({ min: 0n, max: 34n }), fc.constantFrom(1n << 32n, 1n << 63n)),
  }),
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        ioba,
        fc.array(tce, { maxLength: 6 }),
        fc.oneof({ weight: 8, arbitrary: fc.constant(undefined) }, fc.constantFrom(33n, 513n, 1n << 40n)),
      )
      .map(([at, tces, count]) => ({ kind: 'indirect' as const, ioba: at, tces, count: count ?? BigInt(tces.length) })),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('dma' as const),
      entry,
      write: fc.boolean(),
    }),
  },
  fc.record({
    kind: fc.constant('map' as const),
    entry: fc.integer({ min: 0, max: WINDOW - 1 }),
    page: fc.integer({ min: 0, max: PAGES - 1 }),
    flags: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    kind: fc.constant('unmap' as const),
    entry: entry.map((i) => Math.min(i, WINDOW - SUB)),
    count: fc.integer({ min: 0, max: SUB }),
  }),
  fc.record({ kind: fc.constant('region' as const), register: fc.boolean() }),
);

/** What the hypercalls mean, in plain objects. */
class Reference {
  readonly view = new Array<bigint>(WINDOW).fill(0n);
  readonly hardware = new Array<{ page: number; permission: number } | undefined>(WINDOW).fill(undefined);
  registeredB = true;

  registered(page: number): boolean {
    return page >= 0 && (page < A || (page < A + B && this.registeredB));
  }
  #index(address: bigint): number {
    return address % 4096n === 0n && address < BigInt(WINDOW * PAGE_SIZE) ? Number(address / 4096n) : -1;
  }
  put(address: bigint, value: bigint): number {
    const index = this.#index(address);
    if (index < 0) return H_PARAMETER;
    const permission = Number(value & 3n);
    if (permission !== 0) {
      const gpa = value - BigInt(permission);
      if (gpa % 4096n !== 0n || !this.registered(Number(gpa / 4096n))) return H_TOO_HARD;
      this.hardware[index] = { page: Number(gpa / 4096n), permission };
    } else this.hardware[index] = undefined;
    this.view[index] = value;
    return H_SUCCESS;
  }
  stuff(address: bigint, value: bigint, count: bigint): number {
    const index = this.#index(address);
    if (index < 0 || (value & 3n) !== 0n || count > BigInt(WINDOW - index)) return H_PARAMETER;
    for (let i = index; i < index + Number(count); i++) {
      this.hardware[i] = undefined;
      this.view[i] = value;
    }
    return H_SUCCESS;
  }
  indirect(address: bigint, tces: readonly bigint[], count: bigint): number {
    const index = this.#index(address);
    if (index < 0 || count > BigInt(WINDOW - index)) return H_PARAMETER;
    const good = (value: bigint) => {
      const gpa = value - (value & 3n);
      return (value & 3n) === 0n || (gpa % 4096n === 0n && this.registered(Number(gpa / 4096n)));
    };
    if (!tces.every(good)) return H_TOO_HARD;
    for (const [i, value] of tces.entries()) this.put(address + BigInt(i * PAGE_SIZE), value);
    return H_SUCCESS;
  }
  get(address: bigint): { ret: number; value?: bigint } {
    const index = this.#index(address);
    return index < 0 ? { ret: H_PARAMETER } : { ret: H_SUCCESS, value: this.view[index] };
  }
  mapped(first: number, count: number): number {
    return this.hardware.filter((e) => e !== undefined && e.page >= first && e.page < first + count).length;
  }
}

type TierName = 'real' | 'wasm' | 'virtual';

/** One host with its tier; `wasm` is real mode with its WebAssembly handler. */
class Tier {
  readonly host = new TestHost();
  readonly ram = this.host.ram(PAGES);
  readonly #tier: TierName;
  #fds: { container: number; groups: readonly number[]; vm: number; vcpu: number; table: number; device: number };
  table!: IommuTable;
  #registeredB = false;
  #kills = 0;

  constructor(tier: TierName) {
    this.#tier = tier;
    this.#fds = { container: -1, groups: [], vm: -1, vcpu: -1, table: -1, device: -1 };
  }

  start(): void {
    const { host, ram } = this;
    host.run(
      function* (this: Tier) {
        const { fd: container, groups } = yield* host.container([0]);
        yield* host.register(container, ram, A);
        yield* host.register(container, ram + A * PAGE_SIZE, B);
        this.#registeredB = true;
        yield* host.window(container, 12, WINDOW * PAGE_SIZE);
        yield* host.mapDma(container, 0, ram, PAGE_SIZE);
        yield* host.unmapDma(container, 0, PAGE_SIZE);
        const { vm, vcpu } = yield* host.machine(ram, PAGES);
        const table = yield* host.table(vm, LIOBN, 12, WINDOW);
        const device = yield* host.kvmVfio(vm);
        yield* host.setAttr(device, 1, groups[0]);
        yield* host.setAttr(device, 3, groups[0], table);
        yield* host.enableHcall(vm, HCALL.H_STUFF_TCE);
        yield* host.enableHcall(vm, HCALL.H_PUT_TCE_INDIRECT);
        this.#fds = { container, groups, vm, vcpu, table, device };
      }.bind(this),
    );
    this.table = host.powernv.groups[0]?.tables[0] as IommuTable;
    this.#kills = host.bridge.inspect(0).kills;
  }

  stop(): void {
    const { container, groups, vm, vcpu, table, device } = this.#fds;
    const { host } = this;
    host.run(function* () {
      for (const fd of [table, device, vcpu, vm, ...groups, container]) yield* host.close(fd);
    });
  }

  hcall(nr: number, ...args: bigint[]): { ret: number; value?: bigint } {
    const done = this.host.wasmCalls;
    const ret = this.host[this.#tier](nr, LIOBN, ...args);
    if (this.#tier === 'wasm') {
      // It does all single entries that succeed, and counts what it did.
      const single = nr === HCALL.H_PUT_TCE || nr === HCALL.H_GET_TCE;
      expect(this.host.wasmDone).toBe(ret === H_SUCCESS && single);
      expect(this.host.wasmCalls - done).toBe(this.host.wasmDone ? 1 : 0);
    }
    if (nr !== HCALL.H_GET_TCE || ret !== H_SUCCESS) return { ret };
    return { ret, value: this.host[`${this.#tier}Out`] };
  }

  /** The list stands on a page that is not registered, and may move. */
  indirect(ioba: bigint, tces: readonly bigint[], count: bigint): { ret: number } {
    const { memory } = this.host;
    const at = this.#frame(LIST);
    for (const [i, value] of tces.entries()) memory.dv.setBigUint64(at + 8 * i, value, false);
    return this.hcall(HCALL.H_PUT_TCE_INDIRECT, ioba, BigInt(LIST * PAGE_SIZE), count);
  }

  dma(entry: number, write: boolean): boolean {
    const { host } = this;
    const found = dmaTranslate(host.memory, host.phbBase, 0, BigInt(entry * PAGE_SIZE), 8, write);
    host.bridge.eehUnfreeze(0);
    return found !== undefined && found[0].hpa === this.table.entry(entry) - (this.table.entry(entry) % PAGE_SIZE);
  }

  map(entry: number, page: number, flags: number): string {
    const { host, ram } = this;
    return host.errno(() =>
      host.mapDma(this.#fds.container, entry * PAGE_SIZE, ram + page * PAGE_SIZE, PAGE_SIZE, flags),
    );
  }
  unmap(entry: number, count: number): string {
    return this.host.errno(() => this.host.unmapDma(this.#fds.container, entry * PAGE_SIZE, count * PAGE_SIZE));
  }
  region(register: boolean): string {
    if (register === this.#registeredB) return 'nothing to do';
    const { host } = this;
    const at = this.ram + A * PAGE_SIZE;
    const code = host.errno(() =>
      register ? host.register(this.#fds.container, at, B) : host.unregister(this.#fds.container, at, B),
    );
    if (code === 'OK') this.#registeredB = register;
    return code;
  }

  #frame(page: number): number {
    return this.host.kernel.mm.space.lookup(this.ram + page * PAGE_SIZE, false);
  }

  /** Everything the hypercalls can change, without addresses that differ from host to host. */
  state() {
    const { host, table } = this;
    const hardware = Array.from({ length: WINDOW }, (_, i) => {
      const page = table.userPage(i);
      return page === 0 ? undefined : [page - this.ram / PAGE_SIZE, table.entry(i) & 3];
    });
    const { view } = [...(host.kvm.vm?.tables ?? [])][0];
    return {
      hardware,
      view: Array.from({ length: WINDOW }, (_, i) => host.memory.dv.getBigUint64(view + 8 * i, true)),
      mapped: host.powernv.regions.list().map((region) => host.powernv.regions.mapped(region) - 1),
      kills: host.bridge.inspect(0).kills - this.#kills,
      cache: host.bridge.inspect(0).cache.map(({ window, entry, tce }) => [window, entry, tce & 3]),
      dirty: Array.from({ length: PAGES }, (_, i) => host.kernel.mm.space.frames.flags(this.#frame(i)) & PG.DIRTY),
    };
  }
}

function perform(tier: Tier, s: Step): unknown {
  switch (s.kind) {
    case 'put':
      return tier.hcall(HCALL.H_PUT_TCE, s.ioba, s.tce);
    case 'get':
      return tier.hcall(HCALL.H_GET_TCE, s.ioba);
    case 'stuff':
      return tier.hcall(HCALL.H_STUFF_TCE, s.ioba, s.value, s.count);
    case 'indirect':
      return tier.indirect(s.ioba, s.tces, s.count);
    case 'dma':
      return tier.dma(s.entry, s.write);
    case 'map':
      return tier.map(s.entry, s.page, s.flags);
    case 'unmap':
      return tier.unmap(s.entry, s.count);
    case 'region':
      return tier.region(s.register);
  }
}

function expected(reference: Reference, s: Step): unknown {
  switch (s.kind) {
    case 'put':
      return { ret: reference.put(s.ioba, s.tce) };
    case 'get':
      return reference.get(s.ioba);
    case 'stuff':
      return { ret: reference.stuff(s.ioba, s.value, s.count) };
    case 'indirect':
      return { ret: reference.indirect(s.ioba, s.tces, s.count) };
    case 'dma': {
      const entry = reference.hardware[s.entry];
      return entry !== undefined && (!s.write || (entry.permission & 2) !== 0);
    }
    case 'map':
      if (!reference.registered(s.page)) return 'EINVAL';
      reference.hardware[s.entry] = { page: s.page, permission: s.flags };
      return 'OK';
    case 'unmap':
      reference.hardware.fill(undefined, s.entry, s.entry + s.count);
      return 'OK';
    case 'region':
      if (s.register === reference.registeredB) return 'nothing to do';
      if (!s.register && reference.mapped(A, B) > 0) return 'EBUSY';
      reference.registeredB = s.register;
      return 'OK';
  }
}

test('real mode, its WebAssembly handler, virtual mode and a plain reference agree on every sequence, and nothing is left over', () => {
  const tiers = [new Tier('real'), new Tier('wasm'), new Tier('virtual')];
  const idle = tiers.map((tier) => tier.host.held());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      for (const tier of tiers) tier.start();
      const reference = new Reference();
      try {
        for (const s of steps) {
          const want = expected(reference, s);
          for (const tier of tiers) {
            expect(perform(tier, s)).toEqual(want);
            tier.host.invariants([tier.table]);
          }
        }
        const [real, wasm, virtual] = tiers.map((tier) => tier.state());
        expect(wasm).toEqual(real);
        expect(real).toEqual(virtual);
        expect(real.view).toEqual(reference.view);
        // WRITE implies READ in the hardware.
        expect(real.hardware).toEqual(
          reference.hardware.map((e) => e && [e.page, (e.permission & 2) !== 0 ? 3 : e.permission]),
        );
        const counts = [reference.mapped(0, A), ...(reference.registeredB ? [reference.mapped(A, B)] : [])];
        expect(real.mapped).toEqual(counts);
      } finally {
        for (const tier of tiers) tier.stop();
      }
      expect(tiers.map((tier) => tier.host.held())).toEqual(idle);
    }),
    { numRuns: 150, seed: 20161 },
  );
});
