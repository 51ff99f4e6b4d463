import { expect, test } from 'vitest';
import * as ioctls from '../include/uapi/ioctl.ts';
import { KVM_DEV_FLIC, KVM_S390, kvm_s390_io_info, kvm_s390_irq, kvmS390IntIo } from '../include/uapi/kvm.ts';
import { FloatingInterrupts, PENDING } from '../lib/floating_interrupts.ts';
import type { Task } from '../lib/task.ts';
import { TestHost } from './test_host.ts';

const FLIC = 6;
const SIZE = kvm_s390_irq.size;
const word = (isc: number) => (isc << 27) >>> 0;

function setup() {
  const host = new TestHost();
  const ram = host.ram(16);
  const { vm, vcpu } = host.run(() => host.machine(ram, 16));
  const flic = host.run(() => create(host, vm));
  return { host, vm, vcpu, flic, ram, floating: new FloatingInterrupts(host.memory, host.map.floating) };
}
type Setup = ReturnType<typeof setup>;

function* create(host: TestHost, vm: number, flags = 0): Task<number> {
  const view = yield* host.ioctlStruct(vm, ioctls.KVM_CREATE_DEVICE, { type: FLIC, flags });
  return (view as { fd: number }).fd;
}
function set(s: Setup, group: number, attr = 0, addr = s.ram, flags = 0): Task<unknown> {
  return s.host.ioctlStruct(s.flic, ioctls.KVM_SET_DEVICE_ATTR, { flags, group, attr, addr });
}
function get(s: Setup, group: number, attr = 0, addr = s.ram): Task<unknown> {
  return s.host.ioctlStruct(s.flic, ioctls.KVM_GET_DEVICE_ATTR, { group, attr, addr });
}
function has(s: Setup, group: number): Task<unknown> {
  return s.host.ioctlStruct(s.flic, ioctls.KVM_HAS_DEVICE_ATTR, { group });
}
/** Writes to the process's memory. */
function put(s: Setup, bytes: Uint8Array, at = 0): number {
  s.host.run(() => s.host.kernel.mm.space.copy(s.ram + at, bytes, true));
  return s.ram + at;
}
function putWord(s: Setup, value: number): number {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return put(s, bytes);
}
function io(schid: number, isc: number, intparm = 0): Uint8Array {
  const info = kvm_s390_io_info.make({
    subchannel_id: 1,
    subchannel_nr: schid,
    io_int_parm: intparm,
    io_int_word: word(isc),
  });
  const u = new Uint8Array(64);
  u.set(kvm_s390_io_info.bytes(info));
  return kvm_s390_irq.bytes(kvm_s390_irq.make({ type: kvmS390IntIo(0, 0, 0, schid), u })).slice();
}

const s = setup();
const BAD = 8;
const REFUSALS: [string, (s: Setup) => Task<unknown>, string][] = [
  ['a second one', (s) => create(s.host, s.vm), 'EINVAL'],
  ['a test for it', (s) => create(s.host, s.vm, 1), 'OK'],
  ['group 0', (s) => set(s, 0), 'EINVAL'],
  ['adapters', (s) => set(s, KVM_DEV_FLIC.ADAPTER_REGISTER), 'EINVAL'],
  ['setting what is read', (s) => set(s, KVM_DEV_FLIC.GET_ALL_IRQS, SIZE), 'EINVAL'],
  ['reading what is set', (s) => get(s, KVM_DEV_FLIC.ENQUEUE, SIZE), 'EINVAL'],
  ['half an interrupt', (s) => set(s, KVM_DEV_FLIC.ENQUEUE, SIZE / 2), 'EINVAL'],
  ['more interrupts than a call takes', (s) => set(s, KVM_DEV_FLIC.ENQUEUE, SIZE * 2 ** 20), 'EINVAL'],
  ['an interrupt at a bad address', (s) => set(s, KVM_DEV_FLIC.ENQUEUE, SIZE, BAD), 'EFAULT'],
  ['no interrupt at a bad address', (s) => set(s, KVM_DEV_FLIC.ENQUEUE, 0, BAD), 'OK'],
  ['clear I/O with flags', (s) => set(s, KVM_DEV_FLIC.CLEAR_IO_IRQ, 4, s.ram, 1), 'EINVAL'],
  ['clear I/O with eight bytes', (s) => set(s, KVM_DEV_FLIC.CLEAR_IO_IRQ, 8), 'EINVAL'],
  ['clear I/O at a bad address', (s) => set(s, KVM_DEV_FLIC.CLEAR_IO_IRQ, 4, BAD), 'EFAULT'],
  ['clear I/O of subchannel identification 0', (s) => set(s, KVM_DEV_FLIC.CLEAR_IO_IRQ, 4, s.ram + 4096), 'EINVAL'],
  ['a buffer of nothing', (s) => get(s, KVM_DEV_FLIC.GET_ALL_IRQS, 0), 'EINVAL'],
  ['a buffer larger than the most', (s) => get(s, KVM_DEV_FLIC.GET_ALL_IRQS, 0x2000001), 'EINVAL'],
  ['has clear', (s) => has(s, KVM_DEV_FLIC.CLEAR_IRQS), 'OK'],
  ['has adapters', (s) => has(s, KVM_DEV_FLIC.ADAPTER_MODIFY), 'ENXIO'],
  ['has group 12', (s) => has(s, 12), 'ENXIO'],
];
test.each(REFUSALS)('flic: %s', (_, call, expected) => {
  expect(s.host.errno(() => call(s))).toBe(expected);
  expect(s.floating.summary()).toBe(0);
});

