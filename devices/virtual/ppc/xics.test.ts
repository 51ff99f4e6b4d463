import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { PRIORITY_LEAST, XICS_IPI, Xics } from './xics.ts';

const [LSI, MSI, MSI2] = [0x1200, 0x1300, 0x1301];
const xirr = (cppr: number, source: number) => ((cppr << 24) | source) >>> 0;

let xics: Xics;
beforeEach(() => {
  xics = new Xics(2);
  xics.claim(LSI, true);
  xics.claim(MSI, false);
  xics.claim(MSI2, false);
  for (const cpu of [0, 1]) xics.setCppr(cpu, PRIORITY_LEAST);
  xics.takeRaised();
});

describe('a message', () => {
  test('goes to its server, once, at its priority', () => {
    xics.setXive(MSI, 1, 5);
    xics.pulse(MSI);
    expect([xics.takeRaised(), xics.takeRaised()]).toEqual([[1], []]);
    expect(xics.accept(0)).toBe(xirr(0xff, 0));
    expect(xics.accept(1)).toBe(xirr(0xff, MSI));
    expect(xics.accept(1)).toBe(xirr(5, 0));
  });
  test('that comes while it is masked is kept until it is not', () => {
    xics.pulse(MSI);
    expect(xics.takeRaised()).toEqual([]);
    xics.setXive(MSI, 0, 5);
    expect([xics.takeRaised(), xics.accept(0)]).toEqual([[0], xirr(0xff, MSI)]);
  });
  test('waits while something as favoured is being served, and comes after its end', () => {
    xics.setXive(MSI, 0, 5);
    xics.setXive(MSI2, 0, 5);
    xics.pulse(MSI);
    const first = xics.accept(0);
    xics.takeRaised();
    xics.pulse(MSI2);
    expect(xics.takeRaised()).toEqual([]);
    xics.eoi(0, first);
    expect([xics.takeRaised(), xics.accept(0)]).toEqual([[0], xirr(0xff, MSI2)]);
  });
  test('that is more favoured takes the place of another, which comes later', () => {
    xics.setXive(MSI, 0, 5);
    xics.setXive(MSI2, 0, 4);
    xics.pulse(MSI);
    xics.pulse(MSI2);
    const first = xics.accept(0);
    expect(first).toBe(xirr(0xff, MSI2));
    xics.eoi(0, first);
    expect(xics.accept(0)).toBe(xirr(0xff, MSI));
  });
  test('goes back when the processor priority rises above it, and comes again when that falls', () => {
    xics.setXive(MSI, 0, 5);
    xics.pulse(MSI);
    xics.setCppr(0, 3);
    expect([xics.takeRaised(), xics.accept(0)]).toEqual([[], xirr(3, 0)]);
    xics.setCppr(0, 0xff);
    expect([xics.takeRaised(), xics.accept(0)]).toEqual([[0], xirr(0xff, MSI)]);
  });
  test('of a source that nobody claimed is ignored', () => {
    xics.pulse(0x1fff);
    xics.free(MSI);
    xics.pulse(MSI);
    expect(xics.takeRaised()).toEqual([]);
  });
});

describe('a level', () => {
  test('is presented once until it is ended, and again while it is there', () => {
    xics.setXive(LSI, 0, 5);
    xics.setLevel(LSI, true);
    xics.setLevel(LSI, true);
    const first = xics.accept(0);
    expect([first, xics.poll(0).xirr]).toEqual([xirr(0xff, LSI), xirr(5, 0)]);
    xics.eoi(0, first);
    expect(xics.poll(0).xirr).toBe(xirr(0xff, LSI));
    xics.setLevel(LSI, false);
    xics.eoi(0, xics.accept(0));
    expect(xics.poll(0).xirr).toBe(xirr(0xff, 0));
  });
  test('masked and unmasked by int-off and int-on keeps its priority', () => {
    xics.setXive(LSI, 0, 5);
    xics.mask(LSI);
    xics.setLevel(LSI, true);
    expect([xics.poll(0).xirr, xics.xive(LSI)]).toEqual([xirr(0xff, 0), { server: 0, priority: 0xff }]);
    xics.unmask(LSI);
    expect([xics.poll(0).xirr, xics.xive(LSI)]).toEqual([xirr(0xff, LSI), { server: 0, priority: 5 }]);
  });
  test('is still there after a reset', () => {
    xics.setLevel(LSI, true);
    xics.reset();
    expect(xics.poll(0)).toEqual({ xirr: 0, mfrr: 0xff });
    xics.setCppr(0, 0xff);
    xics.setXive(LSI, 0, 5);
    expect(xics.poll(0).xirr).toBe(xirr(0xff, LSI));
  });
});

