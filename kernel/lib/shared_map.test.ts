import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SYSCALL_RING, SYSCALL_RING_CAPACITY } from '../include/uapi/syscall.ts';
import { DOORBELL_SIZE } from './doorbell.ts';
import { createMemory, HostMemory, PAGE_SIZE } from './host_memory.ts';
import { KERNEL_WORK_SIZE } from './kernel_work.ts';
import { MEMSLOTS } from './memslots.ts';
import { ringSize } from './ring.ts';
import {
  AREA,
  actorAreas,
  actorName,
  processMap,
  processOfActor,
  processThreads,
  type SharedMap,
  sharedMap,
  shortName,
} from './shared_map.ts';
import { stopMachine, stopping } from './stop.ts';
import { TRACE_ENABLE_SIZE, TRACE_RING_SIZE } from './trace.ts';
import { vmStatesSize } from './vm_state.ts';

/** Every area of the map: name, address, size. */
function areas(map: SharedMap): [string, number, number][] {
  const fixed = ['syscalls', 'floating', 'memslots', 'css', 'phb', 'kvm'] as const;
  return [
    ['stop', map.control.stop, 4],
    ...map.actors.flatMap(({ name, doorbell, trace }): [string, number, number][] => [
      [`${name} doorbell`, doorbell, DOORBELL_SIZE],
      [`${name} trace`, trace, TRACE_RING_SIZE],
    ]),
    ['trace enable', map.traceEnable, TRACE_ENABLE_SIZE],
    ['states of virtual machines', map.vmStates, vmStatesSize(map.processes.length)],
    ...map.vcpus.flatMap((vcpu, i) =>
      Object.entries(vcpu).map(([name, at]): [string, number, number] => [
        `vcpu${i} ${name}`,
        at,
        AREA[name as 'run' | 'state' | 'tlb' | 'pcCache'],
      ]),
    ),
    ...fixed.map((name): [string, number, number] => [name, map[name], AREA[name]]),
    ['work', map.work, KERNEL_WORK_SIZE],
    ['page table', map.pageTable, map.pageTableEntries * 4],
    ['frames', map.frames, (map.size / PAGE_SIZE) * AREA.frame],
    ['page frames', map.firstFrame, map.size - map.firstFrame],
  ];
}

test('areas do not overlap, pages are aligned, and every frame has its descriptor, for any machine', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3584 }),
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.constantFrom('iop0', 'dma0', 'dma1'), { maxLength: 3 }),
      (megabytes, vcpus, hardware) => {
        const map = sharedMap({ guestMemory: (megabytes << 20) >>> 0, vcpus, hardware });
        const sorted = areas(map).sort((a, b) => a[1] - b[1]);
        let end = PAGE_SIZE;
        for (const [name, at, size] of sorted) {
          expect(at, name).toBeGreaterThanOrEqual(end);
          expect(Number.isInteger(at + size), name).toBe(true);
          end = at + size;
        }
        expect(end).toBe(map.size);
        for (const { run, state, tlb, pcCache } of map.vcpus)
          for (const at of [run, state, tlb, pcCache]) expect(at % PAGE_SIZE).toBe(0);
        for (const at of [map.firstFrame, map.pageTable, map.frames, map.css, map.phb, map.kvm, map.size])
          expect(at % PAGE_SIZE).toBe(0);
        for (const { doorbell } of map.actors) expect(doorbell % DOORBELL_SIZE).toBe(0);
        expect(map.size - map.firstFrame).toBeGreaterThan((megabytes << 20) >>> 0);
        expect(map.size).toBeLessThanOrEqual(2 ** 32);
      },
    ),
    { numRuns: 60, examples: [[3584, 8, ['iop0', 'dma0', 'dma1']]] },
  );
});

test('fixed areas hold what is laid out in them', () => {
  expect(AREA.syscalls).toBeGreaterThanOrEqual(SYSCALL_RING + ringSize(SYSCALL_RING_CAPACITY));
  expect(AREA.floating).toBeGreaterThanOrEqual(16 + 512 * 16);
  expect(AREA.memslots).toBeGreaterThanOrEqual(MEMSLOTS * 32);
});

test('a guest that does not fit 32-bit memory is refused', () => {
  expect(() => sharedMap({ guestMemory: 2 ** 32, vcpus: 1, hardware: [] })).toThrow(RangeError);
});

