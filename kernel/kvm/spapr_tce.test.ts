import { expect, test } from 'vitest';
import { dmaTranslate } from '../../devices/physical/phb/dma.ts';
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import { PTE } from '../lib/address_space.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { IommuTable } from '../ppc/iommu_table.ts';
import { type Container, TestHost } from './test_host.ts';

const { H_SUCCESS, H_PARAMETER, H_TOO_HARD } = HCALL_RETURN;
const { H_PUT_TCE, H_GET_TCE, H_STUFF_TCE, H_PUT_TCE_INDIRECT } = HCALL;
const LIOBN = 0x8000_0000;
const PAGES = 64;

interface Setup {
  readonly host: TestHost;
  readonly ram: number;
  readonly container: Container;
  readonly vm: number;
  readonly tableFd: number;
  readonly kvmVfio: number;
  readonly table: IommuTable;
  readonly iova0: number;
}

/** RAM of 64 registered pages, a 64-page window at bus address 0 under LIOBN 80000000, it_userspace present. */
function setup(options: { pes?: number[]; guestShift?: number; ram?: (host: TestHost) => number } = {}): Setup {
  const { pes = [0], guestShift = 12 } = options;
  const host = new TestHost();
  const ram = options.ram?.(host) ?? host.ram(PAGES);
  return host.run(function* () {
    const container = yield* host.container(pes);
    yield* host.register(container.fd, ram, PAGES);
    yield* host.window(container.fd, 12, PAGES * PAGE_SIZE);
    yield* host.mapDma(container.fd, 0, ram, PAGE_SIZE);
    yield* host.unmapDma(container.fd, 0, PAGE_SIZE);
    const { vm } = yield* host.machine(ram, PAGES);
    const tableFd = yield* host.table(vm, LIOBN, guestShift, (PAGES * PAGE_SIZE) / 2 ** guestShift);
    const kvmVfio = yield* host.kvmVfio(vm);
    for (const group of container.groups) {
      yield* host.setAttr(kvmVfio, 1, group);
      yield* host.setAttr(kvmVfio, 3, group, tableFd);
    }
    yield* host.enableHcall(vm, H_STUFF_TCE);
    yield* host.enableHcall(vm, H_PUT_TCE_INDIRECT);
    const table = host.powernv.groups[pes[0]]?.tables[0] as IommuTable;
    return { host, ram, container, vm, tableFd, kvmVfio, table, iova0: 0 };
  });
}

const dma = ({ host }: Setup, pe: number, address: bigint, write: boolean) =>
  dmaTranslate(host.memory, host.phbBase, pe, address, 4, write);

