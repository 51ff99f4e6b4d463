/** The PAMU backend on the machine's PAMU, MSI banks and DMA engines: geometry, windows, DMA and violations. */
import { beforeEach, expect, test } from 'vitest';
import type { Task } from '../../kernel/lib/task.ts';
import { K, MiB, PamuFixture, R, W } from '../support/pamu_fixture.ts';

const WINDOW = 64 * MiB;
const END = 0x1fff_ffff;
/** Of dma0. */
const LIODN = 0x40;

/** The base of most tests: dma0 in a container, aperture 512 MiB, 8 windows; RAM of 64 MiB pages. */
let t: PamuFixture;
let container: number;
let fd: number;
let ram: number;

function base(pages = 2, options = {}): void {
  t = new PamuFixture({ guestMemory: 340 * MiB, ...options });
  ram = t.kernel.mm.mmapHuge('ram', pages * WINDOW, WINDOW).start;
  container = t.run(t.container());
  fd = t.run(t.open(container, 'dma0')).fd;
  t.run(t.setGeometry(container, 0, END));
  t.run(t.setWindows(container, 8));
}
beforeEach(() => base());

const map = (iova: number, size = WINDOW, vaddr = ram + iova, flags = R | W) =>
  t.outcome(t.mapDma(container, iova, size, vaddr, flags));
const copy = (source: number, target: number, length = 1) => t.run(t.copy(fd, source, target, length));
const violations = () => t.host.pamu.violations.map(({ address, code, kind, liodn }) => [liodn, address, code, kind]);

test('1: what the tables hold after windows are set, mapped, and given an MSI bank', () => {
  expect(t.primary(LIODN)).toMatchObject({ WSE: 0x1c, MW: 1, WCE: 2, V: 0, AP: 0, SWSE: 0x19 });
  expect(t.host.pamu.tables.allocated).toBe(7);
  expect(map(WINDOW, WINDOW, ram)).toBe(0);
  const { fspi } = t.primary(LIODN);
  const hpa = t.kernel.mm.space.lookup(ram, false);
  expect(t.secondary(fspi)).toMatchObject({ SWSE: 0x19, V: 1, AP: 3, PT: 1, physical: hpa });
  expect(t.outcome(t.mapBank(container, 0, 4 * WINDOW))).toBe(0);
  expect(t.secondary(fspi + 3)).toMatchObject({ SWSE: 0x0b, V: 1, AP: 2, physical: 0xf_fe04_4000 });
  expect(t.primary(LIODN)).toMatchObject({ V: 1, AP: 0 });
});

test('2: out of order nothing happens', () => {
  const fresh = new PamuFixture();
  const c = fresh.run(fresh.container());
  fresh.run(fresh.open(c, 'dma0'));
  const before = fresh.tables();
  expect(fresh.outcome(fresh.mapDma(c, 0, K, 0))).toBe('ENODEV');
  expect(fresh.outcome(fresh.setWindows(c, 8))).toBe('EINVAL');
  expect(fresh.outcome(fresh.setEnable(c, 1))).toBe('ENODEV');
  expect(fresh.tables()).toBe(before);
  expect(t.outcome(t.setEnable(container, 1))).toBe('ENODEV');
});

test('3: attributes before anything is set', () => {
  const fresh = new PamuFixture();
  const c = fresh.run(fresh.container());
  fresh.run(fresh.open(c, 'dma0'));
  expect(fresh.run(fresh.geometry(c))).toEqual([0, 0xf_ffff_ffff]);
  expect(fresh.run(fresh.windows(c))).toBe(256);
  expect(fresh.run(fresh.enable(c))).toEqual([0, 0]);
});

test('4: geometries that are none are refused, and the old one stays', () => {
  const rows: [number, number][] = [
    [0, 0x17ff_ffff],
    [0x1000, 0x1000 + END],
    [0, 2047],
    [0x2000_0000, 0x1000_0000],
    [0, 2 ** 37 - 1],
    [0, 2 ** 64],
  ];
  for (const [start, end] of rows)
    expect([start, end, t.outcome(t.setGeometry(container, start, end))]).toEqual([start, end, 'EINVAL']);
  expect(t.run(t.geometry(container))).toEqual([0, END]);
  expect(t.run(t.windows(container))).toBe(8);
});

test('5: windows that cannot be', () => {
  expect([0, 3, 512].map((n) => t.outcome(t.setWindows(container, n)))).toEqual(Array(3).fill('EINVAL'));
  t.run(t.setGeometry(container, 0, 0xffff));
  expect([t.outcome(t.setWindows(container, 32)), t.outcome(t.setWindows(container, 16))]).toEqual(['EINVAL', 0]);
  expect(t.host.pamu.tables.allocated).toBe(15);
});