test('an inter-processor interrupt comes as long as MFRR is favoured', () => {
  xics.setMfrr(1, 4);
  expect(xics.takeRaised()).toEqual([1]);
  const first = xics.accept(1);
  expect(first).toBe(xirr(0xff, XICS_IPI));
  xics.eoi(1, first);
  expect(xics.poll(1)).toEqual({ xirr: xirr(0xff, XICS_IPI), mfrr: 4 });
  xics.eoi(1, xics.accept(1));
  xics.setMfrr(1, 0xff);
  xics.accept(1);
  xics.eoi(1, xirr(0xff, XICS_IPI));
  expect(xics.poll(1).xirr).toBe(xirr(0xff, 0));
});

test('a source is claimed once', () => {
  expect(() => xics.claim(MSI, false)).toThrow('source 0x1300 is in use');
});

test('no message and no level is lost, whatever is done', () => {
  const priority = fc.integer({ min: 1, max: 0xff });
  const step = fc.oneof(
    fc.record({ what: fc.constantFrom('pulse', 'mask', 'unmask'), source: fc.constantFrom(MSI, MSI2) }),
    fc.record({ what: fc.constant('level'), on: fc.boolean() }),
    fc.record({ what: fc.constant('xive'), source: fc.constantFrom(LSI, MSI, MSI2), server: fc.nat(1), priority }),
    fc.record({ what: fc.constant('cppr'), cpu: fc.nat(1), priority }),
    fc.record({ what: fc.constant('mfrr'), cpu: fc.nat(1), priority }),
    fc.record({ what: fc.constant('serve'), cpu: fc.nat(1) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const one = new Xics(2);
      for (const [source, lsi] of [
        [LSI, true],
        [MSI, false],
        [MSI2, false],
      ] as const)
        one.claim(source, lsi);
      const owed = new Set<number>();
      let level = false;
      const serve = (cpu: number) => {
        const word = one.accept(cpu);
        owed.delete(word & 0xff_ffff);
        if ((word & 0xff_ffff) === XICS_IPI) one.setMfrr(cpu, 0xff);
        if ((word & 0xff_ffff) !== 0) one.eoi(cpu, word);
        return word & 0xff_ffff;
      };
      for (const s of steps) {
        if (s.what === 'pulse' && 'source' in s) {
          one.pulse(s.source);
          owed.add(s.source);
        } else if (s.what === 'mask' && 'source' in s) one.mask(s.source);
        else if (s.what === 'unmask' && 'source' in s) one.unmask(s.source);
        else if ('on' in s) {
          level = s.on;
          one.setLevel(LSI, level);
        } else if ('server' in s) one.setXive(s.source, s.server, s.priority);
        else if (s.what === 'cppr' && 'priority' in s) one.setCppr(s.cpu, s.priority);
        else if (s.what === 'mfrr' && 'priority' in s) one.setMfrr(s.cpu, s.priority);
        else if ('cpu' in s) serve(s.cpu);
      }
      // Everything is let through: what is owed comes, and what is not asserted does not stay.
      for (const source of [LSI, MSI, MSI2]) one.setXive(source, 0, 5);
      for (const cpu of [0, 1]) one.setCppr(cpu, 0xff);
      // The device is served at last: a level that stays would come before all else again and again.
      const seen = new Set<number>();
      for (let i = 0; i < 10; i++)
        for (const cpu of [0, 1]) {
          const source = one.poll(cpu).xirr & 0xff_ffff;
          if (source === LSI) one.setLevel(LSI, false);
          seen.add(serve(cpu));
        }
      expect([...owed]).toEqual([]);
      expect(level && !seen.has(LSI)).toBe(false);
    }),
    { numRuns: 300 },
  );
});
