/**
 * Random sequences of commands against a plain model of the states and refusals of the PAMU backend (vfio-pamu facts 5.3,
 * 5.4): after each command both agree on its outcome and on everything that user space, the tables and a DMA can show.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { K, PamuFixture, R, W } from '../support/pamu_fixture.ts';

/** Memory of the process: one huge page of 64 pages, pages from everywhere, and nothing. */
const PAGES = 64;
const LIMIT = 20;
const t = new PamuFixture({ guestMemory: 2 ** 21 });
const huge = t.kernel.mm.mmapHuge('huge', PAGES * K, PAGES * K).start;
// Addresses are not given out again: behind each piece there is nothing.
const gap = () => t.kernel.mm.munmap(t.kernel.mm.mmapAnonymous('gap', PAGES * K, true).start);
gap();
const scattered = t.kernel.mm.mmapAnonymous('scattered', 8 * K, true).start;
gap();
const HOLE = 0x1000;
t.kernel.mm.lockLimit = LIMIT;

type Command =
  | { readonly do: 'geometry'; readonly start: number; readonly end: number }
  | { readonly do: 'windows'; readonly count: number }
  | {
      readonly do: 'map';
      readonly iova: number;
      readonly pages: number;
      readonly vaddr: number;
      readonly flags: number;
    }
  | { readonly do: 'unmap'; readonly iova: number; readonly pages: number }
  | { readonly do: 'mapBank'; readonly bank: number; readonly iova: number }
  | { readonly do: 'unmapBank'; readonly iova: number }
  | { readonly do: 'enable'; readonly on: number }
  | { readonly do: 'access'; readonly iova: number };

interface ModelWindow {
  readonly bank?: number;
  readonly pages: number;
  readonly flags: number;
}
const isPower = (n: number) => [1, 2, 4, 8, 16, 32, 64, 128, 256].includes(n);

/** The states, as plain as can be: pages instead of bytes, a list of windows. */
class Model {
  start = 0;
  pages: number | undefined;
  count: number | undefined;
  readonly windows = new Map<number, ModelWindow>();
  enabled = false;
  hold = false;
  faulted = false;

  get size(): number {
    return (this.pages as number) / (this.count as number);
  }
  get memory(): [number, ModelWindow][] {
    return [...this.windows].filter(([, w]) => w.bank === undefined);
  }
  get locked(): number {
    return this.memory.reduce((sum, [, w]) => sum + w.pages, 0);
  }
  index(iova: number): number | undefined {
    const offset = (iova - this.start) / K;
    return offset >= 0 && offset < (this.pages as number) && offset % this.size === 0 ? offset / this.size : undefined;
  }
  /** Whether DMA with this access gets through, a page inside a window. */
  reaches(iova: number, access: number): boolean {
    if (!this.enabled || this.faulted || this.count === undefined) return false;
    const offset = (iova - this.start) / K;
    const window = this.windows.get(Math.floor(offset / this.size));
    if (offset < 0 || window === undefined || window.bank !== undefined) return false;
    return offset % this.size < window.pages && (window.flags & access) !== 0;
  }

  run(c: Command): string | number {
    switch (c.do) {
      case 'geometry': {
        const pages = (c.end + 1 - c.start) / K;
        if (this.windows.size > 0) return 'EBUSY';
        if (!isPower(pages) || (c.start / K) % pages !== 0) return 'EINVAL';
        [this.start, this.pages, this.count] = [c.start, pages, undefined];
        return 0;
      }
      case 'windows':
        if (this.windows.size > 0) return 'EBUSY';
        if (this.pages === undefined || !isPower(c.count) || this.pages / c.count < 1) return 'EINVAL';
        this.count = c.count;
        return 0;
      case 'map':
        return this.#map(c);
      case 'unmap':
        return this.#unmap(c.iova, c.pages);
      case 'mapBank':
        return this.#mapBank(c);
      case 'unmapBank': {
        const found = [...this.windows].find(
          ([i, w]) => w.bank !== undefined && this.start + i * this.size * K === c.iova,
        );
        if (found === undefined) return 'EINVAL';
        this.windows.delete(found[0]);
        if (this.windows.size === 0) this.enabled = false;
        return 0;
      }
      case 'enable':
        if (c.on === 1 && this.windows.size === 0) return 'ENODEV';
        [this.hold, this.enabled] = [c.on === 0, c.on === 1];
        if (c.on === 1) this.faulted = false;
        return 0;
      case 'access': {
        // A copy from a page to itself: a read, then a write.
        const good = this.reaches(c.iova, R) && this.reaches(c.iova, W);
        if (!good && this.enabled) this.faulted = true;
        return good ? 1 : 0;
      }
    }
  }

