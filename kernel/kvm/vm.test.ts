import { expect, test } from 'vitest';
import { HCALL } from '../include/arch/ppc/hcall.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import { KVM_S390, kvmS390IntIo } from '../include/uapi/kvm.ts';
import {
  CPU_STATE,
  HCALL_STATE,
  KVM_REQ,
  KVM_RUN,
  RUN_CODE_RING,
  RUN_CODE_RING_SLOTS,
  RUN_LOCAL_INTERRUPTS,
  VCPU_MODE,
} from '../include/uapi/kvm_run.ts';
import { FloatingInterrupts, PENDING } from '../lib/floating_interrupts.ts';
import { PG } from '../lib/frames.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { LOCAL, LocalInterrupts } from '../lib/local_interrupts.ts';
import { Ring } from '../lib/ring.ts';
import { preempt, type Task } from '../lib/task.ts';
import { migratePage } from '../mm/migrate.ts';
import { ATTENTION, TestHost } from './test_host.ts';

const RAM_PAGES = 16;

function setup() {
  const host = new TestHost();
  const ram = host.ram(RAM_PAGES);
  return { host, ram, ...host.run(() => host.machine(ram, RAM_PAGES)) };
}
type Setup = ReturnType<typeof setup>;

function slot(s: Setup, number: number, gpa: number, pages: number, flags = 0, hva = s.ram): Task<unknown> {
  return s.host.ioctlStruct(s.vm, ioctls.KVM_SET_USER_MEMORY_REGION, {
    slot: number,
    flags,
    guest_phys_addr: gpa,
    memory_size: pages * PAGE_SIZE,
    userspace_addr: hva,
  });
}
function cap(s: Setup, number: number, arg0: number, flags = 0): Task<unknown> {
  return s.host.ioctlStruct(s.vm, ioctls.KVM_ENABLE_CAP, { cap: number, flags, arg0, arg1: 1 });
}
function interrupt(s: Setup, fd: number, type: number, parm = 0, parm64 = 0n): Task<unknown> {
  return s.host.ioctlStruct(fd, ioctls.KVM_S390_INTERRUPT, { type, parm, parm64 });
}
function table(s: Setup, liobn: number, shift: number, size: number, offset = 0): Task<unknown> {
  return s.host.table(s.vm, liobn, shift, size, offset);
}

