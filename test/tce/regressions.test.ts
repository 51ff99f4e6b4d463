/**
 * Bugs that Linux, QEMU or an early design had around TCE tables (vfio-tce facts, section 8, whose numbers begin the
 * names). A seed in a message replays the schedule.
 */
import { expect, test } from 'vitest';
import { HCALL, HCALL_RETURN } from '../../kernel/include/arch/ppc/hcall.ts';
import { Errno } from '../../kernel/include/uapi/errno.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { TestHost } from '../../kernel/kvm/test_host.ts';
import { alwaysInvariants, quietInvariants } from '../../kernel/kvm/test_invariants.ts';
import { PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { migratePage } from '../../kernel/mm/migrate.ts';
import { ATTR, LIOBN, orders, PAGES, SIDES, World } from './world.ts';

const { H_SUCCESS, H_PARAMETER, H_TOO_HARD } = HCALL_RETURN;
const { H_PUT_TCE, H_GET_TCE, H_STUFF_TCE, H_PUT_TCE_INDIRECT } = HCALL;
const only = { hypercallsOnly: true };
const SEEDS = Array.from({ length: 40 }, (_, i) => i + 1);

/** Runs tasks of the user process together, in a seeded order, checking what always holds before every step; their outcomes. */
function together(host: TestHost, tasks: readonly (() => Task<unknown>)[]): string[] {
  const outcomes: string[] = tasks.map(() => '');
  for (const [i, task] of tasks.entries())
    host.kernel.spawn(
      host.kernel.process,
      `user ${i}`,
      (function* () {
        try {
          const result = yield* task();
          outcomes[i] = typeof result === 'number' ? `${result}` : 'OK';
        } catch (error) {
          if (!(error instanceof Errno)) throw error;
          outcomes[i] = error.code;
        }
      })(),
    );
  host.simulation.run(() => {
    alwaysInvariants(host);
    return outcomes.every((outcome) => outcome !== '');
  });
  return outcomes;
}

test.each(SIDES)(
  '1 (CVE-2024-41070) a table that is closed while it is bound by %s: bound in full or refused, never half',
  (side) => {
    const seen = new Set<string>();
    for (const seed of SEEDS) {
      const w = new World({ side, seed });
      const [container] = w.containers;
      const [bound] = together(w.host, [
        () => w.bind(container, side === 'container' ? 'group' : side),
        () => w.host.close(w.tableFd),
      ]);
      seen.add(bound);
      expect({ seed, bound: ['OK', 'EBADF', 'EINVAL', 'ENODEV'].includes(bound) }).toEqual({ seed, bound: true });
      expect({ seed, references: w.table().references }).toEqual({ seed, references: 1 });
      quietInvariants(w.host);
    }
    expect(seen.size).toBe(2);
  },
);

test.each(SIDES)('2 bound by %s again and again: no reference of the hardware table is left behind', (side) => {
  const w = new World({ side });
  const table = w.table();
  const [container] = w.containers;
  for (let again = 0; again < 3; again++) w.host.errno(() => w.bind(container));
  expect(table.references).toBe(2);
  w.host.errno(() => w.host.setAttr(w.device, ATTR.DEL, container.groups[0]));
  if (side === 'container') w.host.run(() => w.unbindContainer(container.fd));
  expect(table.references).toBe(1);
  w.host.run(() => w.host.ioctlStruct(container.fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 }));
  expect(table.references).toBe(0);
});

test.each(SIDES)('3 two windows of a group bound by %s: both references go when the binding goes', (side) => {
  const w = new World({ side });
  const [container] = w.containers;
  w.host.run(function* () {
    yield* w.createWindow(container.fd);
    const second = yield* w.host.table(w.vm, LIOBN + 1, 12, PAGES, 2 ** 47);
    if (side === 'container') yield* w.bindContainer(container.fd, LIOBN + 1);
    else if (side === 'group') yield* w.host.setAttr(w.device, ATTR.SET_SPAPR_TCE, container.groups[0], second);
    else yield* w.host.setAttr(w.device, ATTR.SET_SPAPR_TCE_LIOBN, 24, container.groups[0], LIOBN + 1, 0, 0, 2 ** 27);
  });
  const tables = [w.table(0, 0), w.table(0, 1)];
  expect(tables.map(({ references }) => references)).toEqual([2, 2]);
  if (side === 'container')
    for (const liobn of [LIOBN, LIOBN + 1]) w.host.run(() => w.unbindContainer(container.fd, liobn));
  else w.host.run(() => w.host.setAttr(w.device, ATTR.DEL, container.groups[0]));
  expect(tables.map(({ references }) => references)).toEqual([1, 1]);
  quietInvariants(w.host);
});