test('6: the whole of a guest of four windows', () => {
  base(4);
  expect(map(0, 4 * WINDOW)).toBe(0);
  t.poke(ram + 5, 0xa5);
  expect(copy(5, 0x0bff_ffff)).toBe(true);
  expect(t.byte(ram + 0x0bff_ffff)).toBe(0xa5);
  expect(t.run(t.enable(container))).toEqual([1, 0]);
  expect(t.kernel.mm.lockedVm).toBe((4 * WINDOW) / K);
});

test('7: two windows, one of which cannot be: neither is', () => {
  const { mm } = t.kernel;
  const odd = mm.mmapHuge('odd', 8 * MiB, MiB);
  // A huge page of the first window's size, and behind it in the process pages from everywhere.
  const scattered = mm.mmapAnonymous('scattered', MiB, true);
  t.run(t.setGeometry(container, 0, 8 * MiB - 1));
  t.run(t.setWindows(container, 8));
  expect(scattered.start).toBe(odd.start + 8 * MiB);
  expect(t.outcome(t.mapDma(container, 0, 2 * MiB, odd.start + 7 * MiB))).toBe('EFAULT');
  expect(mm.lockedVm).toBe(0);
  expect(t.run(t.unmapDma(container, 0, 8 * MiB))).toBe(0);
  expect(t.run(t.enable(container))).toEqual([0, 0]);
  expect(t.outcome(t.mapDma(container, 0, 2 * MiB, odd.start + 6 * MiB))).toBe(0);
});

test('8: starts, sizes and what is behind a short mapping', () => {
  expect(map(WINDOW / 2)).toBe('EINVAL');
  expect(map(0, 96 * MiB)).toBe('EINVAL');
  expect(map(0)).toBe(0);
  expect(map(WINDOW, MiB)).toBe(0);
  expect(copy(0, WINDOW + MiB - 1)).toBe(true);
  expect(copy(0, WINDOW + MiB)).toBe(false);
  expect(violations()).toEqual([[LIODN, WINDOW + MiB, 'WAV', 'write']]);
});

test('9: a window that is for reading only', () => {
  expect(map(0)).toBe(0);
  expect(map(WINDOW, WINDOW, ram + WINDOW, R)).toBe(0);
  t.poke(ram + WINDOW + 7, 0x5a);
  expect(copy(WINDOW + 7, 3)).toBe(true);
  expect(t.byte(ram + 3)).toBe(0x5a);
  t.poke(ram + 3, 1);
  expect(copy(3, WINDOW + 7)).toBe(false);
  expect(t.byte(ram + WINDOW + 7)).toBe(0x5a);
  expect(violations()).toEqual([[LIODN, WINDOW + 7, 'APV', 'write']]);
  expect(t.primary(LIODN).V).toBe(0);
});

test('10, 11: a hole stops the LIODN, which only user space sets going again', () => {
  expect(map(0)).toBe(0);
  expect(copy(0, 0x1c00_0000)).toBe(false);
  expect(violations()).toEqual([[LIODN, 0x1c00_0000, 'WAV', 'write']]);
  expect(t.log.filter((line) => line.includes('access violation'))).toHaveLength(1);
  expect(t.run(t.enable(container))).toEqual([1, 1]);
  expect(copy(0, 1)).toBe(false);
  expect(map(WINDOW)).toBe(0);
  expect(copy(0, 1)).toBe(false);
  expect(t.run(t.enable(container))).toEqual([1, 1]);
  expect(t.run(t.setEnable(container, 1))).toBe(0);
  expect([copy(0, 1), copy(0, WINDOW)]).toEqual([true, true]);
  expect(t.run(t.enable(container))).toEqual([1, 0]);
});

test('12: a report for a LIODN that is off is the last one (erratum A-003638), until it is set going', () => {
  expect(map(0)).toBe(0);
  for (const expected of [1, 2, 2]) {
    expect(copy(0, 0x1c00_0000)).toBe(false);
    expect(t.host.pamu.violations).toHaveLength(expected);
  }
  expect(t.host.pamu.violations.map(({ code, disabled }) => [code, disabled])).toEqual([
    ['WAV', false],
    ['LAV', true],
  ]);
  // What was captured while nobody listened is reported now, and does not hide the next one.
  t.run(t.setEnable(container, 1));
  expect(t.host.pamu.violations).toHaveLength(3);
  expect(copy(0, 0x1c00_0000)).toBe(false);
  expect(t.host.pamu.violations).toHaveLength(4);
  expect(t.run(t.enable(container))).toEqual([1, 1]);
});

test('13: window 0 alone is unmapped; its LIODN goes on', () => {
  expect(map(0, 2 * WINDOW)).toBe(0);
  expect(t.run(t.unmapDma(container, 0, WINDOW))).toBe(WINDOW);
  expect(t.primary(LIODN)).toMatchObject({ V: 1, AP: 0 });
  expect(copy(WINDOW, WINDOW + 1)).toBe(true);
  expect(copy(0x1000, WINDOW)).toBe(false);
  expect(violations()).toEqual([[LIODN, 0x1000, 'APV', 'read']]);
});

