import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemory, HostMemory } from './host_memory.ts';
import { MEMSLOTS, type Memslot, Memslots } from './memslots.ts';

const memory = new HostMemory(createMemory(65536));
const PAGE = 4096;
const HVA = 0x3ff_8000_0000;

const change = fc.record({ slot: fc.nat(MEMSLOTS - 1), place: fc.nat(40), pages: fc.nat(4) });

test('addresses are found as in a plain list of ranges, both ways, at every edge', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20, size: 'max' }), fc.constantFrom(0, 2 ** 40), (changes, base) => {
      memory.u8.fill(0, 0, PAGE);
      const slots = new Memslots(memory, 0);
      const model = new Map<number, Memslot>();
      for (const { slot, place, pages } of changes) {
        const gpa = base + place * 5 * PAGE;
        const value = { gpa, size: pages * PAGE, hva: HVA + (40 - place) * 5 * PAGE };
        // KVM refuses overlapping slots.
        if (pages > 0 && [...model].some(([other, m]) => other !== slot && m.gpa === gpa)) continue;
        slots.set(slot, value);
        if (pages === 0) model.delete(slot);
        else model.set(slot, value);
        expect(slots.get(slot)).toEqual(value);
      }
      for (let place = 0; place <= 40; place++) {
        const gpa = base + place * 5 * PAGE;
        const m = [...model.values()].find((value) => value.gpa === gpa);
        for (const offset of [-1, 0, 1, (m?.size ?? 1) - 1, m?.size ?? 0]) {
          const inside = m !== undefined && offset >= 0 && offset < m.size;
          expect(slots.hva(gpa + offset)).toBe(inside ? m.hva + offset : -1);
          const hva = HVA + (40 - place) * 5 * PAGE + offset;
          expect(slots.gpa(hva)).toBe(inside ? gpa + offset : -1);
        }
      }
    }),
    { numRuns: 50 },
  );
});

test('no address is in an empty table', () => {
  memory.u8.fill(0, 0, PAGE);
  const slots = new Memslots(memory, 0);
  for (const address of [0, 1, 2 ** 52, Number.NaN]) expect([slots.hva(address), slots.gpa(address)]).toEqual([-1, -1]);
});
