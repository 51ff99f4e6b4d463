/** Channel programs that cannot be translated, that change meanwhile, or that nobody would write: what stays of them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CcwFields, type CcwFixture, NOTHING, RAM } from '../../../test/support/ccw_fixture.ts';
import {
  finish,
  host,
  hostCcw,
  hostOrb,
  hpasOf,
  idal,
  JUNK,
  NOP,
  NOWHERE,
  opened,
  READ,
  TIC,
  WRITE,
  words,
} from '../../../test/support/ccw_translation.ts';
import { CCW_FLAG } from '../../include/arch/s390/ccw.ts';
import { ORB_CTRL0 } from '../../include/arch/s390/orb.ts';
import { PTE } from '../../lib/address_space.ts';
import type { Task } from '../../lib/task.ts';

const { CC, SKIP, IDA } = CCW_FLAG;
const { F, P, H, T } = ORB_CTRL0.mask;

test.each([
  [256, 124],
  [257, 'EINVAL'],
])('%i CCWs in a segment: %s', (count, expected) => {
  const t = opened();
  const chain = Array.from({ length: count }, (_, i): CcwFields => [NOP, i + 1 < count ? CC : 0, 1, 0]);
  t.program(0x1000, chain);
  expect(t.outcome(t.ssch(0x1000))).toBe(expected);
  if (expected === 'EINVAL') expect([t.held, t.device.state]).toEqual([NOTHING, 'IDLE']);
});

test('nothing is read behind the 256th CCW, whatever it holds', () => {
  const t = opened();
  t.program(
    0x1000,
    Array.from({ length: 300 }, (): CcwFields => [NOP, CC, 1, 0]),
  );
  expect(t.outcome(t.ssch(0x1000))).toBe('EINVAL');
});

test.each([
  [16, 124],
  [17, 'EINVAL'],
])('%i segments: %s', (count, expected) => {
  const t = opened();
  for (let i = 0; i < count; i++)
    t.program(
      0x1000 * (i + 1),
      i + 1 < count
        ? [
            [NOP, CC, 1, 0],
            [TIC, 0, 0, 0x1000 * (i + 2)],
          ]
        : [[NOP, 0, 1, 0]],
    );
  expect(t.outcome(t.ssch(0x1000))).toBe(expected);
  if (expected === 'EINVAL') expect([t.held, t.device.state]).toEqual([NOTHING, 'IDLE']);
});

const GOOD = Array.from({ length: 5 }, (_, i): CcwFields => [READ, CC, 4096, 0x8000 + i * 0x2000]);

test.each<[string, CcwFields[], (t: CcwFixture) => Task<unknown> | undefined, string]>([
  ['data outside memory', [[READ, 0, 8, JUNK]], () => undefined, 'EINVAL'],
  ['IDAL outside memory', [[READ, IDA, 8, JUNK]], () => undefined, 'EINVAL'],
  ['last word of the IDAL outside memory', [[READ, IDA, 0x1000, 0x2000]], () => undefined, 'EINVAL'],
  ['TIC outside memory', [[TIC, 0, 0, JUNK]], () => undefined, 'EINVAL'],
  ['read-only page', [[READ, 0, 8, 0x10_0000]], (t) => t.mapDma(0x10_0000, t.ram.start, 4096, 1), 'EPERM'],
  ['mapped, but no memory', [[READ, 0, 8, 0x10_0000]], (t) => t.mapDma(0x10_0000, 0x1000, 4096), 'EFAULT'],
])('an error after five good CCWs releases their pins once: %s', (_name, bad, prepare, expected) => {
  const t = opened();
  const preparation = prepare(t);
  if (preparation !== undefined) t.run(preparation);
  t.poke(0x2000, words(4, [0x3400, JUNK, JUNK]));
  t.program(0x1000, [...GOOD, ...bad]);
  expect(t.outcome(t.ssch(0x1000))).toBe(expected);
  expect([t.held, t.device.state]).toEqual([NOTHING, 'IDLE']);
  expect(t.css.executed.filter((line) => line.startsWith('ssch'))).toEqual([]);
  t.program(0x1000, [[NOP, 0, 1, 0]]);
  expect(t.outcome(t.ssch(0x1000))).toBe(124);
});

test('the locked-memory limit is ENOMEM, and nothing stays', () => {
  const t = opened({ lockLimit: 3 });
  t.program(0x1000, [...GOOD, [NOP, 0, 1, 0]]);
  expect(t.outcome(t.ssch(0x1000))).toBe('ENOMEM');
  expect(t.held).toBe(NOTHING);
});

test('a short program in the last 2 KiB of memory is refused, as the whole segment is read', () => {
  const t = opened();
  t.program(RAM - 8, [[NOP, 0, 1, 0]]);
  expect(t.outcome(t.ssch(RAM - 8))).toBe('EINVAL');
  t.program(RAM - 2048, [[NOP, 0, 1, 0]]);
  expect(t.outcome(t.ssch(RAM - 2048))).toBe(124);
});

test('a guest that rewrites its first IDAW meanwhile cannot make the list longer or shorter', () => {
  for (let seed = 0; seed < 30; seed++) {
    const t = opened({ seed });
    t.program(0x1000, [[READ, IDA, 0x800, 0x2000]]);
    t.poke(0x2000, words(4, [0x3000, 0x4000]));
    const rewrite = function* (): Task<number> {
      for (let i = 0; i < 20; i++) {
        t.poke(0x2000, words(4, [i % 2 === 0 ? 0x3400 : 0x3000]));
        yield { what: 'guest', ready: () => true };
      }
      return 0;
    };
    t.runAll([t.ssch(0x1000), rewrite()]);
    const [first, second, third] = idal(t, hostOrb(t).cpa, 3);
    const offset = first % 4096n;
    // One word when the block is used from its start, two when not: never a mixture.
    if (offset === 0n) expect(second).toBe(NOWHERE);
    else expect([offset, second, third]).toEqual([0x400n, host(t, 0x4000), NOWHERE]);
  }
});

test('what the guest writes to its program after SSCH is not seen', () => {
  const t = opened();
  t.program(0x1000, [[READ, 0, 8, 0x3000]]);
  t.run(t.ssch(0x1000));
  t.program(0x1000, [[WRITE, 0, 8, 0x3000]]);
  expect(hostCcw(t, hostOrb(t).cpa).cmd).toBe(READ);
});

test('transport mode, reserved ORB bits and a program off its boundary', () => {
  const t = opened();
  t.program(0x1000, [[NOP, 0, 1, 0]]);
  expect(t.outcome(t.ssch(0x1000, { ctrl0: F | P | ORB_CTRL0.mask.B }))).toBe('EOPNOTSUPP');
  expect(t.outcome(t.ssch(0x1000, { ctrl1: 0x02 }))).toBe('EIO');
  expect([t.held, t.device.state]).toEqual([NOTHING, 'IDLE']);
});

test('no program whatever leaks, crashes or reaches beyond what is pinned', () => {
  const address = fc.oneof(
    fc.integer({ min: 0, max: RAM }),
    fc.constantFrom(0x1000, 0x1008, 0x2000, JUNK, 0xffff_ffff),
  );
  const ccw = fc.tuple(
    fc.oneof(fc.constantFrom(1, 2, 3, 4, 8, 12, 0x18), fc.nat(255)),
    fc.nat(255),
    fc.nat(65535),
    address,
  );
  fc.assert(
    fc.property(fc.array(ccw, { minLength: 1, maxLength: 40 }), fc.nat(0xffff), fc.nat(1000), (ccws, ctrl0, seed) => {
      const t = opened({ seed });
      t.program(0x1000, ccws as CcwFields[]);
      const result = t.outcome(t.ssch(0x1000, { ctrl0 }));
      if (result === 124) {
        const frames = new Set([...hpasOf(t)]);
        for (const hpa of frames) expect(t.kernel.mm.space.frames.pins(hpa)).toBeGreaterThan(0);
        finish(t);
      }
      expect([t.held, t.device.state]).toEqual([NOTHING, 'IDLE']);
    }),
    { numRuns: 60 },
  );
});

test('the way that does not sleep translates to the same as the one that does', () => {
  const address = fc.oneof(fc.integer({ min: 0, max: RAM }), fc.constantFrom(0x2000, 0x2ff8, 0x3000, JUNK));
  const ccw = fc.tuple(
    fc.constantFrom(1, 2, 3, 4, 8, 12),
    fc.constantFrom(0, CC, CC | IDA, IDA, SKIP | CC),
    fc.nat(20000),
    address,
  );
  const list = fc.array(fc.oneof(fc.integer({ min: 0, max: RAM }), fc.constantFrom(JUNK)), { maxLength: 12 });
  fc.assert(
    fc.property(
      fc.array(ccw, { minLength: 1, maxLength: 20 }),
      list,
      fc.constantFrom(0, H, H | T),
      (ccws, idaws, idaw) => {
        const [slow, fast] = [true, false].map((simulated) => {
          const t = opened();
          t.poke(0x2000, words(idaw === 0 ? 4 : 8, idaws));
          t.program(0x1000, ccws as CcwFields[]);
          Object.assign(t.actor, { simulated });
          const result = t.outcome(t.ssch(0x1000, { ctrl0: F | P | idaw }));
          const hpas = result === 124 ? [...hpasOf(t)] : [];
          const { held } = t;
          if (result === 124) finish(t);
          return { result, hpas, held, left: t.held };
        });
        expect(fast).toEqual(slow);
        expect(fast.left).toBe(NOTHING);
      },
    ),
    { numRuns: 60 },
  );
});

test.each(['the lock of the mappings is held', 'a page is being moved'])(
  'threaded, when %s, translation sleeps and goes on',
  (why) => {
    const t = opened();
    Object.assign(t.actor, { simulated: false });
    t.poke(0x2000, words(8, [0x3400, 0x5000]));
    t.program(0x1000, [
      [READ, IDA | CC, 0x1000, 0x2000],
      [NOP, 0, 1, 0],
    ]);
    const { memory, space } = { memory: t.memory, space: t.kernel.mm.space };
    const { users } = t.device;
    if (users === undefined) throw new Error('not open');
    const { tryPinPage, tryDmaRead } = users;
    let refusals = 0;
    if (why.startsWith('the lock')) {
      // Whoever has the lock: the calls that do not sleep say so.
      users.tryPinPage = (...args) => (refusals++ % 2 === 0 ? -1 : (tryPinPage?.apply(users, args) as number));
      users.tryDmaRead = (...args) => (refusals++ % 2 === 0 ? false : (tryDmaRead?.apply(users, args) as boolean));
    }
    const at = space.entryAddress(t.ram.start + 0x5000);
    const entry = memory.load(at);
    if (refusals === 0 && !why.startsWith('the lock')) memory.store(at, entry | PTE.MIGRATING);
    const call = t.start(t.ssch(0x1000, { ctrl0: F | P | H }));
    t.settle();
    if (!why.startsWith('the lock')) {
      expect(call.done).toBe(false);
      memory.store(at, entry);
      t.settle();
    }
    expect([call.value, idal(t, hostOrb(t).cpa, 3)]).toEqual([124, [host(t, 0x3400), host(t, 0x5000), NOWHERE]]);
    finish(t);
    expect(t.held).toBe(NOTHING);
  },
);
