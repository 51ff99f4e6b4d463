import { describe, expect, test } from 'vitest';
import { PCI_COMMAND, PCI_REG } from '../include/uapi/pci_regs.ts';
import { VFIO_IRQ_SET, VFIO_PCI_IRQ } from '../include/uapi/vfio.ts';
import { TestPci } from './test_pci.ts';

const { DATA_NONE, DATA_BOOL, DATA_EVENTFD, ACTION_MASK, ACTION_UNMASK, ACTION_TRIGGER } = VFIO_IRQ_SET;
const { INTX, MSIX } = VFIO_PCI_IRQ;
const { INTX_DISABLE } = PCI_COMMAND;

/** The device with an eventfd on INTx. */
function withIntx() {
  const t = new TestPci();
  const { fd, eventfd } = t.eventfd();
  t.host.run(() => t.setIrqs({ index: INTX, flags: DATA_EVENTFD | ACTION_TRIGGER }, [fd]));
  const unmask = () => t.host.run(() => t.setIrqs({ index: INTX, flags: DATA_NONE | ACTION_UNMASK, count: 1 }));
  return { t, fd, eventfd, unmask };
}
const disabled = (t: TestPci) => (t.hardware(PCI_REG.COMMAND, 2) & INTX_DISABLE) !== 0;

describe('INTx', () => {
  test('one signal for a level, masked until the user unmasks; a level that is still there comes again', () => {
    const { t, eventfd, unmask } = withIntx();
    t.pin(true);
    expect([eventfd.signals, disabled(t)]).toEqual([1, true]);
    t.settle();
    expect(eventfd.signals).toBe(1);
    unmask();
    t.settle();
    expect([eventfd.signals, disabled(t)]).toEqual([2, true]);
    t.pin(false);
    unmask();
    expect([eventfd.signals, disabled(t)]).toEqual([2, false]);
    t.pin(true);
    expect(eventfd.signals).toBe(3);
  });

  test('an eventfd unmasks as well, each time it is signalled', () => {
    const { t, eventfd } = withIntx();
    const resample = t.eventfd();
    const unmaskBy = (fd: number) => () => t.setIrqs({ index: INTX, flags: DATA_EVENTFD | ACTION_UNMASK }, [fd]);
    t.host.run(unmaskBy(resample.fd));
    expect(t.host.errno(unmaskBy(resample.fd))).toBe('EBUSY');
    for (const signals of [1, 2]) {
      t.pin(true);
      expect([eventfd.signals, disabled(t)]).toEqual([signals, true]);
      t.pin(false);
      resample.eventfd.signal();
      t.settle();
      expect([disabled(t), resample.eventfd.count]).toEqual([false, 0n]);
    }
    t.host.run(unmaskBy(-1));
    t.pin(true);
    resample.eventfd.signal();
    t.settle();
    expect([disabled(t), resample.eventfd.count]).toEqual([true, 1n]);
    t.host.run(unmaskBy(resample.fd));
    t.pin(false);
    t.settle();
    expect(disabled(t)).toBe(false);
  });

  test('the user masks it, by the ioctl or by the command register, and no interrupt is lost', () => {
    const { t, eventfd, unmask } = withIntx();
    t.host.run(() => t.setIrqs({ index: INTX, flags: DATA_NONE | ACTION_MASK, count: 1 }));
    t.pin(true);
    expect(eventfd.signals).toBe(0);
    unmask();
    t.settle();
    expect(eventfd.signals).toBe(1);
    t.pin(false);
    unmask();
    t.setConfig(PCI_REG.COMMAND, INTX_DISABLE, 2);
    t.pin(true);
    unmask();
    t.host.run(() => t.setIrqs({ index: INTX, flags: DATA_NONE | ACTION_TRIGGER, count: 1 }));
    expect([eventfd.signals, disabled(t)]).toEqual([1, true]);
    t.setConfig(PCI_REG.COMMAND, 0, 2);
    t.settle();
    expect(eventfd.signals).toBe(2);
  });

  test('the user can cause a signal itself', () => {
    const { t, eventfd } = withIntx();
    const trigger = (flags: number, data: number[] = [], count = 1) =>
      t.host.run(() => t.setIrqs({ index: INTX, flags: flags | ACTION_TRIGGER, count }, data));
    trigger(DATA_NONE);
    trigger(DATA_BOOL, [0]);
    trigger(DATA_BOOL, [1]);
    expect(eventfd.signals).toBe(2);
  });

  test('another eventfd takes over; -1 detaches; NONE with count 0 switches it off', () => {
    const { t, fd, eventfd } = withIntx();
    const other = t.eventfd();
    const set = (one: number) =>
      t.host.run(() => t.setIrqs({ index: INTX, flags: DATA_EVENTFD | ACTION_TRIGGER }, [one]));
    set(other.fd);
    t.pin(true);
    expect([eventfd.signals, other.eventfd.signals]).toEqual([0, 1]);
    set(-1);
    t.host.run(() => t.setIrqs({ index: INTX, flags: DATA_NONE | ACTION_UNMASK, count: 1 }));
    t.settle();
    set(fd);
    t.settle();
    expect([eventfd.signals, other.eventfd.signals]).toEqual([1, 1]);
    const off = () => t.setIrqs({ index: INTX, flags: DATA_NONE | ACTION_TRIGGER, count: 0 });
    t.host.run(off);
    t.pin(false);
    t.pin(true);
    expect(eventfd.signals).toBe(1);
    expect(t.host.errno(off)).toBe('EINVAL');
  });

  test('a frozen PE delivers none', () => {
    const { t, eventfd } = withIntx();
    t.host.bridge.eehFreeze(t.pe);
    t.pin(true);
    expect(eventfd.signals).toBe(0);
    t.host.bridge.eehUnfreeze(t.pe);
    t.settle();
    expect(eventfd.signals).toBe(1);
  });
});

