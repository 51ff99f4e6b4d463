import { expect, test } from 'vitest';
import { dmaTranslate } from '../../devices/physical/phb/dma.ts';
import { EEH_PE_STATE } from '../../devices/physical/phb/host_bridge.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import { VFIO_EEH, VFIO_EEH_PE } from '../include/uapi/vfio.ts';
import { TestHost } from '../kvm/test_host.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { Task } from '../lib/task.ts';

const OP = ioctls.VFIO_EEH_PE_OP;
const { NORMAL, RESET, STOPPED, STOPPED_DMA, UNAVAIL } = EEH_PE_STATE;
const ALL_ONES = 0xffff_ffff;
const COMMAND = 4;
const BAR0 = 0x10;

/** A container with PEs 0 and 1, memory space and bus mastering on; page 0 of RAM is mapped at bus address 0 of both. */
function setup() {
  const host = new TestHost();
  const ram = host.ram(2);
  const { fd, groups } = host.run(function* () {
    const container = yield* host.container([0, 1]);
    yield* host.register(container.fd, ram, 2);
    yield* host.window(container.fd, 12, 16 * PAGE_SIZE);
    yield* host.mapDma(container.fd, 0, ram, PAGE_SIZE, 1);
    return container;
  });
  for (const pe of [0, 1, 2]) host.bridge.configWrite(pe, COMMAND, 2, 6);
  const dma = (pe: number, write = false) => dmaTranslate(host.memory, host.phbBase, pe, 0n, 8, write) !== undefined;
  const mmio = (pe: number) => host.bridge.mmioRead(pe, 0, 0, 4) !== ALL_ONES;
  return { host, fd, groups, dma, mmio };
}
type Setup = ReturnType<typeof setup>;

/** The ioctl, as user space makes it; its result. */
function op({ host, fd }: Setup, operation: number, err: object = {}, argsz = 40): number {
  return host.run(function* (): Task<number> {
    const struct = OP.struct as NonNullable<typeof OP.struct>;
    host.poke(0, struct.bytes(struct.make({ argsz, op: operation, ...err } as never)));
    return yield* host.ioctl(fd, OP as ioctls.Ioctl, host.user);
  });
}
const state = (s: Setup) => op(s, VFIO_EEH_PE.GET_STATE);

test('the extension is there', () => {
  const { host, fd } = setup();
  expect(host.run(() => host.ioctl(fd, ioctls.VFIO_CHECK_EXTENSION, VFIO_EEH))).toBe(1);
  // It is no IOMMU type.
  const other = host.run(() => host.open('/dev/vfio/vfio'));
  const group = host.run(() => host.open('/dev/vfio/2'));
  host.run(() => host.ioctlWords(group, ioctls.VFIO_GROUP_SET_CONTAINER, other));
  expect(host.errno(() => host.ioctl(other, ioctls.VFIO_SET_IOMMU, VFIO_EEH))).toBe('EINVAL');
});

test('a DMA that is not allowed freezes its PE: loads are all ones, stores are lost, DMA stops; another PE goes on', () => {
  const s = setup();
  expect([state(s), s.mmio(0), s.dma(0)]).toEqual([NORMAL, true, true]);
  expect(s.dma(1, true)).toBe(false);
  expect([s.mmio(1), s.dma(1)]).toEqual([false, false]);
  expect([s.mmio(0), s.dma(0), s.mmio(2)]).toEqual([true, true, true]);
  // Of several PEs the first that is not normal.
  expect(state(s)).toBe(STOPPED);
  const registers = () => s.host.memory.bytes(s.host.phbBase + 0x2000 + 0x100, 0x100).slice();
  const before = registers();
  s.host.bridge.mmioWrite(1, 0, 0x10, 4, 0x1234);
  expect(registers()).toEqual(before);
});

