import { expect, test } from 'vitest';
import { DOORBELL_SIZE, Doorbell, ringCounter } from './doorbell.ts';
import { createMemory, HostMemory } from './host_memory.ts';

test('the rings of all doorbells are counted, beyond the sign of a word', () => {
  const memory = new HostMemory(createMemory(65536));
  const actors = [1, 2].map((n) => ({ doorbell: DOORBELL_SIZE * n }));
  const count = ringCounter(memory, { actors });
  expect(count()).toBe(0);
  memory.store(actors[1].doorbell, 0x7fff_ffff);
  for (const { doorbell } of actors) new Doorbell(memory, doorbell).ring();
  expect(count()).toBe(1 + 0x8000_0000);
});
