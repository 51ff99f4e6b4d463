import { expect, test } from 'vitest';
import { PTE } from '../../kernel/lib/address_space.ts';
import { PG } from '../../kernel/lib/frames.ts';
import { PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { Memslots } from '../../kernel/lib/memslots.ts';
import { migratePage } from '../../kernel/mm/migrate.ts';
import { Mm } from '../../kernel/mm/mm.ts';
import { PageAllocator } from '../../kernel/mm/page.ts';
import { finish, smallMachine } from '../../test/support/small_machine.ts';
import { ADDRESSING, GuestPages, RETRY } from './bus.ts';

function guest() {
  const { memory, map } = smallMachine(16);
  const mm = new Mm(memory, map, 100, new PageAllocator(memory, map));
  const ram = mm.mmapAnonymous('ram', 4 * PAGE_SIZE, true);
  new Memslots(memory, map.memslots).set(1, { gpa: 0, size: ram.size, hva: ram.start });
  return { memory, mm, ram, pages: new GuestPages(memory, map) };
}

test('an absolute page is where the VMM’s page table says, now and after it moved', () => {
  const { memory, mm, ram, pages } = guest();
  for (let page = 0; page < ram.size; page += PAGE_SIZE)
    expect(pages.translate(page, true)).toBe(mm.space.lookup(ram.start + page, true));
  const before = pages.translate(PAGE_SIZE, false);
  finish(migratePage(mm, memory, ram.start + PAGE_SIZE));
  expect(pages.translate(PAGE_SIZE, false)).not.toBe(before);
  expect(pages.translate(PAGE_SIZE, false)).toBe(mm.space.lookup(ram.start + PAGE_SIZE, false));
});

test('outside the slots there is no storage; a page without write permission is none for stores', () => {
  const { memory, mm, ram, pages } = guest();
  for (const page of [ram.size, 2 ** 31, 2 ** 52]) expect(pages.translate(page, false)).toBe(ADDRESSING);
  memory.and(mm.space.entryAddress(ram.start), ~PTE.WRITE);
  expect(pages.translate(0, true)).toBe(ADDRESSING);
  expect(pages.translate(0, false)).toBeGreaterThan(0);
  mm.munmap(ram.start);
  expect(pages.translate(0, false)).toBe(ADDRESSING);
});

test('a page that is being moved is to be tried again', () => {
  const { memory, mm, ram, pages } = guest();
  const at = mm.space.entryAddress(ram.start);
  memory.or(at, PTE.MIGRATING);
  expect([pages.translate(0, false), pages.moving(0), pages.moving(PAGE_SIZE)]).toEqual([RETRY, true, false]);
  memory.and(at, ~PTE.MIGRATING);
  expect(pages.moving(0)).toBe(false);
});

test('a frame with translated code is marked, whoever else uses its flags', () => {
  const { mm, ram, pages } = guest();
  const hpa = pages.translate(0, false);
  mm.space.frames.setFlags(hpa, PG.DIRTY);
  pages.markCode(hpa);
  pages.markCode(hpa);
  expect(mm.space.frames.flags(hpa)).toBe(PG.DIRTY | PG.CODE);
  const told: number[] = [];
  mm.space.onCodeWritten = (va) => told.push(va);
  finish(mm.space.copy(ram.start + 9, Uint8Array.of(1), true));
  expect(told).toEqual([ram.start]);
});
