import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type PamuPlan, PlanImpossible, type PlanRequest, planPamu } from './pamu_plan.ts';

const MiB = 2 ** 20;
const PAMU = { maxWindows: 256, addressEnd: 2 ** 36 } as const;
const request = (changes: Partial<PlanRequest>): PlanRequest => ({
  ram: [{ iova: 0, size: 256 * MiB }],
  granule: 64 * MiB,
  msiBanks: 3,
  ...PAMU,
  ...changes,
});
const why = (changes: Partial<PlanRequest>) => {
  try {
    planPamu(request(changes));
  } catch (error) {
    if (error instanceof PlanImpossible) return error.message;
    throw error;
  }
  return 'possible';
};

test('the example of the discussion: 256 MiB of 64 MiB pages and three banks are 8 windows in 512 MiB', () => {
  expect(planPamu(request({}))).toEqual({
    apertureStart: 0,
    apertureEnd: 0x1fff_ffff,
    windows: 8,
    windowSize: 64 * MiB,
    maps: [{ iova: 0, size: 256 * MiB }],
    msi: [0x1000_0000, 0x1400_0000, 0x1800_0000],
  });
});

test.each<[string, Partial<PlanRequest>, Partial<PamuPlan>]>([
  ['no bank: RAM fills the aperture', { msiBanks: 0 }, { windows: 4, apertureEnd: 256 * MiB - 1, msi: [] }],
  [
    'smaller pages take more windows',
    { granule: 16 * MiB, msiBanks: 4 },
    { windows: 32, windowSize: 16 * MiB, apertureEnd: 512 * MiB - 1 },
  ],
  [
    'a power of two at the end is a shorter mapping in its window',
    { ram: [{ iova: 0, size: 72 * MiB }], granule: 64 * MiB, msiBanks: 1 },
    {
      windows: 4,
      windowSize: 32 * MiB,
      maps: [
        { iova: 0, size: 64 * MiB },
        { iova: 64 * MiB, size: 8 * MiB },
      ],
    },
  ],
  [
    'RAM that does not begin at 0: an aperture that is aligned to its size',
    { ram: [{ iova: 2 ** 30, size: 128 * MiB }], msiBanks: 1 },
    { apertureStart: 2 ** 30, windows: 4, msi: [2 ** 30 + 128 * MiB] },
  ],
  [
    'a window below RAM, where none is left above',
    { ram: [{ iova: 64 * MiB, size: 192 * MiB }], msiBanks: 1 },
    { apertureStart: 0, windows: 4, msi: [0] },
  ],
  [
    'windows larger than any RAM, where smaller ones make no aperture that is aligned',
    {
      ram: [
        { iova: 14 * 4096, size: 4096 },
        { iova: 16 * 4096, size: 4096 },
      ],
      granule: 8192,
      msiBanks: 0,
      maxWindows: 16,
    },
    { apertureStart: 0, windows: 16, windowSize: 8192 },
  ],
  ['nothing but banks', { ram: [], msiBanks: 2 }, { windows: 2, windowSize: 4096, msi: [4096, 0], maps: [] }],
])('%s', (_, changes, expected) => expect(planPamu(request(changes))).toMatchObject(expected));

test('an impossible plan says why for every window size, and what would help', () => {
  expect(why({ granule: MiB, ram: [{ iova: 0, size: 512 * MiB }] })).toBe(
    'no legal PAMU geometry for 512 MiB of RAM and 3 MSI banks. windows of 2 MiB to 512 MiB: host memory is in pieces of ' +
      '1 MiB; windows of 4 KiB to 1 MiB: RAM and MSI banks take more than 256 windows. Take larger huge pages than 1 ' +
      'MiB, or a guest whose RAM is a power of two',
  );
  expect(why({ granule: 4096, ram: [{ iova: 0, size: 8192 }], msiBanks: 255 })).toContain('take more than 256 windows');
  expect(why({ ram: [{ iova: 2 ** 36 - 4096, size: 4096 }], msiBanks: 0 })).toBe('possible');
  expect(why({ ram: [{ iova: 2 ** 36, size: 4096 }], msiBanks: 0 })).toContain('end behind 0x1000000000');
  expect(why({ ram: [{ iova: 0, size: 4096 + 512 }], msiBanks: 0 })).toContain('less than a page');
});

// The rules of the hardware, written a second time and one window at a time.