test('a single window is as long as what it maps, and stops with it', () => {
  t.run(t.setGeometry(container, 0, END));
  t.run(t.setWindows(container, 1));
  expect(t.host.pamu.tables.allocated).toBe(0);
  expect(map(0, MiB)).toBe(0);
  expect(t.primary(LIODN)).toMatchObject({ MW: 0, WCE: 0, WSE: 0x13, V: 1 });
  expect([copy(0, MiB - 1), copy(0, MiB)]).toEqual([true, false]);
  expect(t.run(t.unmapDma(container, 0, MiB))).toBe(MiB);
  expect(t.primary(LIODN)).toMatchObject({ WSE: 0x1c, V: 0, AP: 0 });
});

test('21: unmapping takes whole mappings of memory, and DMA goes with the last', () => {
  expect(map(0, 2 * WINDOW)).toBe(0);
  t.run(t.mapBank(container, 0, 4 * WINDOW));
  expect(t.outcome(t.unmapDma(container, 0, WINDOW / 2))).toBe('EINVAL');
  expect(t.outcome(t.unmapDma(container, WINDOW / 2, 2 * WINDOW))).toBe('EINVAL');
  expect(copy(0, WINDOW)).toBe(true);
  expect(t.run(t.unmapDma(container, 4 * WINDOW, WINDOW))).toBe(0);
  expect(t.run(t.unmapDma(container, 0, 2 ** 36))).toBe(2 * WINDOW);
  expect(t.run(t.enable(container))).toEqual([0, 0]);
  expect(t.primary(LIODN).V).toBe(0);
  expect(t.kernel.mm.lockedVm).toBe(0);
  // The bank's window is there still, so the geometry is in use.
  expect(t.outcome(t.setWindows(container, 4))).toBe('EBUSY');
  expect(copy(0, 4 * WINDOW + 0x148)).toBe(false);
  expect(t.run(t.unmapBank(container, 4 * WINDOW))).toBe(0);
  expect(t.run(t.setWindows(container, 4))).toBe(0);
});

test('22: DMA that user space has switched off stays off', () => {
  expect(map(0)).toBe(0);
  t.run(t.setEnable(container, 0));
  expect(copy(0, 1)).toBe(false);
  expect(violations()).toEqual([[LIODN, 0, 'LAV', 'read']]);
  expect(map(WINDOW)).toBe(0);
  expect([copy(0, 1), t.run(t.enable(container))]).toEqual([false, [0, 0]]);
  expect(t.outcome(t.setGeometry(container, 0, END))).toBe('EBUSY');
  expect(t.run(t.unmapDma(container, 0, 2 * WINDOW))).toBe(2 * WINDOW);
  expect(t.run(t.setGeometry(container, 0, END))).toBe(0);
  expect(t.run(t.windows(container))).toBe(256);
});

test('23: the stash id of a cache, or none', () => {
  expect(map(0, 2 * WINDOW)).toBe(0);
  const ids = () => {
    const { fspi, CID } = t.primary(LIODN);
    return [CID, ...Array.from({ length: 7 }, (_, i) => t.secondary(fspi + i).CID)];
  };
  expect(ids()).toEqual(Array(8).fill(0));
  expect(t.run(t.setStash(container, 1, 1))).toBe(0);
  const level1 = ids();
  expect(new Set(level1).size).toBe(1);
  expect(t.outcome(t.setStash(container, 99, 1))).toBe('EINVAL');
  expect(t.outcome(t.setStash(container, 1, 4))).toBe('EINVAL');
  expect(ids()).toEqual(level1);
  expect([t.run(t.setStash(container, 99, 3)), new Set(ids()).size]).toEqual([0, 1]);
  expect(ids()).not.toEqual(level1);
  expect(copy(0, WINDOW)).toBe(true);
});

test('what is refused is refused in the order of the checks, and changes nothing', () => {
  const { mm } = t.kernel;
  const small = mm.mmapHuge('small', 8 * MiB, 4 * MiB).start;
  mm.lockLimit = 100;
  const before = t.tables();
  const rows: [string, Task<number>, string][] = [
    ['over the limit of locked memory', t.mapDma(container, 0, MiB, small), 'ENOMEM'],
    ['nothing mapped there', t.mapDma(container, 0, 256 * 1024, 0x1000), 'EFAULT'],
    ['not aligned to its length', t.mapDma(container, 0, 256 * 1024, small + K), 'EINVAL'],
    ['not at a page', t.mapDma(container, 0, K, small + 8), 'EINVAL'],
    ['behind the aperture', t.mapDma(container, 0x2000_0000, K, small), 'EINVAL'],
    ['wraps', t.mapDma(container, 2 ** 64 - K, 2 * K, small), 'EINVAL'],
  ];
  for (const [what, task, expected] of rows) expect([what, t.outcome(task)]).toEqual([what, expected]);
  expect([mm.lockedVm, t.tables() === before]).toEqual([0, true]);
});
