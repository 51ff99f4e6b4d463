import fc from 'fast-check';
import { expect, test } from 'vitest';
import { smallMachine } from '../../test/support/small_machine.ts';
import { PG } from '../lib/frames.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { PageAllocator } from './page.ts';

const FRAMES = 24;
const { memory, map } = smallMachine(FRAMES);

function fresh(seed = 1): PageAllocator {
  memory.u8.fill(0);
  return new PageAllocator(memory, map, seed);
}

const operation = fc.oneof(
  fc.constant({ kind: 'page' as const }),
  fc.record({ kind: fc.constant('run' as const), count: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constant('free' as const), index: fc.nat() }),
);

test('no frame is handed out twice, every one is zeroed, and none is ever lost', () => {
  fc.assert(
    fc.property(fc.nat(), fc.array(operation, { maxLength: 120, size: 'max' }), (seed, operations) => {
      const pages = fresh(seed);
      const held: { hpa: number; count: number }[] = [];
      const used = new Set<number>();
      for (const op of operations) {
        if (op.kind === 'free') {
          if (held.length === 0) continue;
          const [{ hpa, count }] = held.splice(op.index % held.length, 1);
          for (let i = 0; i < count; i++) used.delete(hpa + i * PAGE_SIZE);
          pages.freePages(hpa, count);
        } else {
          const count = op.kind === 'run' ? op.count : 1;
          const hpa = op.kind === 'run' ? pages.allocPages(count) : pages.allocPage();
          if (op.kind === 'page') expect(hpa === undefined).toBe(used.size === FRAMES);
          if (hpa === undefined) continue;
          expect(hpa % PAGE_SIZE).toBe(0);
          expect(hpa).toBeGreaterThanOrEqual(map.firstFrame);
          expect(hpa + count * PAGE_SIZE).toBeLessThanOrEqual(map.size);
          for (let i = 0; i < count; i++) {
            const at = hpa + i * PAGE_SIZE;
            expect(used.has(at)).toBe(false);
            used.add(at);
            expect(memory.bytes(at, PAGE_SIZE).every((b) => b === 0)).toBe(true);
            memory.bytes(at, PAGE_SIZE).fill(0x11);
          }
          held.push({ hpa, count });
        }
        expect(pages.allocated).toBe(used.size);
      }
      // Whatever was freed can be had again, one by one.
      let rest = 0;
      while (pages.allocPage() !== undefined) rest++;
      expect(rest).toBe(FRAMES - used.size);
    }),
    { numRuns: 60 },
  );
});

test('a freed frame shows poison, and has no flags and no mapping left', () => {
  const pages = fresh();
  const hpa = pages.allocPage() as number;
  pages.frames.setFlags(hpa, PG.CODE | PG.DIRTY | PG.UNMOVABLE);
  pages.frames.setMapping(hpa, 5);
  pages.freePages(hpa);
  expect(new Set(memory.bytes(hpa, PAGE_SIZE))).toEqual(new Set([0xa5]));
  expect([pages.frames.flags(hpa), pages.frames.mapping(hpa)]).toEqual([0, 0]);
});

test('a run’s frames follow each other, and there is none longer than the free gap', () => {
  const pages = fresh();
  const a = pages.allocPages(10) as number;
  const b = pages.allocPages(10) as number;
  expect(b).toBe(a + 10 * PAGE_SIZE);
  expect(pages.allocPages(5)).toBeUndefined();
  expect(pages.allocPages(4)).toBe(b + 10 * PAGE_SIZE);
  pages.freePages(a, 10);
  expect(pages.allocPages(10)).toBe(a);
});

test('the seed scatters frames, always the same way', () => {
  const order = (seed: number) => {
    const pages = fresh(seed);
    return Array.from({ length: FRAMES }, () => pages.allocPage()).join();
  };
  expect(order(5)).toBe(order(5));
  expect(order(5)).not.toBe(order(6));
});

test('freeing twice or while pinned, and unpinning too often, are bugs and say so', () => {
  const pages = fresh();
  const hpa = pages.allocPage() as number;
  pages.frames.pin(hpa);
  expect(() => pages.freePages(hpa)).toThrow('freed while pinned');
  pages.frames.unpin(hpa);
  pages.freePages(hpa);
  expect(() => pages.freePages(hpa)).toThrow('freed twice');
  expect(() => pages.frames.unpin(hpa)).toThrow('unpinned too often');
});

test('the descriptor belongs to the whole frame, wherever the address lies in it', () => {
  const pages = fresh();
  const hpa = pages.allocPage() as number;
  pages.frames.get(hpa + 5);
  pages.frames.pin(hpa + PAGE_SIZE - 1);
  expect([pages.frames.refs(hpa), pages.frames.pins(hpa)]).toEqual([1, 1]);
  expect([pages.frames.refs(hpa + PAGE_SIZE), pages.frames.pins(hpa - 1)]).toEqual([0, 0]);
});
