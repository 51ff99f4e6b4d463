/** Who has a DMA channel, and when: the host before and after VFIO, several groups in a container, ends in every order. */
import { expect, test } from 'vitest';
import { FSL_DMA_SR } from '../../kernel/include/arch/ppc/fsldma.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import * as uapi from '../../kernel/include/uapi/vfio.ts';
import { preempt, type Task } from '../../kernel/lib/task.ts';
import { FslPamuDomain } from '../../kernel/ppc/fsl_pamu_domain.ts';
import { K, MiB, PamuFixture } from '../support/pamu_fixture.ts';

const WINDOW = 2 * MiB;
const UNSET = ioctls.VFIO_GROUP_UNSET_CONTAINER;

function fixture(options = {}) {
  const t = new PamuFixture({ guestMemory: 24 * MiB, ...options });
  const ram = t.kernel.mm.mmapHuge('ram', 4 * WINDOW, WINDOW).start;
  return { t, ram };
}
/** A container with devices, of 8 windows, and memory in windows 0 to 3. */
function* configured(
  t: PamuFixture,
  ram: number,
  ...names: string[]
): Task<{ container: number; fds: number[]; groups: number[] }> {
  const container = yield* t.container();
  const fds: number[] = [];
  const groups: number[] = [];
  for (const name of names) {
    const { fd, group } = yield* t.open(container, name);
    fds.push(fd);
    groups.push(group);
  }
  yield* t.setGeometry(container, 0, 8 * WINDOW - 1);
  yield* t.setWindows(container, 8);
  yield* t.mapDma(container, 0, 4 * WINDOW, ram);
  return { container, fds, groups };
}
const dmatest = (t: PamuFixture, name: string) =>
  t.outcome(t.user.writeFile('/sys/module/dmatest/parameters/run', name));

test('boot: every channel has the host’s driver, whose DMA goes everywhere; three groups, one of two devices', () => {
  const { t } = fixture();
  for (const name of ['dma0', 'dma1', 'dma2', 'dma3']) {
    expect([name, dmatest(t, name)]).toEqual([name, 4]);
    expect(t.run(t.user.readlink(`/sys/bus/platform/devices/${name}/driver`))).toMatch(/\/fsl-elo-dma$/);
  }
  expect(t.run(t.user.readFile('/sys/module/dmatest/parameters/run'))).toBe('passed');
  expect(['dma0', 'dma1', 'dma2', 'dma3'].map((name) => t.run(t.groupOf(name)))).toEqual(['0', '1', '2', '2']);
  expect(t.kernel.vfs.list('/sys/kernel/iommu_groups/2/devices')).toEqual(['dma2', 'dma3']);
  expect(t.primary(0x40)).toMatchObject({ V: 1, AP: 3, WSE: 0x23, MW: 0 });
});

test('the host’s DMA before and after user space has the device, and in between not', () => {
  const { t, ram } = fixture();
  expect(dmatest(t, 'dma0')).toBe(4);
  const { container, fds, groups } = t.run(configured(t, ram, 'dma0'));
  expect(dmatest(t, 'dma0')).toBe('ENODEV');
  expect(t.run(t.copy(fds[0], 0, WINDOW, K))).toBe(true);
  expect(t.outcome(t.user.writeFile('/sys/bus/platform/drivers/fsl-elo-dma/bind', 'dma0'))).toBe('ENODEV');
  for (const fd of [fds[0], groups[0], container]) t.run(t.user.close(fd));
  // Blocked, and not as it was at boot, until the host's driver has it again.
  expect(t.primary(0x40)).toMatchObject({ V: 0 });
  t.run(t.bind('dma0', 'fsl-elo-dma'));
  expect(t.primary(0x40)).toMatchObject({ V: 1, AP: 3, WSE: 0x23, MW: 0 });
  expect(dmatest(t, 'dma0')).toBe(4);
});

test('devices that share a LIODN: not viable while the host has one, and no host driver while user space has the other', () => {
  const { t } = fixture();
  t.run(t.bind('dma2'));
  const container = t.run(t.container());
  const group = t.run(t.user.open(`/dev/vfio/${t.run(t.groupOf('dma2'))}`));
  const status = uapi.vfio_group_status.make({ argsz: 8 });
  t.run(t.user.ioctlStruct(group, ioctls.VFIO_GROUP_GET_STATUS, status));
  expect(status.flags & uapi.VFIO_GROUP_FLAGS_VIABLE).toBe(0);
  expect(t.outcome(t.setContainer(group, container))).toBe('EBUSY');
  t.run(t.user.writeFile('/sys/bus/platform/devices/dma3/driver/unbind', 'dma3'));
  expect(t.outcome(t.setContainer(group, container))).toBe(0);
  t.run(t.user.ioctl(container, ioctls.VFIO_SET_IOMMU, uapi.VFIO_FSL_PAMU_IOMMU));
  expect(t.outcome(t.user.writeFile('/sys/bus/platform/drivers/fsl-elo-dma/bind', 'dma3'))).toBe('EBUSY');
  t.run(t.user.ioctl(group, UNSET));
  expect(t.outcome(t.user.writeFile('/sys/bus/platform/drivers/fsl-elo-dma/bind', 'dma3'))).toBe(4);
  expect(dmatest(t, 'dma3')).toBe(4);
});