const s = setup();
s.host.run(() => table(s, 1, 12, 16));
const REFUSALS: [string, (s: Setup) => Task<unknown>, string][] = [
  ['vCPU twice', (s) => s.host.ioctl(s.vm, ioctls.KVM_CREATE_VCPU, 0), 'EEXIST'],
  ['vCPU beyond the machine', (s) => s.host.ioctl(s.vm, ioctls.KVM_CREATE_VCPU, 2), 'EINVAL'],
  ['slot beyond the table', (s) => slot(s, 32, 0x100000, 1), 'EINVAL'],
  ['slot with flags', (s) => slot(s, 1, 0x100000, 1, 1), 'EINVAL'],
  ['slot at an odd address', (s) => slot(s, 1, 0x100001, 1), 'EINVAL'],
  ['slot with odd user memory', (s) => slot(s, 1, 0x100000, 1, 0, s.ram + 8), 'EINVAL'],
  ['slot of half a page', (s) => slot(s, 1, 0x100000, 0.5), 'EINVAL'],
  ['slot over another', (s) => slot(s, 1, PAGE_SIZE, 1), 'EEXIST'],
  ['slot deleted that is not there', (s) => slot(s, 2, 0, 0), 'EINVAL'],
  ['slot resized', (s) => slot(s, 0, 0, RAM_PAGES - 1), 'EINVAL'],
  ['slot moved', (s) => slot(s, 0, 0x200000, RAM_PAGES), 'OK'],
  ['slot moved back', (s) => slot(s, 0, 0, RAM_PAGES), 'OK'],
  ['capability with flags', (s) => cap(s, 104, 0x20, 1), 'EINVAL'],
  ['hypercall on device addresses', (s) => cap(s, 104, 0x3c), 'OK'],
  ['hypercall without handler', (s) => cap(s, 104, 0x64), 'EINVAL'],
  ['hypercall number that is none', (s) => cap(s, 104, 0x21), 'EINVAL'],
  ['unknown capability', (s) => cap(s, 1, 0), 'EINVAL'],
  ['radix 2', (s) => cap(s, 134, 2), 'EINVAL'],
  ['table of nothing', (s) => table(s, 2, 12, 0), 'EINVAL'],
  ['table with 2K pages', (s) => table(s, 2, 11, 16), 'EINVAL'],
  ['table with 32G pages', (s) => table(s, 2, 35, 16), 'EINVAL'],
  ['table that ends beyond 2^64', (s) => table(s, 2, 12, 16, 2 ** 52), 'EINVAL'],
  ['table for 33-bit LIOBN', (s) => table(s, 2 ** 32, 12, 16), 'EINVAL'],
  ['table of more than memory', (s) => table(s, 2, 12, 2 ** 40), 'ENOMEM'],
  ['table for a LIOBN that has one', (s) => table(s, 1, 12, 16), 'EBUSY'],
  [
    'old form of it',
    (s) => s.host.ioctlStruct(s.vm, ioctls.KVM_CREATE_SPAPR_TCE, { liobn: 1, window_size: 4096 }),
    'EBUSY',
  ],
  [
    'old form of nothing',
    (s) => s.host.ioctlStruct(s.vm, ioctls.KVM_CREATE_SPAPR_TCE, { liobn: 3, window_size: 4095 }),
    'EINVAL',
  ],
  [
    'table with flags',
    (s) => s.host.ioctlStruct(s.vm, ioctls.KVM_CREATE_SPAPR_TCE_64, { liobn: 3, page_shift: 12, flags: 1, size: 1 }),
    'EINVAL',
  ],
  ['program interruption for the VM', (s) => interrupt(s, s.vm, KVM_S390.PROGRAM_INT), 'EINVAL'],
  ['emergency signal for the VM', (s) => interrupt(s, s.vm, KVM_S390.INT_EMERGENCY), 'EINVAL'],
  ['service signal for a CPU', (s) => interrupt(s, s.vcpu, KVM_S390.INT_SERVICE), 'EINVAL'],
  ['emergency signal from CPU 32', (s) => interrupt(s, s.vcpu, KVM_S390.INT_EMERGENCY, 32), 'EINVAL'],
  ['stop with unknown flags', (s) => interrupt(s, s.vcpu, KVM_S390.SIGP_STOP, 2), 'EINVAL'],
  ['unknown VM command', (s) => s.host.ioctl(s.vm, ioctls.VFIO_SET_IOMMU), 'ENOTTY'],
];
test.each(REFUSALS)('virtual machine: %s', (_, call, expected) => {
  const before = s.host.held();
  expect(s.host.errno(() => call(s))).toBe(expected);
  expect(s.host.held()).toEqual(before);
});

test('/dev/kvm: version, capabilities, one machine at a time', () => {
  const { host } = setup();
  const fd = host.run(() => host.open('/dev/kvm'));
  const ask = (n: number) => host.run(() => host.ioctl(fd, ioctls.KVM_CHECK_EXTENSION, n));
  expect(host.run(() => host.ioctl(fd, ioctls.KVM_GET_API_VERSION))).toBe(12);
  expect([63, 94, 104, 125, 142, 134, 66, 1].map(ask)).toEqual([1, 1, 1, 1, 1, 1, 2, 0]);
  expect(host.errno(() => host.ioctl(fd, ioctls.KVM_CREATE_VM))).toBe('EBUSY');
  expect(host.errno(() => host.ioctl(fd, ioctls.KVM_CREATE_VM, 1))).toBe('EINVAL');
});

test('an I/O interruption becomes pending for its subclass, and every vCPU is told', () => {
  const one = setup();
  const { host } = one;
  const word = (3 << 27) | 0x8000_0000;
  host.run(() =>
    interrupt(one, one.vm, kvmS390IntIo(0, 0, 0, 5), 0x0001_0005, (0xcafe_f00dn << 32n) | BigInt(word >>> 0)),
  );
  const floating = new FloatingInterrupts(host.memory, host.map.floating);
  expect(floating.summary()).toBe(0x80 >> 3);
  expect(floating.takeIo(0xff)).toEqual({ subsystemId: 0x0001_0005, intparm: 0xcafe_f00d, word: word >>> 0 });
  for (const { run, state } of host.map.vcpus) {
    expect(host.memory.load(run + KVM_RUN.offset.requests)).toBe(KVM_REQ.INTERRUPT);
    expect(host.memory.load(state + ATTENTION)).not.toBe(0);
  }
});