for (const tier of ['real', 'wasm', 'virtual'] as const) {
  const call = (host: TestHost, nr: number, ...args: (bigint | number)[]) => host[tier](nr, ...args);
  const out = (host: TestHost) => host[`${tier}Out`];

  test(`${tier} mode: H_PUT_TCE maps, H_GET_TCE gives the guest's value, the device reaches the page`, () => {
    const s = setup();
    const hpa = s.host.kernel.mm.space.lookup(s.ram + 5 * PAGE_SIZE, false);
    expect(call(s.host, H_PUT_TCE, LIOBN, 0x1000, 0x5003)).toBe(H_SUCCESS);
    expect(call(s.host, H_GET_TCE, LIOBN, 0x1000)).toBe(H_SUCCESS);
    expect(out(s.host)).toBe(0x5003n);
    expect(s.table.entry(1)).toBe(hpa + 3);
    expect(dma(s, 0, 0x1004n, true)?.[0].hpa).toBe(hpa + 4);
    expect(s.host.powernv.regions.mapped(s.host.powernv.regions.list()[0])).toBe(2);
    s.host.invariants([s.table]);
  });

  test(`${tier} mode: overwriting and unmapping twice counts once, and leaves nothing in the TCE cache`, () => {
    const s = setup();
    const region = s.host.powernv.regions.list()[0];
    const mapped = () => s.host.powernv.regions.mapped(region) - 1;
    for (const page of [5, 6, 6]) {
      expect(call(s.host, H_PUT_TCE, LIOBN, 0, page * PAGE_SIZE + 3)).toBe(H_SUCCESS);
      expect(mapped()).toBe(1);
      expect(dma(s, 0, 0n, true)?.[0].hpa).toBe(s.table.entry(0) & ~3);
      s.host.invariants([s.table]);
    }
    for (let i = 0; i < 2; i++) {
      expect(call(s.host, H_PUT_TCE, LIOBN, 0, 0)).toBe(H_SUCCESS);
      expect(mapped()).toBe(0);
      expect(dma(s, 0, 0n, false)).toBeUndefined();
      s.host.bridge.eehUnfreeze(0);
      s.host.invariants([s.table]);
    }
  });

  test(`${tier} mode: an unmapped page that the device could write is marked dirty`, () => {
    const s = setup();
    const { frames } = s.host.kernel.mm.space;
    const dirty = (page: number) => frames.flags(s.host.kernel.mm.space.lookup(s.ram + page * PAGE_SIZE, false)) & 2;
    call(s.host, H_PUT_TCE, LIOBN, 0, 0x7003);
    call(s.host, H_PUT_TCE, LIOBN, 0x1000, 0x8001);
    call(s.host, H_STUFF_TCE, LIOBN, 0, 0, 2);
    expect([dirty(7), dirty(8)]).toEqual([2, 0]);
  });

  test(`${tier} mode: H_STUFF_TCE clears the hardware and leaves its poison in the guest view`, () => {
    const s = setup();
    for (let i = 0; i < 4; i++) call(s.host, H_PUT_TCE, LIOBN, i * PAGE_SIZE, i * PAGE_SIZE + 3);
    expect(call(s.host, H_STUFF_TCE, LIOBN, 0x1000, 0xdead_0000_beef_0000n, 2)).toBe(H_SUCCESS);
    expect([0, 1, 2, 3].map((i) => s.table.entry(i) !== 0)).toEqual([true, false, false, true]);
    call(s.host, H_GET_TCE, LIOBN, 0x2000);
    expect(out(s.host)).toBe(0xdead_0000_beef_0000n);
    s.host.invariants([s.table]);
  });

  // what, token, arguments after the LIOBN, expected
  const END = PAGES * PAGE_SIZE;
  const refusals: [string, number, (bigint | number)[], number][] = [
    ['put at the window end', H_PUT_TCE, [END, 3], H_PARAMETER],
    ['put at the last entry', H_PUT_TCE, [END - PAGE_SIZE, 3], H_SUCCESS],
    ['put at an unaligned IOBA', H_PUT_TCE, [0x1234, 3], H_PARAMETER],
    ['put far above the window', H_PUT_TCE, [1n << 59n, 3], H_PARAMETER],
    ['put at the last IOBA there is', H_PUT_TCE, [0xffff_ffff_ffff_f000n, 3], H_PARAMETER],
    ['put of a page outside RAM', H_PUT_TCE, [0, END + 3], H_TOO_HARD],
    ['put of a page far outside', H_PUT_TCE, [0, 0xffff_ffff_ffff_f003n], H_TOO_HARD],
    ['put of an unaligned address', H_PUT_TCE, [0, 0x1803], H_TOO_HARD],
    ['put of any address without permission', H_PUT_TCE, [0, 0xffff_ffff_ffff_f80cn], H_SUCCESS],
    ['get at the window end', H_GET_TCE, [END], H_PARAMETER],
    ['get at an unaligned IOBA', H_GET_TCE, [8], H_PARAMETER],
    ['stuff with permission bits', H_STUFF_TCE, [0, 1, 1], H_PARAMETER],
    ['stuff of nothing', H_STUFF_TCE, [0, 0, 0], H_SUCCESS],
    ['stuff of the whole window', H_STUFF_TCE, [0, 0, PAGES], H_SUCCESS],
    ['stuff of one too many', H_STUFF_TCE, [0, 0, PAGES + 1], H_PARAMETER],
    ['stuff across the end', H_STUFF_TCE, [END - PAGE_SIZE, 0, 2], H_PARAMETER],
    ['stuff of 2^63', H_STUFF_TCE, [0, 0, 1n << 63n], H_PARAMETER],
    ['stuff of 2^32', H_STUFF_TCE, [0, 0, 1n << 32n], H_PARAMETER],
    ['stuff at an unaligned IOBA', H_STUFF_TCE, [1, 0, 0], H_PARAMETER],
    ['a token that is none', 0x24, [0, 0], H_TOO_HARD],
  ];
  const s = setup();
  test.each(refusals)(`${tier} mode: %s`, (_, nr, args, expected) => {
    expect(call(s.host, nr, LIOBN, ...args)).toBe(expected);
    s.host.invariants([s.table]);
  });
  test.each([0x8000_0700n, 0x1_8000_0000n, 1n << 63n])(`${tier} mode: LIOBN %s belongs to the VMM`, (liobn) => {
    expect(call(s.host, H_PUT_TCE, liobn, 0, 3)).toBe(H_TOO_HARD);
    expect(call(s.host, H_GET_TCE, liobn, 0)).toBe(H_TOO_HARD);
    expect(call(s.host, H_STUFF_TCE, liobn, 0, 0, 1)).toBe(H_TOO_HARD);
  });

  test(`${tier} mode: without it_userspace the first mapping is VFIO's`, () => {
    const host = new TestHost();
    const ram = host.ram(1);
    const container = host.run(function* () {
      const { fd, groups } = yield* host.container([0]);
      yield* host.register(fd, ram, 1);
      yield* host.window(fd, 12, 0x10000);
      const { vm } = yield* host.machine(ram, 1);
      const tableFd = yield* host.table(vm, LIOBN, 12, 16);
      const device = yield* host.kvmVfio(vm);
      yield* host.setAttr(device, 1, groups[0]);
      yield* host.setAttr(device, 3, groups[0], tableFd);
      return fd;
    });
    expect(call(host, H_PUT_TCE, LIOBN, 0, 3)).toBe(H_TOO_HARD);
    expect(call(host, H_PUT_TCE, LIOBN, 0, 0)).toBe(H_SUCCESS);
    host.run(() => host.mapDma(container, 0, ram, PAGE_SIZE));
    expect(call(host, H_PUT_TCE, LIOBN, 0, 3)).toBe(H_SUCCESS);
  });

  test(`${tier} mode: memory that is not registered is the VMM's business`, () => {
    const s = setup();
    s.host.run(() => s.host.unregister(s.container.fd, s.ram, PAGES));
    expect(call(s.host, H_PUT_TCE, LIOBN, 0, 3)).toBe(H_TOO_HARD);
    s.host.run(() => s.host.register(s.container.fd, s.ram, PAGES));
    expect(call(s.host, H_PUT_TCE, LIOBN, 0, 3)).toBe(H_SUCCESS);
  });

  test(`${tier} mode: a 64K guest page makes sixteen hardware entries and one kill`, () => {
    const s = setup({ guestShift: 16 });
    const before = s.host.bridge.inspect(0).kills;
    expect(call(s.host, H_PUT_TCE, LIOBN, 0x10000, 0x20003)).toBe(H_SUCCESS);
    expect(s.host.bridge.inspect(0).kills - before).toBe(1);
    for (let i = 0; i < 16; i++)
      expect(s.table.entry(16 + i) - 3).toBe(s.host.kernel.mm.space.lookup(s.ram + 0x20000 + i * PAGE_SIZE, false));
    expect(s.table.entry(15)).toBe(0);
    expect(s.table.entry(32)).toBe(0);
    expect(call(s.host, H_PUT_TCE, LIOBN, 0x11000, 0x20003)).toBe(H_PARAMETER);
    expect(call(s.host, H_PUT_TCE, LIOBN, 0x10000, 0x21003)).toBe(H_TOO_HARD);
    s.host.invariants([s.table]);
    expect(call(s.host, H_STUFF_TCE, LIOBN, 0x10000, 0, 1)).toBe(H_SUCCESS);
    s.host.invariants([s.table]);
    expect(s.host.powernv.regions.mapped(s.host.powernv.regions.list()[0])).toBe(1);
  });

  test(`${tier} mode: two groups of a container share the table: one write, a kill in each`, () => {
    const s = setup({ pes: [0, 1] });
    const kills = () => [0, 1, 2].map((pe) => s.host.bridge.inspect(pe).kills);
    const before = kills();
    call(s.host, H_PUT_TCE, LIOBN, 0, 0x5003);
    expect(kills().map((k, i) => k - before[i])).toEqual([1, 1, 0]);
    expect(dma(s, 0, 0n, true)).toEqual(dma(s, 1, 0n, true));
    s.host.run(function* () {
      yield* s.host.setAttr(s.kvmVfio, 2, s.container.groups[1]);
      yield* s.host.ioctl(s.container.groups[1], ioctls.VFIO_GROUP_UNSET_CONTAINER);
    });
    const then = kills();
    call(s.host, H_PUT_TCE, LIOBN, 0, 0x6003);
    expect(kills().map((k, i) => k - then[i])).toEqual([1, 0, 0]);
    expect(dma(s, 0, 0n, true)?.[0].hpa).toBe(s.table.entry(0) & ~3);
    s.host.invariants([s.table]);
  });

  test(`${tier} mode: a removed window is passed over, and keeps no memory in use`, () => {
    const s = setup();
    call(s.host, H_PUT_TCE, LIOBN, 0, 0x5003);
    s.host.run(() => s.host.ioctlStruct(s.container.fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 }));
    expect(call(s.host, H_PUT_TCE, LIOBN, 0x1000, 0x6003)).toBe(H_SUCCESS);
    expect(s.host.errno(() => s.host.unregister(s.container.fd, s.ram, PAGES))).toBe('OK');
  });
}