test('4 two threads create the table of one LIOBN: one descriptor, one EBUSY, and the charge of one', () => {
  for (const seed of SEEDS) {
    const host = new TestHost({ seed });
    const ram = host.ram(1);
    const { vm } = host.run(() => host.machine(ram, 1));
    const { locked } = host.held();
    const results = together(
      host,
      [0, 1].map(() => () => host.table(vm, LIOBN, 12, 16)),
    );
    expect({ seed, busy: results.filter((code) => code === 'EBUSY').length }).toEqual({ seed, busy: 1 });
    expect(host.held().locked - locked).toBe(2);
    quietInvariants(host);
  }
});

test('5 (CVE-2019-6974) a kvm-vfio device that is closed by another thread as soon as its descriptor is there', () => {
  for (const seed of SEEDS) {
    const host = new TestHost({ seed });
    const ram = host.ram(1);
    const { vm, vcpu } = host.run(() => host.machine(ram, 1));
    const next = vcpu + 1;
    const closer = function* (): Task {
      for (let turn = 0; turn < 20; turn++)
        try {
          return yield* host.close(next);
        } catch (error) {
          if (!(error instanceof Errno)) throw error;
          yield { what: 'guess', ready: () => true };
        }
    };
    together(host, [() => host.kvmVfio(vm), closer, () => host.close(vm)]);
    for (const [fd] of [...host.kernel.files.entries()]) host.run(() => host.close(fd));
    expect({ seed, vm: host.kvm.vm }).toEqual({ seed, vm: undefined });
  }
});

test('6 an IOMMU page larger than the host pages behind it is refused by every tier and by VFIO: the neighbour stays unread', () => {
  const host = new TestHost();
  // 64K that are aligned for the guest, of scattered 4K frames.
  let ram = host.ram(64);
  const aligned = Math.ceil(ram / 65536) * 65536;
  ram = aligned;
  const fds = host.run(function* () {
    const { vm } = yield* host.machine(ram, 32);
    const { fd, groups } = yield* host.container([0]);
    yield* host.register(fd, ram, 32);
    yield* host.window(fd, 16, 16 * 65536);
    const table = yield* host.table(vm, LIOBN, 16, 16);
    const device = yield* host.kvmVfio(vm);
    yield* host.setAttr(device, ATTR.ADD, groups[0]);
    yield* host.setAttr(device, ATTR.SET_SPAPR_TCE, groups[0], table);
    yield* host.enableHcall(vm, H_PUT_TCE_INDIRECT);
    return { fd };
  });
  expect(host.powernv.regions.list()[0].pageShift).toBe(12);
  expect(host.errno(() => host.mapDma(fds.fd, 0, ram, 65536))).toBe('EPERM');
  for (const tier of ['real', 'wasm', 'virtual'] as const)
    expect(host[tier](H_PUT_TCE, LIOBN, 0, 0x10003)).toBe(H_TOO_HARD);
  expect(host.powernv.groups[0]?.tables[0]?.entry(0)).toBe(0);
  quietInvariants(host);
});

test('7 an entry that cannot be exchanged: the guest’s view keeps what the hardware has', () => {
  for (const tier of ['real', 'wasm', 'virtual'] as const) {
    const w = new World();
    w.put(tier, 0, 0x5003);
    expect(w.locked(0, 0, () => w.put(tier, 0, 0x6003))).toBe(H_TOO_HARD);
    expect([w.view(0), w.dma(0, 0)]).toEqual([0x5003n, 5]);
    quietInvariants(w.host, only);
  }
});

test('8 a bad entry in the middle of a list changes nothing', () => {
  for (const tier of ['real', 'virtual'] as const) {
    const w = new World();
    for (let entry = 0; entry < PAGES; entry++) w.put('wasm', entry, 0x1003);
    const before = [w.kills(), w.mapped()];
    const tces = Array.from({ length: PAGES }, (_, i) => (i === 40 ? PAGES : 2) * PAGE_SIZE + 3);
    expect(w.host[tier](H_PUT_TCE_INDIRECT, LIOBN, 0, w.list(50, tces), PAGES)).toBe(H_TOO_HARD);
    expect([w.kills(), w.mapped()]).toEqual(before);
    for (let entry = 0; entry < PAGES; entry++) expect([w.view(entry), w.dma(0, entry)]).toEqual([0x1003n, 1]);
  }
});

