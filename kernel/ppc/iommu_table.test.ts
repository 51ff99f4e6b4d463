import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dmaTranslate } from '../../devices/physical/phb/dma.ts';
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import { TestHost } from '../kvm/test_host.ts';
import { quietInvariants } from '../kvm/test_invariants.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { sleep } from '../lib/task.ts';
import { type IommuTable, tablePages } from './iommu_table.ts';

const CREATE = ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE;
const REMOVE = ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE;
const LIOBN = 0x8000_0000;

/** A container with PE 0, 16 registered pages, and a window of `entries` 4K pages at bus address 0. */
function setup(levels: number, entries: number, lockLimit = 2 ** 32) {
  const host = new TestHost({ lockLimit });
  const ram = host.ram(16);
  const idle = host.held();
  const { fd, groups } = host.run(() => host.container([0]));
  host.run(function* () {
    yield* host.register(fd, ram, 16);
    yield* host.ioctlStruct(fd, REMOVE, { start_addr: 0 });
    yield* host.ioctlStruct(fd, CREATE, { page_shift: 12, window_size: entries * PAGE_SIZE, levels });
  });
  const table = host.powernv.groups[0]?.tables[0] as IommuTable;
  const close = () =>
    host.run(function* () {
      for (const one of [...groups, fd]) yield* host.close(one);
    });
  return { host, ram, fd, groups, table, idle, close };
}
const dma = (host: TestHost, entry: number, write = false) =>
  dmaTranslate(host.memory, host.phbBase, 0, BigInt(entry) * BigInt(PAGE_SIZE), 8, write)?.[0].hpa;

test.each([
  // levels, entries: pages of entries and of it_userspace that are charged
  [1, 16, 2],
  [1, 2 ** 18, 1024],
  [2, 2 ** 18, 2 * (512 + 1)],
  [2, 2 ** 10, 2 * (2 + 1)],
  // A level has whole pages: of three levels the lowest has 512 entries.
  [3, 2 ** 18, 2 * (512 + 1 + 1)],
  [2, 2 ** 22, 2 * (4 * 2048 + 4)],
])('a table of %i levels with %i entries is charged for %i pages, however many it has', (levels, entries, pages) => {
  expect(tablePages(entries, levels)).toBe(pages);
  const { host, table, close, idle } = setup(levels, entries);
  expect(host.kernel.mm.lockedVm).toBe(16 + pages);
  expect(table.levels).toBe(levels);
  close();
  expect(host.held()).toEqual(idle);
});

test.each([1, 2, 3, 4, 5])(
  '%i levels: any entry is mapped, translated, overwritten, unmapped and given back as in one level',
  (levels) => {
    const { host, ram, fd, table, idle, close } = setup(levels, 2 ** 14);
    const entry = fc.oneof(fc.integer({ min: 0, max: 2 ** 14 - 4 }), fc.constantFrom(0, 510, 511, 512, 2 ** 14 - 4));
    const step = fc.record({
      map: fc.boolean(),
      entry,
      page: fc.integer({ min: 0, max: 12 }),
      count: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const model = new Map<number, number>();
        for (const s of steps) {
          if (s.map)
            host.run(() => host.mapDma(fd, s.entry * PAGE_SIZE, ram + s.page * PAGE_SIZE, s.count * PAGE_SIZE));
          else host.run(() => host.unmapDma(fd, s.entry * PAGE_SIZE, s.count * PAGE_SIZE));
          for (let i = 0; i < s.count; i++)
            if (s.map) model.set(s.entry + i, s.page + i);
            else model.delete(s.entry + i);
          for (let i = 0; i < s.count; i++) {
            const page = model.get(s.entry + i);
            const frame = page === undefined ? undefined : host.kernel.mm.space.lookup(ram + page * PAGE_SIZE, false);
            expect(dma(host, s.entry + i, true)).toBe(frame);
            host.bridge.eehUnfreeze(0);
          }
        }
        expect(host.powernv.regions.mapped(host.powernv.regions.list()[0]) - 1).toBe(model.size);
        host.run(() => host.unmapDma(fd, 0, 2 ** 14 * PAGE_SIZE));
      }),
      { numRuns: 30, seed: levels },
    );
    host.invariants([table]);
    close();
    expect(host.held()).toEqual(idle);
  },
);