  #map({ iova, pages, vaddr, flags }: Extract<Command, { do: 'map' }>): string | number {
    if (this.count === undefined) return 'ENODEV';
    const first = this.index(iova);
    if (flags === 0 || first === undefined || pages === 0) return 'EINVAL';
    if ((iova - this.start) / K + pages > (this.pages as number)) return 'EINVAL';
    const whole = pages % this.size === 0;
    if (!whole && !(pages < this.size && isPower(pages))) return 'EINVAL';
    const count = whole ? pages / this.size : 1;
    for (let i = 0; i < count; i++) if (this.windows.has(first + i)) return 'EBUSY';
    if (this.locked + pages > LIMIT) return 'ENOMEM';
    const length = pages / count;
    if (vaddr === HOLE) return 'EFAULT';
    const from = (vaddr - huge) / K;
    if (vaddr >= scattered && vaddr < scattered + 8 * K) {
      if (pages > 8 - (vaddr - scattered) / K) return 'EFAULT';
      if (length > 1) return 'EFAULT';
    } else {
      if (from + pages > PAGES) return 'EFAULT';
      if (from % length !== 0) return 'EINVAL';
    }
    for (let i = 0; i < count; i++) this.windows.set(first + i, { pages: length, flags });
    if (!this.hold) this.enabled = true;
    return 0;
  }

  #unmap(iova: number, pages: number): string | number {
    const ranges = this.memory.map(([i, w]) => ({ i, from: this.start / K + i * this.size, pages: w.pages }));
    const [from, to] = [iova / K, iova / K + pages];
    const hit = ranges.filter((r) => pages > 0 && r.from < to && from < r.from + r.pages);
    if (hit.some((r) => r.from < from || r.from + r.pages > to)) return 'EINVAL';
    for (const { i } of hit) this.windows.delete(i);
    if (hit.length > 0 && this.memory.length === 0) this.enabled = false;
    return hit.reduce((sum, r) => sum + r.pages * K, 0);
  }

  #mapBank({ bank, iova }: Extract<Command, { do: 'mapBank' }>): string | number {
    if (this.count === undefined || bank > 3) return 'ENODEV';
    const index = this.index(iova);
    if (index === undefined) return 'EINVAL';
    if (this.windows.has(index)) return 'EBUSY';
    if ([...this.windows.values()].some((w) => w.bank === bank)) return 'EEXIST';
    this.windows.set(index, { bank, pages: 1, flags: W });
    return 0;
  }
}

// Addresses that are often starts of windows, and often not.
const iova = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 15 }).map((n) => n * 4 * K) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 70 }).map((n) => n * K) },
  fc.constantFrom(2 ** 20, 2 ** 20 + 16 * K),
);
const pages = fc.oneof(fc.constantFrom(1, 2, 4, 8, 16, 32), fc.integer({ min: 0, max: 40 }));
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.constantFrom<Command>(
    { do: 'geometry', start: 0, end: 64 * K - 1 },
    { do: 'geometry', start: 0, end: 64 * K - 1 },
    { do: 'geometry', start: 2 ** 20, end: 2 ** 20 + 32 * K - 1 },
    { do: 'geometry', start: 0, end: 48 * K - 1 },
    { do: 'geometry', start: 4 * K, end: 68 * K - 1 },
    { do: 'geometry', start: K, end: K - 1 },
  ),
  fc.constantFrom(1, 2, 4, 8, 16, 16, 16, 64, 0, 3, 128).map((count): Command => ({ do: 'windows', count })),
  fc.record({
    do: fc.constant('map' as const),
    iova,
    pages,
    vaddr: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 15 }).map((n) => huge + n * 4 * K) },
      fc.constantFrom(huge + K, scattered, scattered + 3 * K, HOLE),
    ),
    flags: fc.constantFrom(R | W, R | W, R | W, R, W, 0),
  }),
  // Most likely one that is in order.
  fc.record({
    do: fc.constant('map' as const),
    iova: fc.integer({ min: 0, max: 7 }).map((n) => n * 4 * K),
    pages: fc.constantFrom(2, 4, 4, 8),
    vaddr: fc.integer({ min: 0, max: 7 }).map((n) => huge + n * 8 * K),
    flags: fc.constant(R | W),
  }),
  fc.record({ do: fc.constant('unmap' as const), iova, pages: fc.oneof(pages, fc.constant(2 ** 24)) }),
  // Often a part of a mapping: windows have four pages, most of the time.
  fc.record({
    do: fc.constant('unmap' as const),
    iova: fc.integer({ min: 0, max: 31 }).map((n) => n * K),
    pages: fc.integer({ min: 1, max: 6 }),
  }),
  fc.record({ do: fc.constant('mapBank' as const), bank: fc.integer({ min: 0, max: 4 }), iova }),
  fc.record({ do: fc.constant('unmapBank' as const), iova }),
  fc.constantFrom<Command>({ do: 'enable', on: 1 }, { do: 'enable', on: 1 }, { do: 'enable', on: 0 }),
  fc.record({ do: fc.constant('access' as const), iova }),
);

