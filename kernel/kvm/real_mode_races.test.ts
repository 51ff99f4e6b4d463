import { expect, test } from 'vitest';
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { KVM_REQ, KVM_RUN, VCPU_MODE } from '../include/uapi/kvm_run.ts';
import { HostMemory, PAGE_SIZE } from '../lib/host_memory.ts';
import type { IommuTable } from '../ppc/iommu_table.ts';
import { RealMode } from './book3s_64_vio_hv.ts';
import { ATTENTION, TestHost, words } from './test_host.ts';

const { H_SUCCESS, H_TOO_HARD } = HCALL_RETURN;
const LIOBN = 0x8000_0000;
const PAGES = 16;

/** Memory through which another thread runs just before the `stopAt`-th atomic operation of this one. */
class InterleavedMemory extends HostMemory {
  operations = 0;
  stopAt = -1;
  other: () => void = () => {};

  #step(): void {
    if (this.operations++ === this.stopAt) this.other();
  }
  override load(hpa: number): number {
    this.#step();
    return super.load(hpa);
  }
  override store(hpa: number, value: number): void {
    this.#step();
    super.store(hpa, value);
  }
  override or(hpa: number, mask: number): number {
    this.#step();
    return super.or(hpa, mask);
  }
  override cas(hpa: number, expected: number, value: number): number {
    this.#step();
    return super.cas(hpa, expected, value);
  }
  override exchange(hpa: number, value: number): number {
    this.#step();
    return super.exchange(hpa, value);
  }
  override add(hpa: number, value: number): number {
    this.#step();
    return super.add(hpa, value);
  }
}

/** Pages 0-7 and 8-15 are two regions, so that a mixed-up release shows in the counts. */
function setup() {
  const host = new TestHost();
  const ram = host.ram(PAGES);
  const half = (PAGES / 2) * PAGE_SIZE;
  const fds = host.run(function* () {
    const { fd, groups } = yield* host.container([0]);
    yield* host.register(fd, ram, PAGES / 2);
    yield* host.register(fd, ram + half, PAGES / 2);
    yield* host.window(fd, 12, PAGES * PAGE_SIZE);
    yield* host.mapDma(fd, 0, ram, PAGE_SIZE);
    const { vm } = yield* host.machine(ram, PAGES);
    const tableFd = yield* host.table(vm, LIOBN, 12, PAGES);
    const device = yield* host.kvmVfio(vm);
    yield* host.setAttr(device, 1, groups[0]);
    yield* host.setAttr(device, 3, groups[0], tableFd);
    return { container: fd, vm, device };
  });
  const memory = new InterleavedMemory(host.memory.memory);
  const realMode = new RealMode(memory, host.map, host.phbBase, { attentionOffset: ATTENTION });
  const put = (ioba: number, tce: number) =>
    realMode.hcall(HCALL.H_PUT_TCE, ...words(LIOBN), ...words(ioba), ...words(tce), 0, 0);
  const table = host.powernv.groups[0]?.tables[0] as IommuTable;
  return { host, ram, half, memory, realMode, put, table, ...fds };
}

/** Runs `first` with `second` at each of its atomic operations in turn. */
function everywhere(run: (stopAt: number) => number): number {
  let stopAt = 0;
  while (run(stopAt) > stopAt) stopAt++;
  return stopAt;
}

// what each of the two vCPUs puts at the same entry, which maps page 0 before
test.each([
  [0x1003, 0x9003],
  [0x9003, 0x1001],
  [0, 0x9003],
  [0x9003, 0],
  [0, 0],
])('two vCPUs put %i and %i at one entry: at every point, entry, user page and counts fit', (mine, other) => {
  const s = setup();
  const points = everywhere((stopAt) => {
    s.host.real(HCALL.H_PUT_TCE, LIOBN, 0, 3);
    s.memory.operations = 0;
    s.memory.stopAt = stopAt;
    let theirs = -1;
    s.memory.other = () => {
      theirs = s.host.real(HCALL.H_PUT_TCE, LIOBN, 0, other);
    };
    expect(s.put(0, mine)).toBe(H_SUCCESS);
    // Met locked: the next tier would do it again.
    if (theirs === H_TOO_HARD) theirs = s.host.virtual(HCALL.H_PUT_TCE, LIOBN, 0, other);
    expect([H_SUCCESS, -1]).toContain(theirs);
    s.host.invariants([s.table]);
    return s.memory.operations;
  });
  expect(points).toBeGreaterThanOrEqual(4);
});

