import { expect, test } from 'vitest';
import { finish, smallMachine } from '../../test/support/small_machine.ts';
import { BUSY } from '../lib/address_space.ts';
import { Doorbell } from '../lib/doorbell.ts';
import { PG } from '../lib/frames.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { Random } from '../lib/random.ts';
import { actorAreas } from '../lib/shared_map.ts';
import { Simulation } from '../lib/simulated.ts';
import { preempt, sleep, type Task } from '../lib/task.ts';
import { enableTrace, Tracer } from '../lib/trace.ts';
import { readTrace } from '../lib/trace_reader.ts';
import { memoryPressure, migratePage } from './migrate.ts';
import { Mm } from './mm.ts';
import { PageAllocator } from './page.ts';

const FRAMES = 16;
const { memory, map } = smallMachine(FRAMES);
const POISON = 0xa5;
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

function fresh(): Mm {
  memory.u8.fill(0);
  return new Mm(memory, map, 1000, new PageAllocator(memory, map, 3));
}

test('a page moves to another frame with its bytes, flags and storage key; the old one shows poison', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', PAGE_SIZE, true);
  const from = mm.space.lookup(start, true);
  memory.bytes(from, PAGE_SIZE).forEach((_, i, page) => {
    page[i] = i & 0x7f;
  });
  mm.space.frames.setFlags(from, PG.CODE | PG.DIRTY);
  mm.space.keys.set(from, 0x3e);
  expect(finish(migratePage(mm, memory, start))).toBe(true);
  const to = mm.space.lookup(start, true);
  expect(to).not.toBe(from);
  expect(memory.bytes(to, PAGE_SIZE).every((b, i) => b === (i & 0x7f))).toBe(true);
  expect(memory.bytes(from, PAGE_SIZE).every((b) => b === POISON)).toBe(true);
  expect([mm.space.frames.flags(to), mm.space.frames.mapping(to)]).toEqual([PG.CODE | PG.DIRTY, 1]);
  expect([mm.space.frames.flags(from), mm.pages.allocated]).toEqual([0, 1]);
  // The storage key moved along, and whoever gets the old frame next begins with key 0.
  expect(mm.space.keys.get(to)).toBe(0x3e);
  mm.mmapAnonymous('next', (FRAMES - 1) * PAGE_SIZE, true);
  expect([mm.space.keys.get(from), mm.space.keys.get(to)]).toEqual([0, 0x3e]);
});

test('pinned, referenced, unmovable and absent pages stay, and are not busy afterwards', () => {
  const mm = fresh();
  const ram = mm.mmapAnonymous('ram', 2 * PAGE_SIZE, true).start;
  const heap = mm.mmapAnonymous('heap', PAGE_SIZE, false).start;
  finish(mm.pinPage(ram, true));
  const referenced = mm.space.getPage(ram + PAGE_SIZE, true);
  for (const va of [ram, ram + PAGE_SIZE, heap]) {
    const before = mm.space.lookup(va, true);
    expect(finish(migratePage(mm, memory, va))).toBe(false);
    expect(mm.space.lookup(va, true)).toBe(before);
  }
  for (const va of [0, heap + PAGE_SIZE]) expect(finish(migratePage(mm, memory, va))).toBe(false);
  mm.space.putPage(ram + PAGE_SIZE, referenced, false);
  expect(finish(migratePage(mm, memory, ram + PAGE_SIZE))).toBe(true);
});

test('a pin that was taken through an older reference is seen after the notifiers', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', PAGE_SIZE, true);
  const hpa = mm.space.getPage(start, true);
  mm.notifiers.add(function* (): Task {
    mm.space.frames.pin(hpa);
    mm.space.putPage(start, hpa, true);
  });
  expect(finish(migratePage(mm, memory, start))).toBe(false);
  expect(mm.space.lookup(start, true)).toBe(hpa);
});

test('without a free frame the page stays', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', FRAMES * PAGE_SIZE, true);
  const before = mm.space.lookup(start, true);
  expect(finish(migratePage(mm, memory, start))).toBe(false);
  expect(mm.space.lookup(start, true)).toBe(before);
});

test('notifiers run one after the other while the page is busy and still in its old frame', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', PAGE_SIZE, true);
  const from = mm.space.lookup(start, true);
  const seen: unknown[] = [];
  const notifier = (name: string) =>
    function* (va: number): Task {
      seen.push([name, va, mm.space.lookup(start, false)]);
      yield* preempt();
      seen.push([name, memory.u8[from]]);
    };
  mm.notifiers.add(notifier('one')).add(notifier('two'));
  memory.u8[from] = 9;
  expect(finish(migratePage(mm, memory, start))).toBe(true);
  expect(seen).toEqual([
    ['one', start, BUSY],
    ['one', 9],
    ['two', start, BUSY],
    ['two', 9],
  ]);
});