test('a subpage that cannot be mapped any more clears the guest page and gives its memory back', () => {
  const s = setup({ guestShift: 16 });
  expect(s.host.real(H_PUT_TCE, LIOBN, 0, 0x20003)).toBe(H_SUCCESS);
  // Another thread holds entry 7 locked: the call has begun when it finds out.
  const cell = s.host.memory.load(s.table.slot + 16) + 7 * 4;
  s.host.memory.or(cell, -0x8000_0000);
  expect(s.host.real(H_PUT_TCE, LIOBN, 0, 0x30003)).toBe(H_TOO_HARD);
  s.host.memory.and(cell, 0x7fff_ffff);
  // The view keeps the old value; of the hardware entries only the one that could not be had is left.
  expect(Array.from({ length: 16 }, (_, i) => i).filter((i) => s.table.entry(i) !== 0)).toEqual([7]);
  s.host.invariants([s.table]);
  expect(s.host.real(H_GET_TCE, LIOBN, 0)).toBe(H_SUCCESS);
  expect(s.host.realOut).toBe(0x20003n);
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0, 0x30003)).toBe(H_SUCCESS);
  s.host.invariants([s.table]);
});

test('a page is released after the kill: order exchange, kill, release', () => {
  const s = setup();
  s.host.real(H_PUT_TCE, LIOBN, 0, 0x5003);
  const events: string[] = [];
  const region = s.host.powernv.regions.list()[0];
  const mapped = region.slot + 16;
  const { memory } = s.host;
  const watch = (name: 'exchange' | 'add' | 'cas', label: (hpa: number) => string | undefined) => {
    const original = memory[name].bind(memory) as (hpa: number, a: number, b: number) => number;
    Object.defineProperty(memory, name, {
      value: (hpa: number, a: number, b: number) => {
        const event = label(hpa);
        if (event !== undefined) events.push(event);
        return original(hpa, a, b);
      },
    });
  };
  watch('exchange', (hpa) => (hpa === s.table.hpa + 4 ? 'exchange' : undefined));
  watch('add', (hpa) => (hpa > s.host.phbBase && hpa < s.host.phbBase + 0x2000 ? 'kill' : undefined));
  watch('cas', (hpa) => (hpa === mapped ? 'count' : undefined));
  s.host.real(H_PUT_TCE, LIOBN, 0, 0);
  expect(events).toEqual(['exchange', 'kill', 'count']);
});