test('19: a violation of one stops both that share the LIODN', () => {
  const { t, ram } = fixture();
  t.run(t.bind('dma3'));
  const { container, fds, groups } = t.run(configured(t, ram, 'dma2'));
  const other = t.run(t.device(groups[0], 'dma3'));
  expect(t.run(t.copy(other, 0, WINDOW, K))).toBe(true);
  expect(t.run(t.copy(fds[0], 0, 7 * WINDOW, K))).toBe(false);
  expect(t.run(t.copy(other, 0, WINDOW, K))).toBe(false);
  expect(t.run(t.enable(container))).toEqual([1, 1]);
  t.run(t.setEnable(container, 1));
  expect(t.run(t.copy(other, 0, WINDOW, K))).toBe(true);
});

test('19: 256 windows for eight LIODNs; a ninth group is refused, the eight go on', () => {
  const { t, ram } = fixture();
  const { tables } = t.host.pamu;
  // Seven LIODNs that other drivers have.
  const domains = Array.from({ length: 7 }, (_, i) => {
    const domain = new FslPamuDomain(t.host.pamu);
    domain.attach(0x100 + i);
    domain.setGeometry(0, 256 * WINDOW - 1);
    domain.setWindows(256);
    return domain;
  });
  const container = t.run(t.container());
  const { fd } = t.run(t.open(container, 'dma0'));
  t.run(t.setGeometry(container, 0, 256 * WINDOW - 1));
  t.run(t.setWindows(container, 256));
  t.run(t.mapDma(container, 0, WINDOW, ram));
  expect(tables.allocated).toBe(8 * 255);
  t.run(t.bind('dma1'));
  expect(t.outcome(t.joinGroup(container, 'dma1'))).toBe('ENOSPC');
  expect(t.run(t.copy(fd, 0, 1, 1))).toBe(true);
  // Fewer windows are to be had elsewhere, and a change that cannot be leaves everything as it is.
  const small = t.run(t.container());
  const late = t.run(t.device(t.run(t.joinGroup(small, 'dma1')), 'dma1'));
  t.run(t.setGeometry(small, 0, 256 * WINDOW - 1));
  expect(t.outcome(t.setWindows(small, 16))).toBe('ENOSPC');
  expect(t.outcome(t.setWindows(small, 8))).toBe(0);
  const before = t.tables();
  expect(t.outcome(t.setWindows(small, 256))).toBe('ENOSPC');
  expect([t.tables() === before, t.run(t.windows(small)), tables.allocated]).toEqual([true, 8, 8 * 255 + 7]);
  // The entries it had are the ones it still has.
  t.run(t.mapDma(small, 64 * WINDOW, WINDOW, ram + WINDOW));
  expect(t.run(t.copy(late, 64 * WINDOW, 64 * WINDOW + 1, 1))).toBe(true);
  domains[0].detach(0x100);
  expect(tables.allocated).toBe(7 * 255 + 7);
});

test('ENABLE right after a transfer error: the violation is handled first, and does not stop the device again', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { t, ram } = fixture({ seed });
    const { container, fds } = t.run(configured(t, ram, 'dma0'));
    t.run(
      (function* () {
        yield* t.startCopy(fds[0], 7 * WINDOW, WINDOW, K);
        // No system call in between: what the registers say is known before the host's interrupt is.
        while ((t.hardware('dma0', 'SR') & FSL_DMA_SR.CB) !== 0) yield* preempt();
        yield* t.user.ioctl(fds[0], ioctls.VFIO_DEVICE_RESET);
        yield* t.setEnable(container, 1);
      })(),
    );
    t.settle();
    expect([seed, t.host.pamu.violations.length, ...t.run(t.enable(container))]).toEqual([seed, 1, 1, 0]);
    expect(t.run(t.copy(fds[0], 0, WINDOW, K))).toBe(true);
  }
});

