/**
 * Everything at once (vfio-tce facts, test idea 30): hypercalls in both modes, windows, regions, groups, bindings, devices,
 * EEH and moving frames, in seeded orders. What always holds is checked before every step; what holds when nothing is under
 * way, at the end. A seed that fails is in the message.
 */
import { expect, test } from 'vitest';
import { dmaTranslate } from '../../devices/physical/phb/dma.ts';
import { HCALL, HCALL_RETURN } from '../../kernel/include/arch/ppc/hcall.ts';
import { Errno } from '../../kernel/include/uapi/errno.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { alwaysInvariants, quietInvariants } from '../../kernel/kvm/test_invariants.ts';
import { PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { Random } from '../../kernel/lib/random.ts';
import { preempt, type Task } from '../../kernel/lib/task.ts';
import { migratePage } from '../../kernel/mm/migrate.ts';
import { ATTR, LIOBN, PAGES, SIDES, World } from './world.ts';

const { H_SUCCESS, H_PARAMETER, H_TOO_HARD } = HCALL_RETURN;
const TOKENS = [HCALL.H_PUT_TCE, HCALL.H_PUT_TCE, HCALL.H_PUT_TCE_INDIRECT, HCALL.H_STUFF_TCE, HCALL.H_GET_TCE];
const LISTS = 50;

/** Arguments that mean something more often than not. */
function hypercall(random: Random): [number, ...bigint[]] {
  const token = TOKENS[random.below(TOKENS.length)];
  const page = () => BigInt(random.below(PAGES + 1) * PAGE_SIZE + random.below(4));
  const ioba = BigInt(random.below(20) === 0 ? random.below(2 ** 31) : random.below(8) * PAGE_SIZE);
  const liobn = BigInt(random.below(20) === 0 ? random.below(2 ** 31) : LIOBN);
  const count = BigInt(random.below(20) === 0 ? random.below(2 ** 31) : random.below(8));
  const third = token === HCALL.H_PUT_TCE_INDIRECT ? BigInt((LISTS + random.below(2)) * PAGE_SIZE) : page();
  return [token, liobn, ioba, third, count];
}

/** A guest that makes hypercalls; statuses that none of them may have are an error. */
function* guest(w: World, random: Random, tier: 'real' | 'virtual', calls: number): Task {
  for (let i = 0; i < calls; i++) {
    yield* preempt();
    const [nr, ...args] = hypercall(random);
    w.list(
      LISTS + random.below(2),
      Array.from({ length: 8 }, () => random.below(PAGES) * PAGE_SIZE + random.below(4)),
    );
    const result = tier === 'real' ? w.host.real(nr, ...args) : yield* w.host.virtualTask(0, nr, ...args);
    expect([H_SUCCESS, H_PARAMETER, H_TOO_HARD]).toContain(result);
  }
}

/** Devices that do DMA, right or wrong, and are thawed. */
function* devices(w: World, random: Random, accesses: number): Task {
  for (let i = 0; i < accesses; i++) {
    yield* preempt();
    const pe = random.below(2);
    dmaTranslate(w.host.memory, w.host.phbBase, pe, BigInt(random.below(10) * PAGE_SIZE), 8, random.below(2) === 0);
    if (random.below(2) === 0) w.host.bridge.eehUnfreeze(pe);
  }
}

function* frames(w: World, random: Random, moves: number): Task {
  const { kernel, memory } = w.host;
  for (let i = 0; i < moves; i++) {
    yield* preempt();
    yield* migratePage(kernel.mm, memory, w.ram + random.below(PAGES) * PAGE_SIZE);
  }
}

/** User space that does one thing after the other, whatever the answers. */
function* userSpace(w: World, random: Random, calls: number): Task {
  const { host, ram } = w;
  for (let i = 0; i < calls; i++) {
    yield* preempt();
    const container = w.containers[random.below(w.containers.length)];
    const { fd } = container;
    const group = container.groups[0];
    const at = random.below(8) * PAGE_SIZE;
    const page = ram + random.below(PAGES) * PAGE_SIZE;
    const actions: (() => Task<unknown>)[] = [
      () => host.mapDma(fd, at, page, PAGE_SIZE * (1 + random.below(4)), 1 + random.below(3)),
      () => host.unmapDma(fd, at, PAGE_SIZE * random.below(9)),
      () => host.register(fd, ram, PAGES),
      () => host.unregister(fd, ram, PAGES),
      () => host.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 }),
      () => w.createWindow(fd, 1 + random.below(3)),
      () => w.bind(container, SIDES[random.below(SIDES.length)]),
      () => w.unbindContainer(fd),
      () => host.setAttr(w.device, ATTR.DEL, group),
      () => host.setAttr(w.device, ATTR.ADD, group),
      () => host.ioctl(group, ioctls.VFIO_GROUP_UNSET_CONTAINER),
      () => host.ioctlWords(group, ioctls.VFIO_GROUP_SET_CONTAINER, w.containers[random.below(w.containers.length)].fd),
      () => host.ioctl(fd, ioctls.VFIO_SET_IOMMU, 7),
      () => host.ioctlStruct(fd, ioctls.VFIO_EEH_PE_OP, { op: random.below(9) }),
      () => reopenTable(w),
    ];
    try {
      yield* actions[random.below(actions.length)]();
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
    }
  }
}
function* reopenTable(w: World): Task {
  yield* w.host.close(w.tableFd);
  w.tableFd = yield* w.host.table(w.vm, LIOBN, 12, PAGES);
}