test('service signals are ored together; a channel report is pending once', () => {
  const one = setup();
  for (const parm of [0x1000, 1]) one.host.run(() => interrupt(one, one.vm, KVM_S390.INT_SERVICE, parm));
  one.host.run(() => interrupt(one, one.vm, KVM_S390.MCHK));
  const floating = new FloatingInterrupts(one.host.memory, one.host.map.floating);
  expect(floating.summary()).toBe(PENDING.SERVICE | PENDING.MACHINE_CHECK);
  expect(floating.takeService()).toBe(0x1001);
});

test('orders and signals for one CPU reach that CPU only', () => {
  const one = setup();
  const { host } = one;
  const { run } = host.map.vcpus[0];
  const local = new LocalInterrupts(host.memory, run + RUN_LOCAL_INTERRUPTS);
  const send = (type: number, parm = 0) => host.errno(() => interrupt(one, one.vcpu, type, parm));
  expect(send(KVM_S390.SIGP_SET_PREFIX, 0x12345)).toBe('OK');
  expect(local.prefix).toBe(0x12000);
  host.memory.store(run + KVM_RUN.offset.cpu_state, CPU_STATE.OPERATING);
  expect(send(KVM_S390.SIGP_SET_PREFIX, 0x2000)).toBe('EBUSY');
  expect(send(KVM_S390.INT_EMERGENCY, 1)).toBe('OK');
  expect(send(KVM_S390.INT_EXTERNAL_CALL, 1)).toBe('OK');
  expect(send(KVM_S390.INT_EXTERNAL_CALL, 1)).toBe('EBUSY');
  expect(send(KVM_S390.RESTART)).toBe('OK');
  expect(send(KVM_S390.SIGP_STOP, 1)).toBe('OK');
  expect(local.pending()).toBe(
    LOCAL.SET_PREFIX | LOCAL.EMERGENCY | LOCAL.EXTERNAL_CALL | LOCAL.RESTART | LOCAL.STOP | LOCAL.STORE_STATUS,
  );
  expect(local.takeEmergency()).toBe(1);
  expect(host.memory.load(run + KVM_RUN.offset.requests)).toBe(KVM_REQ.INTERRUPT | KVM_REQ.SIGP);
  expect(host.memory.load(host.map.vcpus[1].run + KVM_RUN.offset.requests)).toBe(0);
});

test('a page moves only after every vCPU in guest mode has dropped its translations', () => {
  const one = setup();
  const { host, ram } = one;
  const { run } = host.map.vcpus[0];
  const requests = run + KVM_RUN.offset.requests;
  const { mm } = host.kernel;
  const from = mm.space.lookup(ram, true);
  host.memory.store(run + KVM_RUN.offset.mode, VCPU_MODE.IN_GUEST_MODE);
  let moved: boolean | undefined;
  host.kernel.spawn(
    host.kernel.process,
    'move',
    (function* () {
      moved = yield* migratePage(mm, host.memory, ram);
    })(),
  );
  let steps = 0;
  host.kernel.spawn(
    host.kernel.process,
    'vcpu',
    (function* () {
      for (; steps < 20 || host.memory.load(requests) === 0; steps++) {
        expect(moved).toBeUndefined();
        yield { what: 'vcpu', ready: () => true };
      }
      expect(mm.space.lookup(ram, true)).toBe(-2);
      host.memory.and(requests, ~KVM_REQ.TLB_FLUSH);
    })(),
  );
  host.simulation.run(() => moved !== undefined);
  expect(moved).toBe(true);
  expect(steps).toBeGreaterThanOrEqual(20);
  expect(mm.space.lookup(ram, true)).not.toBe(from);
});

