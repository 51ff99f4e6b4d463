import { expect, test } from 'vitest';
import { dmaTranslate } from '../../devices/physical/phb/dma.ts';
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import { VFIO_SPAPR_TCE_IOMMU } from '../include/uapi/vfio.ts';
import { TestHost } from '../kvm/test_host.ts';
import { quietInvariants } from '../kvm/test_invariants.ts';
import { PTE } from '../lib/address_space.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { migratePage } from '../mm/migrate.ts';
import type { IommuTable } from './iommu_table.ts';
import { TCE32_SIZE } from './table_group.ts';

const { H_SUCCESS, H_TOO_HARD } = HCALL_RETURN;
const { H_PUT_TCE, H_GET_TCE, H_STUFF_TCE, H_PUT_TCE_INDIRECT } = HCALL;
const LIOBN = 0x8000_0000;
const PAGES = 48;
const LIST = 40;
const CHARGE = TCE32_SIZE / PAGE_SIZE;

/** An enabled v1 container with PE 0 under a LIOBN; guest RAM that is neither pinned nor registered. */
function setup({ guestShift = 12, enable = true } = {}) {
  const host = new TestHost({ lockLimit: 2 ** 24 });
  const ram = host.ram(PAGES);
  const { frames } = host.kernel.mm.space;
  return host.run(function* () {
    const { fd, groups } = yield* host.container([0], VFIO_SPAPR_TCE_IOMMU);
    yield* host.ioctl(fd, ioctls.VFIO_IOMMU_ENABLE);
    // The first change makes the default window.
    yield* host.unmapDma(fd, 0, PAGE_SIZE);
    if (!enable) yield* host.ioctl(fd, ioctls.VFIO_IOMMU_DISABLE);
    const { vm, vcpu } = yield* host.machine(ram, PAGES);
    const tableFd = yield* host.table(vm, LIOBN, guestShift, (64 * PAGE_SIZE) / 2 ** guestShift);
    const device = yield* host.kvmVfio(vm);
    yield* host.setAttr(device, 1, groups[0]);
    yield* host.setAttr(device, 3, groups[0], tableFd);
    yield* host.enableHcall(vm, H_STUFF_TCE);
    yield* host.enableHcall(vm, H_PUT_TCE_INDIRECT);
    const table = host.powernv.groups[0]?.tables[0] as IommuTable;
    const frame = (page: number) => host.kernel.mm.space.lookup(ram + page * PAGE_SIZE, false);
    const pins = (page: number) => frames.pins(frame(page));
    return { host, ram, fd, groups, vm, vcpu, tableFd, device, table, frame, pins };
  });
}
type Setup = ReturnType<typeof setup>;
const dma = ({ host }: Setup, entry: number) =>
  dmaTranslate(host.memory, host.phbBase, 0, BigInt(entry * PAGE_SIZE), 8, true)?.[0].hpa;
const move = ({ host, ram }: Setup, page: number): boolean =>
  host.run(() => migratePage(host.kernel.mm, host.memory, ram + page * PAGE_SIZE));

test('virtual mode pins a page when it is mapped and lets go of it when it is replaced; real mode passes the call on', () => {
  const s = setup();
  for (const tier of ['real', 'wasm'] as const) expect(s.host[tier](H_PUT_TCE, LIOBN, 0, 0x5003)).toBe(H_TOO_HARD);
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0, 0x5003)).toBe(H_SUCCESS);
  expect([dma(s, 0), s.pins(5)]).toEqual([s.frame(5), 1]);
  expect(s.host.real(H_GET_TCE, LIOBN, 0)).toBe(H_SUCCESS);
  expect(s.host.realOut).toBe(0x5003n);
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0, 0x6003)).toBe(H_SUCCESS);
  expect([dma(s, 0), s.pins(5), s.pins(6)]).toEqual([s.frame(6), 0, 1]);
  quietInvariants(s.host, { hypercallsOnly: true, otherCharges: CHARGE });
  // Real mode can say that nothing is mapped, and no more.
  expect(s.host.real(H_PUT_TCE, LIOBN, 0, 0)).toBe(H_TOO_HARD);
  expect(s.host.real(H_PUT_TCE, LIOBN, 0x1000, 0)).toBe(H_SUCCESS);
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0, 0)).toBe(H_SUCCESS);
  expect([dma(s, 0), s.pins(6)]).toEqual([undefined, 0]);
});

test('the same page mapped twice is pinned twice, and a page the device could write is marked', () => {
  const s = setup();
  const { frames } = s.host.kernel.mm.space;
  for (const entry of [0, 1]) s.host.virtual(H_PUT_TCE, LIOBN, entry * PAGE_SIZE, 0x5000 + 1 + entry);
  expect(s.pins(5)).toBe(2);
  expect(s.host.virtual(H_STUFF_TCE, LIOBN, 0, 0, 1)).toBe(H_SUCCESS);
  expect([s.pins(5), frames.flags(s.frame(5)) & 2]).toEqual([1, 0]);
  expect(s.host.virtual(H_STUFF_TCE, LIOBN, 0, 0, 64)).toBe(H_SUCCESS);
  expect([s.pins(5), frames.flags(s.frame(5)) & 2]).toEqual([0, 2]);
});