test('an unknown interrupt is refused, and those before it are pending', () => {
  const one = setup();
  put(one, io(4, 3));
  const unknown = io(5, 3);
  new DataView(unknown.buffer).setBigUint64(0, BigInt(KVM_S390.RESTART), true);
  put(one, unknown, SIZE);
  expect(one.host.errno(() => set(one, KVM_DEV_FLIC.ENQUEUE, 2 * SIZE))).toBe('EINVAL');
  expect(one.floating.listIo().map((i) => i.subsystemId)).toEqual([0x1_0004]);
});

test('clear of an I/O interruption takes that of the subchannel, whatever its subclass, and leaves the others', () => {
  const one = setup();
  put(one, Uint8Array.of(...io(4, 3, 0xcafe), ...io(5, 3), ...io(6, 1)));
  one.host.run(() => set(one, KVM_DEV_FLIC.ENQUEUE, 3 * SIZE));
  expect(one.floating.summary()).toBe((0x80 >> 3) | (0x80 >> 1));
  const clear = (subsystemId: number) => {
    const at = putWord(one, subsystemId);
    one.host.run(() => set(one, KVM_DEV_FLIC.CLEAR_IO_IRQ, 4, at));
  };
  clear(0x1_0006);
  expect(one.floating.summary()).toBe(0x80 >> 3);
  clear(0x1_0005);
  expect(one.floating.listIo()).toEqual([{ isc: 3, subsystemId: 0x1_0004, intparm: 0xcafe, word: word(3) }]);
  // Nothing pending of it: no error.
  clear(0x1_0005);
});

test('what is pending is read back in the form that adds it, and stays pending', () => {
  const one = setup();
  const { host } = one;
  put(one, Uint8Array.of(...io(4, 3, 7), ...io(5, 2)));
  host.run(() => set(one, KVM_DEV_FLIC.ENQUEUE, 2 * SIZE));
  for (const type of [KVM_S390.INT_SERVICE, KVM_S390.MCHK])
    host.run(() => host.ioctlStruct(one.vm, ioctls.KVM_S390_INTERRUPT, { type, parm: 0x1000 }));
  const before = one.floating.summary();
  expect(host.errno(() => get(one, KVM_DEV_FLIC.GET_ALL_IRQS, 3 * SIZE))).toBe('ENOMEM');
  host.run(() => get(one, KVM_DEV_FLIC.GET_ALL_IRQS, 4 * SIZE));
  expect(one.floating.summary()).toBe(before);
  const saved = host.run(() => host.kernel.mm.space.copyIn(one.ram, 4 * SIZE));
  host.run(() => set(one, KVM_DEV_FLIC.CLEAR_IRQS));
  expect([one.floating.summary(), one.floating.listIo().length]).toEqual([0, 0]);
  put(one, saved);
  host.run(() => set(one, KVM_DEV_FLIC.ENQUEUE, 4 * SIZE));
  expect(one.floating.summary()).toBe(before);
  expect(one.floating.takeService()).toBe(0x1000);
  expect(one.floating.takeIo(PENDING.ISC_MASK)).toEqual({ subsystemId: 0x1_0005, intparm: 0, word: word(2) });
});

test('the machine lives until its interrupt controller is closed, and may then have another', () => {
  const one = setup();
  const { host } = one;
  host.run(() => host.close(one.flic));
  const again = host.run(() => create(host, one.vm));
  expect(again).toBeGreaterThan(0);
});
