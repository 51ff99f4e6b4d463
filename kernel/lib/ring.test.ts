import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemory, HostMemory } from './host_memory.ts';
import { Ring, ringSize } from './ring.ts';

const memory = new HostMemory(createMemory(65536));
const HEAD = 4;
const TAIL = 8;

/** A ring whose counters have already counted to `start`. */
function ringAt(start: number, capacity: number): Ring {
  memory.u8.fill(0, 0, ringSize(capacity));
  memory.store(HEAD, start);
  memory.store(TAIL, start);
  return new Ring(memory, 0, capacity);
}

test('a ring is a queue, also where its counters change sign and where they wrap', () => {
  const operation = fc.oneof(fc.integer({ min: -0x80000000, max: 0x7fffffff }), fc.constant('pop' as const));
  const starts = fc.constantFrom(0, 0x7ffffffd, -3, 0x7fffffff);
  fc.assert(
    fc.property(
      starts,
      fc.constantFrom(1, 2, 8),
      fc.array(operation, { maxLength: 60, size: 'max' }),
      (start, capacity, ops) => {
        const ring = ringAt(start, capacity);
        const model: number[] = [];
        for (const op of ops) {
          if (op === 'pop') expect(ring.pop()).toBe(model.shift());
          else {
            expect(ring.push(op)).toBe(model.length < capacity);
            if (model.length < capacity) model.push(op);
          }
          expect(ring.empty()).toBe(model.length === 0);
        }
      },
    ),
  );
});

test('a full ring refuses, at the change of sign too', () => {
  for (const start of [0, 0x7ffffffe, -2]) {
    const ring = ringAt(start, 4);
    expect([1, 2, 3, 4, 5].map((n) => ring.push(n))).toEqual([true, true, true, true, false]);
    expect([0, 0, 0, 0, 0].map(() => ring.pop())).toEqual([1, 2, 3, 4, undefined]);
  }
});

test('nothing outside the ring’s bytes is written', () => {
  const ring = ringAt(0, 4);
  memory.u8.fill(0x77, ringSize(4), ringSize(4) + 64);
  for (let i = 0; i < 20; i++) {
    ring.push(i);
    ring.push(i);
    ring.pop();
  }
  expect([...memory.bytes(ringSize(4), 64)].every((b) => b === 0x77)).toBe(true);
});
