import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { PinnedPages } from './vfio_iommu_type1_pfn.ts';

const page = fc.oneof(fc.integer({ min: 0, max: 1200 }), fc.constantFrom(2 ** 31, 2 ** 31 + 511, 2 ** 40));
const step = fc.tuple(fc.constantFrom('pin', 'pin', 'unpin', 'drop'), page);

test('pages, references and frames are those of a plain map, whatever is pinned and unpinned', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const pinned = new PinnedPages();
      const model = new Map<number, { hpa: number; references: number }>();
      let next = 0xffff_0000;
      for (const [what, number] of steps) {
        const known = model.get(number);
        if (what === 'pin') {
          expect(pinned.reference(number)).toBe(known?.hpa ?? -1);
          if (known !== undefined) known.references++;
          else {
            pinned.add(number, next);
            model.set(number, { hpa: next, references: 1 });
            next -= PAGE_SIZE;
          }
          continue;
        }
        const gone = known !== undefined && (what === 'drop' || known.references === 1);
        expect(what === 'drop' ? pinned.drop(number) : pinned.unreference(number)).toBe(gone ? known.hpa : -1);
        if (gone) model.delete(number);
        else if (known !== undefined) known.references--;
      }
      expect(pinned.size).toBe(model.size);
      expect(pinned.pages().sort((a, b) => a - b)).toEqual([...model.keys()].sort((a, b) => a - b));
    }),
  );
});
