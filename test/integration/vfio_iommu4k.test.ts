/** type1's side of the argument: the same device behind a 4K-page IOMMU. No geometry, no windows, no banks. */
import { beforeEach, expect, test } from 'vitest';
import { FSL_DMA_MR } from '../../kernel/include/arch/ppc/fsldma.ts';
import { IOMMU4K_MESSAGES } from '../../kernel/include/arch/ppc/iommu4k.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { preempt, type Task } from '../../kernel/lib/task.ts';
import type { Iommu4kGroup } from '../../kernel/ppc/iommu4k.ts';
import { K, MiB, PamuFixture, R } from '../support/pamu_fixture.ts';

const MESSAGE = 1;
let t: PamuFixture;
/** Pages from everywhere. */
let ram: number;
let container: number;
let fd: number;
let group: number;

beforeEach(() => {
  t = new PamuFixture({ guestMemory: 24 * MiB, iommu: 'type1' });
  ram = t.kernel.mm.mmapAnonymous('ram', 64 * K, true).start;
  container = t.run(t.container());
  ({ fd, group } = t.run(t.open(container, 'dma0')));
});

const owner = (name: string) => t.host.platform.devices.get(name)?.owner as Iommu4kGroup;
const faults = () => t.iommu4k.faults.map(({ liodn, address, write, reason }) => [liodn, address, write, reason]);
const copy = (source: number, target: number, length = 1) => t.run(t.copy(fd, source, target, length));
const dmatest = (name: string) => t.outcome(t.user.writeFile('/sys/module/dmatest/parameters/run', name));

test('scattered pages at any address: what PAMU cannot have', () => {
  t.run(t.mapDma(container, 0x1234_5000, 64 * K, ram));
  t.poke(ram + 63 * K + 5, 0x5a);
  expect(copy(0x1234_5000 + 63 * K + 5, 0x1234_5000 + 7)).toBe(true);
  expect(t.byte(ram + 7)).toBe(0x5a);
  expect(owner('dma0').entries()).toEqual([64, 0]);
  // More than two pages in one transfer: each is looked up.
  const bytes = Uint8Array.from({ length: 3 * K }, (_, i) => (i * 5) & 0xff);
  t.run(t.kernel.mm.space.copy(ram, bytes, true));
  expect(copy(0x1234_5000, 0x1234_5000 + 8 * K + 100, 3 * K)).toBe(true);
  expect(t.run(t.kernel.mm.space.copyIn(ram + 8 * K + 100, 3 * K))).toEqual(bytes);
});

test('memory in one piece is mapped by pages of 2 MiB', () => {
  const { start } = t.kernel.mm.mmapHuge('huge', 6 * MiB, 2 * MiB);
  t.run(t.mapDma(container, 4 * MiB - K, K, ram));
  t.run(t.mapDma(container, 4 * MiB, 4 * MiB + K, start));
  expect(owner('dma0').entries()).toEqual([2, 2]);
  t.poke(start + 4 * MiB, 9);
  expect(copy(8 * MiB, 4 * MiB + 3)).toBe(true);
  expect(t.byte(start + 3)).toBe(9);
  expect(t.run(t.unmapDma(container, 4 * MiB, 4 * MiB + K))).toBe(4 * MiB + K);
  expect(owner('dma0').entries()).toEqual([1, 0]);
  expect(copy(4 * MiB, 4 * MiB - 1)).toBe(false);
  // And where 4K pages were, large ones may come.
  t.run(t.mapDma(container, 6 * MiB, K, ram + K));
  t.run(t.unmapDma(container, 6 * MiB, K));
  t.run(t.mapDma(container, 6 * MiB, 2 * MiB, start));
  expect(owner('dma0').entries()).toEqual([1, 1]);
});

test('a fault stops one access and no more', () => {
  t.run(t.mapDma(container, 0, 2 * K, ram));
  t.run(t.mapDma(container, 4 * K, K, ram + 4 * K, R));
  expect(copy(0, 2 * K)).toBe(false);
  expect(copy(0, 4 * K)).toBe(false);
  expect(copy(4 * K, 1)).toBe(true);
  expect(copy(0xf_ffff_f000, 0)).toBe(false);
  expect(faults()).toEqual([
    [0x40, 2 * K, true, 'NOT_MAPPED'],
    [0x40, 4 * K, true, 'PERMISSION'],
    [0x40, 0xf_ffff_f000, false, 'NOT_MAPPED'],
  ]);
});

