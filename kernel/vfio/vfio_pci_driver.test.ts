/** vfio-pci gives a device back: unbind asks for it and waits, and the device can be bound again. */
import { expect, test } from 'vitest';
import type { EventFd } from '../fs/eventfd.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import { VFIO_IRQ_SET } from '../include/uapi/vfio.ts';
import type { Task } from '../lib/task.ts';
import { TestPci } from './test_pci.ts';

const NAME = '0000:01:01.0';
const DRIVER = '/sys/bus/pci/drivers/vfio-pci';
const REQ = 4;
const { DATA_EVENTFD, DATA_NONE, ACTION_TRIGGER } = VFIO_IRQ_SET;

/** Writes an attribute of sysfs. */
function* store({ host }: TestPci, path: string, text: string): Task<number> {
  const file = yield* host.kernel.vfs.open(path, 0);
  return yield* file.operations.write?.(new TextEncoder().encode(text), 0) as Task<number>;
}
/** The same in the background: whether it has ended. */
function start(t: TestPci, path: string, text: string): { done: boolean } {
  const state = { done: false };
  t.host.kernel.actor.spawn(
    'store',
    (function* (): Task {
      yield* store(t, path, text);
      state.done = true;
    })(),
  );
  t.settle();
  return state;
}
/** Lets virtual time pass. */
function wait({ host }: TestPci, ns: number): void {
  const { actor } = host.kernel;
  const end = actor.now() + ns;
  host.run(function* () {
    while (actor.now() < end) yield { what: 'time', ready: () => false, deadline: end };
  });
}
const logOf = (t: TestPci) => {
  const lines: string[] = [];
  Object.assign(t.host.kernel, { log: (line: string) => lines.push(line) });
  return lines;
};
function notified(t: TestPci): EventFd {
  const { fd, eventfd } = t.eventfd();
  t.host.run(() => t.setIrqs({ flags: DATA_EVENTFD | ACTION_TRIGGER, index: REQ }, [fd]));
  return eventfd;
}

test('unbind signals the request notifier at once and every ten seconds, tells one of ten, and waits for the close', () => {
  const t = new TestPci();
  const log = logOf(t);
  const eventfd = notified(t);
  const unbind = start(t, `${DRIVER}/unbind`, NAME);
  expect([eventfd.signals, unbind.done]).toEqual([1, false]);
  wait(t, 9.9e9);
  expect(eventfd.signals).toBe(1);
  wait(t, 0.2e9);
  expect(eventfd.signals).toBe(2);
  wait(t, 95e9);
  expect([eventfd.signals, unbind.done]).toEqual([11, false]);
  expect(log.filter((line) => line.includes('asked to give the device back'))).toEqual([
    `vfio-pci ${NAME}: user space is asked to give the device back (request 0)`,
    `vfio-pci ${NAME}: user space is asked to give the device back (request 10)`,
  ]);
  t.host.run(() => t.host.close(t.device));
  t.settle();
  expect(unbind.done).toBe(true);
});

test('without a notifier that is told once, and unbind waits all the same', () => {
  const t = new TestPci();
  const log = logOf(t);
  const unbind = start(t, `${DRIVER}/unbind`, NAME);
  wait(t, 35e9);
  expect(unbind.done).toBe(false);
  expect(log).toEqual([
    `vfio-pci ${NAME}: user space has no request notifier; the driver stays until the device is closed`,
  ]);
  t.host.run(() => t.host.close(t.device));
  t.settle();
  expect(unbind.done).toBe(true);
});

test('a notifier that is registered while unbind waits hears of the next request', () => {
  const t = new TestPci();
  start(t, `${DRIVER}/unbind`, NAME);
  const eventfd = notified(t);
  expect(eventfd.signals).toBe(0);
  wait(t, 11e9);
  expect(eventfd.signals).toBe(1);
  // SET_IRQS on it goes on working meanwhile: a loopback, then it is taken away.
  t.host.run(() => t.setIrqs({ flags: DATA_NONE | ACTION_TRIGGER, index: REQ, count: 1 }));
  expect(eventfd.signals).toBe(2);
  t.host.run(() => t.setIrqs({ flags: DATA_NONE | ACTION_TRIGGER, index: REQ, count: 0 }));
  wait(t, 20e9);
  expect(eventfd.signals).toBe(2);
});

test('while unbind waits nobody else can open the device; afterwards its group has no node, and keeps its number', () => {
  const t = new TestPci();
  const { host } = t;
  const { vfs } = host.kernel;
  start(t, `${DRIVER}/unbind`, NAME);
  host.poke(0, new TextEncoder().encode(`${NAME}\0`));
  expect(host.errno(() => host.ioctl(t.group, ioctls.VFIO_GROUP_GET_DEVICE_FD, host.user))).toBe('ENODEV');
  host.run(() => host.close(t.device));
  t.settle();
  expect(vfs.has('/dev/vfio/1')).toBe(false);
  expect(vfs.resolve(`/sys/bus/pci/devices/${NAME}/iommu_group`)).toBe('/sys/kernel/iommu_groups/1');
  expect([vfs.has(`/sys/bus/pci/devices/${NAME}/driver`), vfs.has(`${DRIVER}/${NAME}`)]).toEqual([false, false]);
  // The group that is open lost its container.
  expect(host.errno(() => host.ioctl(t.group, ioctls.VFIO_GROUP_UNSET_CONTAINER, 0))).toBe('EINVAL');
});

test('bound again, the device is opened as before', () => {
  const t = new TestPci();
  const { host } = t;
  host.run(() => host.close(t.device));
  host.run(() => host.close(t.group));
  host.run(() => store(t, `${DRIVER}/unbind`, NAME));
  host.run(() => store(t, `${DRIVER}/bind`, NAME));
  expect(host.kernel.vfs.resolve(`/sys/devices/pci0000:00/${NAME}/driver`)).toBe(DRIVER);
  const { groups } = host.run(() => host.container([1]));
  host.poke(0, new TextEncoder().encode(`${NAME}\0`));
  const device = host.run(() => host.ioctl(groups[0], ioctls.VFIO_GROUP_GET_DEVICE_FD, host.user));
  const info = host.run(() => host.ioctlStruct(device, ioctls.VFIO_DEVICE_GET_INFO));
  expect([info.num_regions, info.num_irqs]).toEqual([9, 5]);
});

test.each([
  ['unbind', 'a device that is not there', '0000:01:1f.0', 'ENODEV'],
  ['unbind', 'nothing', '', 'ENODEV'],
  ['bind', 'a device that is not there', '0000:01:1f.0', 'ENODEV'],
  ['bind', 'a device that is bound', NAME, 'EBUSY'],
])('%s of %s is refused', (verb, _, name, errno) => {
  const t = new TestPci();
  expect(t.host.errno(() => store(t, `${DRIVER}/${verb}`, name))).toBe(errno);
});

test('unbind of what is unbound is refused; of two that ask at the same time both end', () => {
  const t = new TestPci();
  const two = [start(t, `${DRIVER}/unbind`, NAME), start(t, `${DRIVER}/unbind`, NAME)];
  t.host.run(() => t.host.close(t.device));
  t.settle();
  expect(two.map(({ done }) => done)).toEqual([true, true]);
  expect(t.host.errno(() => store(t, `${DRIVER}/unbind`, NAME))).toBe('ENODEV');
});