test('9 a list on a bad address, or with a bad entry, leaves its page free: it can be used, and moved', () => {
  const w = new World({ registered: false });
  for (const tier of ['real', 'virtual'] as const) {
    const list = w.list(50, [0x1003, PAGES * PAGE_SIZE + 3]);
    expect(w.host[tier](H_PUT_TCE_INDIRECT, LIOBN, 0, list, 2)).toBe(H_TOO_HARD);
    expect(w.host[tier](H_PUT_TCE_INDIRECT, LIOBN, 0, PAGES * PAGE_SIZE, 2)).toBe(H_TOO_HARD);
    expect(w.host.kernel.mm.space.frames.refs(w.frame(50))).toBe(0);
    const { host, ram } = w;
    expect(host.run(() => migratePage(host.kernel.mm, host.memory, ram + 50 * PAGE_SIZE))).toBe(true);
    w.list(50, [0, 0]);
    expect(w.host[tier](H_PUT_TCE_INDIRECT, LIOBN, 0, list, 2)).toBe(H_SUCCESS);
  }
});

test('10 a list that fails at entry 5 clears that one, not the first', () => {
  for (const tier of ['real', 'virtual'] as const) {
    const w = new World({ containers: [[0], [1]] });
    const pages = (offset: number) => Array.from({ length: 8 }, (_, i) => (i + offset) * PAGE_SIZE + 3);
    w.host[tier](H_PUT_TCE_INDIRECT, LIOBN, 0, w.list(50, pages(0)), 8);
    const list = w.list(50, pages(10));
    expect(w.locked(1, 5, () => w.host[tier](H_PUT_TCE_INDIRECT, LIOBN, 0, list, 8))).toBe(H_TOO_HARD);
    const first = [10, 11, 12, 13, 14];
    expect(Array.from({ length: 8 }, (_, i) => w.dma(0, i))).toEqual([...first, 15, 6, 7]);
    // The entry that stayed locked could not be cleared either: it is as it was.
    expect(Array.from({ length: 8 }, (_, i) => w.dma(1, i))).toEqual([...first, 5, 6, 7]);
    expect(Array.from({ length: 8 }, (_, i) => Number(w.view(i)) >> 12)).toEqual([...first, 5, 6, 7]);
    w.host.invariants();
  }
});

test('11 a memory slot removed while hypercalls use it: before or after, and out of every translation', () => {
  for (const seed of SEEDS) {
    const w = new World({ seed });
    const { host } = w;
    const call = (entry: number) => () =>
      host.virtualTask(0, H_PUT_TCE, LIOBN, entry * PAGE_SIZE, entry * PAGE_SIZE + 3);
    const puts = function* (): Task<number> {
      let last = 0;
      for (let entry = 0; entry < 4; entry++) last = yield* call(entry)();
      return last;
    };
    const results = together(host, [
      puts,
      () => host.ioctlStruct(w.vm, ioctls.KVM_SET_USER_MEMORY_REGION, { memory_size: 0, userspace_addr: w.ram }),
    ]);
    expect({ seed, put: [`${H_SUCCESS}`, `${H_TOO_HARD}`].includes(results[0]), set: results[1] }).toEqual({
      seed,
      put: true,
      set: 'OK',
    });
    expect(w.put('real', 0, 0x5003)).toBe(H_TOO_HARD);
  }
});

test('12 a range that leaves the table is H_PARAMETER before anything is written, in every tier', () => {
  const w = new World();
  const last = (PAGES - 1) * PAGE_SIZE;
  for (const tier of ['real', 'virtual'] as const) {
    const list = w.list(50, [0x1003, 0x2003]);
    for (const count of [2, PAGES + 1, 1n << 32n, 1n << 63n, (1n << 64n) - 1n]) {
      expect(w.host[tier](H_STUFF_TCE, LIOBN, last, 0xdead000, count)).toBe(H_PARAMETER);
      expect(w.host[tier](H_PUT_TCE_INDIRECT, LIOBN, last, list, count)).toBe(H_PARAMETER);
    }
    expect([w.view(PAGES - 1), w.dma(0, PAGES - 1)]).toEqual([0n, undefined]);
  }
  // Behind the table nothing was written either: the pages of the view are whole, the next word is the allocator's.
  quietInvariants(w.host, only);
});