/** What is wrong with a plan; empty when nothing is. */
function faults(plan: PamuPlan, { ram, granule, msiBanks, maxWindows, addressEnd }: PlanRequest): string[] {
  const found: string[] = [];
  const { apertureStart, apertureEnd, windows, windowSize, maps, msi } = plan;
  const size = apertureEnd + 1 - apertureStart;
  const power = (n: number) => n >= 1 && 2 ** Math.round(Math.log2(n)) === n;
  if (!power(size) || size < 4096 || apertureStart % size !== 0 || apertureEnd >= addressEnd) found.push('aperture');
  if (!power(windows) || windows > maxWindows || size / windows !== windowSize || windowSize < 4096)
    found.push('windows');
  const taken = new Set<number>();
  const take = (iova: number) => {
    if (iova < apertureStart || iova > apertureEnd || (iova - apertureStart) % windowSize !== 0) found.push('start');
    if (taken.has(iova)) found.push('overlap');
    taken.add(iova);
  };
  for (const map of maps) {
    if (map.size % windowSize !== 0 && !(power(map.size) && map.size >= 4096 && map.size < windowSize))
      found.push('length');
    for (let at = map.iova; at < map.iova + map.size; at += windowSize) {
      take(at);
      const range = ram.find((r) => r.iova <= at && at < r.iova + r.size);
      const length = Math.min(windowSize, map.iova + map.size - at);
      // Host memory: each granule from the start of the range is somewhere, aligned to its size.
      const offset = at - (range?.iova ?? 0);
      if (Math.floor(offset / granule) !== Math.floor((offset + length - 1) / granule)) found.push('contiguous');
      if ((offset % granule) % length !== 0) found.push('aligned');
    }
  }
  for (const iova of msi) take(iova);
  if (msi.length !== msiBanks) found.push('banks');
  const mapped = maps.reduce((sum, map) => sum + map.size, 0);
  if (mapped !== ram.reduce((sum, range) => sum + range.size, 0)) found.push('RAM');
  return found;
}

/** Whether any geometry at all would do, by trying every one. */
function possible(asked: PlanRequest): boolean {
  for (let windowSize = 4096; windowSize <= asked.granule; windowSize *= 2)
    for (let windows = 1; windows <= asked.maxWindows; windows *= 2)
      for (let start = 0; start + windows * windowSize <= asked.addressEnd; start += windows * windowSize) {
        const free = new Set(Array.from({ length: windows }, (_, i) => start + i * windowSize));
        const maps: { iova: number; size: number }[] = [];
        let good = true;
        for (const { iova, size } of asked.ram)
          for (let at = iova; at < iova + size; at += windowSize) {
            good &&= free.delete(at);
            maps.push({ iova: at, size: Math.min(windowSize, iova + size - at) });
          }
        const msi = [...free].slice(0, asked.msiBanks);
        const plan = {
          apertureStart: start,
          apertureEnd: start + windows * windowSize - 1,
          windows,
          windowSize,
          maps,
          msi,
        };
        if (good && faults(plan, asked).length === 0) return true;
      }
  return false;
}

/** Small address space, so that trying everything is quick; sizes in pages, with neighbours of powers of two. */
const anyRequest = fc
  .record({
    ranges: fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 1, max: 20 })), { maxLength: 3 }),
    granule: fc.integer({ min: 0, max: 6 }),
    msiBanks: fc.integer({ min: 0, max: 5 }),
    maxWindows: fc.integer({ min: 0, max: 5 }),
  })
  .map(({ ranges, granule, msiBanks, maxWindows }) => {
    let next = 0;
    const ram = ranges.map(([gap, pages]) => {
      const iova = next + gap * 4096;
      next = iova + pages * 4096;
      return { iova, size: pages * 4096 };
    });
    return { ram, granule: 4096 * 2 ** granule, msiBanks, maxWindows: 2 ** maxWindows, addressEnd: 128 * 4096 };
  });

test('whatever is asked: the plan keeps every rule, and none is given only where there is none', () => {
  fc.assert(
    fc.property(anyRequest, (asked) => {
      let plan: PamuPlan | undefined;
      try {
        plan = planPamu(asked);
      } catch (error) {
        expect(error).toBeInstanceOf(PlanImpossible);
      }
      if (plan === undefined) expect(possible(asked)).toBe(false);
      else expect(faults(plan, asked)).toEqual([]);
    }),
    { numRuns: 400 },
  );
});