test('radix guests and disabled calls get no answer in real mode; virtual mode answers a radix guest', () => {
  const s = setup();
  const cap = (number: number, arg0: number, arg1 = 0) =>
    s.host.run(() => s.host.ioctlStruct(s.vm, ioctls.KVM_ENABLE_CAP, { cap: number, arg0, arg1 }));
  cap(134, 1);
  expect(s.host.real(H_PUT_TCE, LIOBN, 0, 0x5003)).toBe(H_TOO_HARD);
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0, 0x5003)).toBe(H_SUCCESS);
  cap(134, 0);
  cap(104, H_PUT_TCE, 0);
  expect(s.host.realMode.enabled(H_PUT_TCE)).toBe(false);
  expect(s.host.real(H_PUT_TCE, LIOBN, 0, 0x5003)).toBe(H_TOO_HARD);
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0, 0x5003)).toBe(H_TOO_HARD);
  cap(104, H_PUT_TCE, 1);
  expect(s.host.real(H_PUT_TCE, LIOBN, 0, 0x6003)).toBe(H_SUCCESS);
});

test('real mode leaves a long H_STUFF_TCE to virtual mode', () => {
  const host = new TestHost();
  const ram = host.ram(1);
  host.run(function* () {
    const { vm } = yield* host.machine(ram, 1);
    yield* host.table(vm, LIOBN, 12, 10_000);
    yield* host.enableHcall(vm, H_STUFF_TCE);
  });
  expect(host.real(H_STUFF_TCE, LIOBN, 0, 0xabc000, 512)).toBe(H_SUCCESS);
  expect(host.real(H_STUFF_TCE, LIOBN, 0, 0xabc000, 513)).toBe(H_TOO_HARD);
  expect(host.virtual(H_STUFF_TCE, LIOBN, 0, 0xabc000, 10_000)).toBe(H_SUCCESS);
  host.real(H_GET_TCE, LIOBN, 9_999 * PAGE_SIZE);
  expect(host.realOut).toBe(0xabc000n);
});