test('an actor is found by name', () => {
  const map = sharedMap({ guestMemory: 1 << 20, vcpus: 2, hardware: ['iop0'] });
  expect(map.actors.map((a) => a.name)).toEqual(['vmm', 'kernel', 'vcpu0', 'vcpu1', 'iop0']);
  expect(actorAreas(map, 'vcpu1')).toBe(map.actors[3]);
  expect(() => actorAreas(map, 'vcpu2')).toThrow('no actor named vcpu2');
});

test('each NIC has an area, between what is fixed and the frames', () => {
  const config = { guestMemory: 1 << 20, vcpus: 1, hardware: ['dma0', 'dma1'] };
  const [none, two] = [sharedMap(config), sharedMap({ ...config, nics: 2 })];
  expect(two.net % PAGE_SIZE).toBe(0);
  expect(two.firstFrame).toBeGreaterThanOrEqual(none.firstFrame + 2 * AREA.nic);
  const next = Math.min(...areas(two).flatMap(([, at]) => (at >= two.net ? [at] : [])));
  expect(next).toBeGreaterThanOrEqual(two.net + 2 * AREA.nic);
});

const THREE = {
  guestMemory: 1 << 20,
  vcpus: 1,
  hardware: ['iop0'],
  others: [
    { guestMemory: 2 << 20, vcpus: 2 },
    { guestMemory: 1 << 20, vcpus: 1 },
  ],
};

test('the only process of a host sees the whole map', () => {
  const map = sharedMap({ ...THREE, others: [] });
  expect(processMap(map, 0)).toBe(map);
  expect(map.processes[0].control).toEqual(map.control);
});

test('each of several processes has areas of its own under the usual names, and shares the hardware', () => {
  const map = sharedMap(THREE);
  const views = [0, 1, 2].map((process) => processMap(map, process));
  const own = ['syscalls', 'floating', 'memslots', 'monitor', 'work', 'kvm', 'pageTable'] as const;
  for (const name of own) expect(new Set(views.map((view) => view[name])).size, name).toBe(3);
  expect(new Set([map.control.stop, ...views.map(({ control }) => control.stop)]).size).toBe(4);
  expect(views.map((view) => [processThreads(view), view.pageTableEntries - views[0].pageTableEntries])).toEqual([
    [2, 0],
    [3, 256],
    [2, 0],
  ]);
  for (const name of ['css', 'phb', 'soc', 'net', 'frames', 'storageKeys', 'size'] as const)
    expect(new Set(views.map((view) => view[name])), name).toEqual(new Set([map[name]]));
  // Nothing of one lies in another's.
  const at = views.flatMap((view) => [...own.map((name) => view[name]), ...view.vcpus.map(({ run }) => run)]);
  expect(new Set(at).size).toBe(at.length);
});

test('actors are known by short names within their process, and not known to the others', () => {
  const map = sharedMap(THREE);
  expect(map.actors.map(({ name }) => name)).toEqual([
    'vmm',
    'kernel',
    'vcpu0',
    'iop0',
    'vm1.vmm',
    'vm1.vcpu0',
    'vm1.vcpu1',
    'vm2.vmm',
    'vm2.vcpu0',
  ]);
  for (const process of [0, 1, 2]) {
    const view = processMap(map, process);
    for (const name of ['vmm', 'vcpu0'])
      expect(actorAreas(view, name).doorbell).toBe(actorAreas(map, actorName(process, name)).doorbell);
    for (const name of ['kernel', 'iop0']) expect(actorAreas(view, name)).toBe(actorAreas(map, name));
    expect(view.actors).toHaveLength(2 + processThreads(view));
  }
  expect(['vmm', 'vm1.vcpu0', 'iop0', 'kernel'].map((name) => [processOfActor(name), shortName(name)])).toEqual([
    [0, 'vmm'],
    [1, 'vcpu0'],
    [undefined, 'iop0'],
    [undefined, 'kernel'],
  ]);
});

test('one process is stopped without the others; the host with all of them', () => {
  const map = sharedMap(THREE);
  const memory = new HostMemory(createMemory(map.size));
  const stopped = () => [map, ...[0, 1, 2].map((process) => processMap(map, process))].map((m) => stopping(memory, m));
  stopMachine(memory, processMap(map, 1));
  expect(stopped()).toEqual([false, false, true, false]);
  stopMachine(memory, map);
  expect(stopped()).toEqual([true, true, true, true]);
});