// what is done to a frozen PE, and in which state it is then
test.each([
  ['UNFREEZE_IO', STOPPED_DMA, [true, false]],
  ['UNFREEZE_DMA', UNAVAIL, [false, true]],
  ['ENABLE', NORMAL, [true, true]],
  ['DISABLE', STOPPED, [false, false]],
  ['CONFIGURE', STOPPED, [false, false]],
  ['RESET_HOT', RESET, [false, false]],
  ['RESET_FUNDAMENTAL', RESET, [false, false]],
  // Without a reset before it: thaws.
  ['RESET_DEACTIVATE', NORMAL, [true, true]],
] as const)('%s of a frozen PE', (name, expected, works) => {
  const s = setup();
  s.host.bridge.eehFreeze(0);
  expect(op(s, VFIO_EEH_PE[name])).toBe(0);
  expect(state(s)).toBe(expected);
  expect([s.mmio(0), s.dma(0)]).toEqual(works);
});

test('IO first, then DMA: a frozen PE runs again without a reset', () => {
  const s = setup();
  s.host.bridge.eehFreeze(0);
  for (const [operation, then] of [
    [VFIO_EEH_PE.UNFREEZE_IO, STOPPED_DMA],
    [VFIO_EEH_PE.UNFREEZE_DMA, NORMAL],
  ]) {
    expect(op(s, operation)).toBe(0);
    expect(state(s)).toBe(then);
  }
  expect([s.mmio(0), s.dma(0)]).toEqual([true, true]);
});

test.each(['RESET_HOT', 'RESET_FUNDAMENTAL'] as const)(
  '%s blocks configuration space until it is over; then BARs are back, and bus mastering is the driver’s to set',
  (reset) => {
    const s = setup();
    const { bridge } = s.host;
    bridge.configWrite(0, BAR0, 4, 0xe000_0000);
    bridge.configWrite(0, 0x0c, 1, 0x20);
    bridge.eehFreeze(0);
    for (let again = 0; again < 2; again++) {
      expect(op(s, VFIO_EEH_PE[reset])).toBe(0);
      expect(state(s)).toBe(RESET);
      expect([bridge.configRead(0, 0, 4), bridge.configRead(0, BAR0, 4)]).toEqual([ALL_ONES, ALL_ONES]);
      bridge.configWrite(0, COMMAND, 2, 6);
    }
    // Nothing thaws a PE in reset but its end.
    for (const operation of [VFIO_EEH_PE.ENABLE, VFIO_EEH_PE.UNFREEZE_IO, VFIO_EEH_PE.UNFREEZE_DMA]) op(s, operation);
    expect(state(s)).toBe(RESET);
    expect(op(s, VFIO_EEH_PE.RESET_DEACTIVATE)).toBe(0);
    expect(op(s, VFIO_EEH_PE.CONFIGURE)).toBe(0);
    expect(state(s)).toBe(NORMAL);
    expect([bridge.configRead(0, BAR0, 4), bridge.configRead(0, 0x0c, 1)]).toEqual([0xe000_0000, 0x20]);
    expect(bridge.configRead(0, COMMAND, 2)).toBe(2);
    expect(s.mmio(0)).toBe(true);
    // The windows are the bridge's: DMA translates as before.
    expect(s.dma(0)).toBe(true);
  },
);

// function number, what it hits
test.each([
  [0, 'load'],
  [1, 'load'],
  [4, 'config load'],
  [6, 'store'],
  [10, 'config store'],
  [12, 'DMA read'],
  [19, 'DMA write'],
])('an injected error of function %i: the next %s freezes the PE, once, and nothing else does', (func, what) => {
  const s = setup();
  const { bridge } = s.host;
  const accesses: Record<string, () => void> = {
    load: () => bridge.mmioRead(0, 0, 0x10, 4),
    store: () => bridge.mmioWrite(0, 0, 0x10, 4, 0),
    'config load': () => bridge.configRead(0, 0x10, 4),
    'config store': () => bridge.configWrite(0, 0x10, 4, 0),
    'DMA read': () => s.dma(0),
    'DMA write': () => dmaTranslate(s.host.memory, s.host.phbBase, 0, 0x1000n, 8, true),
  };
  s.host.run(() => s.host.mapDma(s.fd, 0x1000, s.host.powernv.regions.list()[0].ua, PAGE_SIZE));
  op(s, VFIO_EEH_PE.INJECT_ERR, { err_type: 1, err_func: func, err_addr: 0n, err_mask: 0n });
  for (const [name, access] of Object.entries(accesses)) if (name !== what) access();
  expect(bridge.eehState(0)).toBe(NORMAL);
  accesses[what]();
  expect([bridge.eehState(0), bridge.eehError(0).reason]).toEqual([STOPPED, 'INJECTED']);
  bridge.eehUnfreeze(0);
  accesses[what]();
  expect(bridge.eehState(0)).toBe(NORMAL);
});

