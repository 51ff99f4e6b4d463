import { expect, test } from 'vitest';
import type { MachineResult } from '../config.ts';
import { bootStats } from './boot_stats.ts';

const result = (systemCalls: number, exits: Record<string, number>): MachineResult => ({
  status: 0,
  reason: '',
  endedNs: 0,
  marks: {},
  systemCalls,
  exits,
});
const USED = { wallMs: 900, peakRssMiB: 200 };

test('of one machine there are its own numbers only', () => {
  const actors = { kernel: {}, vmm: {}, vcpu0: { firstRun: 5e6 } };
  expect(bootStats({ results: [result(7, { tsch: 2 })], switchedOn: 100, actors }, USED)).toEqual({
    ...USED,
    firstInstructionMs: 105,
    systemCalls: 7,
    exits: { tsch: 2 },
    actors,
  });
});

test('of several machines there are their sums, the first instruction of all, and each under its name', () => {
  const actors = { vcpu0: { firstRun: 9e6 }, vcpu1: { firstRun: 1 }, 'vm1.vcpu0': { firstRun: 6e6 } };
  const results = [result(7, { tsch: 2, instruction: 4 }), result(5, { instruction: 3, papr_hcall: 1 })];
  expect(bootStats({ results, switchedOn: 100, actors }, USED)).toEqual({
    ...USED,
    firstInstructionMs: 106,
    systemCalls: 12,
    exits: { tsch: 2, instruction: 7, papr_hcall: 1 },
    machines: {
      vm0: { firstInstructionMs: 109, systemCalls: 7, exits: { tsch: 2, instruction: 4 } },
      vm1: { firstInstructionMs: 106, systemCalls: 5, exits: { instruction: 3, papr_hcall: 1 } },
    },
    actors,
  });
});

test('a machine that could not be set up has no first instruction', () => {
  const actors = { vcpu0: { firstRun: 0 }, 'vm1.vcpu0': { firstRun: 0 } };
  const stats = bootStats({ results: [result(1, {}), result(2, {})], switchedOn: 100, actors }, USED);
  expect(stats).not.toHaveProperty('firstInstructionMs');
  expect(stats.machines?.vm1).toEqual({ systemCalls: 2, exits: {} });
});