/** What the kernel says to a command. */
function perform(c: number, fd: number, { ...command }: Command): unknown {
  switch (command.do) {
    case 'geometry':
      return t.outcome(t.setGeometry(c, command.start, command.end));
    case 'windows':
      return t.outcome(t.setWindows(c, command.count));
    case 'map':
      return t.outcome(t.mapDma(c, command.iova, command.pages * K, command.vaddr, command.flags));
    case 'unmap':
      return t.outcome(t.unmapDma(c, command.iova, command.pages * K));
    case 'mapBank':
      return t.outcome(t.mapBank(c, command.bank, command.iova));
    case 'unmapBank':
      return t.outcome(t.unmapBank(c, command.iova));
    case 'enable':
      return t.outcome(t.setEnable(c, command.on));
    case 'access':
      return t.run(t.copy(fd, command.iova, command.iova, 16)) ? 1 : 0;
  }
}

/** Everything that can be seen of the state. */
function shown(c: number) {
  return {
    geometry: t.run(t.geometry(c)),
    windows: t.run(t.windows(c)),
    enable: t.run(t.enable(c)),
    locked: t.kernel.mm.lockedVm,
    slots: t.host.pamu.tables.allocated,
    valid: t.primary(0x40).V,
    banks: t.host.msi.banks.map((bank) => bank.owner !== undefined),
  };
}
function expected(m: Model): ReturnType<typeof shown> {
  const end = m.pages === undefined ? 2 ** 36 - 1 : m.start + m.pages * K - 1;
  return {
    geometry: [m.start, end],
    windows: m.count ?? 256,
    enable: [m.enabled ? 1 : 0, m.faulted ? 1 : 0],
    locked: m.locked,
    slots: (m.count ?? 1) - 1,
    valid: m.enabled && !m.faulted ? 1 : 0,
    banks: [0, 1, 2, 3].map((bank) => [...m.windows.values()].some((w) => w.bank === bank)),
  };
}

/** One whose sequences reach every answer. */
const SEED = 1;

test('commands in any order: the kernel, its tables and the device do what the model says', () => {
  t.run(t.bind('dma0'));
  const seen = new Map<string, Set<unknown>>();
  const property = fc.property(fc.array(command, { minLength: 12, maxLength: 40 }), (commands) => {
    const container = t.run(t.container());
    const group = t.run(t.joinGroup(container, 'dma0'));
    const fd = t.run(t.device(group, 'dma0'));
    const model = new Model();
    try {
      // Most sequences begin with something that can be mapped.
      const first: Command[] = [
        { do: 'geometry', start: 0, end: 64 * K - 1 },
        { do: 'windows', count: 16 },
      ];
      for (const one of [...(commands.length % 4 === 0 ? [] : first), ...commands]) {
        const says = perform(container, fd, one);
        expect([one, says]).toEqual([one, model.run(one)]);
        expect([one, shown(container)]).toEqual([one, expected(model)]);
        seen.set(one.do, (seen.get(one.do) ?? new Set()).add(typeof says === 'number' ? 'ok' : says));
      }
    } finally {
      for (const open of [fd, group, container]) t.run(t.user.close(open));
    }
    expect([t.kernel.mm.lockedVm, t.host.pamu.tables.allocated, t.primary(0x40).V]).toEqual([0, 0, 0]);
  });
  // These sequences come everywhere; others may find what they do not.
  fc.assert(property, { numRuns: 100, seed: SEED });
  expect([...(seen.get('map') ?? [])].sort()).toEqual(['EBUSY', 'EFAULT', 'EINVAL', 'ENODEV', 'ENOMEM', 'ok']);
  expect([...(seen.get('mapBank') ?? [])].sort()).toEqual(['EBUSY', 'EEXIST', 'EINVAL', 'ENODEV', 'ok']);
  expect([...(seen.get('windows') ?? [])].sort()).toEqual(['EBUSY', 'EINVAL', 'ok']);
  expect([...(seen.get('unmap') ?? [])].sort()).toEqual(['EINVAL', 'ok']);
  fc.assert(property, { numRuns: 50 });
});

test('UNSET_CONTAINER with the last group makes the container as new', () => {
  const container = t.run(t.container());
  const group = t.run(t.joinGroup(container, 'dma0'));
  t.run(t.setGeometry(container, 0, 64 * K - 1));
  t.run(t.setWindows(container, 16));
  t.run(t.mapDma(container, 0, K, huge));
  t.run(t.user.ioctl(group, ioctls.VFIO_GROUP_UNSET_CONTAINER));
  t.run(t.setContainer(group, container));
  t.run(t.user.ioctl(container, ioctls.VFIO_SET_IOMMU, 1007));
  expect([t.run(t.geometry(container)), t.kernel.mm.lockedVm]).toEqual([[0, 2 ** 36 - 1], 0]);
});