test('a mapping removed while its page is being moved is not brought back', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', PAGE_SIZE, true);
  mm.notifiers.add(preempt);
  const moving = migratePage(mm, memory, start);
  moving.next();
  mm.munmap(start);
  expect(finish(moving)).toBe(false);
  expect([memory.load(mm.space.entryAddress(start)), mm.pages.allocated]).toEqual([0, 0]);
});

test('whoever may wait for the page is rung whether it moved or stayed', () => {
  const mm = fresh();
  const { start } = mm.mmapAnonymous('ram', PAGE_SIZE, true);
  const rings = () => ['vmm', 'vcpu0', 'iop0'].map((n) => new Doorbell(memory, actorAreas(map, n).doorbell).sequence());
  const before = rings();
  finish(migratePage(mm, memory, start));
  const moved = rings();
  mm.space.getPage(start, true);
  finish(migratePage(mm, memory, start));
  const stayed = rings();
  expect(moved.every((n, i) => n > before[i])).toBe(true);
  expect(stayed.every((n, i) => n > moved[i])).toBe(true);
});

/** A page-crossing writer and reader against movers and a pinner; throws when a byte is lost. */
function interleave(seed: number): { moves: number; refusals: number } {
  const mm = fresh();
  const pages = 4;
  const { start, size } = mm.mmapAnonymous('ram', pages * PAGE_SIZE, true);
  const simulation = new Simulation(seed);
  const random = new Random(seed);
  const model = new Uint8Array(size);
  let moves = 0;
  let refusals = 0;
  let working = 3;
  mm.notifiers.add(preempt);
  for (let user = 0; user < 2; user++) {
    // Each user has its own 16 bytes of every 32, so that the model needs no lock.
    simulation.actor(`vmm${user}`).spawn(
      'copy',
      (function* (): Task {
        for (let round = 0; round < 20; round++) {
          const at = random.below(size / 32 - 1) * 32 + user * 16;
          const bytes = Uint8Array.from({ length: 16 }, () => random.below(256));
          yield* mm.space.copy(start + at, bytes, true);
          model.set(bytes, at);
          yield* preempt();
          const again = random.below(size / 32) * 32 + user * 16;
          const expected = model.slice(again, again + 16);
          if (!same(yield* mm.space.copyIn(start + again, 16), expected)) throw new Error(`lost bytes at ${again}`);
        }
        working--;
      })(),
    );
  }
  simulation.actor('dma').spawn(
    'pin',
    (function* (): Task {
      for (let round = 0; round < 5; round++) {
        const va = start + random.below(pages) * PAGE_SIZE;
        const hpa = yield* mm.pinPage(va, true);
        for (let wait = 0; wait < 4; wait++) {
          yield* preempt();
          const now = mm.space.lookup(va, false);
          if (now !== hpa && now !== BUSY) throw new Error('a pinned page was moved');
        }
        mm.unpinPage(va, hpa, false);
      }
      working--;
    })(),
  );
  for (let mover = 0; mover < 2; mover++)
    simulation.actor('kernel').spawn(
      'move',
      (function* (): Task {
        while (working > 0) {
          if (yield* migratePage(mm, memory, start + random.below(pages) * PAGE_SIZE)) moves++;
          else refusals++;
          yield* preempt();
        }
      })(),
    );
  simulation.run(() => false, 100_000);
  expect(same(finish(mm.space.copyIn(start, size)), model)).toBe(true);
  expect(mm.pages.allocated).toBe(pages);
  return { moves, refusals };
}

test('copies and moves in 200 interleavings never lose a byte, and pinned pages stay where they are', () => {
  let moves = 0;
  let refusals = 0;
  for (let seed = 0; seed < 200; seed++) {
    const counts = interleave(seed);
    moves += counts.moves;
    refusals += counts.refusals;
  }
  expect(moves).toBeGreaterThan(1000);
  expect(refusals).toBeGreaterThan(200);
});

test('memory pressure keeps moving pages of anonymous mappings and traces each move', () => {
  const mm = fresh();
  enableTrace(memory, map.traceEnable, 'mm_migrate');
  const { start } = mm.mmapAnonymous('ram', 8 * PAGE_SIZE, true);
  const simulation = new Simulation(4);
  const actor = simulation.actor('kernel');
  const { trace } = actorAreas(map, 'kernel');
  const tracer = new Tracer(memory, map.traceEnable, trace, () => actor.now());
  let moved = 0;
  actor.spawn(
    'pressure',
    memoryPressure(actor, [mm], memory, 1, () => moved++, tracer),
  );
  let ended = false;
  actor.spawn(
    'use',
    (function* (): Task {
      yield* mm.space.copy(start, Uint8Array.of(1, 2, 3), true);
      yield* sleep(actor, 10e6);
      expect([...(yield* mm.space.copyIn(start, 3))]).toEqual([1, 2, 3]);
      ended = true;
    })(),
  );
  simulation.run(() => ended, 100_000);
  expect(moved).toBeGreaterThan(100);
  expect(readTrace(memory, [{ actor: 'kernel', hpa: trace }]).length).toBe(moved);
});
