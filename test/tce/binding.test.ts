/**
 * What a LIOBN binds to, the argument of 2016: the group, as merged and as in the RFC, or the container. Devices cannot tell;
 * where the sides differ is in what happens when groups come and go, and that is written down here (vfio-tce facts 4.3).
 */
import { expect, test } from 'vitest';
import { HCALL, HCALL_RETURN } from '../../kernel/include/arch/ppc/hcall.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { KVM_CAP } from '../../kernel/include/uapi/kvm.ts';
import { quietInvariants } from '../../kernel/kvm/test_invariants.ts';
import { PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { ATTR, LIOBN, orders, PAGES, SIDES, World } from './world.ts';

const { H_SUCCESS, H_TOO_HARD } = HCALL_RETURN;
const only = { hypercallsOnly: true };

test('the capability and the attribute say which sides this KVM has', () => {
  const w = new World();
  const ask = (capability: number) => w.host.run(() => w.host.ioctl(w.vm, ioctls.KVM_CHECK_EXTENSION, capability));
  expect([KVM_CAP.SPAPR_TCE_VFIO, KVM_CAP.SPAPR_TCE_BIND_VFIO].map(ask)).toEqual([1, 1]);
  const has = (attr: number) =>
    w.host.errno(() => w.host.ioctlStruct(w.device, ioctls.KVM_HAS_DEVICE_ATTR, { group: 1, attr }));
  expect([ATTR.SET_SPAPR_TCE, ATTR.SET_SPAPR_TCE_LIOBN, 5].map(has)).toEqual(['OK', 'OK', 'ENXIO']);
});

/** What devices and guest see of a script of hypercalls, in each tier. */
function script(side: (typeof SIDES)[number], containers: readonly (readonly number[])[]) {
  const w = new World({ side, containers });
  const seen: unknown[] = [];
  const note = (result: unknown) => {
    const dma = [0, 1, 2].map((pe) => [0, 1, 2, 3].map((entry) => [w.dma(pe, entry), w.dma(pe, entry, true)]));
    seen.push(result, dma, w.mapped(), w.kills(), w.view(1));
    quietInvariants(w.host, only);
  };
  for (const tier of ['real', 'wasm', 'virtual'] as const) {
    for (const [entry, tce] of [
      [0, 0x5003],
      [1, 0x6001],
      [0, 0x7002],
      [2, 0x8003],
      [1, 0],
      [1, 0],
      [3, 0x1803],
    ])
      note(w.put(tier, entry, tce));
    if (tier === 'wasm') continue;
    const list = w.list(40, [0x9003, 0, 0xb001]);
    note(w.host[tier](HCALL.H_PUT_TCE_INDIRECT, LIOBN, PAGE_SIZE, list, 3));
    note(w.host[tier](HCALL.H_STUFF_TCE, LIOBN, 0, 0xdead_0000, 4));
  }
  w.close();
  expect(w.host.held()).toEqual(w.idle);
  return seen;
}
test.each([
  ['one group', [[0]]],
  ['two groups in a container', [[0, 1]]],
  ['two containers', [[0], [1]]],
  ['three groups in two containers', [[0, 2], [1]]],
])('%s: all three sides are the same for devices and guests', (_, containers) => {
  const [merged, ...others] = SIDES.map((side) => script(side, containers));
  for (const other of others) expect(other).toEqual(merged);
});

test.each(SIDES)(
  '%s: one LIOBN with two containers writes two tables, and one that fails does not undo the other',
  (side) => {
    const w = new World({ side, containers: [[0], [1]] });
    expect(w.put('real', 0, 0x5003)).toBe(H_SUCCESS);
    expect([w.dma(0, 0), w.dma(1, 0)]).toEqual([5, 5]);
    expect(w.guestTable.attached().map(({ holders }) => holders)).toEqual([1, 1]);
    for (const tier of ['real', 'virtual'] as const) {
      // The first table has the new page, the second none, the view the old one: the VMM will do all of it again.
      const result = w.locked(1, 0, () => w.put(tier, 0, tier === 'real' ? 0x6003 : 0x7003));
      expect(result).toBe(H_TOO_HARD);
      expect(w.view(0)).toBe(0x5003n);
      expect(w.dma(0, 0)).toBe(tier === 'real' ? 6 : 7);
      w.host.invariants();
    }
    expect(w.put('virtual', 0, 0x6003)).toBe(H_SUCCESS);
    expect([w.dma(0, 0), w.dma(1, 0)]).toEqual([6, 6]);
    quietInvariants(w.host, only);
  },
);

test.each(SIDES)(
  '%s: groups of a container share one table: one write, a kill in each PE, and a group that leaves is killed no more',
  (side) => {
    const w = new World({ side, containers: [[0, 1, 2]] });
    const kills = (call: () => number) => {
      const before = w.kills();
      expect(call()).toBe(H_SUCCESS);
      return w.kills().map((count, pe) => count - before[pe]);
    };
    expect(w.guestTable.attached()).toEqual([{ table: w.table(), holders: side === 'container' ? 1 : 3 }]);
    expect(kills(() => w.put('wasm', 0, 0x5003))).toEqual([1, 1, 1]);
    expect(w.mapped()).toEqual([1]);
    expect(
      kills(() => w.host.real(HCALL.H_PUT_TCE_INDIRECT, LIOBN, 0, w.list(40, [0x6003, 0x7003, 0x8003]), 3)),
    ).toEqual([1, 1, 1]);
    // Hot-unplug of the middle one.
    w.host.run(function* () {
      yield* w.host.setAttr(w.device, ATTR.DEL, w.containers[0].groups[1]);
      yield* w.host.ioctl(w.containers[0].groups[1], ioctls.VFIO_GROUP_UNSET_CONTAINER);
    });
    expect(w.dma(1, 0)).toBeUndefined();
    expect(kills(() => w.put('wasm', 0, 0x9003))).toEqual([1, 0, 1]);
    expect([w.dma(0, 0, true), w.dma(2, 0, true)]).toEqual([9, 9]);
    quietInvariants(w.host, only);
  },
);

test.each(SIDES)('%s: a group that joins later has the window at once, and hypercalls reach it', (side) => {
  const w = new World({ side, containers: [[0]] });
  w.put('real', 0, 0x5003);
  const group = w.host.run(function* () {
    const fd = yield* w.host.open('/dev/vfio/1');
    yield* w.host.ioctlWords(fd, ioctls.VFIO_GROUP_SET_CONTAINER, w.containers[0].fd);
    return fd;
  });
  expect(w.dma(1, 0)).toBe(5);
  const before = w.kills();
  w.put('real', 0, 0x6003);
  expect(w.kills().map((count, pe) => count - before[pe])).toEqual([1, 1, 0]);
  expect(w.dma(1, 0)).toBe(6);
  quietInvariants(w.host, only);
  // Where the sides differ: the group that the LIOBN was bound by leaves, the other one stays.
  w.host.run(function* () {
    const [first] = w.containers[0].groups;
    yield* w.host.setAttr(w.device, ATTR.DEL, first);
    yield* w.host.ioctl(first, ioctls.VFIO_GROUP_UNSET_CONTAINER);
  });
  expect(w.put('real', 0, 0x7003)).toBe(H_SUCCESS);
  if (side === 'container') expect(w.dma(1, 0)).toBe(7);
  else {
    // Nobody told KVM of the group that came later: its device goes on with the old page, which stays pinned.
    expect([w.dma(1, 0), w.guestTable.attached()]).toEqual([6, []]);
    w.host.run(function* () {
      yield* w.host.setAttr(w.device, ATTR.ADD, group);
      yield* w.bindGroup(group);
    });
    w.put('real', 0, 0x7003);
    expect(w.dma(1, 0)).toBe(7);
  }
  w.host.invariants();
});

test('a window that was removed and made again: each side must be told, and is not told twice for nothing', () => {
  for (const side of SIDES) {
    const w = new World({ side });
    const [container] = w.containers;
    w.put('real', 0, 0x5003);
    w.host.run(function* () {
      yield* w.host.ioctlStruct(container.fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 });
      yield* w.createWindow(container.fd);
      yield* w.bind(container);
      yield* w.host.mapDma(container.fd, 0, w.ram, PAGE_SIZE);
    });
    expect(w.put('real', 0, 0x6003)).toBe(H_SUCCESS);
    expect(w.dma(0, 0)).toBe(6);
    quietInvariants(w.host, only);
    w.host.run(() =>
      side === 'container' ? w.unbindContainer(container.fd) : w.host.setAttr(w.device, ATTR.DEL, container.groups[0]),
    );
    expect(w.guestTable.attached()).toEqual([]);
    expect(w.table().references).toBe(1);
  }
});