test.each(SIDES)('bound by %s: hypercalls, user space, devices and moving frames in any order', (side) => {
  for (let seed = 1; seed <= 25; seed++) {
    const w = new World({ side, seed, containers: [[0], [1]] });
    const { host } = w;
    const random = new Random(seed);
    let running = 0;
    const start = (name: string, task: Task) => {
      running++;
      host.kernel.spawn(
        host.kernel.process,
        name,
        (function* () {
          yield* task;
          running--;
        })(),
      );
    };
    start('real', guest(w, random, 'real', 40));
    start('virtual', guest(w, random, 'virtual', 40));
    start('devices', devices(w, random, 60));
    start('user', userSpace(w, random, 40));
    start('mover', frames(w, random, 30));
    try {
      host.simulation.run(() => {
        alwaysInvariants(host);
        return running === 0;
      });
      quietInvariants(host);
      w.close();
      expect(host.held()).toEqual(w.idle);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});

const anything = (random: Random) =>
  (BigInt(random.below(2 ** 31)) << 33n) ^ (BigInt(random.below(2 ** 31)) << 12n) ^ BigInt(random.below(4096));

test.each([
  ['one level', {}],
  ['three levels', { levels: 3, mapped: false }],
  ['pages of 64K for the guest', { guestShift: 16 }],
  ['two containers', { containers: [[0], [1]] }],
])('hostile hypercalls: %s', (_, options) => {
  const w = new World(options);
  const random = new Random(2016);
  const bits = [
    0n,
    1n,
    2n,
    3n,
    0xfffn,
    0x1000n,
    0x10000n,
    1n << 31n,
    1n << 32n,
    1n << 52n,
    1n << 59n,
    1n << 63n,
    (1n << 64n) - 1n,
  ];
  const pick = () =>
    random.below(2) === 0 ? anything(random) : bits[random.below(bits.length)] + bits[random.below(bits.length)];
  for (let i = 0; i < 3000; i++) {
    const nr = random.below(50) === 0 ? random.below(2 ** 16) : TOKENS[random.below(TOKENS.length)];
    const args = [random.below(8) === 0 ? pick() : BigInt(LIOBN), pick(), pick(), pick()];
    const [real, wasm, virtual] = (['real', 'wasm', 'virtual'] as const).map((tier) => w.host[tier](nr, ...args));
    expect([H_SUCCESS, H_PARAMETER, H_TOO_HARD]).toContain(real);
    // What real mode leaves to virtual mode, that may finish.
    expect(wasm).toBe(real);
    if (real !== H_TOO_HARD) expect(virtual).toBe(real);
    if (i % 50 === 0) quietInvariants(w.host, { hypercallsOnly: true });
  }
  quietInvariants(w.host, { hypercallsOnly: true });
});