// The list stands in guest page 40.
const LIST = 40 * PAGE_SIZE;
function list({ host, ram }: Setup, tces: readonly number[]): void {
  const at = host.kernel.mm.space.lookup(ram + LIST, true);
  for (const [i, tce] of tces.entries()) host.memory.dv.setBigUint64(at + i * 8, BigInt(tce), false);
}

for (const tier of ['real', 'virtual'] as const) {
  const call = (host: TestHost, ...args: (bigint | number)[]) => host[tier](H_PUT_TCE_INDIRECT, LIOBN, ...args);

  test(`${tier} mode: H_PUT_TCE_INDIRECT maps a list, and an entry without permission unmaps without leaking a count`, () => {
    const s = setup();
    list(s, [0x1003, 0, 0x3001]);
    for (let i = 0; i < 2; i++) expect(call(s.host, 0, LIST, 3)).toBe(H_SUCCESS);
    expect([0, 1, 2].map((i) => s.table.entry(i) & 3)).toEqual([3, 0, 1]);
    s.host.invariants([s.table]);
    list(s, new Array(PAGES).fill(0));
    expect(call(s.host, 0, LIST, PAGES)).toBe(H_SUCCESS);
    expect(s.host.errno(() => s.host.unregister(s.container.fd, s.ram, PAGES))).toBe('OK');
  });

  test(`${tier} mode: H_PUT_TCE_INDIRECT with one bad entry changes nothing`, () => {
    const s = setup();
    list(s, [0x1003, 0x2003, PAGES * PAGE_SIZE + 3]);
    expect(call(s.host, 0, LIST, 3)).toBe(H_TOO_HARD);
    expect([0, 1, 2].map((i) => s.table.entry(i))).toEqual([0, 0, 0]);
  });

  test(`${tier} mode: the entries of a list share a kill, and nothing of the old pages is left in the cache`, () => {
    const s = setup();
    for (const shift of [0, 1]) {
      list(
        s,
        Array.from({ length: 48 }, (_, i) => ((i + shift) % PAGES) * PAGE_SIZE + 3),
      );
      const { kills } = s.host.bridge.inspect(0);
      expect(call(s.host, 0, LIST, 48)).toBe(H_SUCCESS);
      expect(s.host.bridge.inspect(0).kills - kills).toBe(1);
      for (let i = 0; i < 48; i++) expect(dma(s, 0, BigInt(i * PAGE_SIZE), true)?.[0].hpa).toBe(s.table.entry(i) & ~3);
      s.host.invariants([s.table]);
    }
  });

  test(`${tier} mode: an entry of a list that fails after all is cleared; those before it stay, those after it too`, () => {
    const s = setup({ pes: [0, 1] });
    list(s, [0x1003, 0x2003, 0x3003, 0x4003]);
    expect(call(s.host, 0, LIST, 4)).toBe(H_SUCCESS);
    list(s, [0x5003, 0x6003, 0x7003, 0x8003]);
    // Another thread holds entry 2 locked: the call has begun when it finds out.
    const cell = s.host.memory.load(s.table.slot + 16) + 2 * 4;
    s.host.memory.or(cell, -0x8000_0000);
    expect(call(s.host, 0, LIST, 4)).toBe(H_TOO_HARD);
    s.host.memory.and(cell, 0x7fff_ffff);
    s.host.invariants([s.table]);
    const view = [0, 1, 2, 3].map((i) => {
      s.host.real(H_GET_TCE, LIOBN, i * PAGE_SIZE);
      return s.host.realOut;
    });
    expect(view).toEqual([0x5003n, 0x6003n, 0x3003n, 0x4003n]);
    const hpa = (page: number) => s.host.kernel.mm.space.lookup(s.ram + page * PAGE_SIZE, false) + 3;
    // The locked one could not even be cleared: it is as it was.
    expect([0, 1, 2, 3].map((i) => s.table.entry(i))).toEqual([hpa(5), hpa(6), hpa(3), hpa(4)]);
    // What the next tier does: all of it again.
    expect(s.host.virtual(H_PUT_TCE_INDIRECT, LIOBN, 0, LIST, 4)).toBe(H_SUCCESS);
    s.host.invariants([s.table]);
  });

  test.each([
    ['513 entries', [0, LIST, 513], H_PARAMETER],
    ['2^63 entries', [0, LIST, 1n << 63n], H_PARAMETER],
    ['an unaligned list', [0, LIST + 8, 1], H_PARAMETER],
    ['a range beyond the window', [(PAGES - 1) * PAGE_SIZE, LIST, 2], H_PARAMETER],
    ['an unaligned IOBA', [4, LIST, 1], H_PARAMETER],
    ['a list outside RAM', [0, PAGES * PAGE_SIZE, 1], H_TOO_HARD],
    ['a list far outside', [0, 0xffff_ffff_ffff_f000n, 1], H_TOO_HARD],
    ['nothing', [0, LIST, 0], H_SUCCESS],
    ['nothing, outside RAM', [0, PAGES * PAGE_SIZE, 0], H_SUCCESS],
  ])(`${tier} mode: H_PUT_TCE_INDIRECT of %s`, (_, args, expected) => {
    const { host } = setup();
    expect(call(host, ...args)).toBe(expected);
  });
}