test('a write to a page with translated code is told to every vCPU; too many at once mean all code', () => {
  const one = setup();
  const { host, ram } = one;
  const { frames } = host.kernel.mm.space;
  frames.setFlags(host.kernel.mm.space.lookup(ram + 3 * PAGE_SIZE, true), PG.CODE);
  const write = () => host.run(() => host.kernel.mm.space.copy(ram + 3 * PAGE_SIZE + 8, new Uint8Array(4), true));
  write();
  const ring = new Ring(host.memory, host.map.vcpus[1].run + RUN_CODE_RING, RUN_CODE_RING_SLOTS);
  expect(ring.pop()).toBe(3);
  const requests = host.map.vcpus[1].run + KVM_RUN.offset.requests;
  expect(host.memory.load(requests)).toBe(KVM_REQ.CODE_WRITTEN);
  for (let i = 0; i <= RUN_CODE_RING_SLOTS; i++) write();
  expect(host.memory.load(requests)).toBe(KVM_REQ.CODE_WRITTEN | KVM_REQ.CODE_OVERFLOW);
});

test('DMA into a page with translated code is told when a vCPU unmaps it in real mode', () => {
  const one = setup();
  const { host, ram } = one;
  host.run(function* () {
    const { fd, groups } = yield* host.container([0]);
    yield* host.register(fd, ram, RAM_PAGES);
    yield* host.window(fd, 12, 16 * PAGE_SIZE);
    yield* host.mapDma(fd, 0, ram + 3 * PAGE_SIZE, PAGE_SIZE);
    const tce = yield* host.table(one.vm, 4, 12, 16);
    const device = yield* host.kvmVfio(one.vm);
    yield* host.setAttr(device, 1, groups[0]);
    yield* host.setAttr(device, 3, groups[0], tce);
  });
  const { space } = host.kernel.mm;
  space.frames.setFlags(space.lookup(ram + 3 * PAGE_SIZE, true), PG.CODE);
  expect(host.real(0x20, 4, 0, 0)).toBe(0);
  const ring = new Ring(host.memory, host.map.vcpus[0].run + RUN_CODE_RING, RUN_CODE_RING_SLOTS);
  expect(ring.pop()).toBe(3);
});

test('a guest table is charged, mapped for the VMM, and uncharged with its descriptor', () => {
  const one = setup();
  const { host } = one;
  const before = host.held();
  const fd = host.run(() => host.table(one.vm, 7, 12, 1024));
  expect(host.held().locked - before.locked).toBe(2 + 1);
  const map = host.kernel.files.file(fd).operations.mmap;
  expect(host.errno(() => map?.(3 * PAGE_SIZE, 0) as Task<number>)).toBe('EINVAL');
  const va = host.run(() => map?.(2 * PAGE_SIZE, 0) as Task<number>);
  expect(host.real(0x20, 7, 513 * PAGE_SIZE, 0xabc000)).toBe(0);
  const hpa = host.kernel.mm.space.lookup(va + PAGE_SIZE, false);
  expect(host.memory.dv.getBigUint64(hpa + 8, true)).toBe(0xabc000n);
  host.memory.dv.setBigUint64(hpa + 8, 0x5555_0000_0000_1000n, true);
  host.real(0x1c, 7, 513 * PAGE_SIZE);
  expect(host.realOut).toBe(0x5555_0000_0000_1000n);
  host.run(() => host.close(fd));
  expect(host.held()).toEqual(before);
  expect(host.real(0x1c, 7, 0)).toBe(9999);
});

test('two tasks that create the same LIOBN: one table, one EBUSY, charged once', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const host = new TestHost({ seed });
    const { vm } = host.run(() => host.machine(host.ram(1), 1));
    const before = host.held().locked;
    const codes: string[] = [];
    const maker = function* (): Task {
      try {
        yield* host.table(vm, 7, 12, 512);
        codes.push('OK');
      } catch (error) {
        codes.push((error as { code: string }).code);
      }
    };
    for (let i = 0; i < 2; i++) host.kernel.spawn(host.kernel.process, 'maker', maker());
    host.simulation.run(() => codes.length === 2);
    expect(codes.sort()).toEqual(['EBUSY', 'OK']);
    expect(host.held().locked - before).toBe(2);
  }
});