test('bound twice: by attributes nothing changes, by the container it is an error; both sides at once share the link', () => {
  const w = new World({ side: 'container' });
  const [container] = w.containers;
  expect(w.host.errno(() => w.bindContainer(container.fd))).toBe('EEXIST');
  w.host.run(() => w.bind(container, 'group'));
  w.host.run(() => w.bind(container, 'group'));
  w.host.run(() => w.bind(container, 'group-liobn'));
  expect(w.guestTable.attached()).toEqual([{ table: w.table(), holders: 2 }]);
  expect(w.table().references).toBe(2);
  w.host.run(() => w.unbindContainer(container.fd));
  expect(w.guestTable.attached()).toEqual([{ table: w.table(), holders: 1 }]);
  expect(w.host.errno(() => w.unbindContainer(container.fd))).toBe('ENOENT');
  w.host.run(() => w.host.setAttr(w.device, ATTR.DEL, container.groups[0]));
  expect(w.guestTable.attached()).toEqual([]);
  w.close();
  expect(w.host.held()).toEqual(w.idle);
});

test('the RFC names a window by its bus address: two windows of one group under two LIOBNs', () => {
  const w = new World({ side: 'group-liobn' });
  const [{ fd, groups }] = w.containers;
  const bind = (liobn: number, high: number, low = 0) =>
    w.host.errno(() => w.host.setAttr(w.device, ATTR.SET_SPAPR_TCE_LIOBN, 24, groups[0], liobn, 0, low, high));
  w.host.run(function* () {
    yield* w.createWindow(fd);
    yield* w.host.table(w.vm, LIOBN + 1, 12, PAGES, 2 ** 47);
    yield* w.host.mapDma(fd, 2 ** 59, w.ram, PAGE_SIZE);
  });
  expect(bind(LIOBN + 1, 2 ** 27)).toBe('OK');
  // A window starts there, but the table of this LIOBN does not.
  expect([bind(LIOBN, 2 ** 27), bind(LIOBN + 1, 0)]).toEqual(['EINVAL', 'EINVAL']);
  // No window starts there, to the last bit.
  expect([bind(LIOBN + 1, 2 ** 27, 1), bind(LIOBN + 1, 2 ** 27 + 1)]).toEqual(['EINVAL', 'EINVAL']);
  expect(w.host.real(HCALL.H_PUT_TCE, LIOBN + 1, 1n << 59n, 0x5003)).toBe(H_SUCCESS);
  expect(w.table(0, 1).entry(0)).toBe(w.frame(5) + 3);
  expect(w.table(0, 0).entry(0)).toBe(0);
});

