import { expect, test } from 'vitest';
import { codeOf, finish, smallMachine } from '../../test/support/small_machine.ts';
import { BUSY, FAULT, MMAP_BASE, PTE, pagesSpanned } from '../lib/address_space.ts';
import { PG } from '../lib/frames.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { migratePage } from './migrate.ts';
import { Mm } from './mm.ts';
import { PageAllocator } from './page.ts';

const FRAMES = 16;
const { memory, map } = smallMachine(FRAMES);

function fresh(lockLimit = 8): Mm {
  memory.u8.fill(0);
  return new Mm(memory, map, lockLimit, new PageAllocator(memory, map, 7));
}
const pattern = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + 1) & 0xff);

test('bytes written are read back across pages whose frames lie apart', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', 4 * PAGE_SIZE, true);
  const frames = [0, 1, 2, 3].map((page) => mm.space.lookup(start + page * PAGE_SIZE, true));
  expect(frames.some((hpa, i) => i > 0 && hpa !== frames[i - 1] + PAGE_SIZE)).toBe(true);
  const bytes = pattern(2 * PAGE_SIZE + 100);
  finish(mm.space.copy(start + 4000, bytes, true));
  expect(finish(mm.space.copyIn(start + 4000, bytes.length))).toEqual(bytes);
  expect(memory.u8[frames[0] + 4000]).toBe(bytes[0]);
  expect(memory.u8[frames[1]]).toBe(bytes[96]);
  expect([...finish(mm.space.copyIn(start + 3990, 10))]).toEqual(Array(10).fill(0));
});

test.each([0, 1, MMAP_BASE - 1, 2 ** 52, -1, Number.NaN, Number.POSITIVE_INFINITY])('address %d is EFAULT', (va) => {
  const mm = fresh();
  mm.mmapAnonymous('ram', PAGE_SIZE, true);
  expect(codeOf(() => finish(mm.space.copyIn(va, 1)))).toBe('EFAULT');
  expect(codeOf(() => finish(mm.space.copy(va, new Uint8Array(1), true)))).toBe('EFAULT');
  expect(codeOf(() => finish(mm.pinPage(va, true)))).toBe('EFAULT');
});

test('a copy that runs over the end of the mapping is EFAULT, after the mapped part', () => {
  const mm = fresh();
  const { start, size } = mm.mmapAnonymous('ram', 2 * PAGE_SIZE, true);
  expect(codeOf(() => finish(mm.space.copy(start + size - 2, pattern(3), true)))).toBe('EFAULT');
  expect([...finish(mm.space.copyIn(start + size - 2, 2))]).toEqual([1, 8]);
  expect(finish(mm.space.copyIn(start + size, 0)).length).toBe(0);
});

test('a page that is only readable refuses writes', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', PAGE_SIZE, true);
  memory.and(mm.space.entryAddress(start), ~PTE.WRITE);
  expect(mm.space.lookup(start, true)).toBe(FAULT);
  expect(mm.space.lookup(start, false)).toBeGreaterThan(0);
  expect(codeOf(() => finish(mm.space.copy(start, new Uint8Array(1), true)))).toBe('EFAULT');
});

test('writes mark the frame dirty, and announce themselves where code was translated', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', PAGE_SIZE, true);
  const hpa = mm.space.lookup(start, true);
  const told: number[] = [];
  mm.space.onCodeWritten = (va) => told.push(va);
  finish(mm.space.copyIn(start, 8));
  expect(mm.space.frames.flags(hpa)).toBe(0);
  finish(mm.space.copy(start + 8, pattern(8), true));
  expect([mm.space.frames.flags(hpa), told.length]).toEqual([PG.DIRTY, 0]);
  mm.space.frames.setFlags(hpa, PG.CODE);
  finish(mm.space.copy(start + 100, pattern(8), true));
  expect(told).toEqual([start]);
  expect(mm.space.frames.refs(hpa)).toBe(0);
});

test('a page that is being moved is busy, and pinning waits for it', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', PAGE_SIZE, true);
  const at = mm.space.entryAddress(start);
  memory.or(at, PTE.MIGRATING);
  expect(mm.space.getPage(start, false)).toBe(BUSY);
  const pinning = mm.pinPage(start, true);
  const step = pinning.next();
  expect(step.done).toBe(false);
  memory.and(at, ~PTE.MIGRATING);
  const hpa = finish(pinning);
  expect([mm.space.frames.pins(hpa), mm.space.frames.refs(hpa)]).toEqual([1, 0]);
});

test('a page that moves between the look at its entry and the reference is found at its new place', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', PAGE_SIZE, true);
  const from = mm.space.lookup(start, true);
  const add = memory.add;
  memory.add = (hpa, value) => {
    memory.add = add;
    expect(finish(migratePage(mm, memory, start))).toBe(true);
    return add.call(memory, hpa, value);
  };
  const hpa = mm.space.getPage(start, true);
  expect(hpa).toBe(mm.space.lookup(start, true));
  expect(hpa).not.toBe(from);
  expect([mm.space.frames.refs(from), mm.space.frames.refs(hpa)]).toEqual([0, 1]);
});

test('a pinned frame survives its mapping and goes back with the last unpin, movable or not', () => {
  for (const movable of [true, false]) {
    const mm = fresh();
    const { start } = mm.mmapAnonymous('ram', 2 * PAGE_SIZE, movable);
    const hpa = finish(mm.pinPage(start, true));
    expect(finish(mm.pinPage(start + 5, true))).toBe(hpa);
    mm.munmap(start);
    expect(mm.pages.allocated).toBe(1);
    mm.unpinPage(start, hpa, true);
    expect(mm.pages.allocated).toBe(1);
    mm.unpinPage(start, hpa, true);
    expect([movable, mm.pages.allocated]).toEqual([movable, 0]);
  }
});