describe('MSI-X', () => {
  function withMsix(count = 2) {
    const t = new TestPci();
    const fds = Array.from({ length: count }, () => t.eventfd());
    t.setConfig(PCI_REG.COMMAND, PCI_COMMAND.MEMORY | PCI_COMMAND.MASTER, 2);
    t.host.run(() =>
      t.setIrqs(
        { index: MSIX, flags: DATA_EVENTFD | ACTION_TRIGGER },
        fds.map(({ fd }) => fd),
      ),
    );
    return { t, fds, signals: () => fds.map(({ eventfd }) => eventfd.signals) };
  }

  test('each vector signals its eventfd; the device leaves its pin alone', () => {
    const { t, signals } = withMsix();
    expect([t.hardware(0x82, 2), disabled(t)]).toEqual([0x8001, true]);
    t.send(1);
    expect(signals()).toEqual([0, 1]);
    t.send(0);
    t.send(1);
    expect(signals()).toEqual([1, 2]);
  });

  test('the user cannot switch it on or off by configuration space', () => {
    const { t, signals } = withMsix();
    t.setConfig(0x82, 0, 2);
    t.send(0);
    expect(signals()).toEqual([1, 0]);
  });

  test('messages are lost without bus mastering and on a frozen PE', () => {
    const { t, signals } = withMsix();
    t.host.bridge.eehFreeze(t.pe);
    t.send(0);
    t.host.bridge.eehUnfreeze(t.pe);
    t.setConfig(PCI_REG.COMMAND, PCI_COMMAND.MEMORY, 2);
    t.send(1);
    t.settle();
    expect(signals()).toEqual([0, 0]);
  });

  test('as many vectors as were enabled: no more can be added; -1 detaches one', () => {
    const { t, fds, signals } = withMsix(1);
    const set =
      (start: number, ...list: number[]) =>
      () =>
        t.setIrqs({ index: MSIX, flags: DATA_EVENTFD | ACTION_TRIGGER, start }, list);
    expect(t.host.errno(set(1, fds[0].fd))).toBe('EINVAL');
    expect(t.host.errno(set(0, fds[0].fd, fds[0].fd))).toBe('EINVAL');
    t.host.run(set(0, -1));
    t.send(0);
    t.host.run(set(0, fds[0].fd));
    t.send(0);
    expect(signals()).toEqual([1]);
  });

  test('a block with a bad descriptor leaves none of it attached', () => {
    const { t, fds, signals } = withMsix();
    const bad = () => t.setIrqs({ index: MSIX, flags: DATA_EVENTFD | ACTION_TRIGGER }, [fds[0].fd, 99]);
    expect(t.host.errno(bad)).toBe('EBADF');
    t.send(0);
    t.send(1);
    expect(signals()).toEqual([0, 0]);
    const fresh = new TestPci();
    const one = fresh.eventfd();
    const first = () => fresh.setIrqs({ index: MSIX, flags: DATA_EVENTFD | ACTION_TRIGGER }, [one.fd, 99]);
    expect(fresh.host.errno(first)).toBe('EBADF');
    expect(fresh.hardware(0x82, 2)).toBe(1);
    // Nothing is in use: INTx can be.
    fresh.host.run(() => fresh.setIrqs({ index: INTX, flags: DATA_EVENTFD | ACTION_TRIGGER }, [one.fd]));
  });

  test('the user can cause signals itself', () => {
    const { t, signals } = withMsix();
    t.host.run(() => t.setIrqs({ index: MSIX, flags: DATA_NONE | ACTION_TRIGGER, start: 1, count: 1 }));
    t.host.run(() => t.setIrqs({ index: MSIX, flags: DATA_BOOL | ACTION_TRIGGER }, [1, 0]));
    expect(signals()).toEqual([1, 1]);
  });

  test('off again, the pin is used, and everything is let go on close', () => {
    const { t, signals } = withMsix();
    const held = t.host.held().files;
    t.host.run(() => t.setIrqs({ index: MSIX, flags: DATA_NONE | ACTION_TRIGGER, count: 0 }));
    expect([t.hardware(0x82, 2), disabled(t)]).toEqual([1, false]);
    t.send(0);
    expect(signals()).toEqual([0, 0]);
    const { fd } = t.eventfd();
    t.host.run(() => t.setIrqs({ index: INTX, flags: DATA_EVENTFD | ACTION_TRIGGER }, [fd]));
    t.host.run(() => t.host.close(t.device));
    expect([t.host.held().files, t.hardware(0x82, 2)]).toEqual([held, 1]);
  });
});

test.each([
  ['INTx while MSI-X is in use', MSIX, INTX],
  ['MSI-X while INTx is in use', INTX, MSIX],
])('%s is refused', (_, first, second) => {
  const t = new TestPci();
  const { fd } = t.eventfd();
  const use = (index: number) => () => t.setIrqs({ index, flags: DATA_EVENTFD | ACTION_TRIGGER }, [fd]);
  t.host.run(use(first));
  expect(t.host.errno(use(second))).toBe('EINVAL');
});