test('descriptors of CPUs, tables and the device keep the machine; the last one ends it', () => {
  const one = setup();
  const { host } = one;
  const tce = host.run(() => table(one, 7, 12, 1)) as number;
  const device = host.run(() => host.kvmVfio(one.vm));
  for (const fd of [one.vm, tce, one.vcpu]) {
    host.run(() => host.close(fd));
    expect(host.kvm.vm).toBeDefined();
  }
  host.run(() => host.close(device));
  expect(host.kvm.vm).toBeUndefined();
  expect(host.kernel.mm.notifiers.size).toBe(0);
  host.run(() => host.machine(one.ram, 1));
});

test('a machine that gets no descriptor is not there', () => {
  const host = new TestHost();
  const kvm = host.run(() => host.open('/dev/kvm'));
  const before = host.held();
  while (host.errno(() => host.open('/dev/kvm')) === 'OK');
  expect(host.errno(() => host.ioctl(kvm, ioctls.KVM_CREATE_VM))).toBe('EMFILE');
  expect(host.kvm.vm).toBeUndefined();
  for (const [fd] of [...host.kernel.files.entries()]) if (fd !== kvm) host.run(() => host.close(fd));
  expect(host.held()).toEqual(before);
  expect(host.errno(() => host.ioctl(kvm, ioctls.KVM_CREATE_VM))).toBe('OK');
});

test('with no descriptor left nothing is created, charged or kept', () => {
  const one = setup();
  const { host, vm } = one;
  const { groups } = host.run(() => host.container([0]));
  const before = host.held();
  while (host.errno(() => host.open('/dev/kvm')) === 'OK');
  const { name: device } = host.vfio.groupOfFile(host.kernel.files.file(groups[0]))?.iommuGroup.devices[0] ?? {};
  const calls: [string, () => Task<unknown>][] = [
    ['CPU', () => host.ioctl(vm, ioctls.KVM_CREATE_VCPU, 1)],
    ['table', () => host.table(vm, 9, 12, 16)],
    ['old table', () => host.ioctlStruct(vm, ioctls.KVM_CREATE_SPAPR_TCE, { liobn: 9, window_size: 65536 })],
    ['kvm-vfio', () => host.kvmVfio(vm)],
    [
      'device',
      () => {
        host.poke(0, new TextEncoder().encode(`${device}\0`));
        return host.ioctl(groups[0], ioctls.VFIO_GROUP_GET_DEVICE_FD, host.user);
      },
    ],
  ];
  const outcomes = () => calls.map(([what, call]) => [what, host.errno(call)]);
  expect(outcomes()).toEqual(calls.map(([what]) => [what, 'EMFILE']));
  const kept = host.held().files - before.files;
  for (const [fd] of [...host.kernel.files.entries()].slice(-kept)) host.run(() => host.close(fd));
  expect(host.held()).toEqual(before);
  calls.splice(2, 1);
  expect(outcomes()).toEqual(calls.map(([what]) => [what, 'OK']));
});

test('a machine that goes while a long hypercall is under way: the next one of the process does not answer it a second time', () => {
  const host = new TestHost();
  const ram = host.ram(8);
  const { state } = host.run(function* () {
    const { vm, vcpu } = yield* host.machine(ram, 8);
    yield* host.enableHcall(vm, HCALL.H_STUFF_TCE);
    // Of so many entries that other tasks get turns in between.
    const table = yield* host.table(vm, 0x10, 12, 1 << 16);
    const call = host.virtualTask(0, HCALL.H_STUFF_TCE, 0x10, 0, 0, 1 << 16);
    const first = call.next();
    for (const fd of [table, vcpu, vm]) yield* host.close(fd);
    const { run } = host.map.vcpus[0];
    const hcallState = () => host.memory.load(run + KVM_RUN.offset.hcall_state);
    const after = hcallState();
    yield* host.machine(ram, 8);
    // As the CPU takes the answer; nothing answers it again.
    expect(first.done).toBe(false);
    expect(call.next().done).toBe(true);
    for (let i = 0; i < 100; i++) yield* preempt();
    return { state: [after, hcallState()] };
  });
  expect(state).toEqual([HCALL_STATE.DONE, HCALL_STATE.IDLE]);
});
