import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Actor } from '../../kernel/lib/task.ts';
import { cpu_state } from '../cpu/state.ts';
import { Timers, TodClock } from './clock.ts';

// 2026-01-01 in TOD units.
const BASE = (2_208_988_800_000_000n + 1_767_225_600_000_000n) << 12n;

function clocks() {
  const time = { ns: 0 };
  const clock = new TodClock({ now: () => time.ns } as Actor, BASE);
  const state = cpu_state.make();
  return { time, clock, state, timers: new Timers(state, clock) };
}

test('the clock counts 4096 units a microsecond from where it was set', () => {
  const { time, clock } = clocks();
  expect(clock.tod()).toBe(BASE);
  time.ns = 1000;
  expect(clock.tod()).toBe(BASE + 4096n);
  time.ns = 3600e9;
  expect(clock.tod()).toBe(BASE + 3_600_000_000n * 4096n);
});

const days = fc.double({ min: 0, max: 30 * 86400e9, noNaN: true });
const set = fc.oneof(
  fc.constant(0n),
  // The guest's clock forward or back: to 1900 and beyond.
  fc.bigInt({ min: -(1n << 63n), max: 1n << 60n }),
  fc.constantFrom(-BASE, -1n, 1n << 63n),
);

test('the comparator is pending once the guest’s clock is past it, wherever the guest has set that clock', () => {
  fc.assert(
    fc.property(days, set, fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }), (ns, offset, ahead) => {
      const { time, clock, state, timers } = clocks();
      time.ns = ns;
      state.todOffset = BigInt.asUintN(64, offset);
      const tod = BigInt.asUintN(64, clock.tod() + offset);
      const comparator = tod + ahead;
      fc.pre(comparator >= 0n && comparator < 0xffff_0000_0000_0000n);
      state.clockComparator = comparator;
      expect(timers.comparatorPending()).toBe(tod > comparator);
      const deadline = timers.nextDeadline(true, false);
      if (tod > comparator) expect(deadline).toBeLessThanOrEqual(ns + 1.5);
      else {
        // Not early by more than rounding, and never so early that the condition does not hold yet.
        expect(deadline).toBeGreaterThan(ns);
        expect(Math.abs(deadline - ns - (Number(ahead) * 1000) / 4096)).toBeLessThan(4);
        time.ns = deadline;
        expect(timers.comparatorPending()).toBe(true);
      }
    }),
  );
});

test('the CPU timer is pending once it is negative, wherever the guest has set its clock', () => {
  fc.assert(
    fc.property(days, set, fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }), (ns, offset, left) => {
      const { time, clock, state, timers } = clocks();
      time.ns = ns;
      state.todOffset = BigInt.asUintN(64, offset);
      state.cpuTimerEnd = BigInt.asUintN(64, clock.tod() + offset + left);
      expect(timers.cpuTimerPending()).toBe(left < 0n);
      const deadline = timers.nextDeadline(false, true);
      if (left < 0n) expect(deadline).toBeLessThanOrEqual(ns + 1.5);
      else {
        time.ns = deadline;
        expect(timers.cpuTimerPending()).toBe(true);
      }
    }),
  );
});

test('without an enabled timer, or with the comparator at “never”, there is no deadline', () => {
  const { state, timers } = clocks();
  state.clockComparator = 0xffff_ffff_ffff_ffffn;
  expect([timers.nextDeadline(false, false), timers.nextDeadline(true, false)]).toEqual([
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ]);
  expect(timers.comparatorPending()).toBe(false);
});

test('the earlier of the two timers counts', () => {
  const { state, timers } = clocks();
  state.clockComparator = BASE + 4096n * 50n;
  state.cpuTimerEnd = BASE + 4096n * 20n;
  expect(timers.nextDeadline(true, true)).toBe(timers.nextDeadline(false, true));
  expect(timers.nextDeadline(true, false)).toBeGreaterThan(50_000);
});
