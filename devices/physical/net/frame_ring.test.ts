import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemory, HostMemory } from '../../../kernel/lib/host_memory.ts';
import { FRAME_RING_HEADER, FrameRing } from './frame_ring.ts';

const BASE = 0x1000;
const SOURCE = 0x20000;
const CAPACITY = 0x1000;

function ring(start = 0) {
  const memory = new HostMemory(createMemory(0x30000));
  memory.store(BASE, start);
  memory.store(BASE + 64, start);
  const end = () => new FrameRing(memory, BASE, CAPACITY);
  return { memory, producer: end(), consumer: end() };
}

test('frames come out as they went in, whatever their lengths and wherever the counters stand', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: 0, max: 900 }), fc.constant('pop' as const)), { maxLength: 200 }),
      fc.constantFrom(0, 8, 0x1000 - 8, -8, -0x1000, 0x7ffffff8),
      (steps, start) => {
        const { memory, producer, consumer } = ring(start);
        const queue: { length: number; seed: number }[] = [];
        const guard = memory.u8.slice(BASE + FRAME_RING_HEADER + CAPACITY, BASE + FRAME_RING_HEADER + CAPACITY + 64);
        steps.forEach((step, seed) => {
          if (step === 'pop') {
            expect(consumer.peek()).toBe(queue.length > 0);
            const first = queue.shift();
            if (first === undefined) return;
            expect(consumer.length).toBe(first.length);
            expect(consumer.flags).toBe(first.seed);
            expect(consumer.hpa % 8).toBe(0);
            for (let i = 0; i < first.length; i++)
              expect(memory.u8[consumer.hpa + i]).toBe((i * 3 + first.seed) & 0xff);
            memory.u8.fill(0xee, consumer.hpa + first.length, consumer.hpa + first.length + 4); // the slack is the consumer's
            consumer.pop();
          } else {
            for (let i = 0; i < step; i++) memory.u8[SOURCE + i] = (i * 3 + seed) & 0xff;
            const fits = producer.fits(step);
            expect(producer.push(SOURCE, step, seed)).toBe(fits);
            if (fits) queue.push({ length: step, seed });
            else expect(queue.length).toBeGreaterThan(0);
          }
          expect(producer.empty()).toBe(queue.length === 0);
          expect(producer.used).toBeLessThanOrEqual(CAPACITY);
        });
        expect(memory.u8.slice(BASE + FRAME_RING_HEADER + CAPACITY, BASE + FRAME_RING_HEADER + CAPACITY + 64)).toEqual(
          guard,
        );
      },
    ),
    { numRuns: 150 },
  );
});

test('a producer that asked for room is told once, at the next frame taken out', () => {
  const { producer, consumer } = ring();
  while (producer.push(SOURCE, 500, 0));
  expect(producer.want(500)).toBe(false);
  consumer.peek();
  expect(consumer.pop()).toBe(true);
  expect(producer.fits(500)).toBe(true);
  consumer.peek();
  expect(consumer.pop()).toBe(false);
  expect(producer.want(500)).toBe(true); // room already: it need not wait
});

test('cleared, the ring is empty and takes frames again', () => {
  const { producer, consumer } = ring();
  while (producer.push(SOURCE, 100, 0));
  consumer.clear();
  expect(consumer.peek()).toBe(false);
  expect(producer.push(SOURCE, 100, 7)).toBe(true);
  expect(consumer.peek() && consumer.flags).toBe(7);
});