test('13 whoever closes the last descriptor, the charge is given back to whom it was made', () => {
  const w = new World({ side: 'container' });
  const { host } = w;
  const [{ fd, groups }] = w.containers;
  // The table holds the container; the container's own descriptors go first.
  for (const one of [...groups, fd, w.device, w.vcpu, w.vm]) host.run(() => host.close(one));
  expect(host.kernel.mm.lockedVm).toBe(2);
  host.run(() => host.close(w.tableFd));
  expect(host.held()).toEqual(w.idle);
});

test('14 memory unregistered while it is mapped: EBUSY, or the mapping fails and leaves nothing; never half of it', () => {
  const seen = new Set<string>();
  for (const seed of Array.from({ length: 120 }, (_, i) => i + 1)) {
    const w = new World({ seed });
    const [{ fd }] = w.containers;
    const results = together(w.host, [
      () => w.host.mapDma(fd, 0, w.ram, PAGES * PAGE_SIZE),
      () => w.host.unregister(fd, w.ram, PAGES),
    ]).join();
    seen.add(results);
    const live = Array.from({ length: PAGES }, (_, entry) => w.table().entry(entry) !== 0).filter(Boolean).length;
    expect({ seed, results, live }).toEqual({ seed, results, live: results.startsWith('OK') ? PAGES : 0 });
    quietInvariants(w.host);
  }
  expect([...seen].sort()).toEqual(['EINVAL,OK', 'OK,EBUSY']);
});

test.each(SIDES)(
  '15 (%s) the process ends with live TCEs, its descriptors in each of 24 orders: pins, charges and tables all go',
  (side) => {
    for (const order of orders(['tableFd', 'device', 'group', 'container'] as const)) {
      const w = new World({ side });
      for (let entry = 0; entry < 8; entry++) w.put('real', entry, (entry + 3) * PAGE_SIZE + 3);
      const [{ fd, groups }] = w.containers;
      const fds = { tableFd: w.tableFd, device: w.device, group: groups[0], container: fd };
      for (const what of order) {
        w.host.run(() => w.host.close(fds[what]));
        quietInvariants(w.host);
      }
      for (const one of [w.vcpu, w.vm]) w.host.run(() => w.host.close(one));
      expect({ order, ...w.host.held() }).toEqual({ order, ...w.idle });
      for (let page = 0; page < 12; page++) expect(w.host.kernel.mm.space.frames.pins(w.frame(page))).toBe(0);
    }
  },
);

test('16 memory that nobody registered is not pinned by real mode, nor by virtual mode of a v2 container: the VMM decides', () => {
  const w = new World({ registered: false });
  for (const tier of ['real', 'wasm', 'virtual'] as const) {
    expect(w.put(tier, 0, 0x5003)).toBe(H_TOO_HARD);
    expect(w.host.kernel.mm.space.frames.pins(w.frame(5))).toBe(0);
  }
});

test.each(['real', 'virtual'] as const)(
  '17 %s: no cached translation is older than the call that returned, whichever call and however it ended',
  (tier) => {
    const w = new World({ containers: [[0, 1]] });
    const fill = () => {
      for (let entry = 0; entry < 8; entry++) w.put('wasm', entry, (entry + 8) * PAGE_SIZE + 3);
      for (const pe of [0, 1]) for (let entry = 0; entry < 8; entry++) expect(w.dma(pe, entry, true)).toBe(entry + 8);
    };
    const list = w.list(
      50,
      Array.from({ length: 8 }, (_, i) => i * PAGE_SIZE + 1),
    );
    const calls: (() => number)[] = [
      () => w.put(tier, 3, 0x20003),
      () => w.put(tier, 3, 0),
      () => w.host[tier](H_STUFF_TCE, LIOBN, PAGE_SIZE, 0, 6),
      () => w.host[tier](H_PUT_TCE_INDIRECT, LIOBN, 0, list, 8),
      () => w.locked(0, 5, () => w.host[tier](H_PUT_TCE_INDIRECT, LIOBN, 0, list, 8)),
      () => w.locked(0, 5, () => w.host[tier](H_STUFF_TCE, LIOBN, 0, 0, 8)),
      () => w.locked(0, 5, () => w.put(tier, 5, 0x20003)),
    ];
    for (const call of calls) {
      fill();
      call();
      // The caches hold what the tables hold, and devices reach no page that the tables do not name.
      w.host.invariants();
      for (const pe of [0, 1])
        for (let entry = 0; entry < 8; entry++) {
          const tce = w.table().entry(entry);
          const page = w.dma(pe, entry, false);
          expect(page === undefined ? 0 : w.frame(page)).toBe(tce - (tce % PAGE_SIZE));
        }
    }
  },
);