test('24: a group that joins late sees the same at once, and leaves without disturbing the first', () => {
  const { t, ram } = fixture();
  const { container, fds } = t.run(configured(t, ram, 'dma0'));
  t.run(t.setStash(container, 1, 1));
  const late = t.run(t.open(container, 'dma1'));
  t.poke(ram + 9, 0x77);
  expect(t.run(t.copy(late.fd, 9, WINDOW + 9, 1))).toBe(true);
  expect(t.byte(ram + WINDOW + 9)).toBe(0x77);
  expect(t.primary(0x41)).toMatchObject({ V: 1, CID: t.primary(0x40).CID });
  t.run(t.user.close(late.fd));
  t.run(t.user.ioctl(late.group, UNSET));
  expect(t.primary(0x41)).toMatchObject({ V: 0 });
  expect(t.run(t.copy(fds[0], 9, 2 * WINDOW, 1))).toBe(true);
  expect(t.host.pamu.tables.allocated).toBe(7);
});

test('a group that joins while DMA is off, or after another was stopped', () => {
  const { t, ram } = fixture();
  const { container, fds } = t.run(configured(t, ram, 'dma0'));
  expect(t.run(t.copy(fds[0], 0, 7 * WINDOW, 1))).toBe(false);
  const late = t.run(t.open(container, 'dma1'));
  // Its LIODN has done nothing wrong.
  expect([t.run(t.copy(late.fd, 0, 1, 1)), t.run(t.enable(container))]).toEqual([true, [1, 1]]);
  t.run(t.setEnable(container, 0));
  t.run(t.bind('dma2'));
  t.run(t.bind('dma3'));
  const third = t.run(t.joinGroup(container, 'dma2'));
  const fd = t.run(t.device(third, 'dma2'));
  expect(t.run(t.copy(fd, 0, 1, 1))).toBe(false);
  t.run(t.setEnable(container, 1));
  expect(t.run(t.copy(fd, 0, 1, 1))).toBe(true);
});

test('the container refuses groups of other IOMMUs, and other containers groups of this one', () => {
  const { t } = fixture();
  const container = t.run(t.container());
  t.run(t.join(container, 'dma0'));
  expect(t.run(t.user.ioctl(container, ioctls.VFIO_CHECK_EXTENSION, uapi.VFIO_FSL_PAMU_IOMMU))).toBe(1);
  for (const type of [
    uapi.VFIO_TYPE1_IOMMU,
    uapi.VFIO_TYPE1v2_IOMMU,
    uapi.VFIO_SPAPR_TCE_IOMMU,
    uapi.VFIO_SPAPR_TCE_v2_IOMMU,
  ])
    expect(t.run(t.user.ioctl(container, ioctls.VFIO_CHECK_EXTENSION, type))).toBe(0);
  const other = t.run(t.container());
  expect(t.outcome(t.joinGroup(other, 'dma0'))).toBe('EBUSY');
});

/** Everything that a container of one device has open, for closing in any order. */
const ORDERS = [
  ['device', 'group', 'container'],
  ['device', 'container', 'group'],
  ['group', 'device', 'container'],
  ['group', 'container', 'device'],
  ['container', 'device', 'group'],
  ['container', 'group', 'device'],
] as const;

test.each(ORDERS)('closed in the order %s, %s, %s: nothing is left', (...order) => {
  const { t, ram } = fixture();
  const { container, fds, groups } = t.run(configured(t, ram, 'dma0'));
  t.run(t.mapBank(container, 0, 5 * WINDOW));
  t.run(t.setIrq(fds[0], 1, t.run(t.user.eventfd())));
  const open = { device: fds[0], group: groups[0], container };
  for (const what of order) t.run(t.user.close(open[what]));
  const { pamu, msi } = t.host;
  expect([t.kernel.mm.lockedVm, pamu.tables.allocated, msi.banks[0].owner, t.primary(0x40).V]).toEqual([
    0,
    0,
    undefined,
    0,
  ]);
  expect(t.kernel.mm.space.frames.pins(t.kernel.mm.space.lookup(ram, false))).toBe(0);
  t.run(t.bind('dma0', 'fsl-elo-dma'));
  expect(dmatest(t, 'dma0')).toBe(4);
});

test('the driver waits for user space to close the device before it lets go', () => {
  const { t, ram } = fixture();
  const { fds, groups, container } = t.run(configured(t, ram, 'dma0'));
  const unbinding = t.start(t.user.writeFile('/sys/bus/platform/devices/dma0/driver/unbind', 'dma0'));
  t.settle();
  expect(unbinding.done).toBe(false);
  expect(t.outcome(t.device(groups[0], 'dma0'))).toBe('ENODEV');
  t.run(t.user.close(fds[0]));
  t.settle(20e9);
  expect(unbinding).toMatchObject({ done: true, value: 4 });
  expect(t.kernel.vfs.has('/dev/vfio/0')).toBe(false);
  // The group is of the hardware: it keeps its number and its device.
  expect(t.kernel.vfs.list('/sys/kernel/iommu_groups/0/devices')).toEqual(['dma0']);
  for (const fd of [groups[0], container]) t.run(t.user.close(fd));
  t.run(t.bind('dma0'));
  expect(t.kernel.vfs.has('/dev/vfio/0')).toBe(true);
});

