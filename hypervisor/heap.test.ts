import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemory, HostMemory } from '../kernel/lib/host_memory.ts';
import { Heap } from './heap.ts';

const memory = new HostMemory(createMemory(65536));
const VA = 0x3ff_8000_0000;
const SIZE = 8192;

test('blocks never overlap, lie in the heap and are reused when freed', () => {
  const operation = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constant('free' as const));
  fc.assert(
    fc.property(fc.array(fc.tuple(operation, fc.nat()), { maxLength: 60, size: 'max' }), (operations) => {
      const heap = new Heap(memory, VA, 4096, SIZE);
      const held: { va: number; bytes: number }[] = [];
      for (const [op, index] of operations) {
        if (op === 'free') {
          if (held.length > 0) heap.free(held.splice(index % held.length, 1)[0].va);
          continue;
        }
        let va: number;
        try {
          va = heap.alloc(op);
        } catch (error) {
          expect((error as Error).message).toBe('the VMM heap is exhausted');
          continue;
        }
        expect(va).toBeGreaterThanOrEqual(VA);
        expect(va + op).toBeLessThanOrEqual(VA + SIZE);
        for (const other of held) expect(va + op <= other.va || other.va + other.bytes <= va).toBe(true);
        held.push({ va, bytes: op });
      }
    }),
  );
});

test('a block of the same size is had again after it was freed, for ever', () => {
  const heap = new Heap(memory, VA, 4096, SIZE);
  for (let i = 0; i < 1000; i++) heap.free(heap.alloc(4096));
  expect(() => heap.alloc(SIZE + 1)).toThrow('exhausted');
});

test('bytes are the shared memory’s, and freeing what is no block is an error', () => {
  const heap = new Heap(memory, VA, 4096, SIZE);
  const va = heap.alloc(10);
  heap.bytes(va + 2, 3).set([1, 2, 3]);
  expect([...memory.bytes(4096 + (va - VA) + 2, 3)]).toEqual([1, 2, 3]);
  heap.free(va);
  expect(() => heap.free(va)).toThrow('is no heap block');
});