test('messages: nothing to map, and only the device’s own vector', () => {
  t.run(t.mapDma(container, 0, 2 * K, ram));
  const event = t.run(t.user.eventfd());
  t.run(t.setIrq(fd, MESSAGE, event));
  expect(t.hardware('dma0', 'MSIAR')).toBe(IOMMU4K_MESSAGES.start);
  expect(t.run(t.copy(fd, 0, K, 64, FSL_DMA_MR.EOSIE))).toBe(true);
  expect(t.user.signals(event)).toBe(1);
  // Another device, with a vector of its own: neither reaches the other's.
  const other = t.run(t.container());
  const second = t.run(t.open(other, 'dma1'));
  t.run(t.mapDma(other, 0, 2 * K, ram));
  const otherEvent = t.run(t.user.eventfd());
  t.run(t.setIrq(second.fd, MESSAGE, otherEvent));
  for (let index = 0; index < 4; index++) {
    const good = index === 0;
    expect([index, copy(0, IOMMU4K_MESSAGES.start + 16 * index, 4)]).toEqual([index, good]);
  }
  expect([t.user.signals(event), t.user.signals(otherEvent)]).toEqual([2, 0]);
  expect(faults().every(([liodn, , write, reason]) => liodn === 0x40 && write && reason === 'MESSAGE')).toBe(true);
  // Neither halves of messages, nor reads, nor doorbells at their own address.
  for (const [source, target, length] of [
    [0, IOMMU4K_MESSAGES.start, 2],
    [0, IOMMU4K_MESSAGES.start + 4, 4],
    [IOMMU4K_MESSAGES.start, 0, 4],
    [0, 0xf_fe04_4148, 4],
  ])
    expect([target, copy(source, target, length)]).toEqual([target, false]);
  expect([t.user.signals(event), t.user.signals(otherEvent)]).toEqual([2, 0]);
  t.run(t.setIrq(fd, MESSAGE, -1));
  expect(copy(0, IOMMU4K_MESSAGES.start, 4)).toBe(false);
});

test('RAM over the message window, or beyond the address space, is refused and leaves nothing', () => {
  const before = t.kernel.mm.lockedVm;
  for (const iova of [IOMMU4K_MESSAGES.start - K, 2 ** 36 - K])
    expect([iova, t.outcome(t.mapDma(container, iova, 2 * K, ram))]).toEqual([iova, 'EINVAL']);
  expect([t.kernel.mm.lockedVm, owner('dma0').entries()]).toEqual([before, [0, 0]]);
});

test('the host’s DMA before and after; blocked in between', () => {
  expect(dmatest('dma1')).toBe(4);
  t.run(t.mapDma(container, 0, K, ram));
  t.run(t.user.close(fd));
  t.run(t.user.ioctl(group, ioctls.VFIO_GROUP_UNSET_CONTAINER));
  expect(t.kernel.mm.lockedVm).toBe(0);
  // Still bound to vfio-platform, in no container: nothing is reached.
  const allocated = t.kernel.mm.pages.allocated;
  t.run(t.bind('dma0', 'fsl-elo-dma'));
  expect([dmatest('dma0'), t.kernel.mm.pages.allocated]).toEqual([4, allocated]);
});

test('devices of one LIODN: one group, one domain', () => {
  t.run(t.bind('dma3'));
  const both = t.run(t.container());
  const two = t.run(t.open(both, 'dma2'));
  t.run(t.mapDma(both, 0, K, ram));
  const other = t.run(t.device(two.group, 'dma3'));
  expect([t.run(t.copy(two.fd, 0, 1, 1)), t.run(t.copy(other, 1, 2, 1))]).toEqual([true, true]);
});

/** As for PAMU: memory is taken, page by page, from a device that streams. */
function takenAway(seed: number): void {
  const f = new PamuFixture({ seed, guestMemory: 2 * MiB, iommu: 'type1' });
  const { mm } = f.kernel;
  const pages = Array.from({ length: 8 }, () => mm.mmapAnonymous('page', K, true).start);
  const c = f.run(f.container());
  const device = f.run(f.open(c, 'dma0'));
  for (const [i, page] of pages.entries()) f.run(f.mapDma(c, i * K, K, page));
  const hpas = pages.map((page) => mm.space.lookup(page, true));
  for (const hpa of hpas) f.memory.bytes(hpa, K).fill(0x11);
  let over = false;
  const stream = function* (): Task {
    for (let round = 0; !over; round++) {
      yield* f.startCopy(device.fd, (round % 4) * K, (4 + (round % 3)) * K, 2 * K);
      for (let wait = 0; wait < 10; wait++) yield* preempt();
    }
  };
  const end = function* (): Task {
    for (const i of [5, 0, 7, 2, 4, 1, 6, 3]) {
      for (let wait = f.actor.choose(30); wait > 0; wait--) yield* preempt();
      yield* f.unmapDma(c, i * K, K);
      yield* mm.unmap(pages[i]);
    }
    for (let wait = 0; wait < 60; wait++) yield* preempt();
    over = true;
  };
  f.runAll([stream(), end()]);
  for (const hpa of hpas) expect([seed, f.memory.bytes(hpa, K).every((b) => b === 0xa5)]).toEqual([seed, true]);
}

test('a device that streams never writes a page that was let go', () => {
  for (let seed = 1; seed <= 30; seed++) takenAway(seed);
});
