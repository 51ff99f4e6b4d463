import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemory, HostMemory } from './host_memory.ts';
import { LOCAL, LocalInterrupts } from './local_interrupts.ts';

const memory = new HostMemory(createMemory(65536));
const EMERGENCY = 4;

function fresh(): LocalInterrupts {
  memory.u8.fill(0, 0, 64);
  return new LocalInterrupts(memory, 0);
}

const cpu = fc.nat(31);
const operation = fc.oneof(
  fc.record({ kind: fc.constant('emergency' as const), cpu }),
  fc.record({ kind: fc.constant('call' as const), cpu }),
  fc.record({ kind: fc.constant('order' as const), bit: fc.constantFrom(LOCAL.STOP, LOCAL.RESTART, LOCAL.START) }),
  fc.record({ kind: fc.constant('takeEmergency' as const) }),
  fc.record({ kind: fc.constant('takeCall' as const) }),
  fc.record({ kind: fc.constant('take' as const), bit: fc.constantFrom(LOCAL.STOP, LOCAL.RESTART, LOCAL.START) }),
);

test('behaves as plain sets do', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60, size: 'max' }), (operations) => {
      const local = fresh();
      const senders = new Set<number>();
      let caller: number | undefined;
      let orders = 0;
      for (const op of operations) {
        if (op.kind === 'emergency') {
          local.addEmergency(op.cpu);
          senders.add(op.cpu);
        } else if (op.kind === 'call') {
          expect(local.addExternalCall(op.cpu)).toBe(caller === undefined);
          caller ??= op.cpu;
        } else if (op.kind === 'order') {
          local.add(op.bit);
          orders |= op.bit;
        } else if (op.kind === 'takeEmergency') {
          const lowest = senders.size === 0 ? undefined : Math.min(...senders);
          expect(local.takeEmergency()).toBe(lowest);
          if (lowest !== undefined) senders.delete(lowest);
        } else if (op.kind === 'takeCall') {
          expect(local.takeExternalCall()).toBe(caller);
          caller = undefined;
        } else {
          expect(local.take(op.bit)).toBe((orders & op.bit) !== 0);
          orders &= ~op.bit;
        }
        expect(local.pending()).toBe(
          orders | (senders.size > 0 ? LOCAL.EMERGENCY : 0) | (caller === undefined ? 0 : LOCAL.EXTERNAL_CALL),
        );
      }
    }),
  );
});

test('a sender whose signal was taken between its two stores leaves nothing pending for ever', () => {
  const local = fresh();
  local.addEmergency(1);
  // CPU 2 has stored its sender bit, not yet "pending", when the CPU takes everything.
  memory.or(EMERGENCY, 1 << 2);
  expect([local.takeEmergency(), local.takeEmergency()]).toEqual([1, 2]);
  local.add(LOCAL.EMERGENCY);
  expect(local.takeEmergency()).toBeUndefined();
  expect(local.pending()).toBe(0);
});

test('an external call that follows the taken one at once does not change whose it was', () => {
  const local = fresh();
  local.addExternalCall(3);
  // Another CPU's call comes in as soon as the first is no longer pending.
  const and = memory.and.bind(memory);
  memory.and = (hpa, mask) => {
    const old = and(hpa, mask);
    memory.and = and;
    local.addExternalCall(5);
    return old;
  };
  expect(local.takeExternalCall()).toBe(3);
  expect(local.takeExternalCall()).toBe(5);
});

test('prefix and store-status addresses are unsigned', () => {
  const local = fresh();
  local.addPrefix(0x8000_2000);
  local.addStoreStatus(0xffff_fe00);
  expect([local.prefix, local.statusAddress]).toEqual([0x8000_2000, 0xffff_fe00]);
  expect([local.take(LOCAL.SET_PREFIX), local.take(LOCAL.STORE_STATUS)]).toEqual([true, true]);
});