test('18 a page is let go of after the kill, whichever way it was kept', () => {
  const w = new World();
  const { memory, kernel } = w.host;
  w.put('real', 0, 0x5003);
  const hpa = w.frame(5);
  const block = w.host.phbBase;
  const order: string[] = [];
  const region = w.host.powernv.regions.list()[0];
  const names: [keyof typeof memory, (at: number) => string | undefined][] = [
    ['exchange', (at) => (at === w.table().hpa + 4 ? 'exchange' : undefined)],
    ['add', (at) => (at > block && at < block + 0x2000 ? 'kill' : undefined)],
    ['cas', (at) => (at === region.slot + 16 ? 'release' : undefined)],
  ];
  for (const [name, label] of names) {
    const original = (memory[name] as (...args: number[]) => number).bind(memory);
    Object.defineProperty(memory, name, {
      configurable: true,
      value: (...args: number[]) => {
        const event = label(args[0]);
        if (event !== undefined) order.push(event);
        return original(...args);
      },
    });
  }
  expect(w.host.virtual(H_PUT_TCE_INDIRECT, LIOBN, 0, w.list(50, [0, 0x6003, 0x7003]), 3)).toBe(H_SUCCESS);
  // Two are counted up, one is exchanged away; then one kill for all, and only then the count goes down.
  expect(order.filter((event) => event !== 'cas')).toEqual(['exchange', 'release', 'release', 'kill', 'release']);
  expect(kernel.mm.space.frames.pins(hpa)).toBe(1);
});

test('29 the machine’s descriptor is closed before those of its devices: they keep it until they go', () => {
  const w = new World();
  const { host } = w;
  for (const fd of [w.vm, w.vcpu]) host.run(() => host.close(fd));
  expect(host.kvm.vm).toBeDefined();
  host.run(() => host.setAttr(w.device, ATTR.DEL, w.containers[0].groups[0]));
  host.run(() => host.setAttr(w.device, ATTR.ADD, w.containers[0].groups[0]));
  for (const fd of [w.device, w.tableFd]) host.run(() => host.close(fd));
  expect(host.kvm.vm).toBeUndefined();
});

test.each(SIDES)(
  '32 (%s) a window that is removed while KVM has its table keeps no memory in use, and takes no more',
  (side) => {
    const w = new World({ side });
    const [{ fd }] = w.containers;
    w.put('real', 0, 0x5003);
    w.host.run(() => w.host.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 }));
    for (const tier of ['real', 'wasm', 'virtual'] as const) expect(w.put(tier, 1, 0x6003)).toBe(H_SUCCESS);
    expect(w.mapped()).toEqual([0]);
    expect(w.host.errno(() => w.host.unregister(fd, w.ram, PAGES))).toBe('OK');
    quietInvariants(w.host);
  },
);

test.each(SIDES)(
  '33 (%s) a binding that ends under a storm of hypercalls: the table is there until the last one has left it',
  (side) => {
    for (const seed of SEEDS) {
      const w = new World({ side, seed });
      const { host } = w;
      const [container] = w.containers;
      const storm = function* (): Task {
        for (let i = 0; i < 12; i++) {
          const result = yield* host.virtualTask(0, H_PUT_TCE, LIOBN, (i % 4) * PAGE_SIZE, (i + 1) * PAGE_SIZE + 3);
          expect([H_SUCCESS, H_TOO_HARD]).toContain(result);
        }
      };
      const end = function* (): Task {
        if (side === 'container') yield* w.unbindContainer(container.fd);
        else yield* host.setAttr(w.device, ATTR.DEL, container.groups[0]);
        yield* host.ioctlStruct(container.fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 });
      };
      together(host, [storm, end]);
      expect({ seed, mapped: w.mapped() }).toEqual({ seed, mapped: [0] });
      quietInvariants(host);
    }
  },
);

test('34 a list of entries without permission maps nothing and counts nothing', () => {
  for (const tier of ['real', 'virtual'] as const) {
    const w = new World();
    const [{ fd }] = w.containers;
    expect(w.host[tier](H_PUT_TCE_INDIRECT, LIOBN, 0, w.list(50, new Array(PAGES).fill(0)), PAGES)).toBe(H_SUCCESS);
    expect(w.host[tier](H_GET_TCE, LIOBN, 0)).toBe(H_SUCCESS);
    expect(w.mapped()).toEqual([0]);
    expect(w.host.errno(() => w.host.unregister(fd, w.ram, PAGES))).toBe('OK');
  }
});
