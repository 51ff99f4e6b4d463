import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemory, HostMemory } from './host_memory.ts';
import { TAKEN_IO_SIZE, TakenIo } from './taken_io.ts';

const BASE = 64;

function fresh(count = 0): { memory: HostMemory; taken: TakenIo } {
  const memory = new HostMemory(createMemory(65536));
  memory.store(BASE, count);
  return { memory, taken: new TakenIo(memory, BASE) };
}

test('says what was taken since, of the newest fifteen, and denies what is longer ago; the count may wrap', () => {
  const ids = fc.array(fc.constantFrom<number>(0x1_0000, 0x1_0001, 0xfe08_0003), { maxLength: 40 });
  fc.assert(
    fc.property(ids, fc.nat(40), fc.constantFrom(0, 0xffff_fff0), (list, skip, start) => {
      const { memory, taken } = fresh(start);
      const from = Math.min(skip, list.length);
      for (const id of list.slice(0, from)) taken.record(id);
      const count = taken.count();
      for (const id of list.slice(from)) taken.record(id);
      const known = list.slice(Math.max(from, list.length - 15));
      for (const id of [0x1_0000, 0x1_0001, 0xfe08_0003]) expect(taken.since(count, id)).toBe(known.includes(id));
      expect(memory.load(BASE + TAKEN_IO_SIZE)).toBe(0);
    }),
  );
});

test('a slot that is written anew while it is read is not believed', () => {
  const { memory, taken } = fresh();
  const count = taken.count();
  taken.record(7);
  // The vCPU takes sixteen more between the load of the slot and the second look at the count.
  const load = memory.load.bind(memory);
  memory.load = (hpa) => {
    const value = load(hpa);
    if (hpa === BASE + 4) for (let i = 0; i < 16; i++) memory.store(BASE, load(BASE) + 1);
    return value;
  };
  expect(taken.since(count, 7)).toBe(false);
});