/** What a device that streams has: descriptors, and the memory behind windows 0 to 3. */
interface Streaming {
  readonly fd: number;
  readonly group: number;
  readonly container: number;
  readonly ram: readonly number[];
}
/** Bytes of a window. */
const SMALL = 16 * K;

/** How memory is taken from under it. The process gives every piece back to the host, which poisons it. */
const WAYS = {
  /** Every descriptor is closed, in any order. */
  *close(t: PamuFixture, { fd, group, container, ram }: Streaming): Task {
    for (const one of [fd, group, container].sort(() => t.actor.choose(2) - 0.5)) yield* t.user.close(one);
    for (const start of ram) yield* t.kernel.mm.unmap(start);
  },
  /** Only the mappings go; the device goes on. */
  *unmap(t: PamuFixture, { container, ram }: Streaming): Task {
    yield* t.unmapDma(container, 0, 4 * SMALL);
    for (const start of ram) yield* t.kernel.mm.unmap(start);
  },
  /** The same, window by window, with DMA still on for the others. */
  *'unmap by window'(t: PamuFixture, { container, ram }: Streaming): Task {
    for (const window of [3, 1, 0, 2]) {
      yield* t.unmapDma(container, window * SMALL, SMALL);
      yield* t.kernel.mm.unmap(ram[window]);
      for (let wait = 0; wait < 80; wait++) yield* preempt();
    }
  },
} as const;

/**
 * The device streams while its memory is taken away: every page that it writes is its own when it is written, or poison
 * would show it. Returns whether the device was at work at that moment.
 */
function takenAway(seed: number, way: keyof typeof WAYS): boolean {
  const t = new PamuFixture({ seed, guestMemory: 2 * MiB });
  const { mm } = t.kernel;
  const ram = Array.from({ length: 4 }, () => mm.mmapHuge('ram', SMALL, SMALL).start);
  const container = t.run(t.container());
  const { fd, group } = t.run(t.open(container, 'dma0'));
  t.run(t.setGeometry(container, 0, 8 * SMALL - 1));
  t.run(t.setWindows(container, 8));
  for (const [window, start] of ram.entries()) t.run(t.mapDma(container, window * SMALL, SMALL, start));
  t.run(t.mapBank(container, 0, 4 * SMALL));
  t.run(t.setIrq(fd, 1, t.run(t.user.eventfd())));
  const hpas = ram.map((start) => mm.space.lookup(start, true));
  for (const hpa of hpas) t.memory.bytes(hpa, SMALL).fill(0x11);
  let cut = false;
  let over = false;
  // A second thread that keeps the device busy as long as its descriptor is there, within two windows at a time.
  const stream = function* (): Task {
    for (let round = 0; !over; round++) {
      try {
        yield* t.setEnable(container, 1);
      } catch {
        // Nothing is mapped any more, or the container is closed.
      }
      try {
        const [from, to] = [round % 4, (round + 1 + (round >> 2)) % 4];
        yield* t.startCopy(fd, from * SMALL, to * SMALL, SMALL, 0x200);
        for (let wait = 0; wait < 12; wait++) yield* preempt();
      } catch {
        return;
      }
    }
  };
  const end = function* (): Task {
    for (let wait = t.actor.choose(80); wait > 0; wait--) yield* preempt();
    cut = (t.hardware('dma0', 'SR') & 4) !== 0;
    yield* WAYS[way](t, { container, fd, group, ram });
    for (let wait = 0; wait < 80; wait++) yield* preempt();
    over = true;
  };
  t.runAll([stream(), end()]);
  expect([seed, mm.lockedVm]).toEqual([seed, 0]);
  const { msi, pamu } = t.host;
  if (way === 'close')
    expect([seed, pamu.tables.allocated, msi.banks[0].owner, t.primary(0x40).V]).toEqual([seed, 0, undefined, 0]);
  for (const hpa of hpas) expect([seed, t.memory.bytes(hpa, SMALL).every((b) => b === 0xa5)]).toEqual([seed, true]);
  return cut;
}

test.each(Object.keys(WAYS) as (keyof typeof WAYS)[])(
  '20: a device that streams never writes a page that was let go: %s',
  (way) => {
    let cut = 0;
    for (let seed = 1; seed <= 40; seed++) if (takenAway(seed, way)) cut++;
    // The device was at work when its memory went, most of the time.
    expect(cut).toBeGreaterThan(20);
  },
);