test('address and mask say which access fails', () => {
  const s = setup();
  const { bridge } = s.host;
  op(s, VFIO_EEH_PE.INJECT_ERR, { err_type: 0, err_func: 0, err_addr: 0x7_0000_0104n, err_mask: 0xffff_fffcn });
  bridge.mmioRead(0, 0, 0x100, 4);
  bridge.mmioRead(0, 0, 0x204, 4);
  expect(bridge.eehState(0)).toBe(NORMAL);
  // 32 bits: the upper half of the address does not count.
  expect(bridge.mmioRead(0, 0, 0x104, 4)).toBe(ALL_ONES);
  expect(bridge.eehState(0)).toBe(STOPPED);
});

test.each([
  ['operation 10', 10, {}, 40, 'EINVAL'],
  ['operation 2^32 - 1', ALL_ONES, {}, 40, 'EINVAL'],
  ['argsz without op', 4, {}, 11, 'EINVAL'],
  ['argsz of the mandatory part', 4, {}, 12, 'OK'],
  ['an error without its description', 9, {}, 39, 'EINVAL'],
  ['an error of an unknown type', 9, { err_type: 2 }, 40, 'EINVAL'],
  ['an error of an unknown function', 9, { err_func: 20 }, 40, 'EINVAL'],
  ['flags', 4, { flags: 1 }, 40, 'EINVAL'],
])('refused: %s', (_, operation, err, argsz, expected) => {
  const s = setup();
  const struct = OP.struct as NonNullable<typeof OP.struct>;
  const made = struct.make({ argsz, op: operation, ...err } as never);
  s.host.poke(0, struct.bytes(made));
  expect(s.host.errno(() => s.host.ioctl(s.fd, OP as ioctls.Ioctl, s.host.user))).toBe(expected);
  expect(state(s)).toBe(NORMAL);
});

test('opening the device again thaws the PE, and takes an injected error away', () => {
  const s = setup();
  const { host } = s;
  const openDevice = () => {
    host.poke(0, new TextEncoder().encode('0000:01:00.0\0'));
    return host.run(() => host.ioctl(s.groups[0], ioctls.VFIO_GROUP_GET_DEVICE_FD, host.user));
  };
  const first = openDevice();
  op(s, VFIO_EEH_PE.INJECT_ERR, { err_type: 1, err_func: 0 });
  host.bridge.eehFreeze(0);
  host.run(() => host.close(first));
  openDevice();
  expect(state(s)).toBe(NORMAL);
  host.bridge.configWrite(0, COMMAND, 2, 6);
  expect(s.mmio(0)).toBe(true);
});

test('the end of a reset that is over puts back nothing: the device may be another process’s by then', () => {
  const s = setup();
  const { host } = s;
  const { bridge } = host;
  const openDevice = () => {
    host.poke(0, new TextEncoder().encode('0000:01:00.0\0'));
    return host.run(() => host.ioctl(s.groups[0], ioctls.VFIO_GROUP_GET_DEVICE_FD, host.user));
  };
  const first = openDevice();
  bridge.configWrite(0, BAR0, 4, 0xe000_0000);
  bridge.configWrite(0, 0x0c, 1, 0x20);
  op(s, VFIO_EEH_PE.RESET_HOT);
  // Closed within the reset; the next one has the device as after power-on.
  host.run(() => host.close(first));
  openDevice();
  const registers = () => [COMMAND, 0x0c, BAR0].map((at) => bridge.configRead(0, at, at === BAR0 ? 4 : 2));
  const before = registers();
  op(s, VFIO_EEH_PE.RESET_DEACTIVATE);
  expect(registers()).toEqual(before);
});