test('a window of 4 TiB has memory for what is mapped in it, and clearing it does not look at what is not there', () => {
  const { host, ram, fd, idle, close } = setup(4, 2 ** 30);
  const before = host.held().pages;
  for (const entry of [0, 2 ** 20, 2 ** 30 - 1]) host.run(() => host.mapDma(fd, entry * PAGE_SIZE, ram, PAGE_SIZE));
  expect(dma(host, 2 ** 30 - 1)).toBe(host.kernel.mm.space.lookup(ram, false));
  expect(dma(host, 2 ** 29)).toBeUndefined();
  expect(host.bridge.eehError(0).reason).toBe('NO_PERMISSION');
  expect(host.held().pages - before).toBeLessThan(40);
  const steps = host.simulation.steps;
  host.run(() => host.unmapDma(fd, 0, 2 ** 29 * PAGE_SIZE));
  close();
  expect(host.simulation.steps - steps).toBeLessThan(10_000);
  expect(host.held()).toEqual(idle);
});

test('more entries than the bridge can tell apart are refused, and nothing is kept', () => {
  const { host, fd } = setup(1, 16);
  const before = host.held();
  const create = { page_shift: 12, window_size: 2 ** 43, levels: 5 };
  expect(host.errno(() => host.ioctlStruct(fd, CREATE, create))).toBe('EINVAL');
  // Its first level is freed in a moment.
  host.run(() => sleep(host.kernel.actor, 1_000_000));
  expect(host.held()).toEqual(before);
});

test('a level that cannot be had ends MAP_DMA with ENOMEM, and what the call had mapped is cleared', () => {
  const { host, ram, fd, table } = setup(2, 2 ** 14);
  const { pages } = host.kernel.mm;
  host.run(() => host.mapDma(fd, 0, ram, PAGE_SIZE));
  const taken: number[] = [];
  for (let page = pages.allocPage(); page !== undefined; page = pages.allocPage()) taken.push(page);
  expect(host.errno(() => host.mapDma(fd, 510 * PAGE_SIZE, ram, 4 * PAGE_SIZE))).toBe('ENOMEM');
  host.invariants([table]);
  expect([0, 510, 511, 512].map((entry) => table.entry(entry) !== 0)).toEqual([true, false, false, false]);
  for (const page of taken) pages.freePages(page);
  expect(host.errno(() => host.mapDma(fd, 510 * PAGE_SIZE, ram, 4 * PAGE_SIZE))).toBe('OK');
});

test('hypercalls: real mode cannot add a level, virtual mode can, and from then on real mode maps there', () => {
  const { host, ram, groups, table } = setup(3, 2 ** 18);
  host.run(function* () {
    const { vm } = yield* host.machine(ram, 16);
    const fd = yield* host.table(vm, LIOBN, 12, 2 ** 10);
    const device = yield* host.kvmVfio(vm);
    yield* host.setAttr(device, 1, groups[0]);
    yield* host.setAttr(device, 3, groups[0], fd);
    yield* host.enableHcall(vm, HCALL.H_STUFF_TCE);
  });
  const put = (tier: 'real' | 'wasm' | 'virtual', entry: number, tce: number) =>
    host[tier](HCALL.H_PUT_TCE, LIOBN, entry * PAGE_SIZE, tce);
  expect(put('real', 3, 0)).toBe(HCALL_RETURN.H_SUCCESS);
  expect([put('real', 3, 0x5003), put('wasm', 3, 0x5003)]).toEqual([HCALL_RETURN.H_TOO_HARD, HCALL_RETURN.H_TOO_HARD]);
  expect(put('virtual', 3, 0x5003)).toBe(HCALL_RETURN.H_SUCCESS);
  expect(put('real', 4, 0x6003)).toBe(HCALL_RETURN.H_SUCCESS);
  expect(put('real', 512, 0x6003)).toBe(HCALL_RETURN.H_TOO_HARD);
  quietInvariants(host, { hypercallsOnly: true });
  expect([3, 4].map((entry) => dma(host, entry))).toEqual(
    [5, 6].map((page) => host.kernel.mm.space.lookup(ram + page * PAGE_SIZE, false)),
  );
  expect(host.real(HCALL.H_STUFF_TCE, LIOBN, 0, 0, 512)).toBe(HCALL_RETURN.H_SUCCESS);
  expect(table.entry(3)).toBe(0);
  quietInvariants(host, { hypercallsOnly: true });
});

test('a level above the entries that names no host memory freezes the PE, whatever wrote it', () => {
  const { host, table } = setup(2, 2 ** 14);
  host.memory.dv.setBigUint64(table.hpa, 0x1_0000_0003n, false);
  expect(dma(host, 0)).toBeUndefined();
  expect(host.bridge.eehError(0).reason).toBe('BAD_ADDRESS');
  host.bridge.eehUnfreeze(0);
  host.memory.dv.setBigUint64(table.hpa, 0x1003n, false);
  expect(dma(host, 0)).toBeUndefined();
  expect(host.bridge.eehError(0).reason).toBe('BAD_ADDRESS');
  host.memory.dv.setBigUint64(table.hpa, 0n, false);
});
