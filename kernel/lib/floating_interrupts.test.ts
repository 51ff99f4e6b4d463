import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FloatingInterrupts, type IoInterruption, PENDING } from './floating_interrupts.ts';
import { createMemory, HostMemory } from './host_memory.ts';

const memory = new HostMemory(createMemory(65536));
const BASE = 4096;
const CAPACITY = 512;

function fresh(): FloatingInterrupts {
  memory.u8.fill(0, BASE, BASE + 4 * 4096);
  return new FloatingInterrupts(memory, BASE);
}

const word32 = fc.integer({ min: 0, max: 0xffffffff });
const operation = fc.oneof(
  fc.record({ kind: fc.constant('io' as const), isc: fc.nat(7), subsystem: fc.nat(3), intparm: word32 }),
  fc.record({ kind: fc.constant('take' as const), mask: fc.nat(0xff), subsystem: fc.option(fc.nat(3)) }),
  fc.record({ kind: fc.constant('service' as const), parameter: word32 }),
  fc.record({ kind: fc.constant('takeService' as const) }),
  fc.record({ kind: fc.constant('machineCheck' as const) }),
  fc.record({ kind: fc.constant('takeMachineCheck' as const) }),
);

test('behaves as plain lists do: oldest of the lowest subclass first, summary always true', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80, size: 'max' }), (operations) => {
      const floating = fresh();
      let io: { isc: number; io: IoInterruption }[] = [];
      let service: number | undefined;
      let machineCheck = false;
      for (const op of operations) {
        if (op.kind === 'io') {
          // A subsystem identification has its high bits set on real machines too.
          const entry = {
            subsystemId: (0xfe010000 | op.subsystem) >>> 0,
            intparm: op.intparm,
            word: (op.isc << 27) >>> 0,
          };
          expect(floating.addIo(op.isc, entry)).toBe(true);
          io.push({ isc: op.isc, io: entry });
        } else if (op.kind === 'take') {
          const id = op.subsystem === null ? undefined : (0xfe010000 | op.subsystem) >>> 0;
          const fit = io.filter(
            (e) => (op.mask & (0x80 >> e.isc)) !== 0 && (id === undefined || e.io.subsystemId === id),
          );
          const best = fit.find((e) => e.isc === Math.min(...fit.map((f) => f.isc)));
          expect(floating.takeIo(op.mask, id)).toEqual(best?.io);
          io = io.filter((e) => e !== best);
        } else if (op.kind === 'service') {
          floating.addService(op.parameter);
          service = ((service ?? 0) | op.parameter) >>> 0;
        } else if (op.kind === 'takeService') {
          expect(floating.takeService()).toBe(service);
          service = undefined;
        } else if (op.kind === 'machineCheck') {
          floating.addMachineCheck();
          machineCheck = true;
        } else {
          expect(floating.takeMachineCheck()).toBe(machineCheck);
          machineCheck = false;
        }
        expect(floating.summary()).toBe(
          io.reduce((bits, e) => bits | (0x80 >> e.isc), 0) |
            (service === undefined ? 0 : PENDING.SERVICE) |
            (machineCheck ? PENDING.MACHINE_CHECK : 0),
        );
      }
    }),
  );
});

test('a full queue refuses, loses nothing, and writes nothing behind its area', () => {
  const floating = fresh();
  memory.u8.fill(0x77, BASE + 4 * 4096, BASE + 4 * 4096 + 64);
  const entry = (n: number) => ({ subsystemId: 0x10000 + n, intparm: n, word: 0 });
  for (let n = 0; n < CAPACITY; n++) expect(floating.addIo(n % 8, entry(n))).toBe(true);
  expect(floating.addIo(0, entry(9999))).toBe(false);
  const taken = Array.from({ length: CAPACITY }, () => floating.takeIo(0xff)?.intparm);
  expect(new Set(taken).size).toBe(CAPACITY);
  expect(floating.takeIo(0xff)).toBeUndefined();
  expect(floating.summary()).toBe(0);
  expect([...memory.bytes(BASE + 4 * 4096, 64)].every((b) => b === 0x77)).toBe(true);
});