test.each(SIDES)(
  '%s: every descriptor closed in each of the 120 orders, with hypercalls in between: nothing is left of any of it',
  (side) => {
    const kinds = ['table', 'del', 'remove', 'container', 'vm'] as const;
    const w = new World({ side });
    w.close();
    const hpa = w.frame(0);
    for (const order of orders(kinds)) {
      const one = new WorldAgain(w);
      const { host } = w;
      one.touch();
      for (const what of order) {
        host.errno(() => one.step(what));
        one.touch();
        quietInvariants(host);
      }
      one.closeRest();
      expect({ order, ...host.held() }).toEqual({ order, ...w.idle });
      expect(host.kernel.mm.lockedVm).toBe(0);
      expect(host.kernel.mm.space.frames.pins(hpa)).toBe(0);
      expect(host.kvm.vm).toBeUndefined();
    }
  },
);

/** One life of all descriptors on a host that has had others. */
class WorldAgain {
  readonly #w: World;
  readonly #open: Map<string, number>;
  readonly #group: number;
  readonly #container: number;

  constructor(w: World) {
    this.#w = w;
    const { host, ram } = w;
    const fds = host.run(function* () {
      const { vm, vcpu } = yield* host.machine(ram, PAGES);
      w.vm = vm;
      w.device = yield* host.kvmVfio(vm);
      w.tableFd = yield* host.table(vm, LIOBN, 12, PAGES);
      const { fd, groups } = yield* host.container([0]);
      yield* host.register(fd, ram, PAGES);
      yield* host.window(fd, 12, PAGES * PAGE_SIZE);
      yield* host.mapDma(fd, 0, ram, PAGES * PAGE_SIZE);
      yield* host.setAttr(w.device, ATTR.ADD, groups[0]);
      yield* w.bind({ fd, groups });
      // Again: it must not count twice.
      if (w.side !== 'container') yield* w.bind({ fd, groups });
      return { vm, vcpu, device: w.device, table: w.tableFd, container: fd, group: groups[0] };
    });
    this.#open = new Map(Object.entries(fds));
    this.#group = fds.group;
    this.#container = fds.container;
  }

  *step(what: 'table' | 'del' | 'remove' | 'container' | 'vm') {
    const w = this.#w;
    if (what === 'del') {
      yield* w.host.setAttr(w.device, ATTR.DEL, this.#group);
      // The other side's end of a binding.
      if (w.side === 'container') yield* w.unbindContainer(this.#container);
    } else if (what === 'remove')
      yield* w.host.ioctlStruct(this.#container, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 });
    else if (what === 'container') {
      // The group holds the container: both descriptors.
      yield* this.#close('group');
      yield* this.#close('container');
    } else yield* this.#close(what);
  }
  *#close(name: string) {
    const fd = this.#open.get(name);
    if (fd === undefined) return;
    this.#open.delete(name);
    yield* this.#w.host.close(fd);
  }
  closeRest(): void {
    for (const name of [...this.#open.keys()]) this.#w.host.run(() => this.#close(name));
  }

  /** Hypercalls that a vCPU may make at any moment: done, or the VMM's. */
  touch(): void {
    const { host } = this.#w;
    for (const tier of ['real', 'wasm'] as const)
      for (const tce of [0x5003, 0])
        expect([H_SUCCESS, H_TOO_HARD]).toContain(host[tier](HCALL.H_PUT_TCE, LIOBN, 0x2000, tce));
  }
}