test.each([
  ['maps a page of the region', 0x9003],
  ['unmaps the last page of the region', 0],
])('unregistering memory while a vCPU %s: refused, or gone and never mapped', (_, tce) => {
  const s = setup();
  const { host } = s;
  const { mode, requests } = KVM_RUN.offset;
  const { run } = host.map.vcpus[0];
  const results = new Set<string>();
  const points = everywhere((stopAt) => {
    host.real(HCALL.H_PUT_TCE, LIOBN, 0, tce === 0 ? 0x9003 : 0);
    const region = host.powernv.regions.find(s.ram + s.half, PAGES / 2);
    s.memory.operations = 0;
    s.memory.stopAt = stopAt;
    host.memory.store(run + mode, VCPU_MODE.IN_GUEST_MODE);
    let code: string | undefined;
    s.memory.other = () => {
      host.kernel.spawn(
        host.kernel.process,
        'unregister',
        (function* () {
          try {
            yield* host.unregister(s.container, s.ram + s.half, PAGES / 2);
            code = 'OK';
          } catch (error) {
            code = (error as { code: string }).code;
          }
        })(),
      );
      // As far as it gets while the vCPU is in the guest.
      host.simulation.run(() => code !== undefined || (host.memory.load(run + requests) & KVM_REQ.TLB_FLUSH) !== 0);
      expect(code).not.toBe('OK');
    };
    const result = s.put(0, tce);
    const reached = s.memory.operations > stopAt;
    host.memory.store(run + mode, VCPU_MODE.OUTSIDE_GUEST_MODE);
    host.memory.and(run + requests, 0);
    if (reached) {
      host.simulation.run(() => code !== undefined);
      results.add(`${result} ${code}`);
      host.invariants([s.table]);
    }
    if (code === 'OK') {
      expect(host.powernv.regions.find(s.ram + s.half, PAGES / 2)).not.toBe(region);
      host.run(() => host.register(s.container, s.ram + s.half, PAGES / 2));
    }
    return s.memory.operations;
  });
  expect(points).toBeGreaterThanOrEqual(4);
  // The count drops with the last operation of an unmapping call: before it, the memory is in use.
  expect([...results].sort()).toEqual(tce === 0 ? [`${H_SUCCESS} EBUSY`] : [`${H_SUCCESS} EBUSY`, `${H_TOO_HARD} OK`]);
});

// what the other vCPU puts at the second of three entries, while this one's list changes all three
test.each([0, 0x9003, 0xa001])(
  'a list and a put of %i at one of its entries: at every point, entries, user pages and counts fit',
  (other) => {
    const s = setup();
    const { host, realMode } = s;
    host.run(() => host.enableHcall(s.vm, HCALL.H_PUT_TCE_INDIRECT));
    const list = 12 * PAGE_SIZE;
    const at = host.kernel.mm.space.lookup(s.ram + list, true);
    for (const [i, tce] of [0x1003, 0x9003, 0].entries()) host.memory.dv.setBigUint64(at + 8 * i, BigInt(tce), false);
    const points = everywhere((stopAt) => {
      for (const [i, tce] of [0x2003, 0xb003, 0x3003].entries()) host.real(HCALL.H_PUT_TCE, LIOBN, i * PAGE_SIZE, tce);
      s.memory.operations = 0;
      s.memory.stopAt = stopAt;
      let theirs = -1;
      s.memory.other = () => {
        theirs = host.real(HCALL.H_PUT_TCE, LIOBN, PAGE_SIZE, other);
      };
      const mine = realMode.hcall(HCALL.H_PUT_TCE_INDIRECT, ...words(LIOBN), 0, 0, ...words(list), ...words(3));
      expect(mine).toBe(H_SUCCESS);
      if (theirs === H_TOO_HARD) theirs = host.virtual(HCALL.H_PUT_TCE, LIOBN, PAGE_SIZE, other);
      expect([H_SUCCESS, -1]).toContain(theirs);
      host.invariants([s.table]);
      return s.memory.operations;
    });
    expect(points).toBeGreaterThanOrEqual(12);
    // Nothing that waits for its release is left.
    for (let i = 0; i < 3; i++) host.real(HCALL.H_PUT_TCE, LIOBN, i * PAGE_SIZE, 0);
    expect(host.powernv.regions.list().map((region) => host.powernv.regions.mapped(region))).toEqual([1, 1]);
  },
);