test('frames of a table outlive their mapping, pinned or not', () => {
  const mm = fresh();
  const table = mm.pages.allocPages(2) as number;
  const { start } = mm.mmapFrames('table', table, 2 * PAGE_SIZE);
  expect(mm.space.lookup(start + PAGE_SIZE, true)).toBe(table + PAGE_SIZE);
  const hpa = finish(mm.pinPage(start, true));
  mm.munmap(start);
  mm.unpinPage(start, hpa, false);
  expect(mm.pages.allocated).toBe(2);
});

test('locked pages are counted up to the limit, ENOMEM beyond it', () => {
  const mm = fresh(8);
  mm.account(5);
  mm.account(3);
  expect(codeOf(() => mm.account(1))).toBe('ENOMEM');
  expect(mm.lockedVm).toBe(8);
  mm.unaccount(2);
  mm.account(2);
  expect(mm.lockedVm).toBe(8);
});

test.each([true, false])('mmap that cannot be had is ENOMEM and leaves nothing behind (movable %s)', (movable) => {
  const mm = fresh();
  expect(codeOf(() => mm.mmapAnonymous('big', (FRAMES + 1) * PAGE_SIZE, movable))).toBe('ENOMEM');
  expect([mm.vmas.length, mm.pages.allocated]).toEqual([0, 0]);
  const { size } = mm.mmapAnonymous('fits', FRAMES * PAGE_SIZE, movable);
  expect([mm.vmas.length, mm.pages.allocated * PAGE_SIZE]).toEqual([1, size]);
});

test.each([0, -PAGE_SIZE, 100, Number.NaN, Number.POSITIVE_INFINITY])('mmap of %d bytes is EINVAL', (size) => {
  expect(codeOf(() => fresh().mmapAnonymous('x', size, true))).toBe('EINVAL');
});

test('munmap of what is not mapped is EINVAL, and an unmapped page faults', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', PAGE_SIZE, true);
  expect(codeOf(() => mm.munmap(start + PAGE_SIZE))).toBe('EINVAL');
  mm.munmap(start);
  expect(codeOf(() => mm.munmap(start))).toBe('EINVAL');
  expect(mm.space.lookup(start, false)).toBe(FAULT);
});

test('pages touched by a range are counted', () => {
  expect(
    [
      [0, 0],
      [0, 1],
      [4095, 1],
      [4095, 2],
      [100, 4096],
      [0, 8192],
    ].map(([va, length]) => pagesSpanned(MMAP_BASE + va, length)),
  ).toEqual([0, 1, 1, 2, 2, 2]);
});

test('unmapping: no new look-up finds the page, cached translations go, references end, and then the frames are free', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', 3 * PAGE_SIZE, true);
  const frames = [0, 1, 2].map((page) => mm.space.lookup(start + page * PAGE_SIZE, true));
  const seen: string[] = [];
  mm.notifiers.add(function* (va) {
    seen.push(`notified ${va === start}, found ${mm.space.lookup(start, false)}, allocated ${mm.pages.allocated}`);
    yield { what: 'vCPUs', ready: () => true };
  });
  // Another thread is copying from the second page; a device has the third one.
  mm.space.frames.get(frames[1]);
  finish(mm.pinPage(start + 2 * PAGE_SIZE, true));
  const task = mm.unmap(start);
  for (let i = 0; i < 5; i++) expect(task.next().done).toBe(false);
  expect([seen, mm.pages.allocated]).toEqual([[`notified true, found ${FAULT}, allocated 3`], 2]);
  mm.space.frames.put(frames[1]);
  finish(task);
  expect([mm.pages.allocated, mm.space.frames.mapping(frames[2])]).toEqual([1, 0]);
  mm.unpinPage(start + 2 * PAGE_SIZE, frames[2], false);
  expect(mm.pages.allocated).toBe(0);
  expect(codeOf(() => finish(mm.unmap(start)))).toBe('EINVAL');
});

test('a page that is unpinned while it is being unmapped is freed once', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', PAGE_SIZE, true);
  const hpa = finish(mm.pinPage(start, true));
  mm.notifiers.add(function* () {
    mm.unpinPage(start, hpa, true);
  });
  finish(mm.unmap(start));
  expect(mm.pages.allocated).toBe(0);
});

test('huge pages are in one piece, aligned, and stay; those that cannot be had leave nothing', () => {
  const mm = fresh();
  const huge = 4 * PAGE_SIZE;
  const { start } = mm.mmapHuge('huge', 2 * huge, huge);
  const hpas = Array.from({ length: 8 }, (_, page) => mm.space.lookup(start + page * PAGE_SIZE, true));
  for (const first of [0, 4]) {
    expect(hpas[first] % huge).toBe(0);
    expect(hpas.slice(first, first + 4)).toEqual([0, 1, 2, 3].map((i) => hpas[first] + i * PAGE_SIZE));
  }
  expect(mm.space.frames.flags(hpas[5]) & PG.UNMOVABLE).not.toBe(0);
  expect(codeOf(() => mm.mmapHuge('more', 4 * huge, huge))).toBe('ENOMEM');
  expect(codeOf(() => mm.mmapHuge('odd', PAGE_SIZE, huge))).toBe('EINVAL');
  expect(mm.pages.allocated).toBe(8);
  // What failed took no addresses.
  expect(mm.mmapAnonymous('next', PAGE_SIZE, true).start).toBe(start + 2 * huge);
  mm.munmap(start);
  expect(mm.pages.allocated).toBe(1);
});
