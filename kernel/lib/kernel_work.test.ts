import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemory, HostMemory } from './host_memory.ts';
import { KernelWork, kernelWorkReader } from './kernel_work.ts';

const HPA = 4096;
const counters = () => {
  const memory = new HostMemory(createMemory(65536));
  return { memory, work: new KernelWork(memory, HPA), read: kernelWorkReader(memory, HPA) };
};

test('copies, their bytes and pins are counted each for itself', () => {
  const { work, read } = counters();
  expect(read()).toEqual({ copies: 0, copiedBytes: 0, pins: 0 });
  work.copied(4096);
  work.copied(8);
  work.pinned();
  expect(read()).toEqual({ copies: 2, copiedBytes: 4104, pins: 1 });
  expect(read()).toEqual({ copies: 2, copiedBytes: 4104, pins: 1 });
});

test('sums go on beyond the 32 bits of the words', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 20 }), (copies) => {
      const { work, read } = counters();
      let sum = 0;
      for (const bytes of copies) {
        work.copied(bytes);
        sum += bytes;
        expect(read().copiedBytes).toBe(sum);
      }
      expect(read().copies).toBe(copies.length);
    }),
    { numRuns: 50, examples: [[[0xffff_ffff, 2, 0xffff_ffff]]] },
  );
});