test('real mode leaves a list with more hardware entries than it may change to virtual mode', () => {
  const s = setup({ guestShift: 16 });
  list(s, [0x20003, 0x30001, 0, 0x10003]);
  expect(s.host.real(H_PUT_TCE_INDIRECT, LIOBN, 0, LIST, 4)).toBe(H_SUCCESS);
  s.host.invariants([s.table]);
  expect(s.table.entry(32)).toBe(0);
  const host = new TestHost();
  const ram = host.ram(1);
  host.run(function* () {
    const { fd, groups } = yield* host.container([0]);
    yield* host.register(fd, ram, 1);
    yield* host.window(fd, 12, 64 * 65536);
    const { vm } = yield* host.machine(ram, 1);
    const table = yield* host.table(vm, LIOBN, 16, 64);
    const device = yield* host.kvmVfio(vm);
    yield* host.setAttr(device, 1, groups[0]);
    yield* host.setAttr(device, 3, groups[0], table);
    yield* host.enableHcall(vm, H_PUT_TCE_INDIRECT);
  });
  expect(host.real(H_PUT_TCE_INDIRECT, LIOBN, 0, 0, 33)).toBe(H_TOO_HARD);
  expect(host.virtual(H_PUT_TCE_INDIRECT, LIOBN, 0, 0, 33)).toBe(H_SUCCESS);
});

test('a list on a page that is on the move: real mode passes it on, virtual mode waits', () => {
  const s = setup();
  const { host } = s;
  host.run(() => host.unregister(s.container.fd, s.ram, PAGES));
  const at = host.kernel.mm.space.entryAddress(s.ram + LIST);
  list(s, [0]);
  host.memory.or(at, PTE.MIGRATING);
  expect(host.real(H_PUT_TCE_INDIRECT, LIOBN, 0, LIST, 1)).toBe(H_TOO_HARD);
  let result: number | undefined;
  host.kernel.spawn(
    host.kernel.process,
    'guest',
    (function* () {
      result = yield* host.virtualTask(0, H_PUT_TCE_INDIRECT, LIOBN, 0, LIST, 1);
    })(),
  );
  expect(() => host.simulation.run(() => result !== undefined, host.simulation.steps + 10_000)).toThrow(
    'nothing can run',
  );
  host.memory.and(at, ~PTE.MIGRATING);
  host.simulation.run(() => result !== undefined);
  expect(result).toBe(H_SUCCESS);
  expect(host.kernel.mm.space.frames.refs(host.kernel.mm.space.lookup(s.ram + LIST, false))).toBe(0);
});