test('frames move underneath: never a mapped one, and the device always reaches the guest’s page', () => {
  const s = setup();
  const random = (() => {
    let state = 7;
    return (below: number) => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return state % below;
    };
  })();
  const mapped = new Map<number, number>();
  let moved = 0;
  for (let turn = 0; turn < 150; turn++) {
    const page = random(16);
    if (random(2) === 0) {
      const before = s.frame(page);
      const may = ![...mapped.values()].includes(page);
      expect(move(s, page)).toBe(may);
      expect(s.frame(page) !== before).toBe(may);
      moved += Number(may);
    } else {
      const entry = random(8);
      const tce = random(3) === 0 ? 0 : page * PAGE_SIZE + 3;
      expect(s.host.virtual(H_PUT_TCE, LIOBN, entry * PAGE_SIZE, tce)).toBe(H_SUCCESS);
      if (tce === 0) mapped.delete(entry);
      else mapped.set(entry, page);
    }
    for (const [entry, at] of mapped) expect(dma(s, entry)).toBe(s.frame(at));
    quietInvariants(s.host, { hypercallsOnly: true, otherCharges: CHARGE });
  }
  expect(moved).toBeGreaterThan(20);
});

test('a page that is on the move when it is to be pinned is waited for, with a list as well', () => {
  for (const list of [false, true]) {
    const s = setup();
    const { host } = s;
    const at = host.kernel.mm.space.entryAddress(s.ram + 5 * PAGE_SIZE);
    host.memory.dv.setBigUint64(s.frame(LIST), 0x4003n, false);
    host.memory.dv.setBigUint64(s.frame(LIST) + 8, 0x5003n, false);
    host.memory.or(at, PTE.MIGRATING);
    const call = list ? [H_PUT_TCE_INDIRECT, LIOBN, 0, LIST * PAGE_SIZE, 2] : [H_PUT_TCE, LIOBN, 0x1000, 0x5003];
    let result: number | undefined;
    host.kernel.spawn(
      host.kernel.process,
      'guest',
      (function* () {
        result = yield* host.virtualTask(0, ...(call as [number, number, number, number]));
      })(),
    );
    expect(() => host.simulation.run(() => result !== undefined, host.simulation.steps + 10_000)).toThrow(
      'being moved',
    );
    // Nothing was begun that would have to be taken back.
    expect([0, 1].map((entry) => s.table.entry(entry))).toEqual([0, 0]);
    host.memory.and(at, ~PTE.MIGRATING);
    host.simulation.run(() => result !== undefined);
    expect([result, dma(s, 1), s.pins(5)]).toEqual([H_SUCCESS, s.frame(5), 1]);
  }
});

test('a guest page of sixteen host pages is pinned whole; a piece that is not there leaves nothing', () => {
  const s = setup({ guestShift: 16 });
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0, 0x10003)).toBe(H_SUCCESS);
  for (let i = 0; i < 16; i++) expect([dma(s, i), s.pins(16 + i)]).toEqual([s.frame(16 + i), 1]);
  s.host.run(function* () {
    // Slot 1 says more than the process has mapped.
    yield* s.host.ioctlStruct(s.vm, ioctls.KVM_SET_USER_MEMORY_REGION, {
      slot: 1,
      guest_phys_addr: 0x100000,
      memory_size: 0x10000,
      userspace_addr: s.ram + (PAGES - 4) * PAGE_SIZE,
    });
  });
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0, 0x100003)).toBe(H_TOO_HARD);
  quietInvariants(s.host, { hypercallsOnly: true, otherCharges: CHARGE });
  expect(s.pins(16)).toBe(1);
});

test('a container that is not enabled, and so not charged, has nothing pinned for it', () => {
  const s = setup({ enable: false });
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0, 0x5003)).toBe(H_TOO_HARD);
  s.host.run(() => s.host.ioctl(s.fd, ioctls.VFIO_IOMMU_ENABLE));
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0, 0x5003)).toBe(H_SUCCESS);
  s.host.run(() => s.host.ioctl(s.fd, ioctls.VFIO_IOMMU_DISABLE));
  // What is mapped stays, and can be unmapped.
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0x1000, 0x5003)).toBe(H_TOO_HARD);
  expect([dma(s, 0), s.pins(5)]).toEqual([s.frame(5), 1]);
  expect(s.host.virtual(H_PUT_TCE, LIOBN, 0, 0)).toBe(H_SUCCESS);
  expect(s.pins(5)).toBe(0);
});

test.each([
  ['the container', (s: Setup) => [s.groups[0], s.fd, s.tableFd, s.device, s.vcpu, s.vm]],
  ['the guest table', (s: Setup) => [s.tableFd, s.device, s.vcpu, s.vm, s.groups[0], s.fd]],
  ['the machine', (s: Setup) => [s.vm, s.vcpu, s.device, s.groups[0], s.fd, s.tableFd]],
])('%s closed first: no pin is left', (_, order) => {
  const s = setup();
  for (let entry = 0; entry < 8; entry++)
    s.host.virtual(H_PUT_TCE, LIOBN, entry * PAGE_SIZE, (entry % 5) * PAGE_SIZE + 3);
  expect(s.pins(0)).toBe(2);
  for (const fd of order(s)) s.host.run(() => s.host.close(fd));
  expect(Array.from({ length: PAGES }, (__, page) => s.pins(page)).some((pins) => pins !== 0)).toBe(false);
  expect(s.host.kernel.mm.lockedVm).toBe(0);
  expect(s.host.held().slots).toBe(0);
});
